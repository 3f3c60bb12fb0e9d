"""Files that are on this machine, or on a disk it sees: a mirror's folder, a path in a catalog."""
from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote, urlsplit

from pose_tools.weights.addresses import is_address
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.pour import check_size, pour
from pose_tools.weights.download.transfer import OnBytes
from pose_tools.weights.entries import ModelFile, Source


def receive_from_folder(source: Source, part: Part, file: ModelFile, limits: Limits, on_bytes: OnBytes) -> None:
    """Copies a file of this machine; never a link to it, so that the copy stays when the disk goes.

    Args:
        source: Of kind ``file``; its address is a path, ``~`` is the home.
        part: Where the bytes go; open and locked.
        file: What is wanted.
        limits: Of no use here; all sources are called alike.
        on_bytes: Called with the bytes so far and the total.

    Raises:
        SourceFailed: It is not there, not a regular file, of another size, cannot be read, or was changed
            while it was copied.
    """
    path = local_path(source.address)
    try:
        with open(_open_regular(path), "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            check_size(before.st_size, file)
            version = f"{before.st_size}-{before.st_mtime_ns}"
            pour(stream, part, Notes(str(path), etag=version, total=before.st_size, sha256=file.sha256 or ""), on_bytes)
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise SourceFailed(f"cannot be read: {error.strerror or error}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        part.restart()
        raise SourceFailed("was changed while it was copied")


def local_path(text: str) -> Path:
    """Reads a path as a user or a catalog writes it.

    Args:
        text: ``~`` and ``~NAME`` are homes.

    Raises:
        SourceFailed: There is no such home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SourceFailed(f"there is no home folder for {text.split('/')[0]}") from error


def _open_regular(path: Path) -> int:
    """Opens a file for reading, and nothing that only looks like one."""
    # Without waiting for somebody to write: opening a named pipe would not come back.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        opened = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceFailed("there is no such file") from None
    except OSError as error:
        if path.is_dir():  # Windows opens no folders
            raise SourceFailed("is a folder") from None
        raise SourceFailed(f"cannot be read: {error.strerror or error}") from error
    mode = os.fstat(opened).st_mode
    if stat.S_ISREG(mode):
        return opened
    os.close(opened)
    raise SourceFailed("is a folder" if stat.S_ISDIR(mode) else "is not a regular file")


def mirror_source(mirror: str, path: str) -> Source:
    """Says where a mirror has a file: as it lies below ``checkpoint/``.

    So a copy of another machine's ``checkpoint/`` is a mirror.

    Args:
        mirror: A folder, or an http(s) address; what ``POSE_TOOLS_MIRROR`` says.
        path: The file's path there, forward slashes.
    """
    if not is_address(mirror):
        return Source("file", str(Path(mirror) / path))
    parts = urlsplit(mirror)
    address = parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}", fragment="")
    return Source("url", address.geturl())
