"""Who stands where in a rendered picture: camera, cars in a car park, on a road or anywhere, other things."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.demo.backdrop import ASPHALT, FIELD, Ground, strip
from pose_tools.dataset.demo.camera import Camera, clip_to_picture, standing_camera
from pose_tools.dataset.demo.cars import CarShape, car_mesh, sample_paint, sample_shape
from pose_tools.dataset.demo.mesh import Mesh, yaw_matrix
from pose_tools.dataset.demo.props import TALL, sample_prop
from pose_tools.dataset.demo.raster import Light

LEAST_IN_PICTURE = 0.55  # share of a car's outline inside the picture
LEAST_SEEN = 0.42  # share of a car's outline that other outlines leave free; convex, so a cautious guess
LEAST_SEEN_IN_STREET = 0.75
LEAST_SIZE = 0.085  # width of a car's outline as a share of the picture's
NEAREST = 1.0  # metres; no part of anything is nearer to the camera along its axis
COARSE = 4  # picture px to one px of the map on which outlines are compared

Pose = tuple[float, float, float]  # x, y in metres and yaw in radians, world


@dataclass(frozen=True)
class PlacedCar:
    """A car in the world: ``mesh`` is its model after ``rotation`` (3, 3) and ``translation`` (3,)."""

    shape: CarShape
    mesh: Mesh
    rotation: np.ndarray
    translation: np.ndarray


@dataclass(frozen=True)
class Layout:
    """What stands in a picture, in the world frame; ``shadow`` is the share of light that shadows take."""

    camera: Camera
    cars: list[PlacedCar]
    props: list[Mesh]
    ground: Ground
    light: Light
    shadow: float


@dataclass
class _Plan:
    """What has been placed so far: ground rectangles (4, 2), metres; outlines (N, 2), image px; distances."""

    camera: Camera
    footprints: list[np.ndarray]
    outlines: list[np.ndarray]
    distances: list[float]
    cars: list[int]
    least_seen: float = LEAST_SEEN


def sample_layout(rng: np.random.Generator, size: tuple[int, int], views: str = "all") -> Layout:
    """Draws a camera and places one to four cars and a few other things.

    Args:
        rng: Source of randomness.
        size: Width and height of the picture, px.
        views: "street" has the cars pass by, seen from a pavement; "all" has them anywhere and from everywhere.

    Returns:
        Cars and things that do not touch each other; every car is at least partly visible.
    """
    while True:
        camera, distance = _sample_camera(rng, size)
        style = _street if views == "street" else _STYLES[rng.choice(3, p=(0.4, 0.3, 0.3))]
        ground, poses = style(rng, distance)
        plan = _Plan(camera, [], [], [], [], LEAST_SEEN_IN_STREET if views == "street" else LEAST_SEEN)
        wanted = int(rng.choice((1, 2, 3, 4), p=(0.2, 0.3, 0.3, 0.2)))
        cars: list[PlacedCar] = []
        for pose in _likely_first(rng, poses, distance):
            car = _place_car(rng, plan, pose)
            if car is not None:
                cars.append(car)
            if len(cars) == wanted:
                break
        if cars:
            break
    props = _place_props(rng, plan, distance)
    light, shadow = sample_light(rng)
    return Layout(camera, cars, props, ground, light, shadow)


def _likely_first(rng: np.random.Generator, poses: list[Pose], distance: float) -> list[Pose]:
    """The poses shuffled, those near the point the camera looks at rather first."""
    ranks = [np.hypot(x - distance, y) * rng.uniform(0.3, 1) for x, y, _ in poses]
    return [poses[i] for i in np.argsort(ranks)]


def _sample_camera(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Camera, float]:
    """A camera 1 to 6 m high and the distance it looks at, metres; a car there fills 1/5 to 1/2 the width."""
    focal = size[0] * rng.uniform(0.85, 1.25)
    height = 1 + 5 * rng.beta(1.2, 2.2)
    share = np.exp(rng.uniform(np.log(0.25), np.log(0.55)))
    distance = 3.7 * focal / (share * size[0])
    pitch = np.arctan2(height - 0.8, distance) + rng.uniform(-0.07, 0.07)
    return standing_camera(size, focal, height, pitch, rng.normal(0, 0.015)), distance


def sample_light(rng: np.random.Generator) -> tuple[Light, float]:
    """Sun from anywhere above, or an overcast sky; and how dark shadows are."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2)
    level = np.cos(elevation)
    towards = np.array([np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation)])
    if rng.random() < 0.3:
        return Light(towards, sun=0.12, sky=0.9), 0.0
    return Light(towards, sun=rng.uniform(0.3, 0.5), sky=rng.uniform(0.62, 0.75)), rng.uniform(0.35, 0.55)


