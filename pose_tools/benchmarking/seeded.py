"""Models with random weights that are the same each time: enough to measure time with."""
from __future__ import annotations

from typing import Any


def seeded_model(cfg: Any) -> Any:
    """Builds the model of a config, its weights drawn with a fixed seed.

    Args:
        cfg: From ``load_config``; the weights it would start from are taken out of it.
    """
    import torch
    from mmengine.registry import MODELS, DefaultScope

    import pose_tools.openmmlab  # noqa: F401

    cfg.model.pop("init_cfg", None)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)
