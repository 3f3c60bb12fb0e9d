"""Pictures into the memory of a network input: warped or letterboxed, and normalised in one pass."""
from __future__ import annotations

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.facts import ModelFacts


def check_image(image: np.ndarray) -> np.ndarray:
    """Passes on a picture of a kind that models take.

    Raises:
        UserError: It is not (H, W, 3) uint8 with at least one pixel.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UserError(f"expected a picture as (H, W, 3) BGR uint8, got {image.shape} of {image.dtype}")
    return image


class InputMemory:
    """The batch a network reads, kept from call to call.

    Args:
        facts: Of the model: layout, size, mean, std and channel order.
    """

    def __init__(self, facts: ModelFacts) -> None:
        """Prepares; memory is taken when the first batch is known."""
        self.facts = facts
        width, height = facts.input_size
        self._shape = (height, width, 3) if facts.end_to_end else (3, height, width)
        self._batch = np.zeros((0, *self._shape), np.uint8 if facts.end_to_end else np.float32)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]
        # x * factor + offset = (x - mean) / std, and multiplication is what processors do fast.
        self._factors = (1 / np.array(facts.std)).astype(np.float32)
        self._offsets = (-np.array(facts.mean) / np.array(facts.std)).astype(np.float32)

    def rows(self, count: int) -> np.ndarray:
        """Gives the first ``count`` rows: (count, 3, H, W) float32, or (count, H, W, 3) uint8 for an end-to-end graph.

        Their content is that of the last use.
        """
        if len(self._batch) < count:
            self._batch = np.zeros((count, *self._shape), self._batch.dtype)
        return self._batch[:count]

    def pixels(self, row: int) -> np.ndarray:
        """Gives the (H, W, 3) uint8 BGR memory to draw the picture of a row into, before :meth:`normalise`."""
        return self._batch[row] if self.facts.end_to_end else self._pixels

    def normalise(self, row: int, pixels: np.ndarray) -> None:
        """Takes the drawn picture into its row: planes, channel order, mean and std.

        Args:
            row: Which one.
            pixels: (H, W, 3) uint8 BGR; what :meth:`pixels` gave, or of the same shape.
        """
        if self.facts.end_to_end:
            if pixels is not self._batch[row]:
                np.copyto(self._batch[row], pixels)
            return
        import cv2

        cv2.split(pixels, self._planes)
        planes = self._planes[::-1] if self.facts.to_rgb else self._planes
        for plane, target, factor, offset in zip(planes, self._batch[row], self._factors, self._offsets):
            np.multiply(plane, factor, out=target)
            np.add(target, offset, out=target)

    def mirror(self, count: int) -> np.ndarray:
        """Puts mirrored copies of the first ``count`` rows behind them.

        Returns:
            All ``2 * count`` rows.
        """
        if len(self._batch) < 2 * count:
            grown = np.empty((2 * count, *self._shape), self._batch.dtype)
            grown[:count] = self._batch[:count]
            self._batch = grown
        rows = self._batch[:2 * count]
        axis = 2 if self.facts.end_to_end else 3
        np.copyto(rows[count:], np.flip(rows[:count], axis))
        return rows


def letterbox_size(image: np.ndarray, input_size: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture that fills the network input, its aspect kept.

    As ``Resize(keep_ratio=True)`` of mmdet 3.3 rounds it. Upstream turns an oblong input to suit the picture, and so
    runs portraits at another size; here they are fitted into the one size that exported graphs have.

    Args:
        image: (H, W, 3).
        input_size: (w, h), input px.

    Returns:
        (w, h), input px; at least 1.
    """
    height, width = image.shape[:2]
    factor = min(input_size[0] / width, input_size[1] / height)
    return (min(max(int(width * factor + 0.5), 1), input_size[0]),
            min(max(int(height * factor + 0.5), 1), input_size[1]))


def letterbox(image: np.ndarray, pixels: np.ndarray, pad_value: int) -> tuple[float, float]:
    """Draws a picture at the top left of the network input, and grey beyond it.

    Args:
        image: (H, W, 3) uint8.
        pixels: (h, w, 3) uint8 to draw into.
        pad_value: The grey value.

    Returns:
        Input px for each image px, along x and y.
    """
    import cv2

    width, height = letterbox_size(image, (pixels.shape[1], pixels.shape[0]))
    cv2.resize(image, (width, height), dst=pixels[:height, :width], interpolation=cv2.INTER_LINEAR)
    pixels[height:] = pad_value
    pixels[:height, width:] = pad_value
    return width / image.shape[1], height / image.shape[0]
