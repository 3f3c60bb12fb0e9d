"""Stopping a run without losing it."""
from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Optional

from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class StopOnInterruptHook(Hook):
    """On Ctrl-C finishes the epoch, saves a checkpoint and ends the run; a second Ctrl-C ends it at once.

    An epoch is the smallest unit that can be resumed exactly.
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        """Starts uninterrupted."""
        self.interrupted = False
        self._previous: Any = None

    def before_train(self, runner: Any) -> None:
        """Takes over SIGINT; only possible, and only needed, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return

        def on_sigint(number: int, frame: Optional[FrameType]) -> None:
            if self.interrupted:
                signal.signal(signal.SIGINT, self._previous)
                raise KeyboardInterrupt
            self.interrupted = True
            runner.logger.warning("Ctrl-C: finishing this epoch, then saving. Ctrl-C again stops now.")

        self._previous = signal.signal(signal.SIGINT, on_sigint)

    def after_train_epoch(self, runner: Any) -> None:
        """Saves and ends the run when it was interrupted in this epoch."""
        if not self.interrupted:
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and not hook.every_n_epochs(runner, hook.interval):
                hook._save_checkpoint(runner)
        runner.train_loop.stop_training = True

    def after_train(self, runner: Any) -> None:
        """Gives SIGINT back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
