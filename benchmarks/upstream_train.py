#!/usr/bin/env python
"""Trains as upstream's own tools/train.py does, for comparison; takes the command line of ours.

    python benchmarks/upstream_train.py configs/rtmpose-s-carpose.py --recipe config --work-dir work_dirs/upstream

mmpose's and mmdet's scripts build `Runner.from_cfg(cfg)` and call `train()`; so does this one, in fp32, with the hooks,
transforms and loader settings that upstream has. From us are the compatibility layer, without which upstream does not
run on a current PyTorch, the data, the config and, unless `--recipe config` is given, the schedule.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run
from pose_tools.options.training import TrainOptions, training_parser

OUR_HOOKS = ("sample_seed", "throughput", "interrupt")


def without_ours(cfg: Any) -> None:
    """Takes what speeds a run up, or only reports, out of a complete config of ours, in place."""
    for name in OUR_HOOKS:
        cfg.default_hooks.pop(name, None)
    cfg.log_processor.type = "LogProcessor"
    for pipeline in [cfg.train_dataloader.dataset.pipeline, *(hook.switch_pipeline for hook in cfg.custom_hooks
                                                              if "switch_pipeline" in hook)]:
        pipeline[:] = [step for step in pipeline if step["type"] != "SeedSample"]
    for split in ("train", "val", "test"):
        loader = cfg.get(f"{split}_dataloader")
        if loader:
            loader.persistent_workers = loader.num_workers > 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Trains."""
    args = vars(training_parser(__doc__).parse_args(argv))
    options = dict(args.pop("cfg_options"))
    for name in ("local_rank", "amp"):
        args.pop(name)
    for name in ("config", "work_dir"):
        args[name] = args[name] and args[name].absolute()
    os.chdir(ROOT)
    from pose_tools.openmmlab.training import Runner, prepare

    cfg, _ = prepare(TrainOptions(options=options, **args))
    without_ours(cfg)
    Runner.from_cfg(cfg).train()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
