"""Gradient accumulation: steps of whole epochs, and what the schedule makes of it."""
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine import Config
from torch import nn

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.recipe import apply_schedule, derive_schedule
from pose_tools.openmmlab.step.accumulation import EpochOptimWrapper, use_whole_epochs


def wrapper_for(weight, accumulate, per_epoch, start=0):
    wrapper = EpochOptimWrapper(torch.optim.SGD([weight], lr=1.0), accumulative_counts=accumulate)
    wrapper.initialize_count_status(nn.Linear(1, 1), start, 10**6)
    wrapper.batches_per_epoch = per_epoch
    return wrapper


@given(st.integers(1, 6), st.integers(1, 13), st.integers(1, 3))
def test_every_epoch_ends_in_a_step_and_gradients_are_means(accumulate, per_epoch, epochs):
    weight = nn.Parameter(torch.zeros(1))
    wrapper = wrapper_for(weight, accumulate, per_epoch)
    groups = [range(start, min(start + accumulate, per_epoch)) for start in range(0, per_epoch, accumulate)]
    expected = 0.0
    for epoch in range(epochs):
        for group in groups:
            for batch in group:
                syncs = wrapper.should_sync()
                wrapper.update_params((weight * float(batch + epoch)).sum())
                assert wrapper.should_update() == (batch == group[-1]) == syncs
            expected -= sum(batch + epoch for batch in group) / len(group)
            assert weight.item() == pytest.approx(expected)


def test_a_resumed_run_steps_where_the_whole_one_does():
    weight = nn.Parameter(torch.zeros(1))
    wrapper = wrapper_for(weight, 3, 5, start=5)  # after one epoch; upstream would count on from 5 of 3
    taken = []
    for _ in range(5):
        wrapper.update_params(weight.sum())
        taken.append(wrapper.should_update())
    assert taken == [False, False, True, False, True]


def test_the_wrapper_is_exchanged_only_where_gradients_are_accumulated():
    for count, expected in ((1, "OptimWrapper"), (4, "EpochOptimWrapper")):
        hooks = []
        runner = SimpleNamespace(optim_wrapper={"type": "OptimWrapper", "accumulative_counts": count},
                                 register_hook=hooks.append)
        use_whole_epochs(runner)
        assert runner.optim_wrapper["type"] == expected
        assert len(hooks) == (count > 1)


def test_warm_up_and_log_lines_count_batches(root):
    def schedule(batch, accumulate):
        cfg = Config.fromfile(root / "configs/rtmpose-s-carpose.py")
        cfg.train_dataloader.batch_size = batch
        derived = derive_schedule(1000, batch * accumulate, 20, 0.004, 1024, 10, 30)
        return derived, cfg, apply_schedule(cfg, derived, accumulate)

    whole, cfg_of_whole, _ = schedule(32, 1)
    parts, cfg_of_parts, lines = schedule(8, 4)
    assert parts == whole, "four batches of 8 are a step of 32"
    assert (parts.steps_per_epoch, parts.warmup_steps) == (32, 64)  # 1000 / 32; a tenth of 640
    assert cfg_of_whole.param_scheduler[0].end == 64
    assert cfg_of_parts.param_scheduler[0].end == 256
    assert cfg_of_parts.default_hooks.logger.interval == 128
    assert cfg_of_parts.optim_wrapper.optimizer.lr == cfg_of_whole.optim_wrapper.optimizer.lr
    assert lines[0] == "a step averages the gradients of 4 batches of 8; batch norm sees each batch alone"
