"""Finding the images that a COCO file means, where another tool wrote their names in its own way."""
from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pose_tools.dataset.folder import files_below
from pose_tools.formats.images import ImageError, read_header

# Label Studio puts eight random digits before the name of an uploaded file.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")


def locate_images(data: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Makes ``file_name`` relative to the images' folder where a tool wrote something else, and adds missing sizes.

    Backslashes become slashes. Only when not a single image is where its name says, names are looked for in other
    ways: without leading folders, a server's address or Label Studio's ``1a2b3c4d-`` before them, or in a folder
    below, as CVAT has one for each subset. A file that two names would claim, or whose size is another, is not it.

    Args:
        data: COCO contents.
        folder: Where the images are.

    Returns:
        The contents, not changed where an image is not found, and a line for each kind of change.
    """
    present = files_below(folder)
    wanted = {i: _plain(image["file_name"]) for i, image in enumerate(data["images"])
              if isinstance(image.get("file_name"), str) and "\0" not in image["file_name"]}
    found = {i: name for i, name in wanted.items() if name in present}
    if not found:
        found = _search(wanted, present)
    images, renamed, measured = [dict(image) for image in data["images"]], [], 0
    for i, name in found.items():
        header = None
        if name != wanted[i] or any(images[i].get(side) is None for side in ("width", "height")):
            try:
                header = read_header(folder / name)
            except (ImageError, OSError):
                continue
        if header and all(images[i].get(side) is None for side in ("width", "height")):
            images[i]["width"], images[i]["height"] = header.upright
            measured += 1
        elif header and (images[i].get("width"), images[i].get("height")) not in (header.upright, header.stored):
            continue
        if name != images[i]["file_name"] and not (folder / images[i]["file_name"]).is_file():
            renamed.append((images[i]["file_name"], name))
            images[i]["file_name"] = name
    notes = [f"{measured} images have no size: taken from their files"] if measured else []
    if renamed:
        said = "{} images have another name in {}: {} is {}, for example"
        notes.append(said.format(len(renamed), folder, *renamed[0]))
    return {**data, "images": images}, notes


def _plain(name: str) -> str:
    """A file name with slashes, without ``./``; an address as it is."""
    return name if "://" in name else PureWindowsPath(name).as_posix()


def _endings(name: str) -> list[str]:
    """What may be left of a path in another place: its ends, the longest first."""
    if "://" in name or name.startswith("/data/local-files/"):
        try:
            address = urlsplit(name)
        except ValueError:  # brackets that are no IPv6 address
            return []
        name = parse_qs(address.query).get("d", [unquote(address.path)])[0]
    path = PureWindowsPath(name)
    parts = [part for part in path.parts if part != path.anchor]
    return [] if ".." in parts else ["/".join(parts[i:]) for i in range(len(parts))]


def _search(wanted: Mapping[int, str], present: set[str]) -> dict[int, str]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for name in sorted(present):
        by_name[PurePosixPath(name).name].append(name)
    found: dict[int, str] = {}
    for i, name in wanted.items():
        endings = _endings(name)
        if not endings:
            continue
        upload = _UPLOAD.fullmatch(endings[-1])
        below = [names for last in (endings[-1], upload.group(1) if upload else "") if (names := by_name.get(last))]
        candidates = [[ending] for ending in endings if ending in present] + below
        if candidates and len(candidates[0]) == 1:
            found[i] = candidates[0][0]
    claims: dict[str, list[int]] = defaultdict(list)
    for i, name in found.items():
        claims[name].append(i)
    return {claimants[0]: name for name, claimants in claims.items() if len(claimants) == 1}
