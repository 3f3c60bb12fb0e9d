"""What drives where in the rendered video: a street with parked cars, and traffic both ways.

The video is cut into acts of about three seconds. In each of them two cars that go opposite ways meet before the
camera, one hiding the other, and one drives on behind the van that is parked on the near side; another
comes late, and in the first act one is there at the beginning and leaves. Cars of a lane keep their distance.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pose_tools.dataset.demo.camera import Camera, standing_camera
from pose_tools.dataset.demo.cars import CarShape, car_mesh, sample_paint, sample_shape
from pose_tools.dataset.demo.layout import NEAREST, PlacedCar, Road, sample_light, sample_road
from pose_tools.dataset.demo.mesh import Mesh, yaw_matrix
from pose_tools.dataset.demo.props import TALL, sample_prop
from pose_tools.dataset.demo.raster import Light

ACT = 3.0  # seconds, about
WHEEL_PHASES = 12  # positions of a turning wheel that are modelled, per spoke
WANDER = 0.1  # metres; how far cars drift within their lane
IN_FRONT = ("bush", "pole", "bollard", "sign", "bin")  # on the near pavement; low or thin


@dataclass
class Vehicle:
    """A car that drives along a lane, or stands there.

    Attributes:
        shape: Its body and measures.
        paint: BGR (3,).
        across: Its lane: metres to the left of the road's middle line.
        along: Where on the road it is at ``time``, metres.
        time: Seconds.
        speed: Metres a second in the direction of travel; 0 for a parked one.
        phase: Where in its drifting from side to side it is at second 0, radians.
    """

    shape: CarShape
    paint: np.ndarray
    across: float
    along: float
    time: float = 0.0
    speed: float = 0.0
    phase: float = 0.0
    _meshes: dict[int, Mesh] = field(default_factory=dict, repr=False)

    def pose(self, road: Road, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Car frame to world at a second: rotation (3, 3) and translation (3,), metres."""
        driven = self.speed * (time - self.time)
        ahead = -1 if self.across > 0 else 1
        angle = self.phase + 1.5 * time
        drift, slope = (WANDER * np.sin(angle), WANDER * 1.5 * np.cos(angle) / self.speed) if self.speed else (0, 0)
        where = road.to_world(self.along + ahead * driven, self.across + ahead * drift)
        return yaw_matrix(road.yaw(self.across) + np.arctan(slope)), np.array([*where, 0.0])

    def placed(self, road: Road, time: float) -> PlacedCar:
        """The car in the world at a second, its wheels turned as far as it has driven."""
        rotation, translation = self.pose(road, time)
        turns = self.speed * (time - self.time) / self.shape.wheel_radius / (2 * np.pi)
        phases = self.shape.spokes * WHEEL_PHASES
        phase = int(turns * phases) % WHEEL_PHASES
        if phase not in self._meshes:
            self._meshes[phase] = car_mesh(self.shape, self.paint, 2 * np.pi * phase / phases)
        return PlacedCar(self.shape, self._meshes[phase].moved(rotation, translation), rotation, translation)


@dataclass(frozen=True)
class Street:
    """All that a video shows.

    Attributes:
        camera: It does not move.
        road: What is driven on.
        vehicles: All cars of the video; their track ids count from 1 in this order.
        props: What stands there, in the world frame.
        light: What shades meshes.
        shadow: Share of light that shadows take.
    """

    camera: Camera
    road: Road
    vehicles: tuple[Vehicle, ...]
    props: tuple[Mesh, ...]
    light: Light
    shadow: float


