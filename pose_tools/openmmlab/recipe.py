"""A schedule that fits the size of the dataset.

Upstream's numbers are for 118,000 images on eight GPUs: a warm-up of 1000 steps, a log line every 50, the
late switch of augmentation 20 or 30 epochs before the end of 300. A hundred photographs make three steps an
epoch. Everything that depends on the number of steps is derived here, from samples, batch and epochs; the
rules were chosen by the trials in ``docs/recipe.md``.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Callable

from mmengine import Config

from pose_tools.console import UserError

# Upstream's, and the most we use.
WARMUP_STEPS = 1000
# A small batch wants a small learning rate: between linear (1), upstream's --auto-scale-lr, and square root (0.5).
LR_POWER = 0.6
# A run from scratch shorter than this gets this share of the random scale, shift and rotation; longer ones more.
SCRATCH_STEPS = 2500
SCRATCH_GEOMETRY = 0.4
EMA_MOMENTUM = 0.0002
EMA_GAMMA = 2000


@dataclass(frozen=True)
class Schedule:
    """What is derived; steps are optimiser steps, epochs count from 0.

    Attributes:
        steps_per_epoch: Batches an epoch.
        epochs: Epochs of the run.
        peak_lr: Learning rate at the end of warm-up.
        warmup_steps: Steps of linear warm-up.
        decay_epoch: First epoch of the cosine decay.
        switch_epoch: First epoch of the milder augmentation.
        val_interval: Epochs between validations, which also save a checkpoint.
        log_interval: Steps between log lines.
        ema_momentum: Share of the newest weights in the weight average, once it has settled.
        ema_gamma: Steps in which that share settles (mmengine's ExpMomentumEMA).
        geometry: Share of the config's random scale, shift and rotation that is used.
    """

    steps_per_epoch: int
    epochs: int
    peak_lr: float
    warmup_steps: int
    decay_epoch: int
    switch_epoch: int
    val_interval: int
    log_interval: int
    ema_momentum: float
    ema_gamma: int
    geometry: float = 1.0

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs


def derive_schedule(samples: int, batch: int, epochs: int, base_lr: float, base_batch: int, val_interval: int,
                    late_epochs: int, from_scratch: bool = False) -> Schedule:
    """Derives a schedule.

    Args:
        samples: Images (detector) or labelled instances (keypoint model) to train on.
        batch: Samples a step, over all processes.
        epochs: Epochs of the run.
        base_lr: The config's learning rate; the greatest that is used.
        base_batch: The batch that learning rate is for.
        val_interval: Epochs between validations the config asks for; used unless the run is too short.
        late_epochs: Epochs of milder augmentation the config asks for; a run no longer than that has no other.
        from_scratch: Whether the model starts from random weights.
    """
    per_epoch = max(1, math.ceil(samples / batch))
    steps = per_epoch * epochs
    return Schedule(
        steps_per_epoch=per_epoch,
        epochs=epochs,
        peak_lr=base_lr * min(1.0, batch / base_batch)**LR_POWER,
        # Below 2, mmengine's LinearLR never leaves its start factor.
        warmup_steps=max(2, min(WARMUP_STEPS, steps // 10)),
        decay_epoch=epochs // 2,
        switch_epoch=max(0, epochs - late_epochs),
        val_interval=max(1, min(val_interval, epochs // 10)),
        log_interval=max(1, min(50, per_epoch)),
        ema_momentum=EMA_MOMENTUM,
        ema_gamma=EMA_GAMMA,
        geometry=_geometry(steps) if from_scratch else 1.0)


def _geometry(steps: int) -> float:
    """Share of the random geometry for a run from scratch, where it delays the leaving of the mean pose."""
    return min(1.0, SCRATCH_GEOMETRY * max(1.0, steps / SCRATCH_STEPS))


def changed_for_trial(schedule: Schedule, trial: dict[str, float]) -> Schedule:
    """Replaces parts of a schedule, for ``benchmarks/recipe_trials.py``.

    Args:
        schedule: The derived one.
        trial: Of ``peak`` (learning rate), ``warmup`` (share of the steps), ``warmup_steps``, ``decay`` (share
            of the epochs), ``ema`` (momentum), ``gamma`` (steps) and ``geometry`` (share).

    Raises:
        UserError: It names something else.
    """
    rules: dict[str, Callable[[float], dict[str, float]]] = {
        "peak": lambda value: {"peak_lr": value},
        "warmup": lambda value: {"warmup_steps": max(2, round(value * schedule.steps))},
        "warmup_steps": lambda value: {"warmup_steps": round(value)},
        "decay": lambda value: {"decay_epoch": round(value * schedule.epochs)},
        "ema": lambda value: {"ema_momentum": value},
        "gamma": lambda value: {"ema_gamma": round(value)},
        "geometry": lambda value: {"geometry": value},
    }
    for name, value in trial.items():
        if name not in rules:
            raise UserError(f"trial.{name}: there are {', '.join(rules)}")
        schedule = replace(schedule, **rules[name](value))
    return schedule


# What upstream's transforms change at random, and by how much where a config does not say.
_RANDOM_GEOMETRY = {
    "RandomBBoxTransform": {"scale_factor": (0.5, 1.5), "shift_factor": 0.16, "rotate_factor": 80.0},
    "RandomResize": {"ratio_range": (1.0, 1.0)},
}


def _weaken_geometry(pipeline: list[Any], share: float) -> None:
    """Draws the ranges of random scale, shift and rotation in towards no change, in place."""
    for transform in pipeline if share < 1 else ():
        for name, default in _RANDOM_GEOMETRY.get(transform["type"], {}).items():
            value = transform.get(name, default)
            factor = isinstance(value, (list, tuple))  # a range around 1; the others are widths of one around 0
            transform[name] = tuple(round(1 + share * (end - 1), 4) for end in value) if factor else share * value


def apply_schedule(cfg: Config, schedule: Schedule, accumulate: int = 1) -> list[str]:
    """Writes a schedule into a config, in place.

    Args:
        cfg: A loaded config of ours, or one with the same hooks and schedulers.
        schedule: What :func:`derive_schedule` gave.
        accumulate: Batches a step; mmengine counts batches where a schedule counts steps.

    Returns:
        Lines that say what was derived, for the terminal.
    """
    cfg.optim_wrapper.optimizer.lr = schedule.peak_lr
    cfg.train_cfg.val_interval = schedule.val_interval
    if cfg.train_cfg.get("dynamic_intervals"):
        cfg.train_cfg.dynamic_intervals = [(schedule.epochs - max(1, schedule.epochs // 10), 1)]
    cfg.default_hooks.logger.interval = schedule.log_interval * accumulate
    cfg.default_hooks.checkpoint.interval = schedule.val_interval
    for scheduler in cfg.get("param_scheduler", []):
        if scheduler.type == "LinearLR":
            scheduler.end = schedule.warmup_steps * accumulate
        elif scheduler.type == "CosineAnnealingLR":
            scheduler.update(
                begin=schedule.decay_epoch, end=schedule.epochs, T_max=max(1, schedule.epochs - schedule.decay_epoch),
                eta_min=schedule.peak_lr * 0.05)
    for hook in cfg.get("custom_hooks", []):
        if hook.type == "EMAHook":
            hook.update(momentum=schedule.ema_momentum, gamma=schedule.ema_gamma)
        elif hook.type.endswith("PipelineSwitchHook"):
            hook.switch_epoch = schedule.switch_epoch
            _weaken_geometry(hook.switch_pipeline, schedule.geometry)
    _weaken_geometry(cfg.train_dataloader.dataset.get("pipeline", []), schedule.geometry)
    weaker = [f"{schedule.geometry:.0%} of the config's random scale, shift and rotation: a short run from scratch"]
    return [
        *([f"a step averages the gradients of {accumulate} batches of {cfg.train_dataloader.batch_size}; batch norm "
           "sees each batch alone"] if accumulate > 1 else []),
        f"{schedule.steps_per_epoch} steps an epoch, {schedule.epochs} epochs, {schedule.steps} steps",
        f"learning rate {schedule.peak_lr:.3g} after {schedule.warmup_steps} steps of warm-up, falling from epoch "
        f"{schedule.decay_epoch + 1}",
        f"milder augmentation from epoch {schedule.switch_epoch + 1}, validation every {schedule.val_interval}, "
        f"log line every {schedule.log_interval} steps",
        *(weaker if schedule.geometry < 1 else []),
    ]
