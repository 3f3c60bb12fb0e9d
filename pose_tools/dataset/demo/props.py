"""Things that are no cars: they hide parts of cars, or stand about to be told apart from them.

Every builder fills a mesh in its own frame (origin on the ground, z up, metres) and returns half its extent
along x and y. What is flat, such as leaves, faces -x, the side the camera is on once the mesh has been
turned by the direction it is seen in.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.demo.mesh import Colour, Mesh, MeshBuilder, ring

STANDING = ("pole", "bollard", "cone", "crate", "bin", "bush", "wall", "sign")  # also before cars
TALL = ("tree", "lamp")  # behind the cars


@dataclass(frozen=True)
class Prop:
    """A thing in its own frame.

    Attributes:
        name: What it is.
        mesh: Its faces.
        footprint: Half its extent along x and y, metres.
    """

    name: str
    mesh: Mesh
    footprint: tuple[float, float]


def sample_prop(rng: np.random.Generator, names: tuple[str, ...] = STANDING) -> Prop:
    """Draws a thing and its measures.

    Args:
        rng: Source of randomness.
        names: What may be drawn, of :data:`STANDING` and :data:`TALL`.
    """
    name = str(rng.choice(names))
    build = MeshBuilder()
    footprint = _BUILDERS[name](build, rng)
    return Prop(name, build.build(), footprint)


def _tint(rng: np.random.Generator, *colours: Colour) -> tuple[float, ...]:
    """One of the colours, a little lighter or darker."""
    chosen = np.array(colours[rng.integers(len(colours))], float)
    return tuple(np.clip(chosen * rng.uniform(0.85, 1.15), 0, 255))


def _column(build: MeshBuilder, radii: tuple[float, float], heights: tuple[float, float], colour: Colour,
            count: int = 14) -> None:
    """A round column or a cone's part; radius and height of its lower and upper end."""
    low, high = (ring((0, 0, z), r, 2, count) for r, z in zip(radii, heights))
    build.tube(low, high, colour)


