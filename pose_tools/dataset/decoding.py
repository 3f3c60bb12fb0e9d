"""Decoding image files to find those that are damaged behind a sound header.

What can be found: data that is missing or replaced inside a file, whatever its end looks like (in trials all of it);
of single flipped bits in a JPEG one in five. The others change some pixels and leave a file that is as valid as before:
JPEG has no checksums. PNG has, so there every flipped bit is found.

Pillow silences the warnings in which libjpeg says all this; OpenCV lets them through to the process's stderr, which is
why they are read from there. The room ``formats`` does without OpenCV; that is why this module is not in it.
"""
from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Optional, Union

from pose_tools.dataset.parallel import in_a_worker, map_items
from pose_tools.formats.images import ImageError, read_header

# What OpenCV's libraries print about lost pixels. Not: warnings about colour profiles and the like.
_DAMAGE = ("corrupt jpeg", "premature end", "libpng error", "crc error", "inconsistent progression", "bogus ",
           "unsupported marker", "fax4decode", "lzwdecode", "zipdecode", "not enough data", "decoding error")
_DECODED_BY_CV2 = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP", "PPM")
_stderr_lock = threading.Lock()


@contextlib.contextmanager
def _caught_stderr() -> Iterator[BinaryIO]:
    """Sends what C libraries print to stderr into a file; one thread at a time, since stderr is the process's."""
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        try:
            kept = os.dup(2)
        except OSError:  # a process without stderr: there is nothing to catch
            yield caught
            return
        try:
            os.dup2(caught.fileno(), 2)
            yield caught
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _decode_with_opencv(data: bytes, kind: str) -> str:
    import cv2
    import numpy as np

    if in_a_worker():
        # OpenCV's threads do not live on in a forked process, which would wait for them.
        cv2.setNumThreads(1)
    # An eighth of the size still takes every bit of a JPEG through the decoder and saves half of the time.
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 if kind in ("JPEG", "MPO") else cv2.IMREAD_COLOR
    with _caught_stderr() as caught:
        try:
            decoded, problem = cv2.imdecode(np.frombuffer(data, np.uint8), flags), "OpenCV does not read it"
        except cv2.error as error:
            decoded, problem = None, f"OpenCV does not read it: {error.err}"
        caught.seek(0)
        lines = caught.read().decode("utf-8", "replace").splitlines()
    told = next((line.strip() for line in lines if any(word in line.casefold() for word in _DAMAGE)), "")
    if told:
        return f"is damaged inside: {told}"
    return "" if decoded is not None else f"cannot be decoded: {problem}"


def _decode_with_pillow(data: bytes, kind: str) -> str:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as opened:
                opened.load()
            if kind == "PNG":
                # Compares the checksums of all chunks, which decoding does not.
                with Image.open(io.BytesIO(data)) as opened:
                    opened.verify()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return f"is damaged inside: {error}"
    return ""


def verify_image(image: Union[str, Path, bytes]) -> str:
    """Decodes a whole image file.

    Args:
        image: A path, or the bytes of an image file.

    Returns:
        What is wrong with it, to be written behind its name: it is missing, empty, no image, cut short, or damaged
        inside; ``""`` when it is sound.
    """
    try:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
        kind = read_header(data).format
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except ImageError as error:
        return str(error)
    # What OpenCV does not read is rewritten through Pillow; a PNG has checksums that only Pillow compares.
    if kind not in _DECODED_BY_CV2 or kind == "PNG":
        told = _decode_with_pillow(data, kind)
        if told or kind != "PNG":
            return told
    return _decode_with_opencv(data, kind)


def verify_images(images: Sequence[Union[str, Path]], what: str = "decoding",
                  workers: Optional[int] = None) -> Iterator[str]:
    """Decodes image files, in several processes when there are many, with a progress bar.

    Args:
        images: Paths.
        what: Label of the progress bar.
        workers: How many processes; ``None`` takes as many as there are processors.

    Yields:
        What :func:`verify_image` says of each, in their order.
    """
    return map_items(_verify_each, images, what, workers, fewest=64)


def _verify_each(images: Sequence[Union[str, Path]]) -> list[str]:
    return [verify_image(image) for image in images]
