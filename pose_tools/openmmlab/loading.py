"""How samples reach the network: loader processes, and what they keep of pictures they decoded."""
from __future__ import annotations

import os
from typing import Any

from mmengine import Config

from pose_tools.options.training import TrainOptions

MOST_WORKERS = 8


def default_workers(cores: int, processes: int = 1) -> int:
    """Loader processes for a training process.

    With the picture cache two workers keep up with a training on two cores; a GPU takes more samples than that, and
    eight are more than any of our models used.

    Args:
        cores: Of the machine.
        processes: Training processes on it.
    """
    return max(1, min(MOST_WORKERS, max(2, cores - 2) // processes))


def fit_loaders(cfg: Config, device: str, options: TrainOptions) -> list[str]:
    """Sets what of a config's data loaders depends on the machine, in place.

    Args:
        cfg: A complete config.
        device: To train on.
        options: ``workers``, ``cache``, ``cache_gb`` and ``cache_format`` are taken.

    Returns:
        Lines that say what was decided.
    """
    local = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1))) if options.launcher != "none" else 1
    workers = default_workers(_cores(), local)
    for split in ("train", "val", "test"):
        loader = cfg.get(f"{split}_dataloader")
        if loader:
            # A config that says 0 wants none: a debugger does not reach into workers.
            own = workers if loader.get("num_workers") else 0
            loader.num_workers = own if options.workers is None else options.workers
            loader.persistent_workers = loader.num_workers > 0
            loader.pin_memory = device.startswith("cuda")
    hooks = [hook for hook in cfg.get("custom_hooks", []) if hook.get("type") != "PictureCacheHook"]
    cfg.custom_hooks = [*hooks, _cache_hook(options)]
    count = cfg.train_dataloader.num_workers if cfg.get("train_dataloader") else 0
    return [f"{count or 'no'} loader process{'es' if count != 1 else ''}"]


def _cache_hook(options: TrainOptions) -> dict[str, Any]:
    return {"type": "PictureCacheHook", "keep": options.cache and options.cache_gb != 0,
            "gigabytes": options.cache_gb, "form": options.cache_format}


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
