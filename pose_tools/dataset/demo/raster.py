"""Draws meshes with a depth buffer, and tells which points they hide.

Every face gets its own number in an index buffer at twice the picture's resolution; colours are looked up
once at the end. 1 / depth is an affine function of the pixel position on a flat face, so the buffer is exact.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.demo.camera import NEAR, Camera, clip_to_picture
from pose_tools.dataset.demo.mesh import Mesh

SUPERSAMPLING = 2
SHIFT = 4  # fractional bits of polygon corners handed to OpenCV
DECAL_LIFT = 0.04  # metres; what a decal may lie behind the face that carries it
HIDING_MARGIN = 0.02  # metres; a point is hidden only by what is nearer to the camera by more than this


@dataclass(frozen=True)
class Light:
    """Sunlight and what the sky gives from everywhere.

    Attributes:
        towards: Unit vector from the ground to the sun (3,), world.
        sun: Strength of the sunlight.
        sky: Strength of the light from everywhere.
    """

    towards: np.ndarray
    sun: float
    sky: float

    def brightness(self, normals: np.ndarray) -> np.ndarray:
        """Factors (F,) on the colours of faces with unit normals (F, 3): Lambert's law plus skylight."""
        return (self.sky * (0.82 + 0.18 * normals[:, 2])
                + self.sun * np.maximum(normals @ self.towards, 0))


@dataclass(frozen=True)
class Rendering:
    """What the depth buffer holds, at :data:`SUPERSAMPLING` times the picture's size.

    Attributes:
        colour: BGR and coverage (H, W, 4) in picture size, uint8, colours multiplied by coverage.
        owner: Index into the list of meshes (sH, sW), -1 where there is none.
    """

    colour: np.ndarray
    owner: np.ndarray


@dataclass(frozen=True)
class Faces:
    """The F faces of all meshes that are turned to the camera and ahead of it, decals last.

    ``corners`` (N, 2) are in 1 / 2**SHIFT of a buffer pixel, ``low`` and ``high`` (F, 2) bound them in whole
    buffer pixels. With ``planes`` (F, 3), 1 / depth at image px (u, v) is ``plane @ (u, v, 1)``;
    ``lifts`` (F,) multiply it for the comparison only.
    """

    corners: list[np.ndarray]
    low: np.ndarray
    high: np.ndarray
    planes: np.ndarray
    lifts: np.ndarray
    colours: np.ndarray
    owners: np.ndarray


def render_meshes(camera: Camera, meshes: Sequence[Mesh], light: Light) -> Rendering:
    """Draws meshes without background.

    Args:
        camera: Where it is seen from.
        meshes: In the world frame, ahead of the camera. Where depths are equal, the later decal is on top.
        light: What shades them.

    Returns:
        Colours, coverage and owners.
    """
    import cv2

    width, height = (SUPERSAMPLING * n for n in camera.size)
    faces = _visible_faces(camera, meshes, light)
    index = _fill(faces, width, height)
    palette = np.zeros((len(faces.corners) + 1, 4), np.uint8)
    palette[1:, :3], palette[1:, 3] = np.clip(faces.colours + 0.5, 0, 255), 255
    colour = palette.view(np.uint32)[:, 0][index].view(np.uint8).reshape(height, width, 4)
    owner = np.concatenate([[-1], faces.owners]).astype(np.int16)[index]
    return Rendering(cv2.resize(colour, camera.size, interpolation=cv2.INTER_AREA), owner)


