"""Gradient accumulation in whole epochs, so that a resumed run goes on exactly.

mmengine's wrapper (``mmengine/optim/optimizer/optimizer_wrapper.py:372``) counts batches over the whole run. Where
an epoch's batches are no multiple of the count, gradients are carried into the next epoch, and a checkpoint, made
between epochs, loses them. Here every epoch ends in a step; the last one may average fewer batches.
"""
from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from torch import nn

from pose_tools.openmmlab.step.precision import ScaledOptimWrapper

WRAPPERS = {"OptimWrapper": "EpochOptimWrapper", "ScaledOptimWrapper": "EpochScaledOptimWrapper"}


class _ByEpoch:
    """To be put before an optimiser wrapper of mmengine; ``batches_per_epoch`` is set before the first batch."""

    batches_per_epoch = 0

    def _place(self, batch: int) -> tuple[int, int]:
        """The place of the ``batch``-th batch of the run in its group, from 0, and the size of the group."""
        at = batch % self.batches_per_epoch if self.batches_per_epoch else batch
        place = at % self._accumulative_counts
        left = self.batches_per_epoch - (at - place) if self.batches_per_epoch else self._accumulative_counts
        return place, min(self._accumulative_counts, left)

    def _ends_group(self, batch: int) -> bool:
        place, size = self._place(batch)
        return place == size - 1

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Starts counting at a batch, upstream's two warnings apart: neither is true here."""
        self._inner_count, self._max_counts = init_counts, max_counts
        self._remainder_counts = 0

    def should_update(self) -> bool:
        """Whether the batch just counted ended a group."""
        return self._ends_group(self._inner_count - 1)

    def should_sync(self) -> bool:
        """Whether the batch about to be counted ends a group."""
        return self._ends_group(self._inner_count)

    def scale_loss(self, loss: torch.Tensor) -> torch.Tensor:
        """Divides by the size of the group, so that the gradients add up to a mean."""
        return loss / self._place(self._inner_count)[1]


@OPTIM_WRAPPERS.register_module()
class EpochOptimWrapper(_ByEpoch, OptimWrapper):
    """mmengine's ``OptimWrapper`` that accumulates in whole epochs."""


@OPTIM_WRAPPERS.register_module()
class EpochScaledOptimWrapper(_ByEpoch, ScaledOptimWrapper):
    """:class:`ScaledOptimWrapper` that accumulates in whole epochs."""


@HOOKS.register_module()
class EpochLengthHook(Hook):
    """Tells the optimiser wrapper how many batches an epoch has."""

    priority = "VERY_HIGH"

    def before_train(self, runner: Any) -> None:
        """Sets ``batches_per_epoch``."""
        runner.optim_wrapper.batches_per_epoch = len(runner.train_dataloader)


def use_whole_epochs(runner: Any) -> None:
    """Lets a runner that was not started accumulate in whole epochs, where it accumulates at all.

    Args:
        runner: Its ``optim_wrapper`` is still a configuration, another object than its ``cfg``, whose dump therefore
            names mmengine's own wrapper and count.
    """
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, dict) and wrapper.get("accumulative_counts", 1) > 1 and wrapper.get("type") in WRAPPERS:
        wrapper["type"] = WRAPPERS[wrapper["type"]]
        runner.register_hook(EpochLengthHook())
