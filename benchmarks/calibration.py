"""Measures calibrated confidence where it was not fitted: cars of one seed to fit to, of another to measure on.

    python benchmarks/calibration.py checkpoint/rtmpose-s-carpose-1a2b3c4d_20261121.pth

Prints calibration error (ECE, ten groups of equal numbers), Brier score and log loss of raw scores, cut to [0, 1], and
of calibrated ones, from 20, 60 and all pictures to fit to; means over draws of the pictures, and the worst ECE of a
draw. Boxes are the labelled ones.
"""
from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run, table

ROOT = Path(__file__).resolve().parents[1]
SIZE = (512, 384)  # px, of the pictures
FIT_SEED, HELD_OUT_SEED = 101, 202
DRAWS = 10


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", type=Path, help="a keypoint model of carpose, trained on street views")
    add("--pictures", type=int, default=300, metavar="N", help="of each seed (default: %(default)s)")
    add("--distance", type=float, nargs="+", default=[0.05, 0.1], metavar="D", help="see tools/calibrate.py")
    return parser.parse_args(argv)


def _observations(model: Any, seed: int, count: int, distances: Sequence[float]) -> dict[float, Any]:
    """Renders pictures and compares predictions with the truth, by each distance."""
    import contextlib
    import io

    from pose_tools.dataset.demo.files import write_labelme
    from pose_tools.formats.coco import load_coco
    from pose_tools.inference.calibration.observing import Rule, labelled_pictures, observe
    from pose_tools.labelme2coco import main as labelme2coco

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        source, coco = Path(folder) / "labelme", Path(folder) / "coco"
        write_labelme(source, count, SIZE, seed, False, "street")
        meta = ROOT / "configs/_base_/carpose/meta.py"
        labelme2coco([str(source), str(coco), "--meta", str(meta), "--split", "0.9"])
        pictures = []
        for file in (coco / "train_coco.json", coco / "val_coco.json"):
            pictures += labelled_pictures(load_coco(file), file, coco / "images", model.keypoint_set)
        return {distance: observe(model, pictures, Rule(distance)) for distance in distances}


def _measures(probabilities: Any, right: Any) -> list[float]:
    from pose_tools.report.reliability import brier_score, calibration_error, log_loss

    inside = probabilities.clip(1e-3, 1 - 1e-3)
    return [measure(inside, right) for measure in (calibration_error, brier_score, log_loss)]


def _rows(fit: Any, held_out: Any, names: Any, distance: float) -> list[list[object]]:
    import numpy as np

    from pose_tools.inference.calibration.assess import apply_curves, choose_method
    from pose_tools.inference.calibration.fit import fit_curves

    raw = _measures(held_out.scores, held_out.right)
    rows: list[list[object]] = [[distance, "raw", *(f"{value:.3f}" for value in raw), "", ""]]
    everything = np.unique(fit.pictures)
    for count in sorted({min(20, len(everything)), min(60, len(everything)), len(everything)}):
        found, chosen = [], []
        for draw in range(DRAWS if count < len(everything) else 1):
            some = np.random.default_rng(draw).permutation(everything)[:count]
            part = fit.of(np.isin(fit.pictures, some))
            chosen.append(choose_method(part, names, 5).method)
            found.append(_measures(apply_curves(fit_curves(part, names, chosen[-1]), held_out), held_out.right))
        mean, methods = np.mean(found, 0), ", ".join(f"{each} {chosen.count(each)}" for each in sorted(set(chosen)))
        rows.append([distance, f"from {count} pictures", *(f"{value:.3f}" for value in mean),
                     f"{np.max(found, 0)[0]:.3f}", methods])
    return rows


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measures."""
    args = parse_args(argv)
    from pose_tools.inference.topdown import RunOptions

    model = RunOptions(device="cpu").pose_model(args.checkpoint)
    fit, held_out = (_observations(model, seed, args.pictures, args.distance) for seed in (FIT_SEED, HELD_OUT_SEED))
    rows = [row for distance in args.distance
            for row in _rows(fit[distance], held_out[distance], model.keypoint_set, distance)]
    print(table(rows, ["distance", "scores", "ECE", "Brier", "log loss", "worst ECE", "method"]))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
