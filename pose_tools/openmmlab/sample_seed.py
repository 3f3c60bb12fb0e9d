"""Augmentation that depends on (seed, epoch, sample) only.

Upstream seeds each loader worker once, so what a sample looks like depends on the number of workers and on
how long they have run: a resumed run sees other pictures than the one that was not stopped. Here the first
transform of a training pipeline seeds the random generators for the sample, and a hook tells it the epoch.
The mosaic and mix-up caches of RTMDet still depend on which worker saw which image before.
"""
from __future__ import annotations

import random
from collections import Counter
from typing import Any, Optional

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS


@TRANSFORMS.register_module()
class SeedSample(BaseTransform):
    """Seeds ``random``, numpy and torch from the run's seed, the epoch and the sample's index."""

    def __init__(self) -> None:
        """Makes the clock, in shared memory so that running workers see it change."""
        self.clock = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._epoch, self._visits = -1, Counter[int]()

    def set_clock(self, seed: int, epoch: int) -> None:
        """Sets the run's seed and the 0-based epoch, for this process and all workers."""
        self.clock[0], self.clock[1] = seed, epoch

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Seeds and passes ``results`` on; uses ``results['sample_idx']``."""
        seed, epoch, sample = int(self.clock[0]), int(self.clock[1]), int(results.get("sample_idx", 0))
        # Where a transform gives a sample up (a crop without an object), mmengine takes another at random. Were it
        # seeded alike each time it comes round, two samples could send each other back for ever.
        if epoch != self._epoch:
            self._epoch, self._visits = epoch, Counter()
        key = [seed, epoch, sample, *([self._visits[sample]] if self._visits[sample] else [])]
        self._visits[sample] += 1
        state = np.random.SeedSequence(key).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        # Only the CPU's generator: transforms use no other, and to ask for GPUs took longer than a warp.
        torch.default_generator.manual_seed(int(state[2]))
        return results


@HOOKS.register_module()
class SampleSeedHook(Hook):
    """Tells every :class:`SeedSample` of the training set the seed and the epoch."""

    priority = "VERY_LOW"  # after PipelineSwitchHook, which brings new transforms

    def before_train_epoch(self, runner: Any) -> None:
        """Sets the clock of the epoch about to start."""
        pipeline = getattr(runner.train_dataloader.dataset, "pipeline", None)
        for transform in getattr(pipeline, "transforms", []):
            if isinstance(transform, SeedSample):
                transform.set_clock(runner.seed or 0, runner.epoch)
