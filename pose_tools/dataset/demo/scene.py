"""One rendered picture: who stands where, what it looks like and what the labels are.

The camera stands above the world's origin and looks along x. A car's pose is kept as car frame to camera
frame, which is what solving for the pose from keypoints (PnP) should find.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.demo.backdrop import cast_shadows, paint_backdrop, photograph, sample_lens
from pose_tools.dataset.demo.camera import Camera
from pose_tools.dataset.demo.cars import CarShape, car_keypoints
from pose_tools.dataset.demo.layout import Layout, sample_layout
from pose_tools.dataset.demo.mesh import Mesh
from pose_tools.dataset.demo.raster import (
    SUPERSAMPLING,
    hidden_points,
    render_meshes,
    silhouette_area,
    silhouette_box,
)

# Share of a car's silhouette that must be seen. There is no unlabelled car, which would mislead a detector.
LEAST_VISIBLE = 0.25
NOT_IN_PICTURE, OCCLUDED, VISIBLE = 0, 1, 2


@dataclass(frozen=True)
class Car:
    """A car in a picture: labels and the pose they come from.

    Attributes:
        shape: Its body and measures.
        box: x0, y0, x1, y1 (4,), image px: the part of its silhouette inside the picture, hidden or not.
        keypoints: (8, 2), image px, also for those outside the picture.
        visibility: (8,): 0 outside the picture, 1 hidden by itself or something else, 2 visible.
        keypoints_3d: (8, 3), car frame, metres.
        rotation: Car frame to camera frame (3, 3).
        translation: Car frame to camera frame (3,), metres.
        visible_share: Share of its whole silhouette that is in the picture and not hidden.
    """

    shape: CarShape
    box: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    keypoints_3d: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    visible_share: float


@dataclass(frozen=True)
class Scene:
    """A rendered picture with its labels.

    Attributes:
        image: BGR (H, W, 3), uint8.
        cars: The cars in it, at least one.
        camera_matrix: Intrinsics (3, 3), px; pixel (0, 0) is the centre of the first pixel.
    """

    image: np.ndarray
    cars: tuple[Car, ...]
    camera_matrix: np.ndarray


def render_scene(rng: np.random.Generator, size: tuple[int, int] = (512, 384), views: str = "all") -> Scene:
    """Renders one to four cars among other things.

    Args:
        rng: Source of all randomness; the same state gives the same picture.
        size: Width and height, px.
        views: From where cars are seen, "all" or "street"; see :func:`~pose_tools.dataset.demo.layout.sample_layout`.

    Returns:
        The picture; at least :data:`LEAST_VISIBLE` of every car can be seen.
    """
    while True:
        layout = sample_layout(rng, size, views)
        meshes = [*(car.mesh for car in layout.cars), *layout.props]
        rendering = render_meshes(layout.camera, meshes, layout.light)
        shares = _visible_shares(layout, rendering.owner)
        if min(shares) < LEAST_VISIBLE:
            continue
        shadows = cast_shadows(layout.camera, meshes, layout.light.towards, layout.shadow)
        backdrop = paint_backdrop(rng, layout.camera, layout.ground, shadows)
        cover = rendering.colour[..., 3:].astype(np.float32) / 255
        backdrop *= 1 - cover
        backdrop += rendering.colour[..., :3]
        image = photograph(backdrop, sample_lens(rng, size[0]))
        cars = tuple(
            label_car(layout.camera, car.shape, car.rotation, car.translation, car.mesh,
                      [*meshes[:i], *meshes[i + 1:]], share)
            for i, (car, share) in enumerate(zip(layout.cars, shares)))
        return Scene(image, cars, layout.camera.matrix)


def label_car(camera: Camera, shape: CarShape, rotation: np.ndarray, translation: np.ndarray, mesh: Mesh,
              others: Sequence[Mesh] = (), visible_share: float = 1.0) -> Car:
    """Works out the labels of one car.

    Args:
        camera: Where it is seen from.
        shape: Its body and measures.
        rotation: Car frame to world (3, 3).
        translation: Car frame to world (3,), metres.
        mesh: The car in the world frame.
        others: Whatever else may hide it, in the world frame.
        visible_share: Handed on.

    Returns:
        The labels; a keypoint is hidden where anything is nearer on its ray by more than
        :data:`~pose_tools.dataset.demo.raster.HIDING_MARGIN`.
    """
    keypoints_3d = car_keypoints(shape)
    world = keypoints_3d @ rotation.T + translation
    pixels = camera.world_to_image(world)
    triangles = np.concatenate([m.triangles for m in (mesh, *others)])
    inside = ((pixels >= 0) & (pixels <= np.asarray(camera.size) - 1)).all(axis=1)
    hidden = hidden_points(camera.position, world, triangles)
    visibility = np.where(inside, np.where(hidden, OCCLUDED, VISIBLE), NOT_IN_PICTURE)
    return Car(shape, silhouette_box(camera, mesh), pixels, visibility, keypoints_3d,
               camera.rotation @ rotation, camera.world_to_camera(translation), visible_share)


def _visible_shares(layout: Layout, owner: np.ndarray) -> list[float]:
    """Visible share of each car's silhouette, from the buffer of owners."""
    counts = np.bincount(owner.ravel() + 1, minlength=len(layout.cars) + 1)[1:] / SUPERSAMPLING ** 2
    areas = [silhouette_area(layout.camera, car.mesh) for car in layout.cars]
    return [min(1.0, count / area) for count, area in zip(counts, areas)]
