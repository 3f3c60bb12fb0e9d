"""The running average of the weights (EMA), at a fraction of its cost.

Upstream's ``mmengine/model/averaged_model.py:102`` collects both state dicts and goes through some 500 tensors in
Python after every step, computing the momentum for each. Here the tensors are collected once and updated together;
the numbers and the checkpoints are upstream's, bit for bit.
"""
from __future__ import annotations

import math
from typing import Any, Optional

import torch
from mmdet.models.layers import ExpMomentumEMA
from mmengine.hooks import EMAHook
from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module()
class GroupedExpMomentumEMA(ExpMomentumEMA):
    """Upstream's ``ExpMomentumEMA``, all tensors at once; the same arguments."""

    _pairs: Optional[tuple[list[torch.Tensor], list[torch.Tensor]]] = None

    def _collect(self, model: nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Averaged and source tensors in pairs; they stay the same, changed in place, for a whole run."""
        if self._pairs is None:
            source = model.state_dict() if self.update_buffers else dict(model.named_parameters())
            names = [name for name, value in self.avg_parameters.items() if value.is_floating_point()]
            pairs = [self.avg_parameters[name].data for name in names], [source[name].data for name in names]
            # An average kept on another device is upstream's business.
            self._pairs = pairs if all(a.device == b.device for a, b in zip(*pairs)) else ([], [])
        return self._pairs

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Takes one more state of the model into the average; see the base class."""
        steps = int(self.steps)
        averaged, source = self._collect(model)
        if steps == 0 or not averaged:
            super().update_parameters(model)
            return
        if steps % self.interval == 0:
            momentum = (1 - self.momentum) * math.exp(-float(1 + steps) / self.gamma) + self.momentum
            torch._foreach_mul_(averaged, 1 - momentum)
            torch._foreach_add_(averaged, source, alpha=momentum)
        if not self.update_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers()):
                mine.data.copy_(theirs.data)
        self.steps += 1


class StepEMAHook(EMAHook):
    """Upstream's hook, which with gradient accumulation counts optimiser steps rather than batches."""

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Updates the average when the weights have changed."""
        if getattr(runner.optim_wrapper, "should_update", lambda: True)():
            super().after_train_iter(runner, *args, **kwargs)


def use_grouped_average(hooks: list[Any]) -> None:
    """Exchanges upstream's EMA hooks; the configuration they came from stays as it is.

    Args:
        hooks: A runner's, before the run, changed in place; an average of another kind stays what it is.
    """
    for index, hook in enumerate(hooks):
        if type(hook) is EMAHook:
            settings = dict(hook.ema_cfg)
            kind = str(settings.pop("type"))
            settings["ema_type"] = "GroupedExpMomentumEMA" if kind.split(".")[-1] == "ExpMomentumEMA" else kind
            hooks[index] = StepEMAHook(
                strict_load=hook.strict_load, begin_iter=hook.begin_iter, begin_epoch=hook.begin_epoch, **settings)
            hooks[index].priority = hook.priority


def drop_average(cfg: Any) -> None:
    """Takes the EMA hooks out of a config, in place, for ``--no-ema``."""
    cfg.custom_hooks = [hook for hook in cfg.get("custom_hooks", []) if hook["type"] != "EMAHook"]
