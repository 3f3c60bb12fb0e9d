"""How much room decoded parts may take, and making room for them."""
from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import IO, Optional

from pose_tools.openmmlab.image_cache.store import SUFFIX, stored_files

try:
    import fcntl
except ImportError:  # Windows, which does not delete files that are in use anyway
    fcntl = None  # type: ignore[assignment]

SHARE = 0.5
_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_budget(folder: Path) -> int:
    """Half of the free memory or half of the free disk, whichever is less, in bytes.

    Files that the memory cannot hold are read from the disk again in each epoch, which on a slow disk costs more than
    decoding; and the other half of the disk is for checkpoints and for others. What the folder holds counts as free.

    Args:
        folder: Of the cache; it need not exist.
    """
    existing = next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), Path("."))
    disk = shutil.disk_usage(existing).free + sum(size for _, size, _ in _sizes(folder))
    memory = free_memory()
    return int(SHARE * (disk if memory is None else min(disk, memory)))


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> Optional[int]:
    """Bytes of memory that programs could have; None where the system does not say.

    Args:
        meminfo: Where Linux tells.
    """
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        line = next(text for text in meminfo.read_text().splitlines() if text.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    for name in _LIMIT_FILES:  # of a container
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(name).read_text()))
    return min(found, default=None)


def _sizes(folder: Path) -> list[tuple[os.DirEntry, int, float]]:
    made = []
    for entry in stored_files(folder):
        with contextlib.suppress(OSError):
            facts = entry.stat()
            made.append((entry, facts.st_size, facts.st_mtime))
    return made


class Lease:
    """Says to other runs that a cache folder is in use; while any does, nothing is deleted from it.

    Args:
        folder: Of the cache.

    Attributes:
        alone: Whether nobody else used the folder when we came.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the lease, which ends with this process and its workers."""
        self.alone = True
        self._file: Optional[IO[bytes]] = None
        if fcntl is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(folder / "in-use", "ab")  # noqa: SIM115 - held until the process ends
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.alone = False
        except OSError:  # nothing can be written there, which writing a part will say
            pass

    def share(self) -> None:
        """Lets others in, once our own clearing is done."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def make_room(folder: Path, planned: Collection[str], needed: int, budget: int, alone: bool) -> int:
    """Deletes what is not planned, the longest unused first, until it fits beside what is.

    Args:
        folder: Of the cache.
        planned: ``PLACE.NAME`` of the parts this run uses (see :meth:`PartStore.file`).
        needed: Bytes all planned parts take together.
        budget: Bytes the folder may have.
        alone: Whether files of others may be deleted; if not, only what killed processes left is looked at.

    Returns:
        Bytes that files of others still take.
    """
    wanted = set(planned)
    others, newest = [], {}
    for entry, size, _ in sorted(_sizes(folder), key=lambda found: -found[2]):
        key = ".".join(entry.name.split(".")[:2])
        if entry.name.endswith(SUFFIX) and key in wanted and key not in newest:
            newest[key] = size
        else:  # a part of another run, of the picture's earlier content, or an unfinished file
            others.append((entry, size))
    taken = sum(size for _, size in others)
    for entry, size in reversed(others):
        unfinished = not entry.name.endswith(SUFFIX)
        if alone and (unfinished or needed + taken > budget):
            with contextlib.suppress(OSError):
                os.unlink(entry.path)
                taken -= size
    return taken
