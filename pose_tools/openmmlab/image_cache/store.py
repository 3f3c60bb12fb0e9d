"""Decoded parts of pictures in files, one file a part, found by the content of the picture.

A file appears under its name when it is whole, so that a killed process leaves no half of one. Its name holds a hash
of the picture's bytes: a picture that changed has other names. Parts are read, not mapped: a mapped file that loses
its end, on a full or failing disk, ends the process; a short read only means to decode again. The operating system
keeps the bytes in memory once for all processes either way.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch

from pose_tools.console.atomic import temporary_beside

SUFFIX = ".part-of-picture"
_HEADER = struct.Struct("<8s7I")
_RAW, _JPEG = b"PTpart01", b"PTpart02"
# Colour in full resolution. Noise that does not go into a byte a pixel like that gets a lower quality.
_QUALITIES, _SAMPLING, _MOST_JPEG_SIDE = (95, 85, 70, 50), 0x111111, 65500
FORMATS = {"raw": 3, "jpeg": 1}  # what a part may be kept as, and the bytes of a pixel then, at most
_LEAST_FREE = 1 << 30  # bytes of the disk that stay free whatever happens
# Within this many seconds a file system may give two states of a file the same time.
_CLOCK_TICK = 0.05
_KNOWN = 200_000  # pictures and parts whose facts a process remembers


@dataclass(frozen=True)
class Part:
    """What a stored file holds.

    Attributes:
        file: The file.
        shape: (height, width) of the whole picture, px.
        x: Left of the part in the picture, px.
        y: Top of the part in the picture, px.
        width: Of the part, px; of the resized picture where the part is one.
        height: Likewise.
        packed: Whether the pixels are a JPEG.
    """

    file: Path
    shape: tuple[int, int]
    x: int
    y: int
    width: int
    height: int
    packed: bool = False

    @property
    def name(self) -> str:
        """Which part it is: ``0-0-640-480``, or ``640x480`` for the whole picture at that size."""
        return self.file.name.split(".")[1]

    def covers(self, rect: tuple[int, int, int, int]) -> bool:
        """Whether it holds all of ``rect``, x0 y0 x1 y1 in image px, the ends excluded."""
        inside = "x" not in self.name  # or its pixels are others
        return (inside and self.x <= rect[0] and self.y <= rect[1] and rect[2] <= self.x + self.width
                and rect[3] <= self.y + self.height)

    def rows(self, first: int, last: int) -> Optional[np.ndarray]:
        """Reads rows of the part.

        Args:
            first: First row, counted in the part.
            last: Row after the last.

        Returns:
            uint8 of shape (last - first, width, 3), its own memory; None where the file has gone or was cut.
        """
        pitch = self.width * 3
        if self.packed:
            pixels = _unpacked(self.file)
            return None if pixels is None else pixels[first:last]
        try:
            with open(self.file, "rb", buffering=0) as file:
                file.seek(_HEADER.size + first * pitch)
                values = np.empty((last - first, self.width, 3), np.uint8)
                return values if file.readinto(values.reshape(-1)) == values.size else None
        except OSError:
            return None


class PartStore:
    """A folder of decoded parts, used by many processes at once.

    Args:
        folder: Where the files are; made when the first one is written.
        settings: What decoding depends on besides the picture: flags, libraries and their versions.
        form: ``raw``, or ``jpeg``: a tenth of the room and nearly the same pixels.
    """

    def __init__(self, folder: Path, settings: str, form: str = "raw") -> None:
        """Remembers where and what; touches nothing."""
        self.folder, self.settings, self.form = folder, settings if form == "raw" else f"{settings} {form}", form
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._parts: dict[str, Part] = {}
        # In shared memory, so that the first worker that cannot write stops and tells for all.
        self._trouble = torch.zeros(1, dtype=torch.int64).share_memory_()

    def digest(self, path: str) -> Optional[str]:
        """Hash of a picture's bytes, read again only where the file system says that the file is another.

        Size, inode and both times are compared; the time of the last status change cannot be set back by programs.

        Returns:
            None where the file cannot be read, or changed so lately that a further change might not show.
        """
        try:
            identity = _identity(path)
            known = self._digests.get(path)
            if known and known[0] == identity:
                return known[1]
            digest = hashlib.blake2b(Path(path).read_bytes(), digest_size=8)
            digest.update(self.settings.encode())
            if _identity(path) != identity or time.time() - max(identity[2:]) / 1e9 < _CLOCK_TICK:
                return None
        except OSError:
            return None
        if len(self._digests) >= _KNOWN:
            self._digests.clear()
        self._digests[path] = identity, digest.hexdigest()
        return digest.hexdigest()

    def file(self, path: str, digest: str, name: str) -> Path:
        """Where a part lies.

        Args:
            path: Of the picture.
            digest: From :meth:`digest`.
            name: Of the part, such as ``0-0-640-480``.
        """
        place = place_of(path)
        return self.folder / place[:2] / f"{place}.{name}.{digest}{SUFFIX}"

    def find(self, path: str, digest: str, name: str) -> Optional[Part]:
        """Finds a stored part; the first time in a process its bytes are checked.

        Args:
            path: Of the picture.
            digest: From :meth:`digest`.
            name: Of the part.
        """
        file = self.file(path, digest, name)
        part = self._parts.get(file.name) or _checked(file)
        if part is None:
            return None
        if len(self._parts) >= _KNOWN:
            self._parts.clear()
        self._parts[file.name] = part
        return part

    def forget(self, part: Part) -> None:
        """Takes back what :meth:`find` remembers: the file has gone."""
        self._parts.pop(part.file.name, None)

    def write(self, path: str, digest: str, name: str, values: np.ndarray, shape: tuple[int, int],
              corner: tuple[int, int] = (0, 0)) -> None:
        """Stores a part; where that fails, says so once in one line, and nothing more is written by this run.

        Args:
            path: Of the picture.
            digest: Of the bytes that ``values`` were decoded from.
            name: Of the part.
            values: uint8 of shape (h, w, 3).
            shape: (height, width) of the whole picture.
            corner: (x, y) of the part's left top in the picture, px.
        """
        if self._trouble[0]:
            return
        if self.form == "jpeg" and max(values.shape) > _MOST_JPEG_SIDE:
            return
        data = _packed(values) if self.form == "jpeg" else np.ascontiguousarray(values)
        magic = _JPEG if self.form == "jpeg" else _RAW
        header = _HEADER.pack(magic, *shape, *corner, values.shape[1], values.shape[0], zlib.crc32(data))
        target = self.file(path, digest, name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(target.parent).free < data.nbytes + _LEAST_FREE:
                raise OSError(0, "the disk is nearly full")
            with temporary_beside(target) as (temporary, file):
                file.write(header)
                file.write(data)
                file.close()
                os.replace(temporary, target)
        except OSError as error:
            if not self._trouble[0]:
                self._trouble[0] = 1
                print(f"{self.folder}: {error.strerror or error}; pictures that are not there yet are decoded each "
                      "time", file=sys.stderr, flush=True)


def place_of(path: str) -> str:
    """What the names of all parts of one picture file start with: a hash of where it is."""
    return hashlib.blake2b(os.path.abspath(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _identity(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _checked(file: Path) -> Optional[Part]:
    """Reads a stored file once and compares its sum: a crash of the whole machine may leave zeros in it."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    if len(data) < _HEADER.size:
        return None
    magic, full_height, full_width, x, y, width, height, check = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size:]
    if magic not in (_RAW, _JPEG) or (magic == _RAW and len(body) != width * height * 3) or zlib.crc32(body) != check:
        return None
    with contextlib.suppress(OSError):
        os.utime(file)  # what was used last is deleted last
    return Part(file, (full_height, full_width), x, y, width, height, magic == _JPEG)


def _packed(values: np.ndarray) -> np.ndarray:
    """A JPEG of (h, w, 3) uint8, of at most a byte a pixel where the lowest quality allows it."""
    for quality in _QUALITIES:
        data = cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                                             _SAMPLING])[1]
        if data.size <= values.shape[0] * values.shape[1] * FORMATS["jpeg"]:
            break
    return data


def _unpacked(file: Path) -> Optional[np.ndarray]:
    """The pixels of a packed part; None where it has gone or was cut, of which a decoder would make grey rows."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    body = memoryview(data)[_HEADER.size:]
    if not body or zlib.crc32(body) != _HEADER.unpack_from(data)[-1]:
        return None
    return cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)


def stored_files(folder: Path) -> Iterator[os.DirEntry]:
    """All files of a cache folder, whole ones and what killed processes left."""
    for place in _entries(folder):
        if place.is_dir(follow_symlinks=False):
            for entry in _entries(Path(place.path)):
                if entry.name.endswith((SUFFIX, ".part")):
                    yield entry


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
