"""Adam and AdamW over few large groups of weights, whatever groups the configuration makes.

mmengine makes a group of every single weight when ``paramwise_cfg`` is set, and PyTorch's fused kernels work group by
group: 240 calls of one tensor each. Here the groups whose settings are the same at the moment are stepped as one. The
groups that schedulers, checkpoints and logs see stay mmengine's, and so do the numbers.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import torch
from mmengine.registry import OPTIMIZERS

GROUPED = {"Adam": "GroupedAdam", "AdamW": "GroupedAdamW"}
# What the schedulers remember in a group; it decides nothing about a step.
_NOT_SETTINGS = ("params", "initial_lr")


class _Grouped(torch.optim.Optimizer):
    """Steps over merged groups; to be put before a PyTorch optimiser among the bases of a class."""

    def _merged(self) -> list[dict[str, Any]]:
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        for group in self.param_groups:
            key = tuple((name, tuple(value) if isinstance(value, list) else value)  # betas, read from a config
                        for name, value in sorted(group.items()) if name not in _NOT_SETTINGS)
            if key in merged:
                merged[key]["params"] = merged[key]["params"] + group["params"]
            else:
                merged[key] = dict(group)
        return list(merged.values())

    @contextmanager
    def _as_few_groups(self) -> Iterator[None]:
        groups = self.param_groups
        self.param_groups = self._merged()
        try:
            yield
        finally:
            self.param_groups = groups

    def step(self, closure: Optional[Any] = None) -> Any:
        """Updates all weights; see the base class."""
        with self._as_few_groups():
            return super().step(closure)


@OPTIMIZERS.register_module()
class GroupedAdam(_Grouped, torch.optim.Adam):
    """``torch.optim.Adam``, stepped over merged groups."""


@OPTIMIZERS.register_module()
class GroupedAdamW(_Grouped, torch.optim.AdamW):
    """``torch.optim.AdamW``, stepped over merged groups."""


def use_grouped_optimizer(optim_wrapper: Any) -> None:
    """Exchanges the optimiser of a runner that was not started yet.

    Args:
        optim_wrapper: The runner's, still a configuration; changed in place. The runner's ``cfg`` is another object,
            so what is dumped and what stands in checkpoints names PyTorch's own class.
    """
    optimizer = optim_wrapper.get("optimizer", {}) if isinstance(optim_wrapper, dict) else {}
    if optimizer.get("type") in GROUPED:
        optimizer["type"] = GROUPED[optimizer["type"]]
