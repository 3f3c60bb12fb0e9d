"""Files that appear under their name only when they are whole."""
from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Opens a temporary file in the folder of a file to be; the caller renames it when it is good.

    Args:
        target: The file to be; its folder is made.

    Yields:
        Path and open binary file. Whatever still lies at the path afterwards is removed; a killed process
        leaves it, as ``.NAME.*.part``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            # mkstemp gives files to their owner only.
            os.chmod(name, 0o666 & ~_umask())
            yield Path(name), file
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file in one step: a reader sees the old one or the whole new one.

    Args:
        path: Where to write; its folder is made.
        data: Its content.
    """
    with temporary_beside(path) as (temporary, file):
        file.write(data)
        file.close()  # before the rename, which Windows refuses for an open file
        os.replace(temporary, path)


def to_disk(file: BinaryIO) -> None:
    """Makes sure that what was written is on the disk, so that a rename cannot come before it."""
    file.flush()
    os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
