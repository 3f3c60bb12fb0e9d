import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.recipe import apply_schedule, changed_for_trial, derive_schedule


def derive(samples, batch, epochs, base_lr=0.004, base_batch=256, val_interval=10, late_epochs=30):
    return derive_schedule(samples, batch, epochs, base_lr, base_batch, val_interval, late_epochs)


@pytest.mark.parametrize(("batch", "lr"), [(1024, 0.004), (4096, 0.004), (32, 0.0005), (1, 0.0000625)])
def test_the_learning_rate_falls_with_the_batch(batch, lr):
    # (32 / 1024) ** 0.6 = 2 ** -3 and (1 / 1024) ** 0.6 = 2 ** -6.
    assert derive(1000, batch, 10, base_batch=1024).peak_lr == pytest.approx(lr)


def test_steps_by_hand():
    schedule = derive(samples=100, batch=32, epochs=50)
    assert (schedule.steps_per_epoch, schedule.steps) == (4, 200)
    assert schedule.log_interval == 4  # upstream's 50 would never log
    assert (schedule.decay_epoch, schedule.switch_epoch, schedule.val_interval) == (25, 20, 5)


def test_a_large_run_keeps_the_recipe():
    schedule = derive(samples=118_000, batch=256, epochs=300)
    assert (schedule.warmup_steps, schedule.peak_lr, schedule.log_interval) == (1000, 0.004, 50)
    assert (schedule.val_interval, schedule.switch_epoch) == (10, 270)


@pytest.mark.parametrize("epochs", [1, 2, 3, 9])
@pytest.mark.parametrize("samples", [1, 7, 33])
def test_the_smallest_runs_are_sound(samples, epochs):
    schedule = derive(samples, 32, epochs)
    assert 2 <= schedule.warmup_steps <= max(2, schedule.steps)
    assert 0 <= schedule.decay_epoch < epochs
    assert 1 <= schedule.val_interval <= epochs
    assert schedule.switch_epoch == 0  # no run is shorter than the late phase of 30 epochs
    assert 1 <= schedule.log_interval <= schedule.steps_per_epoch


@pytest.mark.parametrize("name", ["rtmdet-tiny-carpose", "rtmpose-s-carpose"])
def test_everything_lands_in_the_config(root, name):
    cfg = load_config(root / f"configs/{name}.py")
    schedule = derive(60, 8, 40)
    lines = apply_schedule(cfg, schedule)
    warmup, cosine = cfg.param_scheduler
    assert warmup.end == schedule.warmup_steps
    assert (cosine.begin, cosine.end, cosine.T_max) == (20, 40, 20)
    assert cosine.eta_min == pytest.approx(schedule.peak_lr * 0.05)
    assert cfg.optim_wrapper.optimizer.lr == schedule.peak_lr
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 4
    assert cfg.default_hooks.logger.interval == 8
    ema, switch = cfg.custom_hooks
    assert (ema.momentum, ema.gamma) == (schedule.ema_momentum, schedule.ema_gamma)
    assert switch.switch_epoch == 10
    assert "8 steps an epoch, 40 epochs, 320 steps" in lines[0]


def test_a_trial_changes_what_it_names_and_refuses_the_rest():
    schedule = changed_for_trial(derive(320, 32, 10), {"peak": 0.002, "warmup": 0.25, "decay": 0.8})
    assert (schedule.peak_lr, schedule.warmup_steps, schedule.decay_epoch) == (0.002, 25, 8)
    with pytest.raises(UserError, match="trial.speed: there are peak"):
        changed_for_trial(schedule, {"speed": 1})


@pytest.mark.parametrize(("steps", "share"), [(100, 0.4), (2500, 0.4), (5000, 0.8), (6250, 1.0), (90_000, 1.0)])
def test_a_short_run_from_scratch_turns_and_scales_less(steps, share):
    from_scratch = derive_schedule(steps, 1, 1, 0.004, 256, 10, 30, from_scratch=True)
    assert from_scratch.geometry == pytest.approx(share)
    assert derive(steps, 1, 1).geometry == 1.0  # trained weights need no help


def test_geometry_is_drawn_in_in_both_phases(root):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    lines = apply_schedule(cfg, changed_for_trial(derive(60, 8, 40), {"geometry": 0.5}))
    early = next(t for t in cfg.train_dataloader.dataset.pipeline if t.type == "RandomBBoxTransform")
    late = next(t for t in cfg.custom_hooks[1].switch_pipeline if t.type == "RandomBBoxTransform")
    # The recipe has scale 0.6 to 1.4 and 30 degrees, later 0.75 to 1.25 and 20; upstream's shift is 0.16.
    assert (early.scale_factor, early.rotate_factor, early.shift_factor) == ((0.8, 1.2), 15, 0.08)
    assert (late.scale_factor, late.rotate_factor, late.shift_factor) == ((0.875, 1.125), 10, 0)
    assert "50% of the config's random scale" in lines[-1]


def test_the_detector_scales_less_too(root):
    cfg = load_config(root / "configs/rtmdet-tiny-carpose.py")
    apply_schedule(cfg, changed_for_trial(derive(60, 8, 40), {"geometry": 0.4}))
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.custom_hooks[1].switch_pipeline):
        # The recipe has 0.5 to 2.
        assert next(t for t in pipeline if t.type == "RandomResize").ratio_range == (0.8, 1.4)


def test_full_geometry_changes_nothing(root):
    cfg, untouched = (load_config(root / "configs/rtmpose-s-carpose.py") for _ in range(2))
    lines = apply_schedule(cfg, derive(60, 8, 40))
    for name in ("scale_factor", "rotate_factor"):
        assert cfg.train_dataloader.dataset.pipeline[4][name] == untouched.train_dataloader.dataset.pipeline[4][name]
    assert not any("random scale" in line for line in lines)
