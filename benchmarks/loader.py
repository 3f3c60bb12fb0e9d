"""Samples a second of the training loaders: upstream's transforms, and ours with the picture cache, on the same data.

Example:
    python benchmarks/loader.py --short
    python benchmarks/loader.py --json work_dirs/loader.json

Both load the same samples of rendered cars, 1920x1080 with one to four cars a picture and the demo's 512x384, through
the pipelines of our configs: once as upstream's classes are built from them, once with ours in their place. They take
turns; the table has the median of the rounds. "first" is our first epoch, which decodes and stores. The samples are
equal bit for bit, which tests/openmmlab/test_image_cache_exact.py holds. Without --short there are more pictures and
rounds (about six minutes on two cores). The rendered pictures stay in the temporary folder for the next time.
"""
from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run

# title, config, pipeline, size of the pictures (w, h)
CASES = (
    ("RTMPose-S 256x256, 1920x1080", "rtmpose-s-carpose", "train_pipeline", (1920, 1080)),
    ("RTMPose-S 256x256, 512x384", "rtmpose-s-carpose", "train_pipeline", (512, 384)),
    ("RTMDet-tiny 640x640, 1920x1080", "rtmdet-tiny-carpose", "train_pipeline", (1920, 1080)),
    ("the same, last epochs", "rtmdet-tiny-carpose", "train_pipeline_stage2", (1920, 1080)),
)


def pictures(size: tuple[int, int], count: int) -> Path:
    """Renders a COCO set of cars, or takes the one of the last time.

    Args:
        size: (w, h) of the pictures, px.
        count: How many.
    """
    made = Path(tempfile.gettempdir()) / "pose_tools_benchmarks" / f"cars-{size[0]}x{size[1]}-{count}"
    if not (made / "train_coco.json").is_file():
        labelme = made.with_name(f"{made.name}-labelme")
        meta = ROOT / "configs/_base_/carpose/meta.py"
        tools = ROOT / "pose_tools"
        for command in ([tools / "make_demo.py", labelme, "--images", count, "--size", *size, "--overwrite"],
                        [tools / "labelme2coco.py", labelme, made, "--meta", meta, "--split", "0.95", "--overwrite"]):
            subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return made


def dataset(config: str, pipeline: str, root: Path) -> Any:
    """Builds a data set with upstream's transforms; train_coco.json of ``root``."""
    from mmengine.registry import DATASETS, init_default_scope

    from pose_tools.openmmlab.config import load_config

    cfg = load_config(ROOT / "configs" / f"{config}.py")
    init_default_scope(cfg.default_scope)
    __import__(f"{cfg.default_scope}.datasets")
    return DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=f"{root}/", pipeline=cfg[pipeline]))


def with_cache(made: Any, folder: Path, form: str = "raw") -> Any:
    """Puts our transforms and a cache of all that is wanted into a data set; gives it."""
    from pose_tools.openmmlab.image_cache.picture import Opener
    from pose_tools.openmmlab.image_cache.plan import pictures_of, wishes
    from pose_tools.openmmlab.image_cache.store import PartStore
    from pose_tools.openmmlab.image_cache.swap import swap

    found = pictures_of(made)
    asked = wishes(0, found, [made.pipeline.transforms], 1.0, form) if found else []
    opener = Opener(PartStore(folder, "benchmark", form), {wish.path: wish.whats for wish in asked})
    made.pipeline.transforms = swap(made.pipeline.transforms, opener)
    return made


def loader(made: Any, batch: int, workers: int, ours: bool) -> Any:
    """A loader as mmengine builds it."""
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    from pose_tools.openmmlab.image_cache.collate import collate_in_one_piece

    return DataLoader(made, batch_size=batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
                      collate_fn=collate_in_one_piece if ours and workers else pseudo_collate)


def rate(made: Any, least: int) -> float:
    """Samples a second over whole epochs of a loader, ``least`` samples or more, workers started before."""
    count, start = 0, time.perf_counter()
    while count < least:
        for batch in made:
            count += len(batch["inputs"])
    return count / (time.perf_counter() - start)


def measure_case(config: str, pipeline: str, root: Path, workers: int, rounds: int, least: int) -> dict[str, float]:
    """Times both loaders in turn.

    Args:
        config: Name of a config.
        pipeline: Which of its pipelines.
        root: Of the data.
        workers: Loader processes.
        rounds: Of each loader.
        least: Samples of a round.

    Returns:
        ``upstream``, ``ours``, ``jpeg`` and ``first``: samples a second; ``gigabytes`` and ``jpeg_gigabytes`` on disk.
    """
    from pose_tools.openmmlab.image_cache.store import stored_files

    batch = 32 if config.startswith("rtmpose") else 4
    with tempfile.TemporaryDirectory() as folder:
        theirs = dataset(config, pipeline, root)
        caches = {"ours": Path(folder, "raw"), "jpeg": Path(folder, "jpeg")}
        loaders = {name: loader(with_cache(copy.deepcopy(theirs), at, at.name), batch, workers, True)
                   for name, at in caches.items()}
        loaders = {"upstream": loader(theirs, batch, workers, False), **loaders}
        rates: dict[str, list[float]] = {name: [] for name in loaders}
        filling = {name: rate(each, 1) for name, each in loaders.items()}
        size = {name: sum(file.stat().st_size for file in stored_files(at)) / 1e9 for name, at in caches.items()}
        for _ in range(rounds):
            for name, each in loaders.items():
                rates[name].append(rate(each, least))
        del loaders, each
    return {**{name: statistics.median(values) for name, values in rates.items()}, "first": filling["ours"],
            "gigabytes": size["ours"], "jpeg_gigabytes": size["jpeg"]}


def measure(short: bool = True) -> dict[str, Any]:
    """Times all cases.

    Args:
        short: Few pictures and rounds.
    """
    import cv2
    import torch

    import pose_tools.openmmlab.plugins  # noqa: F401

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    rows = []
    for title, config, pipeline, size in CASES:
        root = pictures(size, (24 if size[0] > 1000 else 60) if short else 120)
        for workers in (0, 2):
            least, rounds = (80 if config.startswith("rtmpose") else 24, 3) if short else (600, 5)
            print(f"{title}, {workers} workers ...", file=sys.stderr)
            row = measure_case(config, pipeline, root, workers, rounds, least)
            rows.append({"case": title, "workers": workers, **row, "gain": row["ours"] / row["upstream"]})
    return {"cores": os.cpu_count(), "short": short, "rows": rows}


def as_markdown(result: dict[str, Any]) -> str:
    """The result as a table."""
    lines = [f"Samples a second of the training loader, {result['cores']} cores.", "",
             "| loader | workers | upstream | ours | gain | ours, first epoch | cache | kept as JPEG | cache |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in result["rows"]:
        lines.append(f"| {row['case']} | {row['workers']} | {row['upstream']:.0f} | {row['ours']:.0f} | "
                     f"{row['gain']:.1f}x | {row['first']:.0f} | {row['gigabytes']:.2f} GB | {row['jpeg']:.0f} | "
                     f"{row['jpeg_gigabytes']:.2f} GB |")
    return "\n".join(lines)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="about a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args(argv)
    result = measure(args.short)
    from pose_tools.benchmarking.tables import present

    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
