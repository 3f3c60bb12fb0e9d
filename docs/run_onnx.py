"""Finds keypoints with a file of tools/export.py --end2end and ONNX Runtime alone; docs/commands/export.md explains it.

Example:
    python docs/run_onnx.py checkpoint/rtmpose-s-carpose-1a2b3c4d_20261121-end2end.onnx photo.jpg --box 40 60 300 220

Of this project it needs nothing: onnxruntime, numpy, and OpenCV to read and cut out. Prints a keypoint a line: name, x
and y in px of the picture, raw SimCC score.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime


def find_keypoints(session: onnxruntime.InferenceSession, image: np.ndarray,
                   box: Sequence[float]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Finds the keypoints of the object in a box.

    Args:
        session: A keypoint model, end to end.
        image: (H, W, 3) BGR uint8.
        box: x1, y1, x2, y2 in image px.

    Returns:
        Names, places (K, 2) in image px, and scores (K,).
    """
    facts = session.get_modelmeta().custom_metadata_map
    size = np.array(json.loads(facts["input_size"]))  # width and height of a crop
    x1, y1, x2, y2 = box
    sides = np.array([x2 - x1, y2 - y1]) * json.loads(facts["bbox_padding"])
    sides = (sides / size).max() * size  # widened or heightened to the shape of a crop
    corner = (np.array([x1 + x2, y1 + y2]) - sides) / 2
    matrix = np.column_stack([np.diag(size / sides), -corner * size / sides])  # image px to crop px
    crop = cv2.warpAffine(image, matrix, size.tolist())
    keypoints, scores = session.run(None, {"input": crop[None]})
    return json.loads(facts["keypoints"]), keypoints[0] / size * sides + corner, scores[0]


def open_model(path: str) -> onnxruntime.InferenceSession:
    """Opens a model; ends with a line where it is none that :func:`find_keypoints` can run."""
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes that onnxruntime does not name in public
        raise SystemExit(f"{path}: {next(iter(str(error).splitlines()), type(error).__name__)}") from error
    facts = session.get_modelmeta().custom_metadata_map
    if facts.get("task") != "pose" or facts.get("end_to_end") != "true":
        raise SystemExit(f"{path}: is no keypoint model of tools/export.py --end2end")
    if facts.get("use_udp") != "false":
        raise SystemExit(f"{path}: its crops lie between pixel centres (UDP), which this example does not do")
    return session


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="keypoint model, exported with --end2end")
    parser.add_argument("picture", metavar="PICTURE")
    parser.add_argument("--box", nargs=4, type=float, metavar=("X1", "Y1", "X2", "Y2"),
                        help="of the object, in px (default: the whole picture)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what is found."""
    args = parse_args(argv)
    session, image = open_model(args.model), cv2.imread(args.picture)
    if image is None:
        raise SystemExit(f"{args.picture}: no picture that OpenCV reads")
    box = args.box or [0, 0, image.shape[1], image.shape[0]]
    for name, (x, y), score in zip(*find_keypoints(session, image, box)):
        print(f"{name}: {x:.1f} {y:.1f}, score {score:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
