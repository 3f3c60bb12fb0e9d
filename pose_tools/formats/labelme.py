"""Reading labelme files, versions 3 to 6, as people really have them.

Coordinates are *image px* exactly as the file holds them. labelme counts from the corner of the first
pixel, mmpose from its centre; the half pixel between the two is left alone on purpose. COCO's own
annotators, mmpose's data sets and every other converter use the raw numbers too, half a pixel is far below
what a person hits with the mouse, and a shift would make files differ from their source for nothing.
"""
from __future__ import annotations

import base64
import binascii
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from pose_tools.console import Fault, FaultsError

Point = tuple[float, float]

BOX_KINDS = ("rectangle", "polygon", "circle", "mask")
# How many points a shape of each kind has; labelme 5.5 and its forks may write all four corners.
_POINT_COUNTS = {"point": (1, 1), "rectangle": (2, 4), "circle": (2, 2), "mask": (2, 2),
                 "polygon": (3, math.inf)}
_USUAL_COUNTS = {"point": 1, "rectangle": 2}
_NO_FLAGS: Mapping[str, Any] = {}
# Beyond this, areas would no longer be finite numbers.
_LARGEST = 1e100


class Shape(NamedTuple):
    """One annotation of a labelme file.

    Attributes:
        label: What it is called, without surrounding blanks.
        kind: labelme's ``shape_type``: point, rectangle, polygon, circle, mask, line, linestrip, ...
        points: Corners or positions in image px; empty when ``problem`` says that they cannot be read.
        group: ``group_id`` as text, ``None`` when it has none.
        flags: Named switches such as ``occluded``.
        description: Free text.
        number: 1-based place in the file's list of shapes.
        mask: Base64 PNG of a mask shape, covering its box; else empty.
        problem: What is wrong with it, empty when sound.
    """

    label: str
    kind: str
    points: tuple[Point, ...]
    group: Optional[str] = None
    flags: Mapping[str, Any] = _NO_FLAGS
    description: str = ""
    number: int = 1
    mask: str = ""
    problem: str = ""

    @property
    def place(self) -> str:
        """Names the shape in a fault: its label, group and number."""
        group = f", group {self.group}" if self.group is not None else ""
        return f"{self.label or 'no label'}{group} (shape {self.number})"


class LabelmeFile(NamedTuple):
    """A labelme file without its embedded image, which is read again when it is needed.

    Attributes:
        path: Where it was read from, as it was given.
        image_path: ``imagePath`` as written, perhaps with backslashes; empty when it has none.
        size: (width, height) the file claims for its image in pixels; ``None`` when it does not say.
        shapes: All its shapes, in their order.
        embeds_image: Whether it holds ``imageData``.
        version: labelme's version, empty when unknown.
    """

    path: Union[str, Path]
    image_path: str
    size: Optional[tuple[int, int]]
    shapes: tuple[Shape, ...]
    embeds_image: bool = False
    version: str = ""