def _car_park(rng: np.random.Generator, distance: float) -> tuple[Ground, list[Pose]]:
    """Rows of marked slots at any angle, some of them taken."""
    angle = rng.uniform(0, 2 * np.pi)
    turn, middle = yaw_matrix(angle)[:2, :2], np.array([distance, 0])
    pitch, depth, aisle = rng.uniform(2.7, 3.1), 5.6, rng.uniform(6, 7.5)
    origin = middle + turn @ rng.uniform((-pitch / 2, -depth / 2), (pitch / 2, depth / 2))
    white = (205, 208, 208) if rng.random() < 0.8 else (70, 190, 225)
    ground = Ground(ASPHALT[rng.integers(len(ASPHALT))])
    poses = []
    for row in (-1, 0, 1):
        across = row * (depth + (aisle if row == 1 else 0.0))
        for slot in range(-6, 7):
            ends = [origin + turn @ ((slot - 0.5) * pitch, across + side * depth / 2) for side in (-1, 1)]
            ground.areas.append((strip(*ends, 0.12), white))
            where = origin + turn @ (slot * pitch + rng.normal(0, 0.1), across + rng.normal(0, 0.15))
            yaw = angle + np.pi / 2 * rng.choice((-1, 1)) + rng.normal(0, 0.04)
            poses.append((*where, yaw))
    return ground, poses


def _road(rng: np.random.Generator, distance: float) -> tuple[Ground, list[Pose]]:
    """A road at any angle."""
    return _road_at(rng, distance, rng.uniform(0, 2 * np.pi))


def _street(rng: np.random.Generator, distance: float) -> tuple[Ground, list[Pose]]:
    """A road across the view, give or take 30 degrees: cars go to the left or to the right."""
    return _road_at(rng, distance, rng.choice((-1, 1)) * np.pi / 2 + rng.uniform(-1, 1) * np.pi / 6)


@dataclass(frozen=True)
class Road:
    """A straight road with two lanes each way, of which the outer ones are for parking.

    Attributes:
        ground: What it looks like.
        origin: A point on its middle line (2,), metres, world.
        angle: Its direction, radians, world.
        half: Half its width, metres.
    """

    ground: Ground
    origin: np.ndarray
    angle: float
    half: float

    @property
    def lanes(self) -> tuple[float, float]:
        """How far the middles of the driving and of the parking lane are from the middle line, metres."""
        return 1.6, self.half - 1.15

    def to_world(self, along: float, across: float) -> np.ndarray:
        """Maps metres along and to the left of the middle line to the world (2,)."""
        return self.origin + yaw_matrix(self.angle)[:2, :2] @ (along, across)

    def yaw(self, across: float) -> float:
        """Direction of travel, radians: cars keep to the right."""
        return self.angle + (np.pi if across > 0 else 0)


