"""Where a vehicle stands and where it is heading, from its keypoints and a template of it.

*Vehicle frame*: x forward, y to its own left, z up, metres, the origin on the ground below its middle. *Camera frame*:
x right, y down, z ahead, metres.

The template is generic. What a vehicle differs from it in size appears as an error of the distance in the same
proportion: one 5 % longer than the template is placed 5 % too near. The heading hardly depends on it.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet, read_meta
from pose_tools.inference.vehicle_pose.camera import Camera, assumed_camera
from pose_tools.inference.vehicle_pose.solve import LEAST_POINTS, Motion, reprojection, solve_pose

HEIGHT_OF_LENGTH = 0.33  # of the box that is drawn: a sedan is 1.5 m high and 4.6 m long
ARROW_OF_LENGTH = 0.75  # from the middle of the floor to the arrow's tip


@dataclass(frozen=True)
class VehiclePose:
    """The pose of one vehicle.

    Attributes:
        heading_deg: Where it points, seen from above, -180 to 180: 0 against the camera's line of sight (it comes
            towards a camera that looks at it), 90 to the right in the picture, 180 away, -90 to the left. It is
            measured in the vehicle's ground plane, so that the camera's pitch does not matter.
        rotation: Vehicle frame to camera frame (3, 3).
        translation: Vehicle frame to camera frame (3,), metres.
        reprojection_px: Weighted root mean square distance between the keypoints used and the template's, image px.
        focal_px: Focal length across the picture that was used, px.
        focal_assumed: Whether that is an assumption, which makes distances as wrong as it is.
        corners: (8, 2) of its box, image px: front left and right, rear right and left; below, then above. NaN for
            what is not ahead of the camera. The box's height is a guess from its length.
        heading_arrow: (2, 2) from the middle of its floor to where it is heading, image px.
    """

    heading_deg: float
    rotation: np.ndarray
    translation: np.ndarray
    reprojection_px: float
    focal_px: float
    focal_assumed: bool
    corners: np.ndarray
    heading_arrow: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """What a JSON file says of it: all but the drawing's corners and arrow, in plain numbers."""
        return {
            "heading_deg": self.heading_deg, "rotation": self.rotation.tolist(),
            "translation": self.translation.tolist(), "reprojection_px": self.reprojection_px,
            "focal_px": self.focal_px, "focal_assumed": self.focal_assumed}


def estimate_pose(keypoints: np.ndarray, scores: np.ndarray, model_points: np.ndarray, size: tuple[int, int],
                  camera: Optional[Camera] = None, kpt_thr: float = 0.3) -> Optional[VehiclePose]:
    """Estimates a vehicle's pose.

    Args:
        keypoints: (K, 2), image px.
        scores: (K,).
        model_points: (K, 3), vehicle frame, metres.
        size: Width and height of the picture, px.
        camera: What took it; ``None`` assumes a focal length.
        kpt_thr: Keypoints with a lower score are not used.

    Returns:
        The pose, or ``None`` where fewer than four keypoints are good enough or none explains most of them.

    Raises:
        UserError: The camera is of pictures of another shape.
    """
    keypoints, scores = np.asarray(keypoints, float), np.asarray(scores, float)
    points = np.asarray(model_points, float)
    camera = (camera or assumed_camera(size)).of_size(size)
    good = np.isfinite(keypoints).all(axis=1) & (np.nan_to_num(scores, nan=-1) >= max(kpt_thr, 1e-6))
    if good.sum() < LEAST_POINTS:
        return None
    pixels = _undistorted(keypoints[good], camera)
    weights = np.minimum(scores[good], 1.0)
    motion = solve_pose(pixels, weights, points[good], camera.matrix)
    if motion is None:
        return None
    squares = ((reprojection(motion, points[good], camera.matrix) - pixels) ** 2).sum(axis=1)
    error = math.sqrt(float((weights * squares).sum() / weights.sum()))
    corners, arrow = _outline(points)
    return VehiclePose(heading_of(motion[0]), *motion, error, float(camera.matrix[0, 0]), camera.assumed,
                       _to_image(motion, corners, camera), _to_image(motion, arrow, camera))


def placer(keypoint_set: KeypointSet, kpt_thr: float = 0.3, camera: Optional[Camera] = None,
           meta: Union[str, Path, None] = None) -> Callable[..., Optional[VehiclePose]]:
    """Prepares :func:`estimate_pose` for the objects of a keypoint set.

    Args:
        keypoint_set: Of the model.
        kpt_thr: Keypoints with a lower score are not used.
        camera: What takes the pictures; ``None`` assumes a focal length.
        meta: A ``meta.py`` with the model points, where the model's own set has none or others.

    Returns:
        A function of keypoints (K, 2), scores (K,) and the picture's (width, height).

    Raises:
        UserError: Nothing says where the keypoints are in space, or the file is of another keypoint set.
    """
    said = read_meta(meta) if meta is not None else keypoint_set
    if said.keypoints != keypoint_set.keypoints:
        raise UserError(f"{meta}: is of other keypoints than the model's: {', '.join(keypoint_set.keypoints)}")
    points = np.array(said.model_points or keypoint_set.model_points, float)
    if not len(points):
        raise UserError("--pnp: the model does not say where its keypoints are in space (model_points); give a meta.py "
                        "that does, such as --meta configs/_base_/carpose/meta.py")

    def place(keypoints: np.ndarray, scores: np.ndarray, size: tuple[int, int]) -> Optional[VehiclePose]:
        return estimate_pose(keypoints, scores, points, size, camera, kpt_thr)

    return place


def heading_of(rotation: np.ndarray) -> float:
    """The heading in degrees as :class:`VehiclePose` defines it.

    The third row of a rotation is the line of sight in the vehicle frame, so its reverse has the ground-plane
    coordinates (-r20, -r21); the heading is the angle from there to the vehicle's own x axis.

    Args:
        rotation: Vehicle frame to camera frame (3, 3); the camera must not look straight down.
    """
    return math.degrees(math.atan2(rotation[2, 1], -rotation[2, 0]))


def _undistorted(keypoints: np.ndarray, camera: Camera) -> np.ndarray:
    if not camera.distortion:
        return np.ascontiguousarray(keypoints)
    import cv2

    pixels = cv2.undistortPoints(keypoints[:, None], camera.matrix, np.array(camera.distortion), P=camera.matrix)
    return np.ascontiguousarray(pixels[:, 0])


def _to_image(motion: Motion, points: np.ndarray, camera: Camera) -> np.ndarray:
    """Where points (N, 3) of the vehicle frame are seen: (N, 2) image px, with the lens's distortion."""
    straight = reprojection(motion, points, camera.matrix)
    if not camera.distortion:
        return straight
    import cv2

    bent, _ = cv2.projectPoints(points, cv2.Rodrigues(motion[0])[0], motion[1], camera.matrix,
                                np.array(camera.distortion))
    return np.where(np.isfinite(straight), bent[:, 0], np.nan)


def _outline(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (8, 3) of a box around the template, standing on the ground, and ends (2, 3) of the arrow."""
    (rear, right, _), (front, left, top) = points.min(axis=0), points.max(axis=0)
    length = front - rear
    height = max(top, HEIGHT_OF_LENGTH * length)
    floor = [(front, left), (front, right), (rear, right), (rear, left)]
    corners = np.array([(x, y, z) for z in (0.0, height) for x, y in floor])
    middle = (front + rear) / 2, (left + right) / 2
    arrow = np.array([(*middle, 0.0), (middle[0] + ARROW_OF_LENGTH * length, middle[1], 0.0)])
    return corners, arrow
