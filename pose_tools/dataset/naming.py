"""Names for the images of a data set: what their folders say is kept, and no two are the same."""
from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pose_tools.formats.images import ImageSource


def _relative(folder: Path, roots: Sequence[Path]) -> PurePosixPath | None:
    for root in roots:
        if folder == root or root in folder.parents:
            return PurePosixPath(*folder.relative_to(root).parts)
    return None


def assign_names(sources: Sequence[ImageSource], roots: Sequence[Path]) -> list[str]:
    """Gives each image its path inside the data set.

    Args:
        sources: Images, or labelme files that embed one.
        roots: Folders whose inner structure is kept. Images outside of them keep what differs between them.

    Returns:
        Relative paths with forward slashes, different even where case and unicode form do not count.
    """
    # First by the names the user sees, then behind symbolic links.
    resolved = [root.resolve() for root in roots]
    named = [Path(os.path.abspath(root)) for root in roots]
    folders = [Path(os.path.abspath(source.origin)).parent for source in sources]
    places = [_relative(folder, named) or _relative(folder.resolve(), resolved) for folder in folders]
    common = _common([folder for folder, place in zip(folders, places) if place is None])
    taken: set[str] = set()
    names = []
    for source, folder, place in zip(sources, folders, places):
        inner = place if place is not None else _relative(folder, common) or PurePosixPath()
        names.append(_free(_printable(inner / source.name), taken))
    return names


def _common(folders: Sequence[Path]) -> list[Path]:
    try:
        return [Path(os.path.commonpath(folders))] if folders else []
    except ValueError:  # on different drives
        return []


def _printable(path: PurePosixPath) -> PurePosixPath:
    """Replaces bytes that are no UTF-8, which Linux allows in names and JSON does not."""
    return PurePosixPath(str(path).encode("utf-8", "replace").decode().replace("?", "_"))


def _free(path: PurePosixPath, taken: set[str]) -> str:
    candidate, number = path, 1
    while (key := unicodedata.normalize("NFC", str(candidate)).casefold()) in taken:
        number += 1
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
    taken.add(key)
    return str(candidate)
