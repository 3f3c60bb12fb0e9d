"""Heat maps in image px: where a keypoint model sees its keypoints, and how sharply.

A SimCC model answers with a row for x and a row for y (https://arxiv.org/abs/2107.03332), a heatmap model with a map of
cells; :class:`Response` holds either with where its cells lie in the picture. As the conversion of the keypoints
themselves is used, the highest place of a heat map is the keypoint.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet

FLOOR = 0.01  # of its highest place; what is lower is not drawn


@dataclass(frozen=True)
class Response:
    """What a model answered for the N objects of a picture, before one place was chosen for each keypoint.

    Attributes:
        origins: (N, 2) where the centre of cell (0, 0) lies, image px.
        steps: (N, 2) from a cell to the next across and down, image px; positive.
        x: (N, K, columns) SimCC row across, or None.
        y: (N, K, rows) SimCC row down, or None.
        maps: (N, K, rows, columns) heat maps, or None.
    """

    origins: np.ndarray
    steps: np.ndarray
    x: Optional[np.ndarray] = None
    y: Optional[np.ndarray] = None
    maps: Optional[np.ndarray] = None

    @classmethod
    def from_simcc(cls, x: np.ndarray, y: np.ndarray, split_ratio: float, centers: np.ndarray, scales: np.ndarray,
                   input_size: tuple[int, int]) -> Response:
        """Takes the rows of a SimCC model.

        Args:
            x: (N, K, W * split_ratio), simcc bins.
            y: (N, K, H * split_ratio), simcc bins.
            split_ratio: simcc bins for each crop px.
            centers: (N, 2) of the crops, image px.
            scales: (N, 2) width and height the crops cover, image px.
            input_size: (w, h), crop px.
        """
        return cls(*_cells_to_image(np.full(2, 1 / split_ratio), centers, scales, input_size), x=x, y=y)

    @classmethod
    def from_heatmaps(cls, maps: np.ndarray, centers: np.ndarray, scales: np.ndarray, input_size: tuple[int, int],
                      use_udp: bool = False) -> Response:
        """Takes the maps of a heatmap model.

        Args:
            maps: (N, K, rows, columns).
            centers: (N, 2) of the crops, image px.
            scales: (N, 2) width and height the crops cover, image px.
            input_size: (w, h), crop px.
            use_udp: Whether the crop ends at the outer cells' centres, not at their outer edges (UDP,
                https://arxiv.org/abs/1911.07524; as mmpose's ``UDPHeatmap.decode`` has it).
        """
        steps = np.array(input_size, float) / np.maximum(np.array(maps.shape[:1:-1]) - int(use_udp), 1)
        return cls(*_cells_to_image(steps, centers, scales, input_size), maps=maps)

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.origins)

    def part(self, keep: np.ndarray) -> Response:
        """Only the objects for which ``keep`` (N,) is true."""
        return Response(*(None if each is None else each[keep]
                          for each in (self.origins, self.steps, self.x, self.y, self.maps)))

    def joined(self, more: Response) -> Response:
        """These objects, and after them those of another answer of the same model."""
        if not len(self) or not len(more):
            return more if len(more) else self

        def both(name: str) -> Optional[np.ndarray]:
            mine, other = getattr(self, name), getattr(more, name)
            return None if mine is None or other is None else np.concatenate([mine, other])

        return Response(np.concatenate([self.origins, more.origins]), np.concatenate([self.steps, more.steps]),
                        both("x"), both("y"), both("maps"))


def _cells_to_image(steps: np.ndarray, centers: np.ndarray, scales: np.ndarray,
                    input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Origins and steps (N, 2) in image px of cells that lie ``steps`` (2,) crop px apart, the first at (0, 0).

    As :func:`pose_tools.inference.runtime.geometry.crops_to_image` has it, in float64: the difference of two places far
    out is no step any more in float32.
    """
    centers, scales = np.asarray(centers, float), np.asarray(scales, float)
    return centers - 0.5 * scales, steps / np.array(input_size, float) * scales


def find_keypoint(wanted: Union[str, int, None], keypoint_set: KeypointSet) -> Optional[int]:
    """Gives the index of one keypoint.

    Args:
        wanted: A name, or a number from 0 as a number or a text; None for all keypoints. A name goes before a number.
        keypoint_set: Names.

    Raises:
        UserError: There is no such keypoint.
    """
    names = keypoint_set.keypoints
    if wanted is None:
        return None
    if wanted in names:
        return names.index(str(wanted))
    text = str(wanted).strip()
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    known = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    raise UserError(f"no keypoint {wanted!r}; there are: {known}")


