"""Listing a folder."""
from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> set[str]:
    """All files of a folder and its subfolders, as paths relative to it with forward slashes.

    Listing once is faster than asking for each of thousands.
    """
    return {os.path.normpath(os.path.join(os.path.relpath(top, folder), name)).replace(os.sep, "/")
            for top, _, names in os.walk(folder) for name in names}
