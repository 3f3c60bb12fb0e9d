"""Log lines that say how far a run is: epoch of epochs, ETA and images per second."""
from __future__ import annotations

import logging
from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS, LOG_PROCESSORS
from mmengine.runner import LogProcessor, Runner

from pose_tools.openmmlab.compat.collection import collection_paused

# What upstream prints before the first step. All of it is in the log file and in the dumped config.
_LONG = ("Config:\n", "Hooks will be executed", "\n----", "paramwise_options", "image shape:", "Exp name:")
# What upstream says about itself, which nobody who trains can act on.
_IDLE = ("will be deprecated in future", "is the alias of", "Distributed training is not used", "TensorboardX")


@LOG_PROCESSORS.register_module()
class ProgressLogProcessor(LogProcessor):
    """Upstream's log lines, with the number of epochs beside the current one."""

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Formats one line; see the base class."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if mode == "train" and self.by_epoch:
            line = line.replace(f"[{tag['epoch']}]", f"[{tag['epoch']}/{runner.max_epochs}]", 1)
        return tag, line


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Records ``img_per_s``: training images a second over the log window, data loading included."""

    priority = "LOW"  # after IterTimerHook, before LoggerHook

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Adds this step."""
        hub = runner.message_hub
        window = min(runner.log_processor.window_size, batch_idx + 1)
        seconds = hub.get_scalar("train/time").mean(window)
        images = len(data_batch["inputs"]) * runner.world_size if data_batch else 0
        hub.update_scalar("train/img_per_s", images / max(seconds, 1e-9))


class _Short(logging.Filter):
    """Keeps the environment, the config and the list of hooks off the terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return not said.startswith(_LONG) and not any(words in said for words in _IDLE)


class ReadableRunner(Runner):
    """Upstream's runner, with long reports in the log file only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Builds model and visualiser; see the base class. Imports all models of mmdet and mmpose."""
        with collection_paused():
            super().__init__(*args, **kwargs)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; see the base class."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(_Short())
        return logger