def sample_road(rng: np.random.Generator, distance: float, angle: float, jitter: float = 3.0) -> Road:
    """Draws a road with kerbs and pavements.

    Args:
        rng: Source of randomness.
        distance: How far ahead of the camera it is, metres.
        angle: Its direction, radians, world.
        jitter: How much nearer or farther it may be, metres.
    """
    turn = yaw_matrix(angle)[:2, :2]
    origin = np.array([distance, 0]) + turn @ (0, rng.uniform(-jitter, jitter))
    half = rng.uniform(5.2, 6)

    def line(across: float, start: float, end: float, width: float) -> np.ndarray:
        return strip(origin + turn @ (start, across), origin + turn @ (end, across), width)

    ground = Ground(FIELD[rng.integers(len(FIELD))])
    pavement = (150, 158, 162)
    ground.areas.append((line(0, -120, 120, 2 * half + 4), pavement))
    ground.areas.append((line(0, -120, 120, 2 * half + 0.3), (185, 188, 188)))
    ground.areas.append((line(0, -120, 120, 2 * half), ASPHALT[rng.integers(len(ASPHALT))]))
    for start in np.arange(-30, 30, 6.0):
        ground.areas.append((line(0, start, start + 3, 0.15), (215, 215, 215)))
    return Road(ground, origin, angle, half)


def _road_at(rng: np.random.Generator, distance: float, angle: float) -> tuple[Ground, list[Pose]]:
    """A road with kerbs; cars keep to the right or are parked along it."""
    road = sample_road(rng, distance, angle)
    poses = []
    for _ in range(60):
        side = rng.choice((-1, 1))
        lane = side * rng.choice(road.lanes)
        where = road.to_world(rng.uniform(-16, 16), lane + rng.normal(0, 0.1))
        poses.append((*where, road.yaw(lane) + rng.normal(0, 0.05)))
    return road.ground, poses


def _open_ground(rng: np.random.Generator, distance: float) -> tuple[Ground, list[Pose]]:
    """Cars anywhere, turned anywhere."""
    ground = Ground((ASPHALT + FIELD)[rng.integers(len(ASPHALT) + len(FIELD))])
    poses = []
    for _ in range(60):
        x = distance * rng.uniform(0.6, 1.7)
        poses.append((x, x * rng.uniform(-0.6, 0.6), rng.uniform(0, 2 * np.pi)))
    return ground, poses


_STYLES: tuple[Callable[[np.random.Generator, float], tuple[Ground, list[Pose]]], ...] = (
    _car_park, _road, _open_ground)


def _place_car(rng: np.random.Generator, plan: _Plan, pose: Pose) -> PlacedCar | None:
    """Puts a car at a pose unless it would touch, hide or miss too much; adds it to the plan."""
    x, y, yaw = pose
    if x < 3 or abs(y) > x:
        return None
    shape = sample_shape(rng)
    half = np.array([shape.length / 2 + 0.05, shape.width / 2 + 0.25])
    rotation, translation = yaw_matrix(yaw), np.array([x, y, 0.0])
    hull = _hull_corners(shape) @ rotation.T + translation
    if not _add(plan, hull, _rectangle(half, rotation, translation), is_car=True):
        return None
    paint = sample_paint(rng)
    return PlacedCar(shape, car_mesh(shape, paint).moved(rotation, translation), rotation, translation)


def _hull_corners(shape: CarShape) -> np.ndarray:
    """Corners (12, 3) of a simple solid around a car, car frame, metres: up to the waist, and the roof."""
    half = np.array([shape.length / 2, shape.width / 2])
    low = [(sx * half[0], sy * half[1], z) for sx in (-1, 1) for sy in (-1, 1) for z in (0, shape.waist)]
    high = [(x, sy * 0.78 * half[1], shape.height) for x in shape.roof for sy in (-1, 1)]
    return np.array(low + high)


