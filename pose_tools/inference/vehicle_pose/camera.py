"""The camera that took a picture: read from a file, or assumed.

A file is JSON or YAML with ``fx``, ``fy``, ``cx`` and ``cy``, or with a 3 x 3 ``camera_matrix`` (or ``matrix``), as
``cv2.FileStorage``, ROS and the rendered demo write them; ``distortion_coefficients`` in OpenCV's order and the size
of its pictures (``image_width``, ``image_height``) may stand in it. XML is read as OpenCV's.
"""
from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError

ASSUMED_FIELD_OF_VIEW = 60.0  # degrees across the width; a phone's main camera has 65 to 70, many webcams 55 to 60
_MATRICES = ("camera_matrix", "matrix", "K")
_DISTORTIONS = ("distortion_coefficients", "dist_coeffs", "distortion", "D")
_DISTORTION_COUNTS = (4, 5, 8, 12, 14)  # what OpenCV takes
_SAME_SHAPE = 0.01  # by which aspect ratios of a calibration and a picture may differ


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with OpenCV's lens model.

    Attributes:
        matrix: Intrinsics (3, 3), px; pixel (0, 0) is the centre of the first pixel.
        distortion: Coefficients in OpenCV's order, none for a perfect lens.
        size: Width and height of its pictures, px; ``None`` where nobody said.
        assumed: Whether its focal length is an assumption.
        source: Where it is from, for messages.
    """

    matrix: np.ndarray
    distortion: tuple[float, ...] = ()
    size: Optional[tuple[int, int]] = None
    assumed: bool = False
    source: str = ""

    def of_size(self, size: tuple[int, int]) -> Camera:
        """The camera of pictures of another resolution.

        Args:
            size: Width and height, px.

        Raises:
            UserError: Pictures of that shape cannot be scaled ones of this camera.
        """
        if self.size is None or self.size == tuple(size):
            return self
        factor = size[0] / self.size[0], size[1] / self.size[1]
        if abs(factor[0] / factor[1] - 1) > _SAME_SHAPE:
            raise UserError(f"{self.source}: is of a camera with pictures of {self.size[0]} x {self.size[1]} px; one "
                            f"of {size[0]} x {size[1]} px is no scaled one of these")
        matrix = self.matrix.copy()
        for row in (0, 1):
            # Between pixel centres: the picture begins half a pixel before the first of them.
            matrix[row, :2] *= factor[row]
            matrix[row, 2] = (matrix[row, 2] + 0.5) * factor[row] - 0.5
        return Camera(matrix, self.distortion, tuple(size), self.assumed, self.source)


def assumed_camera(size: tuple[int, int]) -> Camera:
    """A camera with :data:`ASSUMED_FIELD_OF_VIEW` across the width and its axis in the middle of the picture.

    Args:
        size: Width and height, px.
    """
    focal = size[0] / 2 / math.tan(math.radians(ASSUMED_FIELD_OF_VIEW / 2))
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1.0]])
    return Camera(matrix, size=tuple(size), assumed=True, source="assumed camera")


def read_camera(path: Union[str, Path]) -> Camera:
    """Reads a camera file; see the module's text.

    Args:
        path: ``.json``, ``.yaml``, ``.yml`` or ``.xml``.

    Raises:
        UserError: There is no such file, it cannot be read, or it does not describe a camera.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such camera file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    values = _opencv_values(path) if path.suffix.lower() == ".xml" or "opencv-matrix" in text else _plain(text, path)
    matrix, distortion = _matrix(values, path), _distortion(values, path)
    return Camera(matrix, distortion, _size(values, path), source=str(path))


def _plain(text: str, path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        values = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{path}: is neither JSON nor YAML: {said}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: does not describe a camera: give fx, fy, cx and cy, or camera_matrix")
    return values


def _opencv_values(path: Path) -> dict[str, Any]:
    """What ``cv2.FileStorage`` wrote."""
    import cv2

    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        opened = storage.isOpened()
    except (cv2.error, SystemError) as error:
        raise UserError(f"{path}: is not XML or YAML as OpenCV writes it") from error
    if not opened:
        raise UserError(f"{path}: is not XML or YAML as OpenCV writes it")
    found: dict[str, Any] = {}
    for key in (*_MATRICES, *_DISTORTIONS, "fx", "fy", "cx", "cy", "image_width", "image_height"):
        node = storage.getNode(key)
        if node.isMap() or node.isSeq():
            value = node.mat()
            if value is not None:
                found[key] = value.tolist()
        elif node.isReal() or node.isInt():
            found[key] = node.real()
    storage.release()
    return found


def _numbers(value: Any) -> Optional[np.ndarray]:
    """All numbers of a list, of a list of lists, or of the ``data`` of a ROS matrix; ``None`` for anything else."""
    value = value.get("data") if isinstance(value, dict) else value
    try:
        found = np.asarray(value, float).ravel()
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None


def _matrix(values: Mapping[str, Any], path: Path) -> np.ndarray:
    key = next((key for key in _MATRICES if key in values), None)
    if key is not None:
        found = _numbers(values[key])
        if found is None or len(found) != 9:
            raise UserError(f"{path}: {key}: is not a 3 x 3 matrix of numbers")
        matrix = found.reshape(3, 3)
    else:
        missing = [name for name in ("fx", "fy", "cx", "cy") if name not in values]
        if missing:
            raise UserError(f"{path}: does not describe a camera: {', '.join(missing)} missing; give fx, fy, cx and "
                            "cy, or camera_matrix")
        found = _numbers([values[name] for name in ("fx", "fy", "cx", "cy")])
        if found is None or len(found) != 4:
            raise UserError(f"{path}: fx, fy, cx and cy must be numbers")
        matrix = np.array([[found[0], 0, found[2]], [0, found[1], found[3]], [0, 0, 1.0]])
    below = matrix[[1, 2, 2, 2], [0, 0, 1, 2]]
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or not np.allclose(below, (0, 0, 0, 1)):
        raise UserError(f"{path}: is no camera matrix ((fx, s, cx), (0, fy, cy), (0, 0, 1)) with positive focal "
                        "lengths")
    return matrix


def _distortion(values: Mapping[str, Any], path: Path) -> tuple[float, ...]:
    key = next((key for key in _DISTORTIONS if values.get(key) is not None), None)
    found = _numbers(values[key]) if key is not None else np.zeros(0)
    if found is None or (len(found) and len(found) not in _DISTORTION_COUNTS):
        counts = ", ".join(map(str, _DISTORTION_COUNTS))
        raise UserError(f"{path}: {key}: must be {counts} numbers, in OpenCV's order")
    return tuple(found.tolist()) if found.any() else ()


def _size(values: Mapping[str, Any], path: Path) -> Optional[tuple[int, int]]:
    found = [values.get(key) for key in ("image_width", "image_height")]
    if found == [None, None]:
        return None
    numbers = _numbers([value if isinstance(value, (int, float)) else math.nan for value in found])
    if numbers is None or (numbers < 1).any():
        raise UserError(f"{path}: image_width and image_height must both be numbers of px")
    return int(numbers[0]), int(numbers[1])
