#!/usr/bin/env python
"""Export a checkpoint for runtimes that need neither torch nor OpenMMLab, and check that it gives the same.

    python tools/export.py checkpoint/rtmpose-s-carpose-1a2b3c4d_20261121.pth
    python tools/export.py CKPT --format onnx,openvino --precision fp16 --end2end
    python tools/export.py CKPT --precision int8 --calibration data/carpose/train_coco.json

Writes CKPT's name with -end2end, -fp16, -bN where that applies, and .onnx, .xml (and .bin), .torchscript or .engine.
All formats of a call are made or none: a file gets its name when every one has passed the check.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.options.exporting import ExportOptions, exporting_parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    return exporting_parser(__doc__).parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Exports."""
    args = vars(parse_args(argv))
    from pose_tools.export.exporting import export_model
    from pose_tools.weights.resolve import resolve_weights

    checkpoint = resolve_weights(args.pop("checkpoint"))
    for path in export_model(checkpoint, ExportOptions(checkpoint=checkpoint, **args)):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
