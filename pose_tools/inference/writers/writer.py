"""What all writers share: how they end, and how files are named."""
from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from pose_tools.inference.media.closing import Closing

if TYPE_CHECKING:
    from pose_tools.inference.result import Result


class Writer(Closing):
    """The base of all writers.

    Attributes:
        notes: Lines for the user, complete once it is closed.
    """

    def __init__(self) -> None:
        """Nothing is written yet."""
        self.notes: list[str] = []


class Names:
    """File names for results, each given once."""

    def __init__(self) -> None:
        """None is taken yet."""
        self._taken: set[str] = set()

    def free(self, result: Result) -> str:
        """A stem made of the result's source and, in a video or of a camera, the frame's number.

        Two pictures of the same name from different folders stay apart, also where the file system does not tell
        ``A`` from ``a``.
        """
        stem = stem_of(result.source) + (f"-{result.number:06d}" if result.time is not None else "")
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        return name


def stem_of(source: str) -> str:
    """A file name without suffix for a source: that of the file, else what it is called without odd characters."""
    if "://" not in source and not source.lower().startswith("webcam:"):
        source = PureWindowsPath(Path(source).name).name or "picture"
        source = Path(source).stem
    # What Windows forbids in names, and what shells trip over.
    return re.sub(r'[\s<>:"/\\|?*\x00-\x1f]+', "-", source.split("@")[-1]).strip("-.") or "picture"
