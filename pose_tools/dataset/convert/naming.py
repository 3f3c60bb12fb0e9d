"""Names for the images of a data set: what their folders say is kept, and no two are the same."""
from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, Union


class Named(Protocol):
    """What gets a name: an image, or a labelme file that embeds one (``origin``), and its own file name."""

    @property
    def origin(self) -> Union[str, Path]: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102


def _relative(folder: Path, roots: Sequence[Path]) -> PurePosixPath | None:
    for root in roots:
        if folder == root or root in folder.parents:
            return PurePosixPath(*folder.relative_to(root).parts)
    return None


def assign_names(sources: Sequence[Named], roots: Sequence[Path]) -> list[str]:
    """Gives each image its path inside the data set.

    Args:
        sources: Images, or labelme files that embed one.
        roots: Folders whose inner structure is kept. Images outside of them keep what differs between them.

    Returns:
        Relative paths with forward slashes, different even where case and unicode form do not count.
    """
    inner = _inner_folders({os.path.dirname(source.origin) for source in sources}, roots)
    taken: set[str] = set()
    names = []
    for source in sources:
        folder = inner[os.path.dirname(source.origin)]
        names.append(_free(_printable(f"{folder}/{source.name}" if folder else source.name), taken))
    return names


def _inner_folders(folders: Iterable[str], roots: Sequence[Path]) -> dict[str, str]:
    """Folders inside the data set by folders outside of it; ``""`` is the data set's own."""
    # First by the names the user sees, then behind symbolic links.
    resolved = [root.resolve() for root in roots]
    named = [Path(os.path.abspath(root)) for root in roots]
    seen = {folder: Path(os.path.abspath(folder)) for folder in folders}
    places = {folder: _relative(path, named) or _relative(path.resolve(), resolved) for folder, path in seen.items()}
    common = _common([path for folder, path in seen.items() if places[folder] is None])
    for folder, path in seen.items():
        if places[folder] is None:
            places[folder] = _relative(path, common) or PurePosixPath()
    return {folder: "" if str(place) == "." else str(place) for folder, place in places.items()}


def _common(folders: Sequence[Path]) -> list[Path]:
    try:
        return [Path(os.path.commonpath(folders))] if folders else []
    except ValueError:  # on different drives
        return []


def _printable(name: str) -> str:
    """Replaces bytes that are no UTF-8, which Linux allows in names and JSON does not."""
    return name.encode("utf-8", "replace").decode().replace("?", "_")


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while (key := unicodedata.normalize("NFC", candidate).casefold()) in taken:
        number += 1
        path = PurePosixPath(name)
        candidate = str(path.with_name(f"{path.stem}_{number}{path.suffix}"))
    taken.add(key)
    return candidate
