"""The options of ``tools/calibrate.py``."""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

DISTANCE = 0.05


@dataclass(frozen=True)
class CalibrateOptions:
    """What ``tools/calibrate.py`` was asked for; see its ``--help``."""

    config: Path
    checkpoint: Path
    labels: Optional[Path] = None
    boxes: Optional[Path] = None
    bbox_thr: float = 0.05
    distance: float = DISTANCE
    unlabelled: str = "skip"
    folds: int = 5
    out: Optional[Path] = None
    write: bool = False
    device: str = "auto"
    batch_size: int = 32
    flip_test: Optional[bool] = None


def calibrating_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Makes the command line of ``tools/calibrate.py``.

    Args:
        description: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path, help="a file of configs/, or the one dumped into a work folder; names the validation set")
    add("checkpoint", help="a keypoint model: a file, an address, hf:USER/REPO#FILE, or a model's name")
    add("--labels", type=Path, metavar="FILE", help="other labelled pictures than the config's validation set: COCO "
                                                    "annotations with images/ beside them")
    add("--boxes", type=Path, metavar="FILE", help="a detector's results.json (default: the labelled boxes)")
    add("--bbox-thr", type=float, default=0.05, metavar="S", help="least score of those boxes (default: %(default)s)")
    add("--distance", type=_share, default=DISTANCE, metavar="D",
        help="nearer than D times the longer side of the labelled box is right (default: %(default)s, for which "
             "the probabilities mean what tools/test.py calls PCK@0.05)")
    add("--unlabelled", choices=("skip", "wrong"), default="skip",
        help="points without a label: leave them out (default), or, where people labelled every point there was to "
             "see, count what is predicted for them as wrong")
    add("--folds", type=_folds, default=5, metavar="N", help="of the cross-validation (default: %(default)s)")
    add("--out", type=Path, metavar="FOLDER", help="where to write (default: work_dirs/NAME_OF_CONFIG/calibration)")
    add("--write", action="store_true", help="also store it in CHECKPOINT, a published file: a new one is written "
                                             "beside it, with its own hash in its name")
    add("--no-flip-test", dest="flip_test", action="store_const", const=False,
        help="run the model once for a crop, if it will be used so (default: as its config says); the mirrored run "
             "makes places better and moves scores, so that a calibration is for one or the other")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    add("--batch-size", type=int, default=32, metavar="N", help="most crops in one run (default: %(default)s)")
    return parser


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


def _folds(text: str) -> int:
    value = _number(text)
    if value != int(value) or value < 2:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 2")
    return int(value)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e9 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return value
