"""Backends that note what passes through them."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_tools.inference.runtime import Backend
from pose_tools.inference.runtime.facts import ModelFacts


class Recorder:
    """A backend that keeps what it gave, and the first of what it was given.

    Args:
        backend: Does the work.
        most_inputs: How many crops or pictures to keep.
        keep_outputs: Whether to keep what it gives.

    Attributes:
        outputs: Of each run, in the layout of :meth:`pose_tools.inference.runtime.Backend.run`.
    """

    def __init__(self, backend: Backend, most_inputs: int = 0, keep_outputs: bool = True) -> None:
        """Starts with nothing recorded."""
        self.backend, self.facts, self.name, self.path = backend, backend.facts, backend.name, backend.path
        self.precision = backend.precision
        self.outputs: list[tuple[np.ndarray, ...]] = []
        self._keep_outputs, self._room = keep_outputs, most_inputs
        self._inputs: list[np.ndarray] = []

    @property
    def inputs(self) -> np.ndarray:
        """The first network inputs, (n, ...)."""
        return np.concatenate(self._inputs)

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the backend."""
        if self._room > 0:
            # The caller draws the next batch into the same memory.
            self._inputs.append(batch[:self._room].copy())
            self._room -= len(self._inputs[-1])
        outputs = self.backend.run(batch)
        if self._keep_outputs:
            self.outputs.append(outputs)
        return outputs


class Blank:
    """A backend without a network, to learn what a network would be given.

    Args:
        facts: About the network.

    Attributes:
        inputs: Each batch it was given.
    """

    name, precision = "blank", "fp32"

    def __init__(self, facts: ModelFacts) -> None:
        """Starts with nothing seen."""
        self.facts, self.path = facts, Path(facts.name)
        self.inputs: list[np.ndarray] = []

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Keeps a batch and finds nothing in it."""
        self.inputs.append(batch.copy())
        count, points = len(batch), len(self.facts.keypoint_set.keypoints) if self.facts.keypoint_set else 0
        if self.facts.task == "detector":
            return np.zeros((count, 0, 5), np.float32), np.zeros((count, 0), np.int64)
        if self.facts.end_to_end:
            return np.zeros((count, points, 2), np.float32), np.zeros((count, points), np.float32)
        bins = [round(side * self.facts.simcc_split_ratio) for side in self.facts.input_size]
        return tuple(np.zeros((count, points, number), np.float32) for number in bins)