def _visible_faces(camera: Camera, meshes: Sequence[Mesh], light: Light) -> Faces:
    """Projects the faces that are turned to the camera to buffer pixels."""
    points = camera.world_to_camera(np.concatenate([m.points for m in meshes]))
    sizes = np.concatenate([m.sizes for m in meshes])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    a, b, c = (points[starts + sizes * i // 3] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    distance = np.einsum("ij,ij->i", normals, a)
    ahead = np.minimum.reduceat(points[:, 2], starts) > NEAR
    chosen = np.flatnonzero((distance < -1e-6) & ahead)
    # On the plane n . X = d the ray through (u, v) has 1 / z = n . K^-1 (u, v, 1) / d.
    planes = (normals[chosen] / distance[chosen, None]) @ np.linalg.inv(camera.matrix)
    pixels = camera.camera_to_image(np.maximum(points, [-np.inf, -np.inf, NEAR]))
    pixels = (pixels + 0.5) * SUPERSAMPLING - 0.5
    decals = np.concatenate([m.decals for m in meshes])[chosen]
    colours = np.concatenate([m.colours for m in meshes])[chosen]
    shaded = np.concatenate([m.shaded for m in meshes])[chosen]
    brightness = np.where(shaded, light.brightness(normals[chosen] @ camera.rotation), 1.0)
    owners = np.repeat(np.arange(len(meshes)), [len(m.sizes) for m in meshes])[chosen]
    nearness = 1 / points[starts[chosen], 2]
    limits = SUPERSAMPLING * np.asarray(camera.size)
    low = np.clip(np.floor(np.minimum.reduceat(pixels, starts)[chosen]) - 1, 0, limits).astype(int)
    high = np.clip(np.ceil(np.maximum.reduceat(pixels, starts)[chosen]) + 2, 0, limits).astype(int)
    order = np.argsort(decals, kind="stable")
    order = order[(low < high).all(axis=1)[order]]
    fixed = np.round(pixels * (1 << SHIFT)).astype(np.int32)
    return Faces([fixed[starts[i]:starts[i] + sizes[i]] for i in chosen[order]], low[order], high[order],
                 planes[order].astype(np.float32),
                 np.where(decals, 1 + DECAL_LIFT * nearness, 1)[order].astype(np.float32),
                 (colours * brightness[:, None])[order], owners[order])


def _fill(faces: Faces, width: int, height: int) -> np.ndarray:
    """The depth buffer itself: number of the nearest face (height, width) counted from 1, 0 for none."""
    import cv2

    index = np.zeros((height, width), np.int32)
    nearest = np.zeros((height, width), np.float32)
    mask = np.zeros((height, width), np.uint8)
    across = ((np.arange(width) + 0.5) / SUPERSAMPLING - 0.5).astype(np.float32)
    down = ((np.arange(height) + 0.5) / SUPERSAMPLING - 0.5).astype(np.float32)
    origins = (faces.low << SHIFT).astype(np.int32)
    bounds = np.column_stack([faces.low, faces.high]).tolist()
    for number, (x0, y0, x1, y1) in enumerate(bounds):
        window = np.s_[y0:y1, x0:x1]
        cover = mask[window]
        cover.fill(0)
        cv2.fillConvexPoly(cover, faces.corners[number] - origins[number], 1, cv2.LINE_8, SHIFT)
        a, b, c = faces.planes[number]
        inverse = (a * across[x0:x1] + c) + (b * down[y0:y1])[:, None]
        won = (inverse * faces.lifts[number] > nearest[window]) & cover.view(bool)
        np.copyto(nearest[window], inverse, where=won)
        np.copyto(index[window], number + 1, where=won)
    return index


def hidden_points(origin: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Tells which points cannot be seen, by the rays towards them (Moeller and Trumbore, 1997).

    Args:
        origin: Optical centre in the world (3,), metres.
        points: (N, 3), world.
        triangles: (T, 3, 3), world. Both of their sides hide.

    Returns:
        (N,) bool: True where a triangle crosses the ray more than :data:`HIDING_MARGIN` metres before the
        point. The margin lets a point lie on the surface it belongs to.
    """
    rays = points - origin
    edge1, edge2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    across = np.cross(edge1, edge2)
    offset = origin - triangles[:, 0]
    determinant = -(rays @ across.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.einsum("ij,ij->i", offset, across) / determinant
        turned = np.cross(offset[None], rays[:, None])
        first = np.einsum("tj,ntj->nt", edge2, turned) / determinant
        second = -np.einsum("tj,ntj->nt", edge1, turned) / determinant
        crossed = (np.abs(determinant) > 1e-12) & (first >= 0) & (second >= 0) & (first + second <= 1)
        before = np.linalg.norm(rays, axis=1)[:, None] * (1 - share) > HIDING_MARGIN
    return (crossed & (share > 0) & before).any(axis=1)


def silhouette_box(camera: Camera, mesh: Mesh) -> np.ndarray:
    """Tight box (4,) x0, y0, x1, y1 in image px around the part of a mesh inside the picture.

    Args:
        camera: Where it is seen from.
        mesh: In the world frame, ahead of the camera. What stands before it is ignored.

    Returns:
        The box, from the first to the last pixel centre at most; all NaN when nothing is in the picture.
    """
    pixels = camera.world_to_image(mesh.points)
    starts = mesh.starts
    last = np.asarray(camera.size) - 1
    if (pixels >= 0).all() and (pixels <= last).all():
        return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    lows, highs = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts)
    parts = []
    for i in np.flatnonzero((highs >= 0).all(axis=1) & (lows <= last).all(axis=1) & ~mesh.decals):
        face = pixels[starts[i]:starts[i] + mesh.sizes[i]]
        whole = (lows[i] >= 0).all() and (highs[i] <= last).all()
        parts.append(face if whole else clip_to_picture(face, camera.size))
    inside = np.concatenate([np.zeros((0, 2)), *parts])
    if not len(inside):
        return np.full(4, np.nan)
    return np.concatenate([inside.min(axis=0), inside.max(axis=0)])


def silhouette_area(camera: Camera, mesh: Mesh) -> float:
    """Area in image px of the whole projection of a mesh, inside and outside of the picture.

    Args:
        camera: Where it is seen from.
        mesh: In the world frame, ahead of the camera.
    """
    import cv2

    pixels = camera.world_to_image(mesh.points)
    low = np.floor(pixels.min(axis=0))
    width, height = (np.ceil(pixels.max(axis=0)) - low + 1).astype(int)
    canvas = np.zeros((height, width), np.uint8)
    fixed = np.round((pixels - low) * (1 << SHIFT)).astype(np.int32)
    for start, size in zip(mesh.starts[~mesh.decals], mesh.sizes[~mesh.decals]):
        cv2.fillConvexPoly(canvas, fixed[start:start + size], 1, cv2.LINE_8, SHIFT)
    return float(np.count_nonzero(canvas))
