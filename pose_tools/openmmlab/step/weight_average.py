"""The running average of the weights (EMA), at a fraction of its cost.

Upstream's ``mmengine/model/averaged_model.py:102`` collects both state dicts and goes through some 500 tensors in
Python after every step, computing the momentum for each. Here the tensors are collected once and updated together;
the numbers and the checkpoints are upstream's, bit for bit.
"""
from __future__ import annotations

import math
from collections import Counter
from typing import Any, Optional

import torch
from mmdet.models.layers import ExpMomentumEMA
from mmengine.hooks import EMAHook
from mmengine.registry import MODELS
from torch import nn

_Pairs = tuple[list[torch.Tensor], list[torch.Tensor]]


@MODELS.register_module()
class GroupedExpMomentumEMA(ExpMomentumEMA):
    """Upstream's ``ExpMomentumEMA``, all tensors at once; the same arguments."""

    _rounds: Optional[list[_Pairs]] = None

    def _collect(self, model: nn.Module) -> list[_Pairs]:
        """Averaged and source tensors in pairs; they stay the same, changed in place, for a whole run.

        RTMDet's head has its convolutions under three names, one for each level, and upstream averages such a weight
        three times a step, one after the other: so there is a round for every time.
        """
        if self._rounds is None:
            source = model.state_dict() if self.update_buffers else dict(model.named_parameters())
            rounds: list[_Pairs] = []
            seen: Counter[int] = Counter()
            for name, averaged in self.avg_parameters.items():
                if not averaged.is_floating_point():
                    continue
                if averaged.device != source[name].device:
                    rounds = []  # an average kept on another device is upstream's business
                    break
                turn = seen[averaged.data_ptr()]
                seen[averaged.data_ptr()] += 1
                if turn == len(rounds):
                    rounds.append(([], []))
                rounds[turn][0].append(averaged.data)
                rounds[turn][1].append(source[name].data)
            self._rounds = rounds
        return self._rounds

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Takes one more state of the model into the average; see the base class."""
        steps = int(self.steps)
        rounds = self._collect(model)
        if steps == 0 or not rounds:
            super().update_parameters(model)
            return
        if steps % self.interval == 0:
            momentum = (1 - self.momentum) * math.exp(-float(1 + steps) / self.gamma) + self.momentum
            for averaged, source in rounds:
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
