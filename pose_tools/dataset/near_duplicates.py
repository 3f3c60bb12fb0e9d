"""Finding pictures that are nearly the same: copies, and neighbouring frames in which nothing has moved.

Two pictures are near-duplicates when both agree:

1. Their perceptual hashes differ in at most ``distance`` of 64 bits. The hash is the signs, against their median, of
   the 8 x 8 lowest frequencies of the picture's discrete cosine transform (pHash: Zauner, "Implementation and
   Benchmarking of Perceptual Image Hash Functions", 2010).
2. No spot of them differs. Both are shrunk to 32 x 32 grey levels, one is given the other's tones (histogram matching,
   so that a brighter copy is a copy), and in each of 16 x 16 blocks the mean difference is at most :data:`LIMIT`
   standard deviations of the picture.

The hash alone takes any two frames of a camera that stands still for one picture. The second comparison asks whether
something moved by about a sixteenth of the picture, which a player taking another pose does: such frames are different
samples. Found are copies that were compressed again, resized, made brighter or darker, or grey; not found are
mirrored, turned and cropped ones. Pictures without contrast (a black frame) are nobody's near-duplicate: their hash is
noise, and they would chain unrelated videos together.
"""
from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from pose_tools.console import progress

DISTANCE = 8
LIMIT = 0.4
SIDE = 32
_FLAT = 4.0  # grey levels; a standard deviation below is noise
_LOW_CONTRAST = 16.0  # grey levels; what is even flatter is not stretched further, which would stretch its noise
_STEPS, _STAGE = 32, 32  # steps a standard deviation; blocks compared at a time
_ROWS, _COLUMNS = 512, 16384  # hashes compared at a time, 32 MB


class Fingerprint(NamedTuple):
    """What pictures are compared by.

    Attributes:
        hash: 64 bits.
        thumb: 32 x 32 grey levels, row by row.
    """

    hash: int
    thumb: bytes


def _cosines() -> np.ndarray:
    """The 8 lowest rows of the type-II discrete cosine transform's matrix (8, SIDE); its scale does not matter here."""
    return np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))


