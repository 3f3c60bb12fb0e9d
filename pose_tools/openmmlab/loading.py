"""How samples reach the network: loader processes, what they keep ready."""
from __future__ import annotations

import os

from mmengine import Config

from pose_tools.options.training import TrainOptions

MOST_WORKERS = 4


def fit_loaders(cfg: Config, device: str, options: TrainOptions) -> list[str]:
    """Sets what of a config's data loaders depends on the machine, in place.

    Args:
        cfg: A complete config.
        device: To train on.
        options: ``workers`` is taken where it is given.

    Returns:
        Lines that say what was decided.
    """
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    for split in ("train", "val", "test"):
        loader = cfg.get(f"{split}_dataloader")
        if loader:
            loader.num_workers = min(loader.num_workers, workers) if options.workers is None else options.workers
            loader.persistent_workers = loader.num_workers > 0
            loader.pin_memory = device.startswith("cuda")
    return []
