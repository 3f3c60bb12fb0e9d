"""Writes a rendered video and, beside it, a JSON file with the truth about every frame.

The JSON is COCO with ``videos``; an annotation is one car in one frame. Beside COCO's keys it has ``track_id``
(from 1, the same over the video), ``visible_share``, ``body``, and the pose: ``rotation`` (3, 3) and ``translation``
(3,), car frame to camera frame in metres, with ``keypoints_3d`` (K, 3) in the car frame. An image has ``video_id``,
``frame_id`` (from 0) and ``time`` in seconds; a video has ``camera_matrix`` (3, 3), px.
It stands at the top as well, so that the file describes the camera to ``predict.py --pnp --camera``.
"""
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np

from pose_tools.console import UserError, progress
from pose_tools.dataset.demo.cars import KEYPOINTS
from pose_tools.dataset.demo.files import MIN_SIZE
from pose_tools.dataset.demo.video import LEAST_LABELLED, VideoFrame, render_video
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, save_coco
from pose_tools.formats.schema import KeypointSet

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
MIRRORED = tuple((name, name.replace("left", "right")) for name in KEYPOINTS if name.startswith("left"))
LINKS = tuple((f"{side}-front-{part}", f"{side}-rear-{part}") for side in ("left", "right")
              for part in ("bumper", "tire"))
NAMES = KeypointSet(("car", ), KEYPOINTS, MIRRORED, LINKS, (0.05, ) * len(KEYPOINTS))


def write_video(path: Union[str, Path], frames: int = 90, size: tuple[int, int] = (640, 480), seed: int = 0,
                frame_rate: float = 30.0, overwrite: bool = False) -> int:
    """Renders a video of a street into a file, and the truth about it into the JSON file of the same name.

    Args:
        path: ``.mp4`` (MPEG-4 part 2) or ``.avi`` (Motion JPEG).
        frames: How many.
        size: Width and height, px.
        seed: The same seed gives the same frames.
        frame_rate: Frames a second.
        overwrite: Replace earlier files of these names.

    Returns:
        Number of cars that are labelled in at least one frame.

    Raises:
        UserError: A number makes no sense, a file is there already, or OpenCV cannot write such a file.
    """
    path = Path(path)
    _check(path, frames, size, seed, frame_rate)
    truth = path.with_suffix(".json")
    there = [str(file) for file in (path, truth) if file.exists()]
    if there and not overwrite:
        raise UserError(f"{' and '.join(there)}: exists already; --overwrite replaces it")
    rendered = progress(render_video(seed, frames, size, frame_rate), "rendering", frames)
    with _encoder(path, size, frame_rate) as encoder:
        data = truth_of_video(_encoded(rendered, encoder), path, size, frame_rate, seed)
    save_coco(truth, data)
    return len({annotation["track_id"] for annotation in data["annotations"]})


def truth_of_video(rendered: Iterable[VideoFrame], path: Path, size: tuple[int, int], frame_rate: float,
                   seed: int) -> dict[str, Any]:
    """Collects what the JSON file says; see the module's text.

    Args:
        rendered: The frames; gone through once.
        path: The video's file; frame 7 is called ``STEM/000007.jpg``, though there is no such file.
        size: Width and height, px.
        frame_rate: Frames a second.
        seed: What the video was rendered from.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    camera_matrix: list[list[float]] = []
    for frame in rendered:
        image_id = frame.number + 1
        camera_matrix = frame.scene.camera_matrix.tolist()
        images.append({**coco_image(image_id, f"{path.stem}/{frame.number:06d}.jpg", size), "video_id": 1,
                       "frame_id": frame.number, "time": frame.time})
        for track, car in zip(frame.track_ids.tolist(), frame.scene.cars):
            points = np.column_stack([car.keypoints, car.visibility])
            annotations.append({
                **coco_annotation(len(annotations) + 1, image_id, 1, tuple(car.box), points.tolist()),
                "track_id": track, "visible_share": car.visible_share, "body": car.shape.body,
                "rotation": car.rotation.tolist(), "translation": car.translation.tolist(),
                "keypoints_3d": car.keypoints_3d.tolist()})
    video = {"id": 1, "name": path.name, "width": size[0], "height": size[1], "frames": len(images),
             "frame_rate": frame_rate, "camera_matrix": camera_matrix}
    told = f"rendered from seed {seed}; cars of which less than {LEAST_LABELLED} can be seen are left out"
    camera = {"camera_matrix": camera_matrix, "image_width": size[0], "image_height": size[1]}
    return {"info": {"description": told}, **camera, "videos": [video], "images": images, "annotations": annotations,
            "categories": coco_categories(NAMES)}


def _encoded(rendered: Iterable[VideoFrame], encoder: Any) -> Iterator[VideoFrame]:
    for frame in rendered:
        encoder.write(frame.scene.image)
        yield frame


@contextmanager
def _encoder(path: Path, size: tuple[int, int], frame_rate: float) -> Iterator[Any]:
    """A ``cv2.VideoWriter`` into a temporary file, which gets its name when all went well."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: OpenCV chooses the container by it.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        file = Path(folder) / path.name
        encoder = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*CODECS[path.suffix.lower()]), frame_rate, size)
        try:
            if not encoder.isOpened():
                raise UserError(f"{path}: this OpenCV cannot write {path.suffix} files of {size[0]} x {size[1]} px")
            yield encoder
        finally:
            encoder.release()
        if not file.is_file():
            raise UserError(f"{path}: OpenCV wrote nothing")
        os.replace(file, path)


def _check(path: Path, frames: int, size: tuple[int, int], seed: int, frame_rate: float) -> None:
    """Raises one UserError that names everything that makes no sense."""
    wrong = []
    if path.suffix.lower() not in CODECS:
        wrong.append(f"{path}: the file of a video must end in {' or '.join(CODECS)}")
    if frames < 1:
        wrong.append(f"{frames} frames: there must be at least 1")
    if not 1 <= frame_rate <= 240:
        wrong.append(f"{frame_rate:g} frames a second: must be 1 to 240")
    if size[0] < MIN_SIZE[0] or size[1] < MIN_SIZE[1] or max(size) > 8192 or size[0] % 2 or size[1] % 2:
        wrong.append(f"size {size[0]} x {size[1]}: width must be {MIN_SIZE[0]} to 8192, height {MIN_SIZE[1]} to 8192, "
                     "both even")
    if seed < 0:
        wrong.append(f"seed {seed}: must not be negative")
    if wrong:
        raise UserError("; ".join(wrong))