def fingerprint(path: Path) -> Optional[Fingerprint]:
    """Looks at one picture.

    Args:
        path: An image file; its EXIF orientation is applied. JPEGs are decoded at a fraction of their size.

    Returns:
        Its fingerprint, or None when it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            if opened.format == "JPEG":
                opened.draft("L", (4 * SIDE, 4 * SIDE))
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bit; PIL would clip it to 255
                levels = np.asarray(image, float)
                image = Image.fromarray((levels * (255 / max(levels.max(), 1))).astype(np.uint8))
            thumb = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.BILINEAR))
    except Exception:  # a broken file raises anything, each format its own
        return None
    return Fingerprint(perceptual_hash(thumb), thumb.tobytes())


def perceptual_hash(thumb: np.ndarray) -> int:
    """The 64 bits of a picture.

    Args:
        thumb: (32, 32) grey levels.
    """
    low = (_cosines() @ thumb @ _cosines().T).ravel()
    bits = low > np.median(low[1:])  # the first is the mean
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_images(paths: Iterable[Path], what: str = "comparing pictures",
                jobs: Optional[int] = None) -> dict[Path, Fingerprint]:
    """Looks at many pictures, in threads: nearly all of the time is spent decoding, outside of Python's lock.

    Args:
        paths: Image files.
        what: Said beside the progress bar.
        jobs: Threads; by default one a processor.

    Returns:
        Fingerprints by path, in the order given. Files that cannot be read are left out.
    """
    paths = list(dict.fromkeys(paths))
    found: dict[Path, Fingerprint] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        try:
            for path, print_ in zip(paths, progress(pool.map(fingerprint, paths), what, len(paths))):
                if print_ is not None:
                    found[path] = print_
        except BaseException:  # Ctrl-C should not wait for thousands of pictures
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


class _Thumbs:
    """The thumbnails of N pictures and what their comparison needs."""

    def __init__(self, prints: Sequence[Fingerprint]) -> None:
        levels = np.frombuffer(b"".join(p.thumb for p in prints), np.uint8)
        self.levels = levels.reshape(len(prints), SIDE * SIDE)
        self.spread = np.array([row.std() for row in self.levels])
        self.flat = self.spread < _FLAT
        self.spread = np.maximum(self.spread, _LOW_CONTRAST)
        coarse = np.stack([_block_means((row - row.mean()) / spread)
                           for row, spread in zip(self.levels.astype(np.float32), self.spread)])
        # Where a fixed camera sees the most change first, a byte each: 10,000 frames are 50 million comparisons.
        busiest = np.argsort(-coarse.var(0), kind="stable").reshape(-1, _STAGE)
        steps = np.clip(np.rint(coarse * _STEPS) + 128, 0, 255).astype(np.uint8)
        self.stages = [np.ascontiguousarray(steps[:, columns]) for columns in busiest]

    def same(self, one: int, others: np.ndarray) -> np.ndarray:
        """Those of ``others`` (M,) that no spot tells from picture ``one``."""
        if self.flat[one]:
            return others[:0]
        others = others[~self.flat[others]]
        # Cheap, and nearly all frames of a fixed camera end here. A change of tones alone stays far below.
        for stage in self.stages:
            theirs, mine = stage[others], stage[one]
            others = others[(np.maximum(theirs, mine) - np.minimum(theirs, mine)).max(1) <= 2 * LIMIT * _STEPS]
        if not len(others):
            return others[:0]
        # Tones that ran together in one of the two cannot be told apart again, so the better direction counts.
        worst = _worst_block(self.levels[one:one + 1], self.levels[others]) / self.spread[others]
        unlike = np.flatnonzero(worst > LIMIT)
        worst[unlike] = _worst_block(self.levels[others[unlike]], self.levels[one:one + 1]) / self.spread[one]
        return others[worst <= LIMIT]


def _block_means(values: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 x 2 pixels of (..., 1024), as (..., 256)."""
    rows = values.reshape(*values.shape[:-1], SIDE // 2, 2, SIDE // 2, 2)
    # Written out, it takes a fifth of the time of a mean over two axes.
    total = rows[..., 0, :, 0] + rows[..., 0, :, 1] + rows[..., 1, :, 0] + rows[..., 1, :, 1]
    return total.reshape(*values.shape[:-1], SIDE * SIDE // 4) / 4


def _worst_block(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Largest mean difference over blocks (M,), grey levels, after each source was given its target's tones.

    A level of the source becomes the mean of those target levels that have its ranks. Either may be one (1, 1024)
    picture for all (M, 1024) of the other.
    """
    row = np.arange(len(sources))[:, None]
    counts = np.bincount((sources + 256 * row).ravel(), minlength=256 * len(sources)).reshape(-1, 256)
    ends = counts.cumsum(1)
    ordered = np.sort(targets, 1, kind="stable")  # a radix sort for bytes
    sums = np.zeros((len(targets), SIDE * SIDE + 1), np.int32)
    np.cumsum(ordered, 1, out=sums[:, 1:])
    target_row = np.arange(len(targets))[:, None]
    below = sums[target_row, ends - counts]
    tones = ((sums[target_row, ends] - below) / np.maximum(counts, 1)).astype(np.float32)
    return _block_means(np.abs(tones[np.arange(len(tones))[:, None], sources] - targets)).max(1)


def near_duplicates(prints: Sequence[Fingerprint], distance: int = DISTANCE) -> list[tuple[int, int]]:
    """Finds what is nearly the same.

    All hashes are compared, as products of matrices of signs, so none within ``distance`` is missed.

    Args:
        prints: N fingerprints.
        distance: How many of the hashes' 64 bits may differ; 0 to 64.

    Returns:
        Pairs of indices, the smaller first, that join all near-duplicates into :func:`groups`: not every pair of a
        group of n, which would be millions for a long film, but n - 1 of them.
    """
    if len(prints) < 2:
        return []
    thumbs = _Thumbs(prints)
    packed = np.array([p.hash for p in prints], ">u8").view(np.uint8).reshape(-1, 8)
    signs = np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
    root = np.arange(len(prints))
    pairs: list[tuple[int, int]] = []
    for top in progress(range(0, len(prints), _ROWS), "finding near-duplicates"):
        for left in range(top, len(prints), _COLUMNS):
            agreeing = signs[top:top + _ROWS] @ signs[left:left + _COLUMNS].T
            hits = agreeing >= 64 - 2 * distance
            for row in np.flatnonzero(hits.any(1)):
                one, others = top + row, left + np.flatnonzero(hits[row])
                others = others[(others > one) & (root[others] != root[one])]
                for other in thumbs.same(one, others) if len(others) else ():
                    if root[other] != root[one]:
                        root[root == root[other]] = root[one]
                        pairs.append((int(one), int(other)))
    return pairs


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Joins pairs that share an index.

    Returns:
        Groups of two or more, each sorted, in the order of their first members.
    """
    root: dict[int, int] = {}

    def find(i: int) -> int:
        while root.setdefault(i, i) != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    members: dict[int, list[int]] = defaultdict(list)
    for i in sorted(root):
        members[find(i)].append(i)
    return [members[first] for first in sorted(members)]