def _place_props(rng: np.random.Generator, plan: _Plan, distance: float) -> list[Mesh]:
    """Things between and behind the cars, some of them before a car."""
    meshes = []
    near = [plan.footprints[i].mean(axis=0) for i in plan.cars]
    for number in range(int(rng.integers(1, 6))):
        kind = rng.choice(3, p=(0.35, 0.45, 0.2))
        if kind == 0:
            target = near[rng.integers(len(near))]
            where = target * rng.uniform(0.6, 0.85) + rng.normal(0, 0.9, 2)
        elif kind == 1:
            x = distance * rng.uniform(0.7, 2)
            where = np.array([x, x * rng.uniform(-0.6, 0.6)])
        else:
            x = distance * rng.uniform(1.4, 2) + 5
            where = np.array([x, x * rng.uniform(-0.6, 0.6)])
        prop = sample_prop(rng, TALL) if kind == 2 else sample_prop(rng)
        rotation = yaw_matrix(np.arctan2(where[1], where[0]) + (rng.normal(0, 0.3) if number % 2 else 0))
        translation = np.array([*where, 0.0])
        mesh = prop.mesh.moved(rotation, translation)
        half = np.array(prop.footprint) + 0.1
        if where[0] > 2.5 and _add(plan, mesh.points, _rectangle(half, rotation, translation), is_car=False):
            meshes.append(mesh)
    return meshes


def _add(plan: _Plan, points: np.ndarray, footprint: np.ndarray, is_car: bool) -> bool:
    """Adds something with these points (N, 3) to the plan unless it breaks a rule; tells whether it did."""
    import cv2

    if plan.camera.world_to_camera(points)[:, 2].min() < NEAREST:
        return False
    if any(rectangles_touch(footprint, other) for other in plan.footprints):
        return False
    outline = cv2.convexHull(plan.camera.world_to_image(points).astype(np.float32))[:, 0].astype(float)
    if is_car and not _fits(plan.camera, outline):
        return False
    trial = _Plan(plan.camera, [*plan.footprints, footprint], [*plan.outlines, outline],
                  [*plan.distances, float(np.linalg.norm(footprint.mean(axis=0)))],
                  [*plan.cars, len(plan.outlines)] if is_car else plan.cars)
    shares = _free_shares(trial)
    if any(shares[i] < plan.least_seen for i in trial.cars):
        return False
    plan.footprints, plan.outlines, plan.distances, plan.cars = (
        trial.footprints, trial.outlines, trial.distances, trial.cars)
    return True


def _fits(camera: Camera, outline: np.ndarray) -> bool:
    """Whether a car's outline (N, 2), image px, is large enough and enough of it in the picture."""
    inside = clip_to_picture(outline, camera.size)
    if len(inside) < 3:
        return False
    extent = np.ptp(inside, axis=0)
    return (extent[0] >= LEAST_SIZE * camera.size[0] and extent[1] >= 0.7 * LEAST_SIZE * camera.size[0]
            and polygon_area(inside) >= LEAST_IN_PICTURE * polygon_area(outline))


def _free_shares(plan: _Plan) -> list[float]:
    """Share of each outline that is in the picture and that no nearer outline covers."""
    import cv2

    width, height = plan.camera.size
    canvas = np.zeros((height // COARSE + 1, width // COARSE + 1), np.uint8)
    for i in np.argsort(plan.distances)[::-1]:
        cv2.fillConvexPoly(canvas, np.round(plan.outlines[i] / COARSE).astype(np.int32), int(i) + 1)
    counts = np.bincount(canvas.ravel(), minlength=len(plan.outlines) + 1)[1:]
    areas = [max(polygon_area(outline), 1.0) for outline in plan.outlines]
    return [count * COARSE ** 2 / area for count, area in zip(counts, areas)]


def _rectangle(half: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Corners (4, 2) on the ground of a rectangle with half extents (2,) after a motion, metres."""
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return corners @ rotation[:2, :2].T + translation[:2]


def polygon_area(points: np.ndarray) -> float:
    """Area of a simple polygon (N, 2) by the shoelace formula."""
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def rectangles_touch(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two rectangles (4, 2) overlap, by the separating axis theorem."""
    for rectangle in (first, second):
        for axis in (rectangle[1] - rectangle[0], rectangle[2] - rectangle[1]):
            a, b = first @ axis, second @ axis
            if a.max() < b.min() or b.max() < a.min():
                return False
    return True

