"""Counting the operations of a checkpoint by running its network once."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from pose_tools.benchmarking.complexity import Complexity
from pose_tools.console import UserError

if TYPE_CHECKING:
    from torch import nn


def complexity_of_checkpoint(path: Path, input_size: tuple[int, int]) -> Complexity:
    """Builds the network of a checkpoint, without its weights, and counts one pass on zeros.

    Args:
        path: A checkpoint that carries its config.
        input_size: (w, h) of the network input.

    Raises:
        UserError: The file is missing, unsafe or carries no config.
    """
    import torch

    import pose_tools.openmmlab.plugins  # noqa: F401
    from pose_tools.openmmlab.config import embedded_config, kind_of

    cfg = embedded_config(path)
    if cfg is None:
        raise UserError(f"{path}: carries no config; publish it with tools/publish_model.py")
    model = build_network(cfg.model, kind_of(cfg))
    width, height = input_size
    image = torch.zeros(1, 3, height, width)
    return count_module(model, lambda: model(image, None, mode="tensor"))


def build_network(model: Any, kind: str) -> nn.Module:
    """Builds a model of mmdet or mmpose with random weights, for inference.

    Args:
        model: ``cfg.model``.
        kind: ``"detector"`` or ``"pose"``.
    """
    import importlib

    from mmengine.registry import MODELS, DefaultScope

    scope = "mmdet" if kind == "detector" else "mmpose"
    importlib.import_module(f"{scope}.models")
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(model).eval()


def count_module(module: nn.Module, run: Callable[[], Any]) -> Complexity:
    """Counts what a module does in one run, with torch's own counter.

    Args:
        module: Whose parameters are counted.
        run: Runs it on one input; operators count that torch has a formula for: convolutions, matrix products and
            attention. The counter gives 2 FLOPs for each MAC.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    found = counter.get_flop_counts().get("Global", {})
    by_operator = {str(operator).rsplit(".", 1)[-1]: flops // 2 for operator, flops in found.items()}
    return Complexity(counter.get_total_flops() // 2, sum(each.numel() for each in module.parameters()), by_operator)