def sample_street(rng: np.random.Generator, size: tuple[int, int], duration: float) -> Street:
    """Draws a street and its traffic.

    Args:
        rng: Source of randomness.
        size: Width and height of the picture, px.
        duration: Of the video, seconds.
    """
    focal = size[0] * rng.uniform(0.95, 1.1)
    height = rng.uniform(1.5, 1.9)  # not above a van, so that what is behind it cannot be seen
    distance = rng.uniform(16, 17.5) * focal / size[0]
    pitch = np.arctan2(height - 0.8, distance) + rng.uniform(-0.02, 0.05)
    camera = standing_camera(size, focal, height, pitch, rng.normal(0, 0.01))
    road = sample_road(rng, distance, np.pi / 2 + rng.uniform(-0.2, 0.2), jitter=0.5)
    vehicles = _parked(rng, camera, road) + _traffic(rng, camera, road, duration)
    light, shadow = sample_light(rng)
    return Street(camera, road, tuple(vehicles), tuple(_props(rng, camera, road)), light, shadow)


def _along_at(camera: Camera, road: Road, across: float, share: float) -> float:
    """Where a lane passes a column of the picture: metres along the road; ``share`` of the width, 0 left."""
    slope = ((camera.size[0] - 1) / 2 - share * camera.size[0]) / camera.matrix[0, 0]
    start, ahead = road.to_world(0, across), road.to_world(1, across) - road.to_world(0, across)
    # On the column's plane y = slope * x in the world, the camera's roll and pitch left aside.
    return float((slope * start[0] - start[1]) / (ahead[1] - slope * ahead[0]))


def _vehicle(rng: np.random.Generator, across: float, along: float, time: float = 0.0, speed: float = 0.0,
             body: str = "") -> Vehicle:
    return Vehicle(sample_shape(rng, body), sample_paint(rng), across, along, time, speed, rng.uniform(0, 2 * np.pi))


def _parked(rng: np.random.Generator, camera: Camera, road: Road) -> list[Vehicle]:
    """A van on the near side to the right, a car or two on the far side."""
    parking = road.lanes[1]
    found = [_vehicle(rng, parking, _along_at(camera, road, parking, rng.uniform(0.68, 0.76)), body="van")]
    for share in (0.2, 0.52)[:rng.integers(1, 3)]:
        found.append(_vehicle(rng, -parking, _along_at(camera, road, -parking, share + rng.uniform(-0.05, 0.05))))
    return found


def _traffic(rng: np.random.Generator, camera: Camera, road: Road, duration: float) -> list[Vehicle]:
    """The cars that drive, act by act."""
    lane = road.lanes[0]
    acts = max(1, round(duration / ACT))
    length = duration / acts
    # Metres an act: a car that is before the camera in its middle has come into the picture at its beginning.
    near, far = rng.uniform(20, 22) / length, rng.uniform(23, 25) / length
    found = []
    for act in range(acts):
        meeting = rng.uniform(0.36, 0.44)
        cast = [
            (lane, near, 0.47, meeting, ""),
            (-lane, far, 0.47, meeting, str(rng.choice(("hatchback", "sedan")))),
            (lane, near, 1.03, 0.45, ""),
        ]
        if act == 0:
            cast.append((-lane, far, -0.05, 0.45, ""))
        for across, speed, time, share, body in cast:
            along = _along_at(camera, road, across, share)
            found.append(_vehicle(rng, across, along, (act + time) * length, speed, body))
    return found


def _props(rng: np.random.Generator, camera: Camera, road: Road) -> list[Mesh]:
    """Low things on the near pavement, trees and lamps beyond the far one."""
    found = []
    near, far = road.half + 1.1, -road.half - 3.5
    places = [(near, share + rng.uniform(-0.05, 0.05), IN_FRONT) for share in (0.12, 0.42)]
    places += [(far - rng.uniform(0, 4), share + rng.uniform(-0.08, 0.08), TALL) for share in (0.1, 0.4, 0.65, 0.9)]
    for across, share, names in places:
        where = road.to_world(_along_at(camera, road, across, share), across)
        prop = sample_prop(rng, names)
        mesh = prop.mesh.moved(yaw_matrix(np.arctan2(where[1], where[0])), np.array([*where, 0.0]))
        if camera.world_to_camera(mesh.points)[:, 2].min() > NEAREST:
            found.append(mesh)
    return found
