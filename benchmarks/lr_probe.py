#!/usr/bin/env python
"""How soon a keypoint model starts to learn, by learning rate and SimCC sigma, without augmentation or schedule.

    python benchmarks/lr_probe.py configs/rtmpose-s-carpose.py --lrs 1e-4 3e-4 1e-3 4e-3 --sigmas 5.66 12

Same samples, same order, same initial weights for every trial, so a difference is the setting's. Minutes each on a CPU.
"""
from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import progress, run, table

KEPT = ("LoadImage", "GetBBoxCenterScale", "TopdownAffine", "GenerateTarget", "PackPoseInputs")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path)
    add("--lrs", type=float, nargs="+", default=[1e-4, 3e-4, 1e-3, 4e-3])
    add("--sigmas", type=float, nargs="+", default=[12.0], help="in SimCC bins, for an input of 256 px")
    add("--batch-size", type=int, default=16)
    add("--input-size", type=int, nargs=2, default=(96, 96))
    add("--steps", type=int, default=160)
    return parser.parse_args(argv)


def _samples(cfg: object) -> list[dict]:
    from mmengine.registry import DATASETS

    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step["type"] in KEPT]
    built = DATASETS.build(dataset)
    return [built[i] for i in range(len(built))]


def _trial(args: argparse.Namespace, lr: float, sigma: float) -> tuple[float, float]:
    """Loss and accuracy over the last twenty steps."""
    import numpy as np
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import MODELS, init_default_scope

    from pose_tools.openmmlab.config import load_config
    from pose_tools.openmmlab.input_size import set_input_size

    cfg = load_config(args.config)
    for part in (cfg.codec, cfg.model.head.decoder, *(step.encoder for step in cfg.train_dataloader.dataset.pipeline
                                                      if "encoder" in step)):
        part.sigma = (sigma, sigma)
    set_input_size(cfg, args.input_size)
    init_default_scope("mmpose")
    cfg.model.pop("init_cfg", None)
    samples = _samples(cfg)
    torch.manual_seed(0)
    order = np.random.default_rng(0)
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    model.init_weights()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    seen = []
    for _ in progress(range(args.steps), f"lr {lr:g} sigma {sigma:g}"):
        picked = order.choice(len(samples), min(args.batch_size, len(samples)), replace=False)
        batch = model.data_preprocessor(pseudo_collate([samples[i] for i in picked]), True)
        losses = model(**batch, mode="loss")
        optimizer.zero_grad()
        losses["loss_kpt"].backward()
        optimizer.step()
        seen.append((losses["loss_kpt"].item(), float(losses["acc_pose"])))
    return statistics.mean(loss for loss, _ in seen[-20:]), statistics.mean(acc for _, acc in seen[-20:])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the trials and prints the table."""
    import pose_tools.openmmlab  # noqa: F401  (before anything of mm*)

    args = parse_args(argv)
    rows = [[sigma, lr, *_trial(args, lr, sigma)] for sigma in args.sigmas for lr in args.lrs]
    print(table(rows, ["sigma", "lr", f"loss at {args.steps}", "accuracy"]))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
