"""The pinhole camera of the rendered demo.

Frames: *world* (x ahead of the camera, y to its left, z up, metres, ground at z = 0), *camera* (x right,
y down, z ahead, metres) and *image px* (u right, v down; (0, 0) is the centre of the first pixel).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR = 0.3  # metres ahead of the camera; nothing nearer is drawn


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: ``z * (u, v, 1) = matrix @ (rotation @ world + translation)``.

    Attributes:
        matrix: Intrinsics (3, 3), px.
        rotation: World to camera (3, 3).
        translation: World to camera (3,), metres.
        size: Picture width and height, px.
    """

    matrix: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    size: tuple[int, int]

    @property
    def position(self) -> np.ndarray:
        """Optical centre in the world (3,)."""
        return -self.rotation.T @ self.translation

    def world_to_camera(self, points: np.ndarray) -> np.ndarray:
        """Maps (..., 3) from the world to the camera frame, metres."""
        return np.asarray(points) @ self.rotation.T + self.translation

    def camera_to_image(self, points: np.ndarray) -> np.ndarray:
        """Projects (..., 3) in the camera frame, z > 0, to image px (..., 2)."""
        projected = np.asarray(points) @ self.matrix.T
        return projected[..., :2] / projected[..., 2:]

    def world_to_image(self, points: np.ndarray) -> np.ndarray:
        """Projects (..., 3) in the world to image px (..., 2). The points must be ahead of the camera."""
        return self.camera_to_image(self.world_to_camera(points))


def standing_camera(size: tuple[int, int], focal: float, height: float, pitch: float,
                    roll: float = 0.0) -> Camera:
    """A camera ``height`` metres above the world's origin that looks along +x.

    Args:
        size: Picture width and height, px.
        focal: Focal length, px. The principal point is the middle of the picture, ((w - 1) / 2, (h - 1) / 2).
        height: Metres above the ground.
        pitch: Downward tilt, radians.
        roll: Clockwise tilt of the camera, radians.
    """
    c, s = np.cos(pitch), np.sin(pitch)
    right, ahead, down = np.array([0.0, -1, 0]), np.array([c, 0, -s]), np.array([-s, 0, -c])
    cr, sr = np.cos(roll), np.sin(roll)
    rotation = np.stack([cr * right + sr * down, cr * down - sr * right, ahead])
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1.0]])
    return Camera(matrix, rotation, -rotation @ np.array([0, 0, height]), size)


def clip_polygon(points: np.ndarray, axis: int, limit: float, keep_above: bool) -> np.ndarray:
    """Cuts a convex polygon along an axis-aligned line or plane (Sutherland and Hodgman, 1974).

    Args:
        points: Corners (N, D) in order.
        axis: The coordinate that is limited.
        limit: Its smallest or largest value.
        keep_above: True keeps what is at or above the limit.

    Returns:
        Corners (M, D), none when nothing is left.
    """
    side = (points[:, axis] - limit) * (1 if keep_above else -1)
    if (side >= 0).all():
        return points
    kept = []
    for i, j in zip(range(len(points)), np.roll(np.arange(len(points)), -1)):
        if side[i] >= 0:
            kept.append(points[i])
        if side[i] * side[j] < 0:
            share = side[i] / (side[i] - side[j])
            cut = points[i] + share * (points[j] - points[i])
            cut[axis] = limit
            kept.append(cut)
    return np.array(kept).reshape(-1, points.shape[1])


def clip_to_picture(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part (M, 2) of a convex polygon (N, 2), image px, from the first to the last pixel centre."""
    for axis in (0, 1):
        for limit, keep_above in ((0.0, True), (size[axis] - 1.0, False)):
            points = clip_polygon(points, axis, limit, keep_above)
            if not len(points):
                return points
    return points


def polygon_to_image(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Projects a convex polygon, without the part behind the camera.

    Args:
        camera: The camera.
        points: Corners in the world (N, 3).

    Returns:
        Image px (M, 2), none when all of it is behind the camera.
    """
    ahead = clip_polygon(camera.world_to_camera(points), 2, NEAR, keep_above=True)
    return camera.camera_to_image(ahead) if len(ahead) else np.zeros((0, 2))
