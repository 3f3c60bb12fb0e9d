"""Ending a run when validation brings nothing better any more.

mmengine's ``EarlyStoppingHook`` forgets its count when a run is resumed, wants a tenth of improvement by default, and
stops a keypoint model that has not found its first point yet.
"""
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole

FILE = "patience.json"


@HOOKS.register_module()
class PatienceHook(Hook):
    """Ends the run after ``patience`` validations in a row without a better score.

    Counting starts with the first score above 0: before that there is nothing to be worse than. The scores stand in
    ``patience.json`` in the work folder, so a resumed run goes on counting.

    Args:
        patience: Validations.
        monitor: Name of the score, such as ``coco/AP``; greater is better.
    """

    priority = "LOWEST"  # after the best checkpoint was saved

    def __init__(self, patience: int, monitor: str) -> None:
        """Starts with no score."""
        self.patience, self.monitor = patience, monitor
        self.scores: list[tuple[int, float]] = []

    def since_best(self) -> tuple[Optional[tuple[int, float]], int]:
        """The best (epoch, score), the first of equals, and how many validations came after it."""
        best = max(self.scores, key=lambda entry: entry[1], default=None)
        if best is None or best[1] <= 0:
            return None, 0
        return best, len(self.scores) - 1 - self.scores.index(best)

    def before_train(self, runner: Any) -> None:
        """Reads what a resumed run scored so far; a new run starts afresh."""
        file = Path(runner.work_dir) / FILE
        self.scores = []
        if runner._resume and file.is_file():
            try:
                entries = json.loads(file.read_text(encoding="utf-8"))["scores"]
                self.scores = [(int(epoch), float(score)) for epoch, score in entries if epoch <= runner.epoch]
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{file}: is not what --patience wrote ({error}); remove it to count afresh") from error
        self._end_if_due(runner)

    def after_val_epoch(self, runner: Any, metrics: Optional[dict[str, float]] = None) -> None:
        """Counts; a missing or undefined score counts as 0, as a detector without detections has none."""
        score = float((metrics or {}).get(self.monitor, 0.0))
        # JSON knows no NaN, and nothing is better than it.
        self.scores.append((runner.epoch, 0.0 if math.isnan(score) else score))
        if is_main_process():
            content = json.dumps({"monitor": self.monitor, "scores": self.scores})
            write_whole(Path(runner.work_dir) / FILE, f"{content}\n".encode())
        self._end_if_due(runner)

    def _end_if_due(self, runner: Any) -> None:
        best, waited = self.since_best()
        if best is None or waited < self.patience:
            return
        kept = next((hook.best_ckpt_path for hook in runner.hooks if isinstance(hook, CheckpointHook)
                     and getattr(hook, "best_ckpt_path", None)), None)
        runner.logger.info(f"stopping: {waited} validations brought nothing better than {self.monitor} {best[1]:.4f} "
                           f"of epoch {best[0]}{f', kept in {Path(kept).name}' if kept else ''}")
        runner.train_loop.stop_training = True
