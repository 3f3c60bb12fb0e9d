"""A picture of which parts are fetched when they are needed: from the store, or by decoding it."""
from __future__ import annotations

from typing import Any, Callable, Optional

import mmcv
import numpy as np

from pose_tools.openmmlab.image_cache.store import Part, PartStore

Rect = tuple[int, int, int, int]


class Picture:
    """Stands in for ``results['img']`` between loading and the first transform that needs pixels.

    Args:
        shape: (height, width), px.
        decode: Decodes the picture: BGR uint8 of shape (H, W, 3). It may be called several times.
        parts: What is stored of it.
        whole: It, where it was just decoded; never changed.
        store: Where the parts are from.
    """

    def __init__(self, shape: tuple[int, int], decode: Callable[[], np.ndarray], parts: tuple[Part, ...] = (),
                 whole: Optional[np.ndarray] = None, store: Optional[PartStore] = None) -> None:
        """Keeps what is known."""
        self.size, self.parts = shape, parts
        self._decode, self._whole, self._store = decode, whole, store

    def __deepcopy__(self, memo: dict[int, Any]) -> Picture:
        """It never changes, so copies are not needed."""
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3), as an array has it."""
        return (*self.size, 3)

    def whole(self) -> np.ndarray:
        """All of it; do not change it."""
        if self._whole is None:
            return self.region((0, 0, self.size[1], self.size[0]))
        return self._whole

    def region(self, rect: Rect) -> np.ndarray:
        """Gives pixels.

        Args:
            rect: x0 y0 x1 y1 in image px, the ends excluded, inside the picture.

        Returns:
            The pixels of ``rect``, a view of shape (h, w, 3).
        """
        x0, y0, x1, y1 = rect
        if self._whole is None:
            for part in self.parts:
                if part.covers(rect):
                    rows = part.rows(y0 - part.y, y1 - part.y)
                    if rows is not None:
                        return rows[:, x0 - part.x:x1 - part.x]
                    self._forget(part)
            self._whole = self._decode()
        return self._whole[y0:y1, x0:x1]

    def resized(self, size: tuple[int, int]) -> np.ndarray:
        """The picture at another size, as ``mmcv.imresize`` makes it.

        Args:
            size: (w, h), px.
        """
        for part in self.parts:
            if part.name == size_name(size):
                rows = part.rows(0, part.height)
                if rows is not None:
                    return rows
                self._forget(part)
        if self._whole is None:
            self._whole = self._decode()
        return mmcv.imresize(self._whole, size)

    def _forget(self, part: Part) -> None:
        if self._store is not None:
            self._store.forget(part)


def region_name(rect: Rect) -> str:
    """Name of a stored region: x0 y0 x1 y1, image px, before it is clipped to the picture."""
    return "-".join(f"{value:d}".replace("-", "m") for value in rect)


def size_name(size: tuple[int, int]) -> str:
    """Name of a stored picture of another size, (w, h)."""
    return f"{size[0]}x{size[1]}"


class Opener:
    """Opens pictures from the store, and stores what the plan wants of those it had to decode.

    Args:
        store: Where parts are.
        wanted: By the picture's path, what to keep: rectangles (x0, y0, x1, y1) and sizes (w, h).
    """

    def __init__(self, store: PartStore, wanted: dict[str, tuple[tuple[int, ...], ...]]) -> None:
        """Remembers the plan."""
        self.store, self.wanted = store, wanted
        self._last: tuple[str, Optional[str], np.ndarray] = ("", None, np.empty(0))

    def open(self, path: str, decode: Callable[[], np.ndarray]) -> Picture:
        """Opens a picture; decodes it where not all of what is wanted is stored.

        Args:
            path: As the dataset has it.
            decode: Decodes it, or raises as upstream does.
        """
        digest = self.store.digest(path)
        wanted = self.wanted.get(path, ()) if digest else ()
        found = [self.store.find(path, digest or "", part_name(what)) for what in wanted]
        parts = tuple(part for part in found if part is not None)
        if parts and len(parts) == len(wanted):
            return Picture(parts[0].shape, decode, parts, None, self.store)
        # Validation takes all objects of a picture one after the other.
        whole = self._last[2] if digest and self._last[:2] == (path, digest) else decode()
        shape = whole.shape[:2]
        # Changed while it was read? Then it is not what the digest says.
        if digest and self.store.digest(path) == digest and whole.dtype == np.uint8 and whole.ndim == 3:
            self._last = path, digest, whole
            for what, part in zip(wanted, found):
                if part is None:
                    self._keep(path, digest, what, whole)
        return Picture(shape, decode, parts, whole, self.store)

    def _keep(self, path: str, digest: str, what: tuple[int, ...], whole: np.ndarray) -> None:
        shape = whole.shape[:2]
        if len(what) == 2:
            resized = mmcv.imresize(whole, what)
            self.store.write(path, digest, part_name(what), resized, shape)
            return
        x0, y0, x1, y1 = clipped(what, shape)
        self.store.write(path, digest, part_name(what), whole[y0:y1, x0:x1], shape, (x0, y0))


def clipped(rect: tuple[int, ...], shape: tuple[int, int]) -> Rect:
    """A rectangle inside a picture of ``shape`` (h, w); one pixel of it where they do not meet."""
    x0, y0, x1, y1 = rect
    height, width = shape
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return x0, y0, max(min(x1, width), x0 + 1), max(min(y1, height), y0 + 1)


def part_name(what: tuple[int, ...]) -> str:
    """Name of a stored part: a rectangle (x0, y0, x1, y1) or a size (w, h)."""
    return size_name(what) if len(what) == 2 else region_name(what)