def draw_responses(response: Response, size: tuple[int, int], keypoint: Optional[int] = None) -> np.ndarray:
    """Draws the heat of all objects of a picture into one map.

    A keypoint's heat is as high as its score, at most 1, and nothing where its score is not positive; where several
    overlap the highest is seen. Nothing is drawn outside the crops.

    Args:
        response: Of the objects.
        size: (H, W) of the picture, px.
        keypoint: Index of the keypoint to draw; None draws all.

    Returns:
        (H, W) float32 in [0, 1], image px.
    """
    heat = np.zeros(size, np.float32)
    draw = _draw_rows if response.maps is None else _draw_map
    for number in range(len(response)):
        answer = response.x if response.maps is None else response.maps
        chosen = range(answer.shape[1]) if keypoint is None else (keypoint, )
        for each in chosen:
            draw(heat, response, number, each)
    return heat


def _draw_rows(heat: np.ndarray, response: Response, number: int, keypoint: int) -> None:
    """The outer product of a keypoint's two rows, each scaled to 1, times its score."""
    across, down = response.x[number, keypoint], response.y[number, keypoint]
    peaks = float(across.max()), float(down.max())
    if not 0 < min(peaks) < np.inf:
        return
    left, across = _to_pixels(across / peaks[0], 0, response, number, 0, heat.shape[1])
    top, down = _to_pixels(down / peaks[1], 0, response, number, 1, heat.shape[0])
    part = heat[top:top + len(down), left:left + len(across)]
    np.maximum(part, np.outer(down * min(1.0, *peaks), across), out=part)


def _draw_map(heat: np.ndarray, response: Response, number: int, keypoint: int) -> None:
    """A keypoint's map."""
    cells = response.maps[number, keypoint]
    peak = float(cells.max())
    if not 0 < peak < np.inf:
        return
    left, values = _to_pixels(cells / peak, 1, response, number, 0, heat.shape[1])
    if values.size:
        top, values = _to_pixels(values, 0, response, number, 1, heat.shape[0])
        part = heat[top:top + values.shape[0], left:left + values.shape[1]]
        np.maximum(part, values * min(1.0, peak), out=part)


def _to_pixels(values: np.ndarray, axis: int, response: Response, number: int, side: int,
               length: int) -> tuple[int, np.ndarray]:
    """Takes cells to pixels along an axis: interpolated where cells are wider than pixels, else the highest of each.

    Args:
        values: Float cells, a row or a map, 1 at the highest.
        axis: Of the cells.
        response: Whose cells they are.
        number: Which object's.
        side: 0 across, 1 down the picture.
        length: Pixels of that side.

    Returns:
        The first pixel, and float32 values from there on, as far as any is above :data:`FLOOR`, inside the picture.
    """
    origin, step = float(response.origins[number, side]), float(response.steps[number, side])
    warm = np.flatnonzero((values > FLOOR).any(axis=1 - axis) if values.ndim == 2 else values > FLOOR)
    low, high = max(0, int(warm[0]) - 1), min(values.shape[axis] - 1, int(warm[-1]) + 1)
    first, last = max(0.0, np.ceil(origin + low * step - 0.5)), min(length - 1.0, np.floor(origin + high * step + 0.5))
    if first > last:
        return 0, np.zeros((0, ) * values.ndim, np.float32)
    if step < 1:
        places = np.round(origin + np.arange(low, high + 1) * step)
        inside = np.flatnonzero((places >= first) & (places <= last))
        pixels, starts = np.unique(places[inside], return_index=True)
        cells = values.take(inside + low, axis)
        found = np.maximum.reduceat(cells, starts, axis)
        return int(pixels[0]), _warm(found)
    cells = np.clip((np.arange(first, last + 1) - origin) / step, low, high)
    before = cells.astype(int)
    share = cells - before if axis == values.ndim - 1 else (cells - before)[:, None]
    after = np.minimum(before + 1, high)
    found = values.take(before, axis) * (1 - share) + values.take(after, axis) * share
    # The highest place is between pixels; another mode that happens to lie on a pixel must not pass it.
    peak = np.unravel_index(values.argmax(), values.shape)[axis]
    pixel = round(origin + int(peak) * step) - int(first)
    if 0 <= pixel < found.shape[axis]:
        np.moveaxis(found, axis, 0)[pixel] = values.take(peak, axis)
    return int(first), _warm(found)


def _warm(values: np.ndarray) -> np.ndarray:
    return np.where(values > FLOOR, values, 0).astype(np.float32)
