#!/usr/bin/env python
"""Train a config under several schedules and seeds, and print what each scored.

    python benchmarks/recipe_trials.py configs/rtmpose-s-wheels.py --variants fixed auto peak=7e-4,warmup=0.5 \\
        --seeds 1 2 3 --epochs 100 --input-size 128 128 --jobs 2 --out work_dirs/recipe_trials

A variant is `fixed` (upstream's numbers), `auto` (tools/train.py's rule), or any of these, joined by commas:
peak=LR, warmup=SHARE_OF_STEPS, warmup_steps=N, decay=SHARE_OF_EPOCHS, ema=MOMENTUM, gamma=STEPS, geometry=SHARE, or
any dotted name of the config; the rest is auto's.
The score is the mean of the last three validations, which one lucky epoch does not move, and the best one.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run, table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path)
    add("--variants", nargs="+", default=["fixed", "auto"])
    add("--seeds", type=int, nargs="+", default=[1, 2, 3])
    add("--epochs", type=int, default=100)
    add("--batch-size", type=int)
    add("--input-size", type=int, nargs=2, default=(128, 128))
    add("--jobs", type=int, default=2, help="trials at a time, one torch thread each")
    add("--out", type=Path, default=Path("work_dirs/recipe_trials"))
    return parser.parse_args(argv)


def _variant_options(variant: str) -> list[str]:
    if variant == "auto":
        return []
    if variant == "fixed":
        # What a user of upstream has who sets max_epochs in the file: cosine and late switch follow, the rest is fixed.
        return ["trial.peak=0.004", "trial.warmup_steps=1000", "trial.geometry=1"]
    return [part if "." in part.split("=")[0] else f"trial.{part}" for part in variant.split(",")]


def _command(args: argparse.Namespace, variant: str, seed: int, work_dir: Path) -> list[str]:
    words = [sys.executable, str(ROOT / "tools/train.py"), str(args.config), "--no-pretrained",
             "--epochs", str(args.epochs), "--seed", str(seed), "--work-dir", str(work_dir),
             "--input-size", *map(str, args.input_size)]
    if args.batch_size:
        words += ["--batch-size", str(args.batch_size)]
    options = [*_variant_options(variant), "train_dataloader.num_workers=1", "val_dataloader.num_workers=1"]
    return [*words, "--cfg-options", *options]


def _scores(work_dir: Path) -> list[float]:
    """The main metric of every validation of the newest run."""
    log = max(work_dir.glob("*/vis_data/scalars.json"), key=lambda path: path.stat().st_mtime)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [row[key] for row in rows for key in ("coco/AP", "coco/bbox_mAP") if key in row]


def _trial(args: argparse.Namespace, variant: str, seed: int) -> dict[str, object]:
    name = re.sub(r"[^\w.]+", "_", f"{args.config.stem}-{variant}-{seed}")
    work_dir = args.out.absolute() / name
    work_dir.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with open(work_dir / "output.txt", "w", encoding="utf-8") as output:
        code = subprocess.run(_command(args, variant, seed, work_dir), stdout=output, stderr=output,
                              env=environment).returncode
    scores = _scores(work_dir) if code == 0 else [float("nan")]
    row = {"config": args.config.stem, "variant": variant, "seed": seed, "last": statistics.mean(scores[-3:]),
           "best": max(scores)}
    with open(args.out / "trials.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the trials and prints the table."""
    args = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        work = [pool.submit(_trial, args, variant, seed) for seed in args.seeds for variant in args.variants]
        rows = [future.result() for future in work]
    lines = []
    for variant in args.variants:
        last = [row["last"] for row in rows if row["variant"] == variant]
        best = [row["best"] for row in rows if row["variant"] == variant]
        spread = statistics.stdev(last) if len(last) > 1 else 0.0
        lines.append([variant, len(last), statistics.mean(last), spread, min(last), statistics.mean(best)])
    print(table(lines, ["variant", "seeds", "last AP", "spread", "worst", "best AP"]))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
