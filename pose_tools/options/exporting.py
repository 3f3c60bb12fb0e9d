"""The options of ``tools/export.py``."""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

# What each format is written in. ONNX Runtime computes no bf16 on a CPU; TorchScript is for those who have torch, and
# TensorRT makes int8 in a way of its own.
PRECISIONS = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "bf16", "int8"),
    "torchscript": ("fp32", ),
    "tensorrt": ("fp32", "fp16"),
}
FORMATS = tuple(PRECISIONS)
OPSET, LEAST_OPSET, MOST_OPSET = 17, 14, 20


@dataclass(frozen=True)
class ExportOptions:
    """What ``tools/export.py`` was asked for; see its ``--help``."""

    checkpoint: Path
    formats: tuple[str, ...] = ("onnx", )
    precision: str = "fp32"
    batch: Optional[int] = None
    end_to_end: bool = False
    out: Optional[Path] = None
    opset: int = OPSET
    licence: str = ""
    overwrite: bool = False
    check: bool = True
    images: Optional[Path] = None
    tolerance: Optional[float] = None
    max_ap_drop: Optional[float] = None
    calibration: Optional[Path] = None


def exporting_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Makes the command line of ``tools/export.py``.

    Args:
        description: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", metavar="CKPT", help="a checkpoint: a file, an address, hf:USER/REPO#FILE, or a model's name")
    add("--format", dest="formats", type=_formats, default=("onnx", ), metavar="FORMAT,...",
        help=f"one or several of {', '.join(FORMATS)} (default: onnx)")
    add("--precision", choices=("fp32", "fp16", "bf16", "int8"), default="fp32",
        help="of the weights; inputs and outputs stay as they are (default: fp32)")
    add("--batch", type=_batch, metavar="N", help="images of a run: dynamic, or a number (default: dynamic)")
    add("--end2end", dest="end_to_end", action="store_true",
        help="take BGR pixels, uint8 (N, H, W, 3), and give keypoints, or boxes; else normalised float32")
    add("--out", type=Path, metavar="FOLDER", help="where to write (default: beside the checkpoint)")
    add("--overwrite", action="store_true", help="replace files of the same names")
    add("--opset", type=_opset, default=OPSET, help=f"of ONNX, {LEAST_OPSET} to {MOST_OPSET} (default: {OPSET})")
    add("--licence", "--license", metavar="NAME", default="", help="of the weights, for the metadata: Apache-2.0, ...")
    _add_check(parser.add_argument_group("check against the checkpoint; what fails it gets no name"))
    return parser


def _add_check(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--images", type=Path, metavar="PATH",
        help="a folder of images or a COCO file to check on (default: the validation set, else generated pictures)")
    add("--tolerance", type=_not_negative, metavar="PX", help="most difference of coordinates (default: by precision)")
    add("--max-ap-drop", type=_not_negative, metavar="AP", help="most loss of AP, 0 to 1 (default: by precision)")
    add("--calibration", type=Path, metavar="PATH",
        help="for int8: a folder of images or a COCO file that activations are measured on (default: the training set)")
    add("--no-check", dest="check", action="store_false", help="write without checking")


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"{text!r} is not one or several of {', '.join(FORMATS)}")
    return names


def _batch(text: str) -> Optional[int]:
    if text == "dynamic":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither dynamic nor a number from 1")
    return int(text)


def _opset(text: str) -> int:
    if not text.isdecimal() or not LEAST_OPSET <= int(text) <= MOST_OPSET:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {LEAST_OPSET} to {MOST_OPSET}")
    return int(text)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value
