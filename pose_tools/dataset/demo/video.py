"""A rendered video of a street: cars pass, cross and hide each other, with the truth about every frame.

The camera, the ground and all that stands about stay the same and are painted once; cars, their shadows and the
sensor's noise change from frame to frame.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pose_tools.dataset.demo.backdrop import Lens, cast_shadows, paint_backdrop, photograph, sample_lens
from pose_tools.dataset.demo.layout import NEAREST, PlacedCar
from pose_tools.dataset.demo.raster import SUPERSAMPLING, render_meshes, silhouette_area
from pose_tools.dataset.demo.scene import LEAST_VISIBLE, Car, Scene, label_car
from pose_tools.dataset.demo.traffic import ACT, Street, sample_street

# Share of a car's silhouette that must be seen for it to be labelled in a frame.
LEAST_LABELLED = 0.1
MOMENTS = 4  # of a street that are tried for a single picture
SIDEWAYS = 0.5  # as a share of the picture's width: shadows of cars this far outside may reach into it


@dataclass(frozen=True)
class VideoFrame:
    """One frame of the video.

    Attributes:
        scene: The picture, its cars and the camera; cars of which less than :data:`LEAST_LABELLED` can be
            seen are left out, so there may be none.
        track_ids: Of those cars (N,), int64, from 1; a car keeps its number over the whole video.
        number: From 0.
        time: Seconds.
    """

    scene: Scene
    track_ids: np.ndarray
    number: int
    time: float


def render_video(seed: int, frames: int = 90, size: tuple[int, int] = (640, 480),
                 frame_rate: float = 30.0) -> Iterator[VideoFrame]:
    """Renders a street, frame by frame.

    Args:
        seed: The same seed gives the same frames.
        frames: How many.
        size: Width and height, px.
        frame_rate: Frames a second. Traffic is arranged in acts of about three seconds
            (:mod:`pose_tools.dataset.demo.traffic`); a shorter video shows one whole act, faster.

    Yields:
        The frames in their order.
    """
    rng = np.random.default_rng((seed, 2))
    street = sample_street(rng, size, frames / frame_rate)
    stage = _Stage(street, rng)
    for number in range(frames):
        yield stage.frame(number, number / frame_rate)


def render_traffic(rng: np.random.Generator, size: tuple[int, int] = (512, 384)) -> Scene:
    """Renders one moment of a street of its own, to train on what videos show: far cars, half hidden ones.

    Args:
        rng: Source of all randomness; the same state gives the same picture.
        size: Width and height, px.

    Returns:
        The picture; it has cars, and at least :data:`~pose_tools.dataset.demo.scene.LEAST_VISIBLE` of each
        that is labelled can be seen.
    """
    while True:
        stage = _Stage(sample_street(rng, size, ACT), rng)
        for _ in range(MOMENTS):
            scene = stage.frame(0, rng.uniform(0, ACT)).scene
            if scene.cars and min(car.visible_share for car in scene.cars) >= LEAST_VISIBLE:
                return scene


class _Stage:
    """What stays the same over a video, painted once.

    The backdrop is an affine function of the shadows on it, pixel by pixel; so the one without any and the
    one in full shadow give all others.
    """

    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self.street = street
        width, height = street.camera.size
        state = rng.bit_generator.state
        self.lit = paint_backdrop(rng, street.camera, street.road.ground, np.zeros((height, width), np.float32))
        rng.bit_generator.state = state
        dark = paint_backdrop(rng, street.camera, street.road.ground, np.ones((height, width), np.float32))
        self.fall = dark - self.lit
        self.lens: Lens = sample_lens(rng, width)
        self.rng = rng

    def frame(self, number: int, time: float) -> VideoFrame:
        """Renders one frame."""
        street = self.street
        ids, cars = _near_by(street, time)
        meshes = [*(car.mesh for car in cars), *street.props]
        rendering = render_meshes(street.camera, meshes, street.light)
        shadows = cast_shadows(street.camera, meshes, street.light.towards, street.shadow)
        image = self.lit + self.fall * shadows[..., None]
        image *= 1 - rendering.colour[..., 3:].astype(np.float32) / 255
        image += rendering.colour[..., :3]
        shift = tuple(int(n) for n in self.rng.integers(0, 512, 2))
        picture = photograph(image, replace(self.lens, shift=shift))
        labelled = _label(street, cars, rendering.owner)
        seen = [i for i, car in enumerate(labelled) if car is not None]
        scene = Scene(picture, tuple(labelled[i] for i in seen), street.camera.matrix)
        return VideoFrame(scene, np.array([ids[i] for i in seen], np.int64), number, time)


def _near_by(street: Street, time: float) -> tuple[list[int], list[PlacedCar]]:
    """Track ids and cars that are in the picture or not far beside it."""
    ids, cars = [], []
    width = street.camera.size[0]
    for number, vehicle in enumerate(street.vehicles, start=1):
        rotation, translation = vehicle.pose(street.road, time)
        ahead = street.camera.world_to_camera(translation)
        if ahead[2] - vehicle.shape.length < NEAREST:
            continue
        column = street.camera.camera_to_image(ahead)[0]
        reach = SIDEWAYS * width + vehicle.shape.length * street.camera.matrix[0, 0] / ahead[2]
        if -reach < column < width + reach:
            ids.append(number)
            cars.append(vehicle.placed(street.road, time))
    return ids, cars


def _label(street: Street, cars: list[PlacedCar], owner: np.ndarray) -> list[Car | None]:
    """The labels of each car, or ``None`` where too little of it can be seen."""
    counts = np.bincount(owner.ravel() + 1, minlength=len(cars) + 1)[1:] / SUPERSAMPLING ** 2
    found: list[Car | None] = []
    for i, car in enumerate(cars):
        share = min(1.0, counts[i] / silhouette_area(street.camera, car.mesh))
        others = [*(other.mesh for j, other in enumerate(cars) if j != i), *street.props]
        found.append(label_car(street.camera, car.shape, car.rotation, car.translation, car.mesh, others, share)
                     if share >= LEAST_LABELLED else None)
    return found