def natural_key(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorts ``p2`` before ``p10``."""
    parts = re.split(r"(\d+)", text.casefold())
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part)


class FoundFile(NamedTuple):
    """A file below a folder: its path, which starts with the folder, and where it really is, behind all links."""

    path: str
    real: str


def scan_files(folder: Path, suffixes: Iterable[str], leave_out: Iterable[Path] = ()) -> list[FoundFile]:
    """Lists files below a folder in an order that does not depend on the file system.

    Args:
        folder: Searched with all its subfolders; hidden files and folders are passed over.
        suffixes: Lower-case endings with the dot.
        leave_out: Resolved folders not to enter.

    Returns:
        The files, sorted by the parts of their paths.
    """
    endings, entered = tuple(suffixes), set(map(str, leave_out))
    found: list[tuple[tuple[str, ...], FoundFile]] = []
    to_enter: list[tuple[str, tuple[str, ...]]] = [(str(folder), ())]
    while to_enter:
        top, inner = to_enter.pop()
        real = os.path.realpath(top)
        # A link back to a parent would go round for ever.
        if real in entered:
            continue
        entered.add(real)
        names, folders = _entries(top, endings)
        for name, is_link in names:
            path = os.path.join(top, name)
            place = os.path.realpath(path) if is_link else os.path.join(real, name)
            found.append(((*inner, name), FoundFile(path, place)))
        to_enter += [(os.path.join(top, name), (*inner, name)) for name in sorted(folders, reverse=True)]
    return [file for _, file in sorted(found)]


def _entries(folder: str, endings: tuple[str, ...]) -> tuple[list[tuple[str, bool]], list[str]]:
    """Names of a folder's files with these endings, and whether they are links; names of its folders."""
    names, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.name.lower().endswith(endings):
                    names.append((entry.name, entry.is_symlink()))
    except OSError:  # a folder that may not be read
        pass
    return names, folders


def find_files(folder: Path, suffixes: Iterable[str], leave_out: Iterable[Path] = ()) -> list[Path]:
    """Lists files as :func:`scan_files` does, as paths that start with ``folder``."""
    return [Path(file.path) for file in scan_files(folder, suffixes, leave_out)]


def read_json(path: Union[str, Path]) -> Any:
    """Reads a JSON file.

    Raises:
        FaultsError: It is empty, truncated, not JSON or not UTF-8.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return json.loads(file.read().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FaultsError([Fault(path, "is not UTF-8 text")]) from None
    except json.JSONDecodeError as error:
        if os.path.getsize(path) == 0:
            raise FaultsError([Fault(path, "is empty")]) from None
        what = f"is truncated or not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise FaultsError([Fault(path, what)]) from None
    except ValueError as error:  # a number of thousands of digits
        raise FaultsError([Fault(path, f"is not JSON that can be read: {error}")]) from None
    except RecursionError:
        raise FaultsError([Fault(path, "is not labelme: nested too deeply")]) from None


def _labelme_dict(path: Union[str, Path]) -> dict[str, Any]:
    data = read_json(path)
    if isinstance(data, dict) and isinstance(data.get("shapes"), list):
        return data
    if isinstance(data, dict) and "images" in data and "annotations" in data:
        raise FaultsError([Fault(path, "is a COCO file, not a labelme file")])
    raise FaultsError([Fault(path, "is not a labelme file: it has no list of shapes")])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -_LARGEST < value < _LARGEST


def _size(data: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = data.get("imageWidth"), data.get("imageHeight")
    if _is_number(width) and _is_number(height) and width > 0 and height > 0:
        return int(width), int(height)
    return None


def _group(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _points(raw: Any) -> tuple[Point, ...] | None:
    if type(raw) is not list:
        return None
    points = []
    for pair in raw:
        if type(pair) is not list or len(pair) != 2 or not (_is_number(pair[0]) and _is_number(pair[1])):
            return None
        points.append((float(pair[0]), float(pair[1])))
    return tuple(points)


def _count_problem(kind: str, count: int) -> str:
    if _USUAL_COUNTS.get(kind) == count:
        return ""
    least, most = _POINT_COUNTS.get(kind, (0, math.inf))
    if least <= count <= most and not (kind == "rectangle" and count == 3):
        return ""
    wanted = {"rectangle": "two corners (or four)", "polygon": "three or more"}.get(kind, str(least))
    return f"is a {kind} of {count} points; expected {wanted}"


def shape_from_json(raw: Any, number: int) -> Shape:
    """Builds a shape from an entry of ``shapes``; what cannot be read is told in its ``problem``.

    Args:
        raw: The entry. Files before labelme 3.5 have no ``shape_type``: such a shape is a polygon, or a
            point when it has a single one.
        number: Its 1-based place in the list.
    """
    if not isinstance(raw, dict):
        return Shape("", "", (), number=number, problem="is not an object with a label and points")
    label = raw.get("label")
    points = _points(raw.get("points"))
    kind = str(raw.get("shape_type") or ("point" if points and len(points) == 1 else "polygon"))
    if not isinstance(label, str) or not label.strip():
        problem = f"has no label but {label!r}"
    elif not label.isascii() and any("\ud800" <= char <= "\udfff" for char in label):
        problem = f"has a label with half a character, which no file can hold: {label!r}"
    elif points is None:
        problem = f"has points that are not pairs of finite numbers: {str(raw.get('points'))[:60]}"
    else:
        problem = _count_problem(kind, len(points))
    flags, mask = raw.get("flags"), raw.get("mask")
    return Shape(
        label=label.strip() if isinstance(label, str) else "",
        kind=kind,
        points=points or (),
        group=_group(raw.get("group_id")),
        flags=flags if flags and isinstance(flags, dict) else _NO_FLAGS,
        description=str(raw.get("description") or "").strip(),
        number=number,
        mask=mask if isinstance(mask, str) else "",
        problem=problem)


def read_labelme(path: Union[str, Path]) -> LabelmeFile:
    """Reads a labelme file of version 3 to 6.

    Args:
        path: A ``.json`` file.

    Returns:
        The file; shapes that cannot be used carry a ``problem``.

    Raises:
        FaultsError: It is truncated, not JSON or not labelme.
    """
    data = _labelme_dict(path)
    image_path = data.get("imagePath")
    return LabelmeFile(
        path=path,
        image_path=image_path if isinstance(image_path, str) else "",
        size=_size(data),
        shapes=tuple(shape_from_json(raw, i) for i, raw in enumerate(data["shapes"], 1)),
        embeds_image=bool(data.get("imageData")) and isinstance(data["imageData"], str),
        version=str(data.get("version") or ""))


def read_folder(folder: Union[str, Path],
                leave_out: Iterable[Path] = ()) -> tuple[list[LabelmeFile], list[Fault]]:
    """Reads every ``.json`` file below a folder.

    Args:
        folder: Searched with its subfolders.
        leave_out: Resolved folders not to enter.

    Returns:
        The labelme files in a fixed order, and a fault for each file that is none.
    """
    from pose_tools.console import progress

    files, faults = [], []
    for path in progress(find_files(Path(folder), [".json"], leave_out), "reading"):
        try:
            files.append(read_labelme(path))
        except FaultsError as error:
            faults += error.faults
    return files, faults


def read_embedded_image(path: Union[str, Path]) -> bytes:
    """Takes the image file out of a labelme file's ``imageData``.

    Raises:
        FaultsError: There is none, or it is not base64.
    """
    text = _labelme_dict(path).get("imageData")
    if not isinstance(text, str) or not text:
        raise FaultsError([Fault(path, "has no imageData")])
    try:
        # Some tools embed a data URL.
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
    except (binascii.Error, ValueError):
        raise FaultsError([Fault(path, "has imageData that is not base64")]) from None
