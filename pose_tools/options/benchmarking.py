"""The options of ``tools/benchmark.py``."""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

BACKENDS = ("torch", "onnxruntime", "openvino")
ROUNDS = 5


@dataclass(frozen=True)
class BenchmarkOptions:
    """What ``tools/benchmark.py`` was asked for; see its ``--help``."""

    models: tuple[str, ...]
    batch: tuple[int, ...] = (1, 4, 16)
    seconds: float = 3.0
    rounds: int = ROUNDS
    threads: Optional[int] = None
    device: str = "auto"
    backend: tuple[str, ...] = ("auto", )
    precision: tuple[str, ...] = ("auto", )
    images: Optional[Path] = None
    flip_test: bool = False
    markdown: bool = False
    json: Optional[Path] = None


def benchmarking_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Makes the command line of ``tools/benchmark.py``.

    Args:
        description: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("models", nargs="+", metavar="CKPT_OR_MODEL", help=".pth, .onnx or .xml, or a name of download_weights.py")
    add("--batch", type=_from_1, nargs="+", default=[1, 4, 16], metavar="N",
        help="crops or pictures a run (default: 1 4 16); for keypoint models boxes a picture as well")
    add("--seconds", type=_positive, default=3.0, help="for each figure, over all rounds (default: %(default)g)")
    add("--rounds", type=_from_1, default=ROUNDS, help="every model has its turn in each (default: %(default)s)")
    add("--threads", type=_from_1, metavar="N", help="of a model (default: what its library chooses)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    add("--backend", nargs="+", choices=("auto", *BACKENDS), default=["auto"],
        help="what runs the models; auto: all that are installed and can (an .onnx: onnxruntime and openvino)")
    add("--precision", nargs="+", choices=("auto", "fp32", "bf16", "fp16"), default=["auto"], help="to calculate in")
    add("--images", type=Path, metavar="FOLDER", help="pictures to predict (default: one of 1280x720 made for it)")
    add("--flip-test", action="store_true", help="predict the mirrored crops as well; doubles the network's work")
    add("--markdown", action="store_true", help="print markdown tables")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


def _from_1(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value
