#!/usr/bin/env python
"""Find objects and their keypoints in images, with published or exported models.

    python pose_tools/predict.py photos/ --det checkpoint/rtmdet-tiny-carpose-1a2b3c4d_20261121.pth \\
        --pose checkpoint/rtmpose-s-carpose-5e6f7a8b_20261121.pth --out work_dirs/predicted --sheet

Writes the drawn images and predictions.json (COCO results format) into the --out folder. Keypoint scores are raw
SimCC maxima, not probabilities.

Models are checkpoints (.pth), ONNX files (.onnx) or OpenVINO's (.xml), mixed as you like; the latter two, which
tools/export.py makes, need neither torch nor OpenMMLab: requirements/runtime.txt is enough.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="images, or folders of images")
    add("--det", help="detector: a file, an address, hf:USER/REPO#FILE, or a name of download_weights.py; "
                      "without one the whole image is the box")
    add("--pose", required=True, help="keypoint model, likewise")
    add("--out", type=Path, default=Path("work_dirs/predictions"), help="folder to write (default: %(default)s)")
    add("--bbox-thr", type=float, default=0.3, help="least score of a box (default: %(default)s)")
    add("--kpt-thr", type=float, default=0.3, help="least raw score of a drawn keypoint (default: %(default)s)")
    add("--sheet", action="store_true", help="also write contact_sheet.jpg with all images")
    add = parser.add_argument_group("how the models are run").add_argument
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    add("--backend", choices=("auto", "torch", "onnxruntime", "openvino"), default="auto",
        help="what runs the files; auto: .pth torch, .onnx ONNX Runtime, .xml OpenVINO")
    add("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
        help="auto: fp32, unless a file was exported for another")
    add("--threads", type=int, metavar="N", help="of a run (default: one for each core)")
    add("--batch-size", type=int, default=32, metavar="N", help="most crops in one run (default: %(default)s)")
    add("--flip-test", action=argparse.BooleanOptionalAction, default=None,
        help="average with the mirrored crop, in twice the time (default: as the model was tested)")
    add("--meta", type=Path, help="the meta.py of the keypoint set, for .onnx and .xml files that do not name it")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Predicts; returns 1 when an image could not be read."""
    args = parse_args(argv)
    from pose_tools.inference.batch import find_images, predict_images
    from pose_tools.inference.topdown import RunOptions, TopDown
    from pose_tools.weights.resolve import resolve_weights

    images = find_images(args.inputs)
    det, pose = args.det and resolve_weights(args.det), resolve_weights(args.pose)
    options = RunOptions(args.device, args.backend, args.precision, args.threads, args.batch_size, args.flip_test,
                         args.meta)
    model = TopDown(det, pose, box_threshold=args.bbox_thr, options=options)
    summary = predict_images(model, images, args.out, args.kpt_thr, args.sheet)
    print(f"{summary.images} images, {summary.instances} instances: {args.out}")
    for fault in summary.faults:
        print(fault, file=sys.stderr)
    return 1 if summary.faults else 0


if __name__ == "__main__":
    sys.exit(run(main))
