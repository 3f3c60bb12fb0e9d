"""Behind and below the cars: sky, far trees and houses, marked ground, shadows; and what a lens adds."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from pose_tools.dataset.demo.camera import NEAR, Camera, polygon_to_image
from pose_tools.dataset.demo.mesh import Colour, Mesh, yaw_matrix

SHIFT = 4  # fractional bits of polygon corners handed to OpenCV
ASPHALT = ((92, 92, 92), (108, 108, 106), (76, 78, 80), (120, 124, 126))
FIELD = ((70, 120, 95), (80, 128, 115), (120, 150, 165), (95, 98, 98), (110, 135, 150))


@dataclass(frozen=True)
class Ground:
    """Colours on the plane z = 0.

    Attributes:
        colour: BGR of what is not covered by an area.
        areas: Polygons in the world (N, 2), metres, with their BGR, drawn in this order.
    """

    colour: Colour
    areas: list[tuple[np.ndarray, Colour]] = field(default_factory=list)


def strip(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    """Rectangle (4, 2) of a given width around the line from ``start`` to ``end`` (2,), metres."""
    along = end - start
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along) * width / 2
    return np.array([start - across, end - across, end + across, start + across])


def paint_backdrop(rng: np.random.Generator, camera: Camera, ground: Ground,
                   shadows: np.ndarray) -> np.ndarray:
    """Draws everything that is not a mesh.

    Args:
        rng: Source of randomness for sky, texture and houses.
        camera: Where it is seen from.
        ground: What lies on the plane z = 0.
        shadows: Share of the light taken away from the ground (H, W), float32, 0 to 1.

    Returns:
        BGR picture (H, W, 3), float32, 0 to 255.
    """
    directions = _pixel_directions(camera)
    image, haze = _sky(rng, directions[..., 2])
    low = int(np.argmax((directions[..., 2] < 0).any(axis=1)))  # the first row with ground in it
    directions = directions[low:]
    reach = np.float32(camera.position[2]) / np.maximum(-directions[..., 2], np.float32(1e-4))
    clear = np.exp(reach * np.float32(-1 / rng.uniform(60, 140)))
    floor = _paint_ground(camera, ground)[low:].astype(np.float32)
    floor *= (_ground_texture(rng, directions, reach) * (1 - shadows[low:]) * clear)[..., None]
    floor += haze * (1 - clear)[..., None]
    pixel = np.float32(1 / camera.matrix[0, 0])
    below = np.clip(np.float32(0.5) - directions[..., 2] / pixel, 0, 1)[..., None]
    floor -= image[low:]
    floor *= below
    image[low:] += floor
    _tree_line(rng, image, camera, haze)
    for distance in sorted(rng.uniform(28, 60, rng.integers(0, 4)), reverse=True):
        _house(rng, image, camera, distance, haze)
    return image


def cast_shadows(camera: Camera, meshes: Sequence[Mesh], towards: np.ndarray, strength: float) -> np.ndarray:
    """Shadows of meshes on the ground.

    Args:
        camera: Where they are seen from.
        meshes: In the world frame.
        towards: Unit vector from the ground to the sun (3,).
        strength: Share of light that is missing in the sun's shadow; straight below a mesh it is more.

    Returns:
        Share of light taken away (H, W), float32, 0 to 1.
    """
    import cv2

    width, height = camera.size
    sunless, below = np.zeros((2, height, width), np.uint8)
    for mesh in meshes:
        low = mesh.points[:, 2:]
        for layer, points in ((sunless, mesh.points - towards * low / towards[2]),
                              (below, mesh.points * (1, 1, 0))):
            depth = camera.world_to_camera(points)[:, 2]
            if depth.min() < NEAR or (layer is sunless and strength == 0):
                continue
            fixed = np.round(camera.world_to_image(points) * (1 << SHIFT)).astype(np.int32)
            for start, size in zip(mesh.starts[~mesh.decals], mesh.sizes[~mesh.decals]):
                cv2.fillConvexPoly(layer, fixed[start:start + size], 255, cv2.LINE_8, SHIFT)
    scale = width / 512
    sunless = cv2.GaussianBlur(sunless, (0, 0), 0.9 * scale).astype(np.float32) * (strength / 255)
    below = cv2.GaussianBlur(below, (0, 0), 3.0 * scale).astype(np.float32) * (0.6 / 255)
    return 1 - (1 - sunless) * (1 - below)


@dataclass(frozen=True)
class Lens:
    """What a camera adds to the light that falls into it.

    Attributes:
        blur: Standard deviation, px; 0 for none.
        gain: Factors on the channels around a middle grey (3,).
        brightness: Grey values added.
        vignette: Share of light that the corners lose, halved.
        grain: Standard deviation of the sensor's noise, grey values.
        shift: Where in the tile of noise a picture begins (2,), px.
    """

    blur: float
    gain: np.ndarray
    brightness: float
    vignette: float
    grain: float
    shift: tuple[int, int]


def sample_lens(rng: np.random.Generator, width: int) -> Lens:
    """Draws a lens for pictures ``width`` px wide."""
    blur = width / 512 * rng.uniform(0.3, 0.8) if rng.random() < 0.3 else 0.0
    contrast, brightness = rng.uniform(0.95, 1.25), rng.uniform(-6, 28)
    gain = (contrast * rng.uniform(0.95, 1.05, 3)).astype(np.float32)
    vignette = rng.uniform(0, 0.14)
    across, down = rng.integers(0, 512, 2)
    return Lens(blur, gain, brightness, vignette, rng.uniform(0.5, 5), (int(across), int(down)))


def photograph(image: np.ndarray, lens: Lens) -> np.ndarray:
    """Exposure, colour cast, vignette, blur and noise.

    Args:
        image: BGR (H, W, 3), float32, 0 to 255.
        lens: What to add.

    Returns:
        BGR (H, W, 3), uint8.
    """
    import cv2

    height, width = image.shape[:2]
    if lens.blur:
        image = cv2.GaussianBlur(image, (0, 0), lens.blur)
    y, x = np.ogrid[-1:1:height * 1j, -1:1:width * 1j]
    vignette = (1 - lens.vignette * (x * x + y * y)).astype(np.float32)
    tile = np.roll(_smooth_noise(512, 0.0), lens.shift[::-1], (0, 1))
    grain = np.tile(tile, (-(-height // 512), -(-width // 512)))[:height, :width]
    grain = grain * np.float32(lens.grain)
    image = image * lens.gain
    image += np.float32(120 + lens.brightness) - 120 * lens.gain
    image *= vignette[..., None]
    image += grain[..., None] + np.float32(0.5)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _pixel_directions(camera: Camera) -> np.ndarray:
    """World directions of the pixel centres (H, W, 3), float32, one metre long along the optical axis."""
    width, height = camera.size
    v, u = np.indices((height, width), np.float32)
    across = camera.rotation.T @ np.linalg.inv(camera.matrix)
    return np.stack([across[i, 0] * u + across[i, 1] * v + across[i, 2] for i in range(3)],
                    axis=-1).astype(np.float32)


@lru_cache(maxsize=8)
def _smooth_noise(size: int, sigma: float) -> np.ndarray:
    """Noise (size, size) of unit deviation that can be tiled, float32; always the same."""
    import cv2

    pad = int(3 * sigma) + 1
    rng = np.random.default_rng(size)
    noise = np.pad(rng.standard_normal((size, size), np.float32), pad, mode="wrap")
    if sigma == 0:
        return noise[pad:-pad, pad:-pad].copy()
    noise = cv2.GaussianBlur(noise, (0, 0), sigma)[pad:-pad, pad:-pad]
    return np.ascontiguousarray(noise / noise.std())


def _sky(rng: np.random.Generator, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sky (H, W, 3) for upward slopes (H, W) of the pixels' rays, and its colour at the horizon (3,)."""
    import cv2

    zenith, horizon = _sky_colours(rng)
    up = np.clip(up / np.float32(0.6), 0, 1)
    noise = np.roll(_smooth_noise(64, 3.0), rng.integers(0, 64, 2), (0, 1))[:40, :48]
    clouds = cv2.resize(noise, up.shape[::-1], interpolation=cv2.INTER_CUBIC)
    cover = np.clip(clouds - np.float32(rng.uniform(-0.2, 1.2)), 0, 1)
    cover *= np.clip(3 * up, 0, 1) * np.float32(0.75)
    share = np.sqrt(up) * (1 - cover)
    sky = np.empty((*up.shape, 3), np.float32)
    for channel in range(3):
        sky[..., channel] = (1 - cover) * horizon[channel] + share * (zenith - horizon)[channel] + cover * 245
    return sky, horizon


