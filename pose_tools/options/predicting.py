"""The options of ``pose_tools/predict.py``."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional


def predicting_parser(description: Optional[str]) -> argparse.ArgumentParser:
    """Makes the command line of ``pose_tools/predict.py``.

    Args:
        description: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT",
        help="pictures, videos, folders and globs of them, webcam:0, an address (rtsp://, http://, ...)")
    add("--pose", required=True, metavar="MODEL",
        help="keypoint model: a file, an address, hf:USER/REPO#FILE, or a name of download_weights.py or of mmpose")
    _add_boxes(parser.add_argument_group("where the boxes come from"))
    _add_output(parser.add_argument_group("what is written"))
    _add_looks(parser.add_argument_group("what is drawn"))
    _add_sequence(parser.add_argument_group("from frame to frame, and after the keypoints"))
    _add_running(parser.add_argument_group("how the models are run"))
    return parser


def _add_boxes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--det", metavar="MODEL", help="detector, likewise; without one the whole picture is the box")
    add("--no-det", action="store_true", help="say so: the whole picture is the box")
    add("--boxes", type=Path, metavar="FILE",
        help="take the boxes of a file: COCO annotations, COCO results, or predictions.json")
    add("--coco", type=Path, metavar="FILE", help="the COCO annotations whose pictures the results of --boxes are of")
    add("--bbox-thr", type=float, default=0.3, metavar="S", help="least score of a box (default: %(default)s)")
    add("--nms-thr", type=float, metavar="IOU",
        help="of boxes of any class that overlap more, keep the best (default: as the detector does by itself)")
    add("--det-cat-ids", nargs="+", metavar="CLASS",
        help="classes of the detector to take, by name or number from 0 (default: those of the keypoint model)")
    add("--det-interval", type=int, default=1, metavar="N",
        help="run the detector on every Nth frame of a video; between, objects are followed by their keypoints")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--out", type=Path, default=Path("work_dirs/predictions"), metavar="FOLDER",
        help="folder for drawn pictures and videos, and predictions.json (default: %(default)s)")
    add("--draw", action=argparse.BooleanOptionalAction, default=True, help="write what is drawn (default: yes)")
    add("--jsonl", action="store_true", help="also write predictions.jsonl, a line a frame as soon as it is done")
    add("--labelme", action="store_true", help="also write labelme files and pictures, to correct by hand")
    add("--sheet", action="store_true", help="also write contact_sheet.jpg with all pictures")
    add("--show", action="store_true", help="show what is drawn in a window; q ends")
    add("--timing", type=Path, metavar="FILE", help="write as JSON how long each stage worked")


def _add_looks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kpt-thr", type=float, default=0.3, metavar="S", help="least score of a keypoint (default: %(default)s)")
    add("--radius", type=int, metavar="PX", help="of keypoints (default: by the size of the object)")
    add("--thickness", type=int, metavar="PX", help="of lines (default: by the size of the object)")
    add("--alpha", type=float, default=1.0, help="how opaque, up to 1 (default: %(default)s)")
    add("--draw-bbox", action=argparse.BooleanOptionalAction, default=True, help="draw boxes (default: yes)")
    add("--draw-heatmap", action="store_true", help="lay the network's heat maps over the picture")
    add("--heatmap-kpt", metavar="K", help="only that of one keypoint, by name or number from 0")
    add("--show-kpt-idx", action="store_true", help="write each keypoint's number beside it")
    add("--show-kpt-name", action="store_true", help="write each keypoint's name beside it")
    add("--skeleton-style", choices=("sides", "mmpose", "openpose"), default="sides",
        help="colours: left and right, or those of mmpose or OpenPose (default: %(default)s)")


def _add_sequence(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--track", action=argparse.BooleanOptionalAction, default=None,
        help="give objects ids that they keep (default: in videos and of cameras)")
    add("--smooth", action="store_true", help="smooth the keypoints of tracked objects (One-Euro filter)")
    add("--scores", choices=("auto", "raw", "probability"), default="auto",
        help="of keypoints; auto: probabilities where the model was calibrated")
    add("--pnp", action="store_true", help="find heading and position, where meta.py has model_points")
    add("--camera", metavar="FILE", help="the camera for --pnp (default: a focal length is assumed)")


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    add("--backend", choices=("auto", "torch", "onnxruntime", "openvino"), default="auto",
        help="what runs the files; auto: .pth torch, .onnx ONNX Runtime, .xml OpenVINO")
    add("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
        help="auto: fp32, unless a file was exported for another")
    add("--threads", type=int, metavar="N", help="that networks take together (default: one for each core)")
    add("--batch-size", type=int, default=32, metavar="N", help="most crops in one run (default: %(default)s)")
    add("--flip-test", action=argparse.BooleanOptionalAction, default=None,
        help="average with the mirrored crop, in twice the time (default: as the model was tested)")
    add("--meta", type=Path,
        help="the meta.py of the keypoint set, for .onnx and .xml files that do not name it, and for --pnp with models "
             "that were trained before it had model_points")
    add("--det-config", metavar="CONFIG", help="of a detector whose file carries none")
    add("--pose-config", metavar="CONFIG", help="of a keypoint model whose file carries none")
    add("--random-init", action="store_true",
        help="take random weights where a model's cannot be had: to try whether all runs")
