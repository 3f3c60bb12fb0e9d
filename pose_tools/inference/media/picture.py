"""Reading one picture file, however odd, into the pixels that training would see.

What OpenCV reads as it should is left to OpenCV, so that ordinary files give the very pixels of
:func:`pose_tools.report.draw.imread`. What differs: a file that is cut short is refused, where OpenCV would fill the
rest with grey; a WebP is turned as its EXIF data says; numbers beyond 8 bits are scaled; and what OpenCV does not know
(GIF, ICO, PCX, TGA, ...) is read by Pillow. Of a file with several pictures the first is taken. Transparency is passed
over, as in training: a transparent pixel has the colour that is stored for it.
"""
from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.headers import ImageError, plain_header
from pose_tools.formats.images import read_header, source_of

if TYPE_CHECKING:
    from PIL import Image

_OVERSHOOT = 1.1  # resampling and lossy packing of shares go a little beyond 1


def read_picture(path: Union[str, Path]) -> np.ndarray:
    """Reads a picture file.

    Args:
        path: Any format that OpenCV or Pillow knows; the contents count, not the suffix.

    Returns:
        BGR (H, W, 3), uint8, upright.

    Raises:
        UserError: There is no such file, or it is empty, not a picture, cut short or too large; one line that starts
            with the path.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a picture")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        return decode_picture(data)
    except ImageError as error:
        raise UserError(f"{path}: {error}") from None


def decode_picture(data: bytes) -> np.ndarray:
    """Decodes the bytes of a picture file.

    Returns:
        BGR (H, W, 3), uint8, upright.

    Raises:
        ImageError: They are no picture, or not all of one; the text names no file.
    """
    import cv2

    if plain_header(data):
        return _by_opencv(data, cv2.IMREAD_COLOR, required=True)
    try:
        header = read_header(data)
    except ImageError as error:
        return _without_header(data, error)
    if source_of("", header).rewrite:
        return _by_pillow(data)
    if header.format == "TIFF":
        return _tiff(data)
    image = _by_opencv(data, cv2.IMREAD_COLOR)
    return _by_pillow(data) if image is None else image


def as_bgr(array: np.ndarray) -> np.ndarray:
    """Makes pixels of any usual form BGR (H, W, 3) uint8; returns the same array where it is that already.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), the last being BGRA, whose A is passed over. 16 bits are
            scaled to 8 as OpenCV does it (v // 256); other numbers by :func:`_scaled`. bool is black and white.

    Raises:
        ImageError: It has another shape, or holds no pixels.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(f"has the shape {array.shape}; expected (H, W, 3), BGR")
    if array.dtype != np.uint8:
        array = _scaled(array)
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array if array.shape[2] == 3 else array[..., :3])


def _scaled(array: np.ndarray) -> np.ndarray:
    """Numbers beyond 8 bits as uint8, so that nothing is cut off.

    Real numbers up to about 1 are shares, those up to 255 grey levels; whatever goes beyond (for whole numbers:
    beyond 16 bits) is scaled so that the largest becomes 255. NaN and what lies below 0 become 0.
    """
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ImageError(f"holds {array.dtype}; expected uint8")
    real = np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(0)
    top = real.max()
    if array.dtype.kind == "f":
        factor = 255.0 if top <= _OVERSHOOT else 1.0 if top <= 255 else 255.0 / top
        return (real * factor + 0.5).clip(0, 255).astype(np.uint8)
    return (real // 256 if top <= 65535 else real * (255.0 / top)).astype(np.uint8)


def _by_opencv(data: bytes, flags: int, required: bool = False) -> Optional[np.ndarray]:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # it raises beyond its limits, and returns None for what it cannot decode
        image = None
    if image is None and required:
        raise ImageError("cannot be decoded")
    return image


def _without_header(data: bytes, error: ImageError) -> np.ndarray:
    """What Pillow does not know (EXR, HDR, TIFF of three real numbers a pixel) or finds too large to be meant."""
    import cv2

    is_large = "decompression bomb" in str(error)
    if is_large and not _ends_whole(data):
        raise ImageError("is cut short")
    if not is_large and str(error) != "is not an image":
        raise error
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    image = _by_opencv(data, cv2.IMREAD_COLOR)
    if image is None:
        pixels = re.search(r"\d+ pixels", str(error))
        raise ImageError(f"is too large: {pixels[0] if pixels else error}") if is_large else error
    return image


def _ends_whole(data: bytes) -> bool:
    """Whether the end mark of a JPEG or PNG is where it should be; True for all other formats."""
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in data[-32:]
    return not data.startswith(b"\x89PNG") or b"IEND" in data[-32:]


def _tiff(data: bytes) -> np.ndarray:
    """A TIFF, whose real numbers OpenCV would take modulo 256 on the way to 8 bits."""
    import cv2

    raw = _by_opencv(data, cv2.IMREAD_UNCHANGED)
    if raw is None or (raw.dtype == np.uint8 and raw.shape[2:] == (4, )):  # OpenCV lays a transparent one over black
        return _by_pillow(data)
    return _by_opencv(data, cv2.IMREAD_COLOR, required=True) if raw.dtype == np.uint8 else as_bgr(raw)


def _by_pillow(data: bytes) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as opened:
                image = ImageOps.exif_transpose(opened)
                return _pixels(image)
    except Image.UnidentifiedImageError:  # its text is an address in memory
        raise ImageError("cannot be decoded") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot be decoded: {error}") from None


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        pixels: Any = np.asarray(image)
        return as_bgr(pixels.astype(pixels.dtype.newbyteorder("=")))
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
