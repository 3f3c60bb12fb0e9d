"""Solids made of flat faces: what the rendered cars and the things around them are built from.

Lengths are metres. A mesh is in its own frame (x forward, y left, z up) until it is moved into the world
frame, which has the same handedness. Colours are BGR, 0 to 255.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Optional

import numpy as np

Colour = Sequence[float]
_OTHER_AXES = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Mesh:
    """F flat convex faces; the corners of all of them are in one array.

    Attributes:
        points: Corners (M, 3), the faces one after the other.
        sizes: Number of corners of each face (F,).
        colours: BGR of each face (F, 3).
        decals: True for a face that lies on another one, as a lamp does on the body (F,). It hides nothing.
        shaded: False for a face whose colour does not depend on the light (F,).
    """

    points: np.ndarray
    sizes: np.ndarray
    colours: np.ndarray
    decals: np.ndarray
    shaded: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """Index of each face's first corner (F,)."""
        return np.cumsum(self.sizes) - self.sizes

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> Mesh:
        """The mesh after ``rotation @ point + translation``.

        Args:
            rotation: (3, 3).
            translation: (3,), metres.
        """
        points = self.points @ np.asarray(rotation).T + np.asarray(translation)
        return Mesh(points, self.sizes, self.colours, self.decals, self.shaded)

    @cached_property
    def triangles(self) -> np.ndarray:
        """The faces that can hide something, decals left out, cut into triangles (T, 3, 3)."""
        starts = self.starts
        first, second = [], []
        for size in np.unique(self.sizes):
            heads = starts[(self.sizes == size) & ~self.decals]
            for step in range(1, size - 1):
                first.append(heads)
                second.append(heads + step)
        if not first:
            return np.zeros((0, 3, 3))
        a, b = np.concatenate(first), np.concatenate(second)
        return np.stack([self.points[a], self.points[b], self.points[b + 1]], axis=1)


@dataclass
class MeshBuilder:
    """Collects faces. Every face is turned so that its normal points away from ``centre``."""

    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _faces: list[np.ndarray] = field(default_factory=list)
    _outward: list[Sequence[float]] = field(default_factory=list)
    _looks: list[tuple[tuple[float, ...], bool, bool]] = field(default_factory=list)

    def face(self, points: np.ndarray, colour: Colour, decal: bool = False, shaded: bool = True,
             outward: Optional[Sequence[float]] = None) -> None:
        """Adds one convex face, flat except that a quad may be bent; such a one becomes two triangles.

        Args:
            points: Corners (N, 3) in order, either way round.
            colour: BGR.
            decal: It lies on another face.
            shaded: Its brightness depends on the light.
            outward: A vector (3,) on the side it is seen from, where ``centre`` does not tell.
        """
        points = np.asarray(points, float)
        self._faces.append(points)
        self._outward.append(points.sum(axis=0) / len(points) - self.centre if outward is None else outward)
        self._looks.append((tuple(colour), decal, shaded))

    def patch(self, corners: np.ndarray, across: tuple[float, float], up: tuple[float, float], colour: Colour,
              shaded: bool = True) -> None:
        """Adds a decal on part of a quad (see :func:`inset`)."""
        self.face(inset(corners, across, up), colour, decal=True, shaded=shaded)

    def box(self, low: Sequence[float], high: Sequence[float], colour: Colour) -> None:
        """Adds a cuboid with opposite corners ``low`` and ``high`` (3,)."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        corners = np.array([[x, y, z] for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)])
        middle = corners.mean(axis=0)
        for indices in ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)):
            face = corners[list(indices)]
            self.face(face, colour, outward=face.mean(axis=0) - middle)

    def tube(self, low: np.ndarray, high: np.ndarray, side: Colour, end: Optional[Colour] = None) -> None:
        """Adds the solid between two rings of corners (N, 3) that correspond; ``end`` colours its ends."""
        middle = (low.mean(axis=0) + high.mean(axis=0)) / 2
        sides = np.stack([low, np.roll(low, -1, axis=0), np.roll(high, -1, axis=0), high], axis=1)
        outward = sides.mean(axis=1) - middle
        for corners, direction in zip(sides, outward):
            self.face(corners, side, outward=direction)
        for circle in (low, high):
            self.face(circle, side if end is None else end, outward=circle.mean(axis=0) - middle)

    def build(self) -> Mesh:
        """All faces so far."""
        points = np.concatenate(self._faces)
        sizes = np.array([len(face) for face in self._faces])
        starts = np.cumsum(sizes) - sizes
        bent = np.zeros(len(sizes), bool)
        quads = np.flatnonzero(sizes == 4)
        bent[quads] = _are_bent(points[starts[quads, None] + np.arange(4)])
        towards = (face_normals(points, sizes) * np.asarray(self._outward)).sum(axis=1)
        indices, copies = [], []
        for start, size, is_bent, turn in zip(starts, sizes, bent, towards < 0):
            corners = np.arange(start + size - 1, start - 1, -1) if turn else np.arange(start, start + size)
            parts = [corners[[0, 1, 2]], corners[[0, 2, 3]]] if is_bent else [corners]
            indices += parts
            copies.append(len(parts))
        colours, decals, shaded = (np.repeat(np.array(look), copies, axis=0) for look in zip(*self._looks))
        return Mesh(points[np.concatenate(indices)], np.array([len(i) for i in indices]),
                    colours.astype(float), decals, shaded)


def face_normals(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Normals (F, 3) of flat faces by Newell's method, twice their areas long.

    Args:
        points: Corners of all faces (M, 3), one face after the other.
        sizes: Number of corners of each face (F,).
    """
    starts = np.cumsum(sizes) - sizes
    following = np.arange(1, len(points) + 1)
    following[starts + sizes - 1] = starts
    return np.add.reduceat(np.cross(points, points[following]), starts, axis=0)


def _are_bent(quads: np.ndarray) -> np.ndarray:
    """Which of the quads (Q, 4, 3) are more than a millimetre from flat (Q,)."""
    normals = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    gaps = ((quads[:, 1] - quads[:, 0]) * normals).sum(axis=1) / lengths
    return np.abs(gaps) > 1e-3


def inset(corners: np.ndarray, across: tuple[float, float], up: tuple[float, float]) -> np.ndarray:
    """Part of a quad, by bilinear interpolation.

    Args:
        corners: (4, 3): bottom start, bottom end, top end, top start.
        across: Start and end along the bottom and the top edge, 0 to 1.
        up: Start and end from the bottom to the top edge, 0 to 1.

    Returns:
        (4, 3), in the order of ``corners``.
    """
    (s0, s1), (t0, t1) = across, up
    weights = np.array([[(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t]
                        for s, t in ((s0, t0), (s1, t0), (s1, t1), (s0, t1))])
    return weights @ corners


def ring(centre: Sequence[float], radius: float, axis: int, count: int, start: float = 0.0) -> np.ndarray:
    """Corners (count, 3) of a regular polygon around ``centre``.

    Args:
        centre: (3,).
        radius: Metres.
        axis: The coordinate that is constant: 0 x, 1 y, 2 z.
        count: Number of corners.
        start: Angle of the first corner, radians.
    """
    angles = start + np.arange(count) * (2 * np.pi / count)
    points = np.empty((count, 3))
    points[:] = centre
    first, second = _OTHER_AXES[axis]
    points[:, first] += radius * np.cos(angles)
    points[:, second] += radius * np.sin(angles)
    return points


def yaw_matrix(yaw: float) -> np.ndarray:
    """Rotation (3, 3) by ``yaw`` radians about z, anticlockwise seen from above."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
