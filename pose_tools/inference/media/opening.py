"""From what a user names to sources: files, globs, folders, cameras, addresses, arrays."""
from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Union
from urllib.parse import urlsplit

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.headers import ImageError, read_header
from pose_tools.formats.images import IMAGE_SUFFIXES
from pose_tools.formats.labelme import find_files, natural_key
from pose_tools.inference.media.camera import Camera
from pose_tools.inference.media.source import ArrayPicture, PictureFile, Source
from pose_tools.inference.media.video import VideoFile

PICTURE_SUFFIXES = IMAGE_SUFFIXES
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".mts", ".m2ts",
                  ".3gp", ".ogv", ".mjpeg", ".mjpg")
_ADDRESS = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|rtp|srt)://", re.IGNORECASE)
_WEBCAM = re.compile(r"webcam:(\d+)", re.IGNORECASE)

Input = Union[str, Path, np.ndarray]


class _Fault(UserError):
    """Why one input gives no source; without its name."""


def open_sources(inputs: Union[Input, Sequence[Input]], recursive: bool = True) -> list[Source]:
    """Finds out what is meant by inputs. No video or camera is opened yet.

    Args:
        inputs: Picture and video files; folders, of which all pictures and videos are taken; globs; ``webcam:N``;
            addresses (RTSP, RTMP, UDP, TCP, SRT, HTTP); arrays BGR (H, W, 3). One, or a sequence of them.
        recursive: Whether folders are searched with their subfolders. Hidden files are passed over.

    Returns:
        Sources, in the order of the inputs; those of a folder and of a glob sorted by name, ``p2`` before ``p10``.
        A file that is named twice, for instance by itself and by its folder, is taken once.

    Raises:
        FaultsError: Inputs that do not exist, are empty or match nothing: all of them.
    """
    if isinstance(inputs, (str, Path, np.ndarray)):
        inputs = [inputs]
    found: list[Source] = []
    faults: list[Fault] = []
    taken: set[Path] = set()
    for number, item in enumerate(inputs):
        try:
            for source in _sources(item, number, recursive):
                place = source.path.resolve() if source.path else None
                if place is None or place not in taken:
                    found.append(source)
                    taken.update([place] if place else [])
        except _Fault as fault:
            faults.append(Fault(str(item), str(fault)))
        except UserError as error:
            name, _, what = str(error).partition(": ")
            faults.append(Fault(name, what))
    if not (found or faults):
        raise UserError("nothing to predict: no input was given")
    if faults:
        raise FaultsError(faults)
    return found


def _sources(item: Input, number: int, recursive: bool) -> Iterator[Source]:
    if not isinstance(item, (str, Path)):
        yield ArrayPicture(np.asarray(item), number)
        return
    text, path = str(item), Path(item)
    if match := _WEBCAM.fullmatch(text):
        yield Camera(text, int(match[1]))
    elif isinstance(item, str) and _ADDRESS.match(text):
        suffix = Path(urlsplit(text).path).suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            raise _Fault("is the address of a picture; download it first")
        # A name is shown, logged and written into files, where no password belongs.
        name = re.sub(r"(?<=//)([^/@:]*):[^/]*@", r"\1@", text)
        is_file = suffix in VIDEO_SUFFIXES and text.lower().startswith("http")
        yield VideoFile(text, name) if is_file else Camera(name, text)
    elif path.is_dir():
        yield from _folder(path, recursive)
    elif path.exists():
        yield _file(path)
    elif glob.has_magic(text):
        yield from _glob(text, recursive)
    else:
        is_camera = text.isdecimal() or text.lower().startswith(("webcam", "camera"))
        hint = "; a camera is webcam:0, webcam:1, ..." if is_camera else ""
        raise _Fault(f"no such file or folder{hint}")


def _by_name(paths: Sequence[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: [natural_key(part) for part in path.parts])


def _folder(folder: Path, recursive: bool) -> list[Source]:
    files = find_files(folder, (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))
    if not recursive:
        files = [path for path in files if path.parent == folder]
    if not files:
        raise _Fault(f"holds no picture and no video ({' '.join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))})")
    return [_file(path) for path in _by_name(files)]


def _glob(pattern: str, recursive: bool) -> Iterator[Source]:
    matched = _by_name([Path(name) for name in glob.glob(pattern, recursive=True)])
    if not matched:
        raise _Fault("matches no file")
    some = False
    for path in matched:
        if path.is_dir() and find_files(path, (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)):
            some = True
            yield from _folder(path, recursive)
        elif path.suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES):
            some = True
            yield _file(path)
    if not some:
        raise _Fault(f"matches no picture and no video, only {matched[0]}" + (", ..." if matched[1:] else ""))


def _file(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VideoFile(path)
    if suffix in PICTURE_SUFFIXES or _is_picture(path):
        return PictureFile(path)
    return VideoFile(path)


def _is_picture(path: Path) -> bool:
    """Looks into a file whose suffix says nothing."""
    try:
        read_header(path)
    except ImageError as error:
        return str(error) != "is not an image"
    except OSError:
        return True
    return True
