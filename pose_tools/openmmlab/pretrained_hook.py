"""Starting from trained weights whose last layers are for other classes or keypoints."""
from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from pose_tools.weights.pretrained import load_pretrained


@HOOKS.register_module()
class PretrainedHook(Hook):
    """Loads what fits of a checkpoint after the weights were initialised, and logs what did not fit.

    Args:
        checkpoint: A local file.
    """

    priority = "VERY_HIGH"

    def __init__(self, checkpoint: str) -> None:
        """Remembers the file."""
        self.checkpoint = checkpoint

    def before_train(self, runner: Any) -> None:
        """Loads and logs."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        runner.logger.info(str(load_pretrained(model, self.checkpoint)))
