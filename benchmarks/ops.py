"""Times the operators of detectors on this machine, with whatever runs them here.

Example:
    python benchmarks/ops.py --repeat 5

To compare with a compiled mmcv, run it again in an environment that has one; the first line says which ran.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run, table


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed: a name and a call, on inputs of one seed."""
    import torch
    from mmcv.ops import RoIAlign, batched_nms, nms, soft_nms

    rng = torch.Generator().manual_seed(0)
    for count in (1000, 10000):
        for side in (20, 300):
            boxes = torch.rand(count, 4, generator=rng) * torch.tensor([1000, 1000, side, side])
            boxes[:, 2:] += boxes[:, :2]
            scores = torch.rand(count, generator=rng)
            labels = torch.randint(80, (count,), generator=rng)
            config = {"type": "nms", "iou_threshold": 0.65, "split_thr": 10**9}
            name = f"{count} boxes up to {side} px"
            yield f"nms, {name}", lambda b=boxes, s=scores: nms(b, s, 0.65)
            yield f"batched_nms, {name}", lambda b=boxes, s=scores, i=labels, c=config: batched_nms(b, s, i, c)
        yield f"soft_nms, {count} boxes", lambda b=boxes, s=scores: soft_nms(b, s, 0.5)

    features = torch.rand(2, 256, 100, 152, generator=rng).requires_grad_()
    rois = torch.rand(512, 5, generator=rng) * torch.tensor([2, 600, 300, 300, 200])
    rois[:, 0].floor_()
    rois[:, 3:] += rois[:, 1:3]
    for ratio in (0, 2):
        layer = RoIAlign(7, 0.125, ratio)
        yield f"roi_align, 512 RoIs, sampling {ratio}", lambda f=layer: f(features.detach(), rois)
        yield f"  with gradient, sampling {ratio}", lambda f=layer: f(features, rois).sum().backward()


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints a table of median times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="timed calls of each case")
    args = parser.parse_args(argv)

    from pose_tools.openmmlab.ops import operator_backend

    print(", ".join(f"{name}: {backend}" for name, backend in operator_backend().items()))
    rows = []
    for name, call in cases():
        call()
        times = []
        for _ in range(args.repeat):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1000)
        rows.append((name, float(statistics.median(times)), float(min(times))))
    print(table(rows, ("case", "median ms", "best ms")))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
