"""Removing what unfinished downloads left."""
from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pose_tools.weights.entries import WORK_FOLDER

SUFFIXES = (".part", ".json", ".lock")


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Attributes:
        removed: Files of unfinished downloads, with their bytes.
        in_use: Unfinished downloads that a process is at work on; left alone.
        suspects: Files that were set aside because their hash is wrong; left alone, for they may be the user's.
    """

    removed: dict[Path, int]
    in_use: tuple[Path, ...]
    suspects: dict[Path, int]

    @property
    def freed(self) -> int:
        """Bytes removed."""
        return sum(self.removed.values())


def prune_downloads(folders: Iterable[Path]) -> Pruned:
    """Removes unfinished downloads below folders; never a finished file, and never one that is being fetched.

    Args:
        folders: Where files of models lie; what is below them is looked through too.
    """
    removed: dict[Path, int] = {}
    in_use: list[Path] = []
    suspects: dict[Path, int] = {}
    for folder in dict.fromkeys(folders):
        for work in sorted(folder.rglob(WORK_FOLDER)):
            for name in sorted({path.name[:-len(path.suffix)] if path.suffix in SUFFIXES else path.name
                                for path in work.iterdir()}):
                removed.update(_remove_unless_held(work, name, in_use))
            with contextlib.suppress(OSError):
                work.rmdir()
        suspects.update({path: path.stat().st_size for path in sorted(folder.rglob("*.suspect*")) if path.is_file()})
    return Pruned(removed, tuple(in_use), suspects)


def _remove_unless_held(work: Path, name: str, in_use: list[Path]) -> dict[Path, int]:
    """Removes what belongs to one download, under its lock, and tells the bytes of each file."""
    from filelock import FileLock, Timeout

    removed = {}
    try:
        with FileLock(str(work / f"{name}.lock")).acquire(timeout=0):
            for path in [work / f"{name}{suffix}" for suffix in ("", *SUFFIXES)]:
                inside = path.rglob("*") if path.is_dir() else [path]
                sizes = {each: each.stat().st_size for each in inside if each.is_file()}
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):
                    path.unlink()
                removed.update({each: size for each, size in sizes.items() if not each.exists()})
    except Timeout:
        in_use.append(work / name)
    return {path: size for path, size in removed.items() if path.suffix != ".lock"}