def _sky_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of zenith and horizon (3,)."""
    pairs = (((215, 150, 85), (240, 222, 200)), ((225, 170, 110), (238, 230, 222)),
             ((190, 185, 180), (222, 220, 218)), ((170, 130, 110), (190, 210, 235)))
    zenith, horizon = pairs[rng.integers(len(pairs))]
    return np.array(zenith, np.float32), np.array(horizon, np.float32)


def _paint_ground(camera: Camera, ground: Ground) -> np.ndarray:
    """The ground's areas (H, W, 3), uint8, as if there were neither light nor sky."""
    import cv2

    image = np.empty((*camera.size[::-1], 3), np.uint8)
    image[:] = ground.colour
    for points, colour in ground.areas:
        pixels = polygon_to_image(camera, np.column_stack([points, np.zeros(len(points))]))
        if len(pixels):
            fixed = np.round(np.clip(pixels, -1e6, 1e6) * (1 << SHIFT)).astype(np.int32)
            cv2.fillPoly(image, [fixed], tuple(map(float, colour)), cv2.LINE_AA, SHIFT)
    return image


def _ground_texture(rng: np.random.Generator, directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Factor on the ground's colour (H, W): grain near by, stains farther off, nothing at a distance."""
    factor = np.ones(reach.shape, np.float32)
    size = 256
    grain, stains = _smooth_noise(size, 0.8), _smooth_noise(size, 5.0)
    # Beyond a kilometre the texture has faded; the limit keeps the indices whole numbers of 32 bits.
    x, y = (np.clip(directions[..., i] * reach, -1000, 1000) for i in (0, 1))
    for tile, density, fades, amount in ((grain, 60.0, 7.0, 0.06), (stains, 25.0, 40.0, 0.035),
                                         (stains, 6.0, 80.0, 0.045)):
        shift = rng.uniform(0, size, 2).astype(np.float32)
        column, row = ((metres * np.float32(density) + start).astype(np.int32) & (size - 1)
                       for metres, start in zip((x, y), shift))
        sample = tile.ravel()[row * size + column]
        factor += sample * (np.float32(amount) * np.exp(reach * np.float32(-1 / fades)))
    return factor


def _tree_line(rng: np.random.Generator, image: np.ndarray, camera: Camera, haze: np.ndarray) -> None:
    """Far woods along the horizon: no, one or two rows."""
    import cv2

    for distance in (95.0, 70.0)[:rng.integers(0, 3)]:
        heights = np.abs(np.roll(_smooth_noise(64, 1.0), rng.integers(0, 64, 2), (0, 1))[0])
        outline = np.repeat(heights * rng.uniform(1, 3), 2) + rng.uniform(1.5, 5) + rng.uniform(0, 1.0, 128)
        y = np.linspace(-distance, distance, 128)
        points = np.concatenate([np.stack([np.full(128, distance), y, outline], axis=1),
                                 [[distance, distance, 0], [distance, -distance, 0]]])
        green = np.array((60, 95, 75)) * rng.uniform(0.8, 1.2)
        share = 1 - np.exp(-distance / 120)
        mask = np.zeros(image.shape[:2], np.uint8)
        pixels = camera.world_to_image(points)
        cv2.fillPoly(mask, [np.round(pixels * (1 << SHIFT)).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
        rows = slice(max(0, int(pixels[:, 1].min()) - 1), max(0, int(pixels[:, 1].max()) + 2))
        window = image[rows]
        cover = mask[rows, :, None].astype(np.float32) / 255
        window += ((green * (1 - share) + haze * share).astype(np.float32) - window) * cover


def _house(rng: np.random.Generator, image: np.ndarray, camera: Camera, distance: float,
           haze: np.ndarray) -> None:
    """A far house front with windows, put into the picture by a homography."""
    import cv2

    width, height = rng.uniform(9, 22), rng.uniform(4, 13)
    facade = _facade(rng, width, height)
    facade += (haze - facade) * np.float32(1 - np.exp(-distance / 120))
    middle = np.array([distance, rng.uniform(-0.6, 0.6) * distance, 0])
    y = width / 2
    corners = np.array([[0, y, height], [0, -y, height], [0, -y, 0], [0, y, 0]])
    corners = corners @ yaw_matrix(rng.uniform(-0.5, 0.5)).T + middle
    if camera.world_to_camera(corners)[:, 2].min() < 5:
        return
    pixels = camera.world_to_image(corners).astype(np.float32)
    rows, columns = facade.shape[:2]
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32) - 0.5
    low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, camera.size)
    high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, 0, camera.size)
    size = tuple((high - low).tolist())
    if min(size) == 0:
        return
    homography = cv2.getPerspectiveTransform(source, (pixels - low).astype(np.float32))
    cover = cv2.warpPerspective(np.ones((rows, columns), np.float32), homography, size)[..., None]
    window = image[low[1]:high[1], low[0]:high[0]]
    window *= 1 - cover
    window += cv2.warpPerspective(facade, homography, size)


def _facade(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A house front (rows, columns, 3), float32, ten pixels a metre."""
    wall = np.array(((150, 175, 200), (120, 130, 175), (185, 188, 190), (140, 160, 165), (95, 110, 160))[
        rng.integers(5)], np.float32) * rng.uniform(0.85, 1.1)
    image = np.tile(wall, (int(10 * height), int(10 * width), 1)).astype(np.float32)
    window = np.array((120, 95, 75), np.float32) * rng.uniform(0.7, 1.2)
    step_x, step_y = rng.uniform(2.0, 3.2), rng.uniform(2.6, 3.2)
    share_x, share_y = rng.uniform(0.45, 0.75), rng.uniform(0.45, 0.6)
    for top in np.arange(0.6, height - 1.5, step_y):
        for left in np.arange(0.5, width - step_x * share_x, step_x):
            rows = slice(int(10 * top), int(10 * (top + step_y * share_y)))
            columns = slice(int(10 * left), int(10 * (left + step_x * share_x)))
            image[rows, columns] = window * rng.uniform(0.85, 1.25)
            image[rows.stop:rows.stop + 1, columns] = wall * 1.15
    image[:3] = wall * 0.7
    return image
