"""What several files are taken from: the fetch of a repository, an archive.

It lies in ``.downloads`` while a download runs, so that the second file costs no second transfer, and it stays
there when a file could be had in part only. It is used by the name of what it holds, under a lock.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pose_tools.weights.download.parts import locked_file

PREFIX = "shared-"
_SUFFIXES = ("", ".part", ".json")
# Fetched by this process: what was kept by an earlier one may be of yesterday's branch.
_fresh: set[Path] = set()


def kept_name(*what: str) -> str:
    """Gives the name under which something shared is kept.

    Args:
        what: What tells it from others: kind, address, revision.
    """
    return PREFIX + hashlib.sha256("\x00".join(what).encode("utf-8", "surrogateescape")).hexdigest()[:20]


@contextlib.contextmanager
def holding(kept: Path, tick: Callable[[], None]) -> Iterator[None]:
    """Keeps other processes and threads from something shared.

    Args:
        kept: Its path.
        tick: Called while waiting; what it raises ends that.
    """
    def asked() -> bool:
        tick()
        return False

    with locked_file(kept.with_name(f"{kept.name}.lock"), stopped=asked):
        yield


def is_fresh(kept: Path) -> bool:
    """Tells whether this process has fetched it in the present download."""
    return kept in _fresh and kept.exists()


def set_fresh(kept: Path) -> None:
    """Notes that this process has just fetched it."""
    _fresh.add(kept)


def end_sharing(work: Path, all_done: bool) -> None:
    """Ends the sharing of a download: what was fetched counts as old from now on.

    Args:
        work: The folder ``.downloads``.
        all_done: Every file is there. Then nothing shared is needed any more, nor where none has begun to come;
            it is removed unless another process is using it. Else it is kept for the next try.
    """
    from filelock import FileLock, Timeout

    _fresh.difference_update([kept for kept in _fresh if kept.parent == work])
    if not work.is_dir() or (not all_done and any(work.glob("*.part"))):
        return
    for name in sorted({path.name.split(".")[0] for path in work.glob(f"{PREFIX}*")}):
        lock = FileLock(str(work / f"{name}.lock"))
        with contextlib.suppress(Timeout, OSError), lock.acquire(timeout=0):
            remove(work / name)
            (work / f"{name}.lock").unlink()
    with contextlib.suppress(OSError):
        work.rmdir()


def remove(kept: Path) -> None:
    """Removes what is kept and what has begun to be; the caller holds its lock, which stays."""
    _fresh.discard(kept)
    shutil.rmtree(kept, onerror=_remove_protected)
    for suffix in _SUFFIXES:
        with contextlib.suppress(OSError):  # Windows does not remove what is open
            kept.with_name(kept.name + suffix).unlink()


def _remove_protected(function: Callable[[str], None], path: str, _: object) -> None:
    """Removes what git has written as read-only, which Windows refuses otherwise; gone already is good as well."""
    with contextlib.suppress(OSError):
        os.chmod(path, stat.S_IWRITE | stat.S_IREAD)
        function(path)
