"""Room on the disks: checked before anything is asked for, and again when a length becomes known."""
from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path
from typing import Optional

from pose_tools.console import UserError
from pose_tools.weights.download.parts import Part

MB = 1_000_000
MARGIN = 100 * MB  # left free for everybody else
_LOOK_EVERY = 64 * MB  # of a file whose length nobody said


class Space:
    """What the downloads of one command still need, added up by file system."""

    def __init__(self) -> None:
        """Nothing is needed yet."""
        self._totals: dict[Part, int] = {}
        self._looked: dict[Part, int] = {}
        self._lock = threading.Lock()

    def plan(self, part: Part, total: Optional[int]) -> None:
        """Counts a file in, without looking at the disk.

        Args:
            part: Where its bytes go; what is there already is not needed again.
            total: Bytes of the whole file; of an unknown length nothing is counted.
        """
        with self._lock:
            if total is not None:
                self._totals[part] = total

    def done(self, part: Part) -> None:
        """Counts a file out, be it whole or given up."""
        with self._lock:
            self._totals.pop(part, None)
            self._looked.pop(part, None)

    def check(self) -> None:
        """Looks at all disks.

        Raises:
            UserError: One has less free than its files need and a margin.
        """
        with self._lock:
            needed: dict[int, int] = {}
            places: dict[int, Path] = {}
            for part, total in self._totals.items():
                place = _existing(part.folder)
                device = place.stat().st_dev
                places.setdefault(device, place)
                needed[device] = needed.get(device, 0) + max(0, total - part.size)
        for device, place in places.items():
            if needed[device]:
                _check_free(place, needed[device])

    def on_bytes(self, part: Part, received: int, total: Optional[int]) -> None:
        """Takes note of the length a server says; of one that says none, looks now and then.

        Args:
            part: What is being received.
            received: Bytes so far.
            total: Bytes of the whole, where known.

        Raises:
            UserError: There is no room for it.
        """
        if total is not None:
            if self._totals.get(part) != total:
                self.plan(part, total)
                self.check()
        elif received >= self._looked.get(part, 0) + _LOOK_EVERY:
            self._looked[part] = received
            _check_free(_existing(part.folder), 0)


def _check_free(place: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return  # some file systems do not say; writing will show
    if needed + MARGIN > free:
        raise UserError(f"{place}: not enough room on the disk: {in_mb(needed)} needed and "
                        f"{in_mb(MARGIN)} to spare, {in_mb(free)} free")


def in_mb(size: int) -> str:
    """Writes a number of bytes in MB (10^6 bytes), small ones in bytes."""
    if size < 100_000:
        return f"{size} bytes"
    return f"{size / MB:.1f} MB" if size < 1000 * MB else f"{size / MB:.0f} MB"


def _existing(folder: Path) -> Path:
    """Finds the folder, or the nearest one above it that is there."""
    for place in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError):
            if place.is_dir():
                return place
    return Path.cwd()
