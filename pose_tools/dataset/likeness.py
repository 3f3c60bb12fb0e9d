"""Pictures that are nearly the same: saved again, scaled, brightened, or the next frame of a video.

Two pictures are near-duplicates when their perceptual hashes differ in few bits (DCT hash of the 32 x 32 grey picture,
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), and when no part of the small
pictures, an eighth of each side, differs by more than :data:`DIFFERENCE` standard deviations on average, after
brightness and contrast are taken out. The second test is what tells another object before the same backdrop from the
same photograph. Colours are not looked at; mirrored and cropped pictures are different pictures.

Measured on photographs (wheels), rendered cars and video frames (badminton), up to 40 pictures each: JPEG quality 20,
half the size, +10 % brightness, 20 % less contrast are all found, and of 3,863 pairs of different photographs and
rendered pictures none is (the nearest has a difference of 1.08). Frames of a fixed camera lie between .10 and .91.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_tools.console import progress

# Bits of 64 in which the hashes may differ, and how much the small pictures may.
BITS = 8
DIFFERENCE = 0.35
_SIDE, _BLOCK = 32, 4
# Contrast below this, in grey levels, is noise.
_LEAST_CONTRAST = 4.0
_FLAT, _FLAT_BRIGHTNESS = 8.0, 16.0
_COSINES = np.cos(np.pi * (2 * np.arange(_SIDE) + 1) * np.arange(8)[:, None] / (2 * _SIDE))
_ONES = np.array([bin(number).count("1") for number in range(1 << 16)], np.uint8)


@dataclass(frozen=True)
class Prints:
    """Fingerprints of N pictures.

    Attributes:
        paths: The N files that could be read.
        hashes: (N,) 64 bits each, uint64.
        small: (N, 32, 32) grey, uint8.
        unreadable: The other files.
    """

    paths: list[Path]
    hashes: np.ndarray
    small: np.ndarray
    unreadable: list[Path]


def take_prints(paths: Iterable[Path], what: str = "comparing pictures") -> Prints:
    """Reads pictures, several at a time, and takes their fingerprints.

    Args:
        paths: Image files.
        what: The progress bar's label.
    """
    paths = list(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = list(progress(pool.map(_read_small, paths), what, len(paths)))
    kept = [(path, small) for path, small in zip(paths, read) if small is not None]
    small = np.array([s for _, s in kept], np.uint8).reshape(-1, _SIDE, _SIDE)
    return Prints([path for path, _ in kept], hash_small(small), small,
                  [path for path, s in zip(paths, read) if s is None])


def _read_small(path: Path) -> np.ndarray | None:
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                # A JPEG is decoded at an eighth of its size where that is enough.
                opened.draft("L", (2 * _SIDE, 2 * _SIDE))
                image = ImageOps.exif_transpose(opened).convert("L")
                return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def hash_small(small: np.ndarray) -> np.ndarray:
    """Perceptual hashes.

    Args:
        small: (N, 32, 32) grey pictures.

    Returns:
        (N,) uint64: which of the 63 lowest frequencies are above their median; the mean brightness is left out.
    """
    waves = np.round(_COSINES @ small.astype(float) @ _COSINES.T).reshape(-1, 64)[:, 1:]
    bits = waves > np.median(waves, axis=1, keepdims=True)
    packed = np.packbits(np.concatenate([np.zeros((len(bits), 1), bool), bits], axis=1), axis=1)
    return packed.view(">u8").astype(np.uint64).ravel()


def bits_apart(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Number of bits in which hashes differ."""
    different = np.bitwise_xor(one, others)
    return _ONES[different.astype("<u8").reshape(-1, 1).view("<u2")].sum(axis=1)


def differences(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much small pictures differ where they differ most.

    Args:
        one: (32, 32) grey.
        others: (M, 32, 32) grey.

    Returns:
        (M,) the largest mean absolute difference of a 4 x 4 block, in standard deviations; infinite between flat
        pictures of different brightness.
    """
    pictures = np.concatenate([one[None], others]).astype(np.float32)
    mean, spread = pictures.mean(axis=(1, 2)), pictures.std(axis=(1, 2))
    plain = (pictures - mean[:, None, None]) / np.maximum(spread, _LEAST_CONTRAST)[:, None, None]
    count = _SIDE // _BLOCK
    blocks = np.abs(plain[1:] - plain[0]).reshape(-1, count, _BLOCK, count, _BLOCK).mean(axis=(2, 4))
    flat = (np.minimum(spread[1:], spread[0]) < _FLAT) & (np.abs(mean[1:] - mean[0]) > _FLAT_BRIGHTNESS)
    return np.where(flat, np.inf, blocks.max(axis=(1, 2), initial=0))


def alike_groups(prints: Prints, bits: int = BITS, difference: float = DIFFERENCE) -> list[list[int]]:
    """Groups of near-duplicates: pictures joined by chains of pairs.

    No pair is missed: hashes that differ in at most ``bits`` bits agree in one of ``bits + 1`` parts, so only those
    that share a part are compared.

    Args:
        prints: The pictures.
        bits: How many bits the hashes may differ in, 0 to 31.
        difference: How much the small pictures may differ; see :func:`differences`.

    Returns:
        Groups of two or more positions in ``prints``, ascending.
    """
    label = np.arange(len(prints.paths))
    members_of = {i: [i] for i in range(len(label))}

    def join(i: int, j: int) -> None:
        large, small = sorted((label[i], label[j]), key=lambda k: -len(members_of[k]))
        if large != small:
            label[members_of[small]] = large
            members_of[large] += members_of.pop(small)

    for bucket in _buckets(prints.hashes, bits + 1):
        for place, i in enumerate(bucket[:-1].tolist()):
            rest = bucket[place + 1:]
            # What a chain joins already needs no second look.
            rest = rest[label[rest] != label[i]]
            near = rest[bits_apart(prints.hashes[i], prints.hashes[rest]) <= bits]
            if len(near):
                for j in near[differences(prints.small[i], prints.small[near]) <= difference].tolist():
                    join(i, j)
    return sorted(sorted(group) for group in members_of.values() if len(group) > 1)


def _buckets(hashes: np.ndarray, parts: int) -> Iterable[np.ndarray]:
    """Positions of hashes that share a part, for each of so many parts of the 64 bits."""
    edges = np.linspace(0, 64, parts + 1).astype(int)
    for low, high in zip(edges, edges[1:]):
        mask = np.uint64(((1 << int(high - low)) - 1) << int(low))
        keys = hashes & mask
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.diff(keys[order])) + 1
        yield from (members for members in np.split(order, bounds) if len(members) > 1)


def near_duplicates(paths: Sequence[Path]) -> tuple[list[list[Path]], list[Path]]:
    """Groups of files that are nearly the same picture, and the files that cannot be read."""
    prints = take_prints(paths)
    return [[prints.paths[i] for i in group] for group in alike_groups(prints)], prints.unreadable
