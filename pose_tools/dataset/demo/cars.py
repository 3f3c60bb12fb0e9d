"""The rendered cars: five bodies in random proportions, built of flat faces, and their eight keypoints.

Car frame: origin on the ground below the middle of the car, x forward, y to the car's own left, z up, metres.
Front and rear look different (lamps, grille, plates, windscreen), so that which side is left can be learnt.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.demo.mesh import Colour, Mesh, MeshBuilder, inset, ring

KEYPOINTS = (
    "left-front-bumper", "left-rear-bumper", "left-front-tire", "left-rear-tire",
    "right-front-bumper", "right-rear-bumper", "right-front-tire", "right-rear-tire",
)

# What differs between bodies: ranges of length, width and height in metres; where the cabin starts and ends
# at its base and at the roof, as shares of the length from the middle (rear, front); height of the waist.
BODIES = {
    "sedan": ((4.4, 4.9), (1.76, 1.9), (1.42, 1.5), (-0.38, 0.21), (-0.23, 0.05), (0.93, 0.98)),
    "hatchback": ((3.7, 4.2), (1.66, 1.8), (1.45, 1.58), (-0.48, 0.24), (-0.41, 0.06), (0.93, 1.0)),
    "suv": ((4.4, 4.8), (1.82, 1.95), (1.66, 1.8), (-0.485, 0.22), (-0.43, 0.07), (1.04, 1.12)),
    "van": ((4.6, 5.2), (1.85, 2.0), (1.9, 2.1), (-0.49, 0.37), (-0.47, 0.2), (1.05, 1.15)),
    "pickup": ((5.0, 5.4), (1.85, 1.98), (1.75, 1.85), (-0.1, 0.22), (-0.07, 0.08), (1.05, 1.12)),
}
PAINTS = ((235, 235, 232), (190, 192, 195), (120, 122, 126), (48, 46, 46), (150, 70, 30), (200, 130, 50),
          (40, 40, 190), (30, 25, 130), (60, 110, 50), (70, 190, 230), (40, 120, 225), (165, 190, 205),
          (110, 120, 60), (130, 60, 110))
GLASS, DARK, TYRE, CHROME = (92, 74, 58), (38, 36, 36), (34, 32, 32), (205, 205, 205)
RED, AMBER, LAMP, PLATE = (28, 20, 205), (20, 130, 240), (250, 250, 240), (225, 235, 235)
LEVEL_WIDTHS = (0.94, 1.0, 0.985, 0.9)  # half-width at sill, bumper, shoulder and upper edge, as shares


@dataclass(frozen=True)
class CarShape:
    """Measures of a car, metres; ``cabin`` and ``roof`` are the x of their rear and front end.

    ``bumper`` is the height of the bumper keypoints, ``taper`` the width of the rear and the front end as a
    share of ``width``, ``axles`` the x of the rear and the front axle, ``spokes`` the number of spokes.
    """

    body: str
    length: float
    width: float
    height: float
    waist: float
    sill: float
    bumper: float
    shoulder: float
    nose: float
    taper: tuple[float, float]
    cabin: tuple[float, float]
    roof: tuple[float, float]
    axles: tuple[float, float]
    wheel_radius: float
    wheel_width: float
    spokes: int


def sample_shape(rng: np.random.Generator, body: str = "") -> CarShape:
    """Draws a body and its measures.

    Args:
        rng: Source of randomness.
        body: Which of :data:`BODIES` it must be; drawn where it is left out.
    """
    body = body or str(rng.choice(list(BODIES), p=(0.3, 0.25, 0.2, 0.12, 0.13)))
    lengths, widths, heights, cabin, roof, waists = BODIES[body]
    length, width, height, waist = (rng.uniform(*r) for r in (lengths, widths, heights, waists))
    radius = rng.uniform(0.31, 0.34) * height / 1.5 if body != "van" else rng.uniform(0.33, 0.37)
    sill = rng.uniform(0.2, 0.24) + (0.08 if body in ("suv", "pickup") else 0.0)
    shift = rng.uniform(-0.015, 0.015)
    return CarShape(
        body, length, width, height, waist, sill, bumper=sill + rng.uniform(0.26, 0.3), shoulder=waist - 0.2,
        nose=waist - rng.uniform(0.14, 0.2), taper=(rng.uniform(0.87, 0.92), rng.uniform(0.78, 0.85)),
        cabin=((cabin[0] + max(shift, 0)) * length, (cabin[1] + shift) * length),
        roof=((roof[0] + max(shift, 0)) * length, (roof[1] + shift) * length),
        axles=(-length / 2 + rng.uniform(0.18, 0.21) * length, length / 2 - rng.uniform(0.17, 0.2) * length),
        wheel_radius=radius, wheel_width=rng.uniform(0.2, 0.25), spokes=int(rng.integers(5, 8)))


def sample_paint(rng: np.random.Generator) -> np.ndarray:
    """Draws the BGR (3,) of a body."""
    return np.clip(np.array(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(0.85, 1.1), 0, 245)


def car_keypoints(shape: CarShape) -> np.ndarray:
    """The keypoints (8, 3) in the car frame, in the order of :data:`KEYPOINTS`.

    Bumper points are the outermost corners of the body's front and rear end at bumper height; tire points are
    the hub centres on the outer face of the wheels.

    Args:
        shape: Measures of the car.
    """
    half = shape.width / 2
    points = []
    for side in (1, -1):
        points += [(shape.length / 2, side * half * shape.taper[1], shape.bumper),
                   (-shape.length / 2, side * half * shape.taper[0], shape.bumper),
                   (shape.axles[1], side * wheel_face(shape), shape.wheel_radius),
                   (shape.axles[0], side * wheel_face(shape), shape.wheel_radius)]
    return np.array(points)


def wheel_face(shape: CarShape) -> float:
    """Distance of the wheels' outer faces from the car's middle plane, metres."""
    return shape.width / 2 + 0.015


def car_mesh(shape: CarShape, paint: Colour, roll: float = 0.0) -> Mesh:
    """Builds a car.

    Args:
        shape: Its measures.
        paint: BGR of the body.
        roll: How far the wheels have turned while the car drove ahead, radians.
    """
    build = MeshBuilder(centre=np.array([0, 0, shape.shoulder]))
    grid = _body_grid(shape)
    trim = DARK if shape.body in ("suv", "pickup") else tuple(0.55 * c for c in paint)
    _add_sides(build, shape, grid, paint, trim)
    _add_front(build, grid[:, -1], paint, trim)
    _add_rear(build, grid[:, 0], paint, trim)
    _add_cabin(build, shape, paint)
    for x in shape.axles:
        for side in (1, -1):
            _add_wheel(build, shape, x, side, roll)
    return build.build()


def _body_grid(shape: CarShape) -> np.ndarray:
    """Corners of the lower body (2 sides, 5 stations from rear to front, 4 levels, 3)."""
    half, length = shape.width / 2, shape.length
    deck = shape.waist - (0.04 if shape.body == "sedan" else 0.0)
    stations = np.array([-length / 2, -length / 2 + 0.3, min(shape.cabin[1], length / 2 - 0.6),
                         length / 2 - 0.42, length / 2])
    widths = half * np.array([shape.taper[0], 1, 1, 1, shape.taper[1]])
    tops = np.array([deck - 0.03, deck, shape.waist, shape.nose + 0.07, shape.nose])
    rear_lean, front_lean = (0.05, 0, 0.03, 0.07), (-0.07, 0, -0.05, -0.14)
    grid = np.zeros((2, 5, 4, 3))
    for station in range(5):
        for level, share in enumerate(LEVEL_WIDTHS):
            lean = rear_lean[level] if station == 0 else front_lean[level] if station == 4 else 0.0
            shoulder = min(shape.shoulder, tops[station] - 0.06)
            height = (shape.sill, shape.bumper, shoulder, tops[station])[level]
            for side, sign in enumerate((1, -1)):
                y = sign * widths[station] * share
                grid[side, station, level] = (stations[station] + lean, y, height)
    return grid


def _band(grid: np.ndarray, side: int, station: int, level: int) -> np.ndarray:
    """One quad (4, 3) of a side: bottom rear, bottom front, top front, top rear."""
    return np.array([grid[side, station, level], grid[side, station + 1, level],
                     grid[side, station + 1, level + 1], grid[side, station, level + 1]])


def _end(corners: np.ndarray, level: int) -> np.ndarray:
    """One quad (4, 3) of an end: bottom left, bottom right, top right, top left."""
    return np.array([corners[0, level], corners[1, level], corners[1, level + 1], corners[0, level + 1]])


def _add_sides(build: MeshBuilder, shape: CarShape, grid: np.ndarray, paint: Colour, trim: Colour) -> None:
    """The long sides with doors and wheel arches, the top faces and the underside."""
    for side in (0, 1):
        for station in range(4):
            for level in range(3):
                build.face(_band(grid, side, station, level), trim if level == 0 else paint)
        seam = tuple(0.45 * c for c in paint)
        doors = _band(grid, side, 1, 1), _band(grid, side, 1, 2)
        start, end = doors[0][0, 0], doors[0][1, 0]
        for x in _door_seams(shape):
            share = (x - start) / (end - start)
            for band in doors:
                build.patch(band, (share - 0.004, share + 0.004), (0, 1), seam)
            build.patch(doors[1], (share + 0.015, share + 0.05), (0.25, 0.5), seam)
        for x in shape.axles:
            _add_arch(build, shape, x, 1 - 2 * side)
    for station in range(4):
        left, right = grid[0, station:station + 2, 3], grid[1, station:station + 2, 3]
        build.face(np.array([left[0], left[1], right[1], right[0]]), paint)
    if shape.body == "pickup":
        deck = np.array([grid[0, 0, 3], (shape.cabin[0], grid[0, 1, 3, 1], grid[0, 1, 3, 2]),
                         (shape.cabin[0], grid[1, 1, 3, 1], grid[1, 1, 3, 2]), grid[1, 0, 3]])
        build.patch(deck, (0.04, 0.97), (0.07, 0.93), DARK)
    floor = np.concatenate([grid[0, :, 0], grid[1, ::-1, 0]])
    build.face(floor, DARK)


def _door_seams(shape: CarShape) -> tuple[float, ...]:
    """The x of the door seams: behind, between and ahead of the doors."""
    front = shape.roof[1] + 0.6 * (shape.cabin[1] - shape.roof[1])
    if shape.body == "pickup":
        return shape.cabin[0] + 0.1, front
    return shape.axles[0] + 0.42, (shape.axles[0] + 0.42 + front) / 2, front


def _add_arch(build: MeshBuilder, shape: CarShape, x: float, sign: int) -> None:
    """The dark opening around a wheel, as far as the body reaches down."""
    circle = ring((x, sign * (shape.width / 2 + 0.004), shape.wheel_radius), 1.17 * shape.wheel_radius, 1, 28)
    circle[:, 2] = np.maximum(circle[:, 2], shape.sill)
    build.face(circle, (26, 25, 25), decal=True, outward=(0, sign, 0))


def _add_front(build: MeshBuilder, corners: np.ndarray, paint: Colour, trim: Colour) -> None:
    """Grille, white lamps and plate. ``corners`` (2 sides, 4 levels, 3)."""
    for level in range(3):
        build.face(_end(corners, level), trim if level == 0 else paint)
    build.patch(_end(corners, 0), (0.2, 0.8), (0.12, 0.5), DARK)
    build.patch(_end(corners, 0), (0.04, 0.14), (0.35, 0.75), AMBER, shaded=False)
    build.patch(_end(corners, 0), (0.86, 0.96), (0.35, 0.75), AMBER, shaded=False)
    build.patch(_end(corners, 0), (0.36, 0.64), (0.6, 1.0), PLATE)
    nose = _end(corners, 1)
    build.patch(nose, (0.27, 0.73), (0.1, 0.92), DARK)
    for height in (0.3, 0.52, 0.74):
        build.patch(nose, (0.27, 0.73), (height, height + 0.07), CHROME)
    for across in ((0.01, 0.24), (0.76, 0.99)):
        build.patch(nose, across, (0.3, 1.0), (120, 118, 115))
        middle = sum(across) / 2
        build.patch(nose, (middle - 0.09, middle + 0.09), (0.4, 0.92), LAMP, shaded=False)


def _add_rear(build: MeshBuilder, corners: np.ndarray, paint: Colour, trim: Colour) -> None:
    """Red lamps, boot lid and plate. ``corners`` (2 sides, 4 levels, 3)."""
    for level in range(3):
        build.face(_end(corners, level), trim if level == 0 else paint)
    seam = tuple(0.45 * c for c in paint)
    build.patch(_end(corners, 0), (0.1, 0.9), (0.1, 0.45), DARK)
    boot = _end(corners, 1)
    build.patch(boot, (0.2, 0.8), (0.0, 0.05), seam)
    build.patch(boot, (0.36, 0.64), (0.25, 0.75), (90, 205, 240))
    upper = _end(corners, 2)
    for across in ((0.01, 0.24), (0.76, 0.99)):
        build.patch(boot, across, (0.45, 1.0), RED, shaded=False)
        build.patch(upper, across, (0.0, 0.75), RED, shaded=False)
        middle = sum(across) / 2
        build.patch(boot, (middle - 0.05, middle + 0.05), (0.5, 0.75), (200, 205, 250), shaded=False)


def _add_cabin(build: MeshBuilder, shape: CarShape, paint: Colour) -> None:
    """Windows, pillars, roof and mirrors."""
    half = shape.width / 2
    closed = shape.body not in ("sedan", "pickup")
    base = half * (0.9 * shape.taper[0] + 0.02 if closed else 0.88), half * 0.88
    top = half * (0.78 if shape.body == "van" else 0.7)
    foot = shape.waist - 0.06

    def sides(sign: int) -> np.ndarray:
        low = [(x, sign * half_width, foot) for x, half_width in zip(shape.cabin, base)]
        high = [(x, sign * top, shape.height) for x in reversed(shape.roof)]
        return np.array(low + high)

    left, right = sides(1), sides(-1)
    front = np.array([right[1], left[1], left[2], right[2]])
    rear = np.array([left[0], right[0], right[3], left[3]])
    for quad in (left, right, front, rear, np.array([left[3], left[2], right[2], right[3]])):
        build.face(quad, paint)
    _add_glass(build, front, (0.05, 0.95), (0.14, 0.93))
    _add_glass(build, rear, (0.09, 0.91), (0.3 if closed else 0.18, 0.9))
    panes = {"pickup": ((0.1, 0.88),), "van": ((0.55, 0.74), (0.77, 0.93))}.get(
        shape.body, ((0.1, 0.33), (0.36, 0.62), (0.65, 0.9)) if closed else ((0.13, 0.49), (0.53, 0.9)))
    for quad, sign in ((left, 1), (right, -1)):
        for pane in panes:
            _add_glass(build, quad, pane, (0.18, 0.88))
        x, y, z = shape.cabin[1] - 0.32, sign * (half * 0.9), shape.waist + 0.02
        low, high = sorted((y, y + sign * 0.2))
        build.box((x - 0.06, low, z), (x + 0.06, high, z + 0.14), paint)


def _add_glass(build: MeshBuilder, quad: np.ndarray, across: tuple[float, float],
               up: tuple[float, float]) -> None:
    """A window with a brighter band where it mirrors the sky."""
    build.patch(quad, across, up, GLASS)
    pane = inset(quad, across, up)
    build.patch(pane, (0.0, 1.0), (0.55, 1.0), tuple(c + 26 for c in GLASS))
    corners = ((0.2, 0), (0.38, 0), (0.62, 1), (0.44, 1))
    streak = np.array([inset(pane, (s, s), (t, t))[0] for s, t in corners])
    build.face(streak, tuple(c + 52 for c in GLASS), decal=True)


def _add_wheel(build: MeshBuilder, shape: CarShape, x: float, sign: int, roll: float) -> None:
    """Tyre, rim and spokes; ``sign`` is 1 on the left side and -1 on the right."""
    radius, outer = shape.wheel_radius, sign * wheel_face(shape)
    faces = (outer - sign * shape.wheel_width, outer)
    build.tube(*(ring((x, y, radius), radius, 1, 24) for y in faces), side=TYRE)
    facing = (0, sign, 0)

    def disc(share: float, colour: Colour) -> None:
        build.face(ring((x, outer, radius), share * radius, 1, 24), colour, decal=True, outward=facing)

    disc(0.7, CHROME)
    step = 2 * np.pi / shape.spokes
    for spoke in range(shape.spokes):
        angles = spoke * step + np.array([0.22, 0.78, 0.68, 0.32]) * step - roll
        radii = radius * np.array([0.6, 0.6, 0.24, 0.24])
        gap = np.full((4, 3), outer)
        gap[:, 0], gap[:, 2] = x + radii * np.cos(angles), radius + radii * np.sin(angles)
        build.face(gap, (70, 68, 68), decal=True, outward=facing)
    disc(0.16, (150, 150, 150))
