"""Making a folder in one step, so that whoever looks sees the old one, or the whole new one."""
from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pose_tools.console.errors import UserError


def check_destination(path: Path, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuses a destination that would be lost, or would take what is read along.

    Args:
        path: The folder to make.
        overwrite: Whether a folder with contents may be replaced.
        sources: Files and folders that are read.

    Raises:
        UserError: It is a file, a folder that is not empty while ``overwrite`` is off, or holds a source.
    """
    for source in sources:
        if path.resolve() in (source.resolve(), *source.resolve().parents):
            raise UserError(f"{path}: holds {source}, which would be lost; choose another folder")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; name a folder to write to")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise UserError(f"{path}: is not empty; choose another folder, or replace it with --overwrite")


@contextmanager
def new_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Gives a temporary folder to fill, which takes the place of ``path`` once all went well.

    Args:
        path: The folder to make; its parents are made.
        overwrite: Whether a folder with contents may be replaced. It is moved aside first and removed only
            when the new one is in place.

    Yields:
        An empty folder beside ``path``, so that moving it is a rename. After any error it is removed, and
        ``path`` is as it was.

    Raises:
        UserError: ``path`` is a file, or has contents while ``overwrite`` is off.
    """
    path = path.resolve()
    check_destination(path, overwrite)
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        inner = work / "new"
        inner.mkdir()
        yield inner
        _swap(inner, path, work / "old")
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        for parent in made:
            parent.rmdir()
        raise
    shutil.rmtree(work, ignore_errors=True)


def _swap(new: Path, path: Path, old: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(old, path)
        raise
