"""A process that is measured, and what has been found out about it so far."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from pose_tools.benchmarking.child import Child
from pose_tools.benchmarking.workbench import Case
from pose_tools.console import UserError


class Subject:
    """One process and what has been measured in it so far.

    Args:
        cases: What its workbench holds.
        child: The process.

    Attributes:
        opened: What :meth:`Workbench.open` told.
        network: Calls' seconds by round, by batch size.
        stages: Predictions' seconds by stage and round, by number of boxes.
        boxes: Mean number of boxes in a picture by round, by number of boxes asked for.
        warmed: What the first runs of each batch size told.
        others: Share of the machine that other processes took, by round.
        finished: What :meth:`Workbench.finish` told.
    """

    def __init__(self, cases: Sequence[Case], child: Child) -> None:
        """Loads the models in the process."""
        self.cases, self.child = cases, child
        self.opened: dict[str, Any] = child.ask("open")
        self.network: dict[int, list[list[float]]] = {}
        self.stages: dict[Optional[int], dict[str, list[list[float]]]] = {}
        self.boxes: dict[Optional[int], list[float]] = {}
        self.warmed: dict[int, dict[str, Any]] = {}
        self.others: list[Optional[float]] = []
        self.finished: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """For messages."""
        return self.child.label

    @property
    def tasks(self) -> list[str]:
        """Of its models."""
        return [each["task"] for each in self.opened["models"]]

    def warm_network(self, sizes: Sequence[int]) -> list[str]:
        """Runs all sizes of batches for the first time, and keeps those that run.

        Args:
            sizes: Of batches.

        Returns:
            What is to be said of the others.

        Raises:
            UserError: None runs.
        """
        fixed, notes = self.opened["models"][0]["batch"], []
        if fixed is not None and set(sizes) != {fixed}:
            notes.append(f"{self.label}: was exported for batches of {fixed}, so it is measured with no other")
        for size in sorted(set(sizes)) if fixed is None else [fixed]:
            try:
                self.warmed[size] = self.child.ask("warm_network", batch=size)
                self.network[size] = []
            except RuntimeError as error:
                notes.append(f"{self.label}: does not run with batches of {size}: {_last_line(error)}")
        if not self.warmed:
            raise UserError(notes[-1])
        return notes

    def warm_stages(self, counts: Sequence[Optional[int]]) -> list[str]:
        """Predicts a picture with each number of boxes, and keeps those that go.

        Args:
            counts: Of boxes; ``None`` for what the detector finds.

        Returns:
            What is to be said of the others.
        """
        notes = []
        for boxes in counts:
            try:
                self.child.ask("warm_stages", boxes=boxes)
                self.stages[boxes], self.boxes[boxes] = {}, []
            except RuntimeError as error:
                notes.append(f"{self.label}: does not predict {boxes} boxes: {_last_line(error)}")
        return notes

    def time_network(self, size: int, seconds: float) -> None:
        """Adds a round."""
        found = self.child.ask("time_network", batch=size, seconds=seconds)
        self.network[size].append(found["seconds"])
        self.others.append(found["others"])

    def time_stages(self, boxes: Optional[int], seconds: float) -> None:
        """Adds a round."""
        found = self.child.ask("time_stages", boxes=boxes, seconds=seconds)
        for key, taken in found["seconds"].items():
            self.stages[boxes].setdefault(key, []).append(taken)
        self.boxes[boxes].append(found["boxes"])
        self.others.append(found["others"])


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