def _pole(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    radius = rng.uniform(0.05, 0.09)
    _column(build, (radius, radius), (0, rng.uniform(2.4, 4)), _tint(rng, (150, 150, 150), (80, 90, 80)))
    _column(build, (2 * radius, 2 * radius), (0, 0.08), (110, 110, 110))
    return 2 * radius, 2 * radius


def _lamp(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    height = rng.uniform(5, 7)
    _column(build, (0.09, 0.06), (0, height), (95, 100, 95))
    build.box((-0.12, -0.1, height), (0.12, 1.1, height + 0.1), (120, 122, 120))
    return 0.15, 0.15


def _bollard(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    colour = _tint(rng, (40, 190, 235), (60, 60, 190), (110, 110, 110))
    for i, z in enumerate((0, 0.25, 0.5, 0.7)):
        _column(build, (0.09, 0.09), (z, z + 0.25), colour if i % 2 == 0 else (50, 50, 50))
    return 0.1, 0.1


def _cone(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    size = rng.uniform(0.8, 1.2)
    orange = (30, 95, 235)
    build.box((-0.2 * size, -0.2 * size, 0), (0.2 * size, 0.2 * size, 0.04), (40, 40, 40))
    bands = ((0.16, 0.04, orange), (0.11, 0.3, (240, 240, 240)), (0.07, 0.5, orange), (0.03, 0.72, orange))
    for (r0, z0, colour), (r1, z1, _) in zip(bands, bands[1:]):
        _column(build, (r0 * size, r1 * size), (z0 * size, z1 * size), colour)
    return 0.2 * size, 0.2 * size


def _crate(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    x, y, z = rng.uniform(0.3, 0.65, 2).tolist() + [rng.uniform(0.5, 1.2)]
    colour = _tint(rng, (95, 140, 180), (80, 110, 140), (120, 90, 50), (70, 120, 70), (60, 60, 160))
    build.box((-x, -y, 0), (x, y, z), colour)
    edge = tuple(0.7 * c for c in colour)
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        wall = np.array([[*a, 0], [*b, 0], [*b, z], [*a, z]])
        for up in ((0.08, 0.14), (0.86, 0.92), (0.47, 0.53)):
            build.patch(wall, (0, 1), up, edge)
    return x, y


def _bin(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    radius, height = rng.uniform(0.26, 0.4), rng.uniform(0.8, 1.15)
    colour = _tint(rng, (60, 110, 50), (110, 110, 115), (150, 90, 40), (50, 60, 150))
    _column(build, (0.88 * radius, radius), (0, height), colour)
    _column(build, (1.06 * radius, 0.9 * radius), (height, height + 0.09), tuple(0.6 * c for c in colour))
    return radius, radius


def _sign(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    height, half = rng.uniform(1.9, 2.4), rng.uniform(0.24, 0.34)
    _column(build, (0.035, 0.035), (0, height), (140, 140, 140), 8)
    colour = _tint(rng, (170, 90, 30), (40, 40, 200), (60, 130, 40), (40, 200, 240))
    facing = (-1, 0, 0)
    count = int(rng.choice((4, 8, 20)))
    white = (235, 235, 235)
    for share, paint in ((1.0, white), (0.86, colour), (0.4, white)):
        plate = ring((-0.04, 0, height), share * half, 0, count, np.pi / count)
        build.face(plate, paint, decal=share < 1, outward=facing)
    return 0.1, 0.1


def _wall(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    half, height = rng.uniform(0.7, 1.8), rng.uniform(0.45, 0.95)
    colour = _tint(rng, (70, 85, 150), (150, 155, 160), (110, 140, 165))
    build.box((-0.14, -half, 0), (0.14, half, height), colour)
    build.box((-0.17, -half - 0.03, height), (0.17, half + 0.03, height + 0.07), (175, 178, 180))
    side = np.array([[-0.14, -half, 0], [-0.14, half, 0], [-0.14, half, height], [-0.14, -half, height]])
    joint = tuple(0.8 * c + 10 for c in colour)
    courses = max(3, round(height / 0.15))
    for course in range(1, courses):
        build.patch(side, (0, 1), (course / courses - 0.012, course / courses + 0.012), joint)
    return 0.17, half + 0.03


def _leaves(build: MeshBuilder, rng: np.random.Generator, middle: np.ndarray, radii: np.ndarray,
            count: int) -> None:
    """A crown of flat tufts on the near half of an ellipsoid over a dark core; tufts overlap it a little."""
    green = np.array(_tint(rng, (50, 105, 70), (45, 120, 95), (40, 90, 55)))
    facing = (-1, 0, 0)
    core = ring(middle, 0.86, 0, 14)
    core[:, 1:] = middle[1:] + (core[:, 1:] - middle[1:]) * radii[1:]
    build.face(core, 0.55 * green, shaded=False, outward=facing)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:, 0] = -np.abs(directions[:, 0])
    for direction in directions:
        tuft = ring(middle + 0.85 * direction * radii, 0.2 * radii[2] * rng.uniform(0.7, 1.3), 0, 7,
                    rng.uniform(0, 1))
        light = 0.75 + 0.3 * direction[2] + rng.uniform(-0.12, 0.12)
        build.face(tuft, np.clip(light * green, 0, 255), shaded=False, outward=facing)


def _bush(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    radii = np.array([0.4, rng.uniform(0.45, 0.9), rng.uniform(0.4, 0.65)])
    _leaves(build, rng, np.array([0, 0, 0.8 * radii[2]]), radii, 60)
    return 0.45, radii[1]


def _tree(build: MeshBuilder, rng: np.random.Generator) -> tuple[float, float]:
    radii = np.array([1.2, rng.uniform(1.3, 2.2), rng.uniform(1.3, 2)])
    trunk = rng.uniform(1.6, 2.4)
    _column(build, (0.17, 0.12), (0, trunk + 0.5), (55, 75, 95), 10)
    _leaves(build, rng, np.array([0, 0, trunk + 0.85 * radii[2]]), radii, 110)
    return 0.3, 0.3


_BUILDERS: dict[str, Callable[[MeshBuilder, np.random.Generator], tuple[float, float]]] = {
    "pole": _pole, "lamp": _lamp, "bollard": _bollard, "cone": _cone, "crate": _crate, "bin": _bin,
    "sign": _sign, "wall": _wall, "bush": _bush, "tree": _tree}
