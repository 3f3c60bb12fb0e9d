"""Writes rendered pictures as a labelme folder: JPEG and JSON side by side, as labelme 5 saves them.

Every car is a rectangle ``car`` and its keypoints are points, held together by a ``group_id``; a hidden point
has the flag ``occluded``, a point outside the picture is not labelled. ``ground_truth.jsonl`` holds what
labelme cannot: camera matrices and the cars' poses.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Callable, TypeVar, Union

import numpy as np

from pose_tools.console import UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.demo.cars import KEYPOINTS
from pose_tools.dataset.demo.scene import NOT_IN_PICTURE, OCCLUDED, Scene, render_scene
from pose_tools.dataset.demo.video import render_traffic
from pose_tools.formats.labelme_write import labelme_content, labelme_shape, labelme_text

GROUND_TRUTH = "ground_truth.jsonl"
# "street" has the cars pass by, seen from a pavement; "all" has them anywhere and from everywhere. "traffic" is a
# moment of a video, with cars far off that hide each other: nobody would mark points on those, so they have boxes only.
VIEWS = ("all", "street", "traffic")
MIN_SIZE = (128, 96)
PARALLEL_FROM = 16
Result = TypeVar("Result")


def write_labelme(folder: Union[str, Path], images: int, size: tuple[int, int] = (512, 384), seed: int = 0,
                  overwrite: bool = False, views: Sequence[str] = ("all",)) -> int:
    """Renders pictures into a labelme folder.

    Args:
        folder: Made anew; appears only when it is complete.
        images: Number of pictures, at least 1. The n-th picture depends on ``seed`` and n only.
        size: Width and height, px, at least :data:`MIN_SIZE`.
        seed: The same seed gives the same bytes.
        overwrite: Replace an earlier rendering.
        views: From where cars are seen, of :data:`VIEWS`; if several, pictures take turns.

    Returns:
        Number of cars in the pictures.

    Raises:
        UserError: A number makes no sense, or the folder is not empty and may not be replaced.
    """
    _check(images, size, seed, views)
    cars = 0
    check_folder(folder, overwrite)
    with new_folder(Path(folder), overwrite) as made, \
            open(made / GROUND_TRUTH, "w", encoding="utf-8") as poses:
        work = partial(_write_labelled, made, seed, size, views)
        for pose in progress(_in_parallel(work, images), "rendering", images):
            poses.write(json.dumps(pose) + "\n")
            cars += len(pose["cars"])
    return cars


def _write_labelled(made: Path, seed: int, size: tuple[int, int], views: Sequence[str], i: int) -> dict[str, Any]:
    name = f"demo_{i:05d}"
    view = views[i % len(views)]
    scene = _write_picture(made, name, (seed, 0, i), size, view)
    text = labelme_text(labelme_dict(scene, f"{name}.jpg", points=view != "traffic"))
    (made / f"{name}.json").write_text(text, encoding="utf-8")
    return ground_truth_dict(scene, f"{name}.jpg")


def _in_parallel(work: Callable[[int], Result], count: int) -> Iterator[Result]:
    """Does independent pieces of work in all cores, results in order; few pieces are not worth the start."""
    cores = os.cpu_count() or 1
    if cores == 1 or count < PARALLEL_FROM:
        yield from map(work, range(count))
        return
    with ProcessPoolExecutor(cores) as pool:
        yield from pool.map(work, range(count), chunksize=4)


def write_unlabelled(folder: Union[str, Path], images: int, size: tuple[int, int] = (512, 384), seed: int = 0,
                     overwrite: bool = False, views: Sequence[str] = ("all",)) -> None:
    """Renders pictures without labels, none of which :func:`write_labelme` makes from the same seed.

    Args:
        folder: Made anew; appears only when it is complete.
        images: Number of pictures, at least 1.
        size: Width and height, px, at least :data:`MIN_SIZE`.
        seed: The same seed gives the same bytes.
        overwrite: Replace an earlier rendering.
        views: From where cars are seen, of :data:`VIEWS`; if several, pictures take turns.

    Raises:
        UserError: A number makes no sense, or the folder is not empty and may not be replaced.
    """
    _check(images, size, seed, views)
    check_folder(folder, overwrite)
    with new_folder(Path(folder), overwrite) as made:
        for i in progress(range(images), "rendering unseen"):
            _write_picture(made, f"unseen_{i:05d}", (seed, 1, i), size, views[i % len(views)])


def labelme_dict(scene: Scene, image_name: str, points: bool = True) -> dict[str, Any]:
    """What labelme saves for a picture.

    Args:
        scene: The picture and its cars.
        image_name: File name of the picture, beside the JSON.
        points: Whether keypoints are marked, and not boxes alone.

    Returns:
        The JSON as a dict; coordinates are image px, (0, 0) being the centre of the first pixel.
    """
    shapes = []
    for group, car in enumerate(scene.cars, start=1):
        shapes.append(labelme_shape("car", np.round(car.box.reshape(2, 2), 4), group, "rectangle"))
        for name, point, visibility in zip(KEYPOINTS, car.keypoints, car.visibility):
            if points and visibility != NOT_IN_PICTURE:
                flags = {"occluded": True} if visibility == OCCLUDED else {}
                shapes.append(labelme_shape(name, np.round(point[None], 4), group, "point", flags))
    return labelme_content(shapes, image_name, scene.image.shape[1::-1])


def ground_truth_dict(scene: Scene, image_name: str) -> dict[str, Any]:
    """The poses behind a picture: one line of ``ground_truth.jsonl``.

    Args:
        scene: The picture and its cars.
        image_name: File name of the picture.

    Returns:
        ``file_name``, ``camera_matrix`` (3, 3) and ``cars``, each with ``group_id`` as in the labelme file,
        ``body``, ``rotation`` (3, 3) and ``translation`` (3,) from car to camera frame in metres,
        ``keypoints_3d`` (8, 3) in the car frame, ``keypoints`` (8, 2) in image px, ``visibility`` (8,) and
        ``visible_share``.
    """
    cars = [{"group_id": group, "body": car.shape.body, "rotation": car.rotation.tolist(),
             "translation": car.translation.tolist(), "keypoints_3d": car.keypoints_3d.tolist(),
             "keypoints": car.keypoints.tolist(), "visibility": car.visibility.tolist(),
             "visible_share": car.visible_share}
            for group, car in enumerate(scene.cars, start=1)]
    return {"file_name": image_name, "camera_matrix": scene.camera_matrix.tolist(), "cars": cars}


def check_folder(folder: Union[str, Path], overwrite: bool) -> None:
    """Refuses a place where a rendering may not go.

    Args:
        folder: Where it should go.
        overwrite: Replace what is there, provided that it is an earlier rendering.

    Raises:
        UserError: It is a file, or not empty, or holds something that is no rendering.
    """
    folder = Path(folder)
    check_destination(folder, overwrite)
    foreign = [entry.name for entry in folder.iterdir() if not _is_ours(entry)] if folder.exists() else []
    if foreign:
        raise UserError(f"{folder}: holds {min(foreign)}, which is no rendering; nothing was replaced")


def _is_ours(entry: Path) -> bool:
    """Whether a file is one that this module writes."""
    made = entry.name.startswith(("demo_", "unseen_")) and entry.suffix in (".jpg", ".json")
    return entry.is_file() and (made or entry.name == GROUND_TRUTH)


def _check(images: int, size: tuple[int, int], seed: int, views: Sequence[str]) -> None:
    """Raises one UserError that names every number that makes no sense."""
    wrong = []
    if images < 1:
        wrong.append(f"{images} images: there must be at least 1")
    if size[0] < MIN_SIZE[0] or size[1] < MIN_SIZE[1] or max(size) > 8192:
        wrong.append(f"size {size[0]} x {size[1]}: width must be {MIN_SIZE[0]} to 8192, "
                     f"height {MIN_SIZE[1]} to 8192")
    if seed < 0:
        wrong.append(f"seed {seed}: must not be negative")
    if not views or set(views) - set(VIEWS):
        wrong.append(f"views {views!r}: expected a list of {', '.join(VIEWS)}")
    if wrong:
        raise UserError("; ".join(wrong))


def _write_picture(folder: Path, name: str, seeds: tuple[int, ...], size: tuple[int, int], view: str) -> Scene:
    """Renders a picture and writes it as JPEG of random quality."""
    import cv2

    rng = np.random.default_rng(seeds)
    scene = render_traffic(rng, size) if view == "traffic" else render_scene(rng, size, view)
    done, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 96))])
    if not done:
        raise UserError(f"{folder / name}.jpg: OpenCV cannot write JPEG files")
    (folder / f"{name}.jpg").write_bytes(data.tobytes())
    return scene
