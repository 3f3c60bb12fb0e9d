"""What the first bytes of an image file say: its size, its EXIF orientation and its format.

JPEG and PNG, which is nearly all there is, are read by hand: that takes a fifth of the time Pillow needs, and a large
folder is mostly this. Whatever is not entirely plain is left to Pillow, so that both always say the same.
Sizes are (width, height) in px; *stored* is what the file's rows hold, *upright* is after EXIF orientation.
"""
from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from pose_tools.console import UserError

if TYPE_CHECKING:
    from PIL import Image

Size = tuple[int, int]
ImageFile = Union[str, Path, bytes]

_ORIENTATION = 0x0112
_TAIL = 32  # an image's end mark has to be among that many last bytes
_HEADS = (4096, 1 << 17)  # bytes to read at first, and when a thumbnail or a profile comes before the size
_PASSED_OVER = {0xC4, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # tables, comments, application data
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # of a value, by its type
_MOST_PIXELS = 89_478_485  # Pillow warns above, and refuses twice as many
_BOMB = 2 * _MOST_PIXELS  # refused here as well, since importing labelme lifts Pillow's limit


class ImageError(UserError):
    """An image file that cannot be used; its text does not name the file."""


class ImageHeader(NamedTuple):
    """What the first bytes of an image file say.

    Attributes:
        stored: (width, height) of the rows in the file.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        format: PIL's name such as ``"JPEG"``.
    """

    stored: Size
    orientation: int
    format: str

    @property
    def upright(self) -> Size:
        """(width, height) after EXIF orientation; 5 to 8 are quarter turns."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


def read_header(image: ImageFile) -> ImageHeader:
    """Reads size and orientation without decoding, and decodes only a file whose end is missing.

    Args:
        image: A path or the bytes of an image file.

    Raises:
        ImageError: It is empty, not an image, or cut short.
    """
    return plain_header(image) or _header_by_pillow(image)


def plain_header(image: ImageFile) -> Optional[ImageHeader]:
    """Reads the header of a whole JPEG or PNG that holds nothing unusual; ``None`` for all else."""
    try:
        if isinstance(image, bytes):
            return _plain(image, image[-_TAIL:])
        with open(image, "rb", buffering=0) as file:
            head = file.read(_HEADS[0])
            file.seek(-min(_TAIL, len(head)), os.SEEK_END)
            tail = file.read(_TAIL)
            header = _plain(head, tail)
            if header is None and len(head) == _HEADS[0]:
                file.seek(0)
                header = _plain(file.read(_HEADS[1]), tail)
            return header
    except OSError:
        return None


def _plain(head: bytes, tail: bytes) -> Optional[ImageHeader]:
    try:
        if head.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in tail:
            return _plain_jpeg(head)
        if head.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" in tail:
            return _plain_png(head)
    except (struct.error, IndexError):  # ends within the header
        pass
    return None


def _plain_jpeg(head: bytes) -> Optional[ImageHeader]:
    """Goes from marker to marker up to the scan (ITU-T T.81, annex B)."""
    at, size, orientation = 2, None, None
    while True:
        mark, kind, length = struct.unpack_from(">BBH", head, at)
        if mark != 0xFF or length < 2 or at + 2 + length > len(head):
            return None
        if kind == 0xDA:
            break
        if kind in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
            depth, height, width, layers = struct.unpack_from(">BHHB", head, at + 4)
            if size or depth != 8 or layers not in (1, 3, 4) or not 0 < width * height <= _MOST_PIXELS:
                return None
            size = width, height
        elif kind == 0xE1:
            if orientation is not None:
                return None
            orientation = _plain_exif(head[at + 4:at + 2 + length])
            if orientation is None:
                return None
        elif kind == 0xDB:
            tables = head[at + 4:at + 2 + length]
            if len(tables) % 65 or any(number > 3 for number in tables[::65]):
                return None
        elif kind not in _PASSED_OVER or head.startswith(b"MPF\0", at + 4):
            return None
        at += 2 + length
    return ImageHeader(size, orientation or 1, "JPEG") if size else None


def _plain_exif(data: bytes) -> Optional[int]:
    """Finds the orientation in the first directory of EXIF data (TIFF 6.0, section 2); 1 where it says nothing."""
    order = {b"Exif\0\0II*\0": "<", b"Exif\0\0MM\0*": ">"}.get(data[:10])
    if order is None:
        return None
    start = 6 + struct.unpack_from(order + "I", data, 10)[0]
    (count, ) = struct.unpack_from(order + "H", data, start)
    if start + 2 + 12 * count + 4 > len(data):
        return None
    found = 1
    for i in range(count):
        entry = start + 2 + 12 * i
        tag, kind, values, value = struct.unpack_from(order + "HHIH", data, entry)
        size = _TIFF_BYTES.get(kind, 0) * values
        elsewhere = struct.unpack_from(order + "I", data, entry + 8)[0] if size > 4 else 0
        if not size or 6 + elsewhere + size > len(data):
            return None
        if tag == _ORIENTATION:
            if (kind, values) != (3, 1) or found != 1:
                return None
            found = value if 1 <= value <= 8 else 1
    return found


def _plain_png(head: bytes) -> Optional[ImageHeader]:
    """Goes from chunk to chunk up to the pixels (PNG 1.2, section 3.2), past those that change nothing here."""
    at, size = 8, None
    while True:
        length, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"IDAT":
            break
        if (kind == b"IHDR") != (size is None) or kind not in (b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"gAMA", b"sRGB",
                                                               b"cHRM", b"sBIT", b"bKGD", b"tIME"):
            return None
        (checksum, ) = struct.unpack_from(">I", head, at + 8 + length)
        if zlib.crc32(head[at + 4:at + 8 + length]) != checksum:
            return None
        if kind == b"IHDR":
            width, height, depth, colour, packing, filtering, _ = struct.unpack_from(">IIBBBBB", head, at + 8)
            usual = depth == 8 and colour in (0, 2, 3, 4, 6) and (packing, filtering) == (0, 0)
            if length != 13 or not usual or not 0 < width * height <= _MOST_PIXELS:
                return None
            size = width, height
        at += 12 + length
    return ImageHeader(size, 1, "PNG") if size else None


def _header_by_pillow(image: ImageFile) -> ImageHeader:
    from PIL import Image

    source = io.BytesIO(image) if isinstance(image, bytes) else image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source) as opened:
                pixels = opened.width * opened.height
                if pixels > _BOMB:
                    raise Image.DecompressionBombError(f"{pixels} pixels could be a decompression bomb")
                header = _header(opened)
                if not _ends_whole(image, header.format):
                    opened.load()
    except Image.UnidentifiedImageError:
        empty = len(image) == 0 if isinstance(image, bytes) else os.path.getsize(image) == 0
        raise ImageError("is empty" if empty else "is not an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot be decoded: {error}") from None
    return header


def _header(opened: Image.Image) -> ImageHeader:
    size = opened.size
    if opened.format == "TIFF":
        # PIL's size of a TIFF is turned or not, depending on its version.
        tags = opened.tag_v2  # type: ignore[attr-defined]
        size = int(tags.get(256, size[0])), int(tags.get(257, size[1]))
    return ImageHeader(size, _orientation(opened), opened.format or "")


def _orientation(opened: Image.Image) -> int:
    # PIL decodes a whole PNG to look for EXIF data behind the pixels, where nobody puts it.
    if opened.format == "PNG" and "exif" not in opened.info:
        return 1
    try:
        value = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data raises anything; OpenCV ignores it as well
        return 1
    return value if value in range(1, 9) else 1


def _ends_whole(image: ImageFile, kind: str) -> bool:
    mark = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}.get(kind)
    if mark is None:
        return False
    if isinstance(image, bytes):
        return mark in image[-_TAIL:]
    with open(image, "rb") as file:
        file.seek(max(0, os.path.getsize(image) - _TAIL))
        return mark in file.read()
