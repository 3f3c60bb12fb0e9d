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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from pose_tools.console import Fault, FaultsError

Point = tuple[float, float]

BOX_KINDS = ("rectangle", "polygon", "circle", "mask")
# How many points a shape of each kind has; labelme 5.5 and its forks may write all four corners.
_POINT_COUNTS = {"point": (1, 1), "rectangle": (2, 4), "circle": (2, 2), "mask": (2, 2),
                 "polygon": (3, math.inf)}


@dataclass(frozen=True)
class Shape:
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
    group: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    number: int = 1
    mask: str = ""
    problem: str = ""

    @property
    def place(self) -> str:
        """Names the shape in a fault: its label, group and number."""
        group = f", group {self.group}" if self.group is not None else ""
        return f"{self.label or 'no label'}{group} (shape {self.number})"


@dataclass(frozen=True)
class LabelmeFile:
    """A labelme file without its embedded image, which is read again when it is needed.

    Attributes:
        path: Where it was read from.
        image_path: ``imagePath`` as written, perhaps with backslashes; empty when it has none.
        size: (width, height) the file claims for its image in pixels; ``None`` when it does not say.
        shapes: All its shapes, in their order.
        embeds_image: Whether it holds ``imageData``.
        version: labelme's version, empty when unknown.
    """

    path: Path
    image_path: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    embeds_image: bool = False
    version: str = ""


def natural_key(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorts ``p2`` before ``p10``."""
    parts = re.split(r"(\d+)", text.casefold())
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part)


def find_files(folder: Path, suffixes: Iterable[str], leave_out: Iterable[Path] = ()) -> list[Path]:
    """Lists files below a folder in an order that does not depend on the file system.

    Args:
        folder: Searched with all its subfolders; hidden files and folders are passed over.
        suffixes: Lower-case endings with the dot.
        leave_out: Resolved folders not to enter.

    Returns:
        Paths that start with ``folder``, sorted by their parts.
    """
    wanted, entered, found = set(suffixes), set(leave_out), []
    for top, folders, names in os.walk(folder, followlinks=True):
        real = Path(top).resolve()
        # A link back to a parent would go round for ever.
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(top, name) for name in names
                  if not name.startswith(".") and os.path.splitext(name)[1].lower() in wanted]
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        FaultsError: It is empty, truncated, not JSON or not UTF-8.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FaultsError([Fault(path, "is not UTF-8 text")]) from None
    except json.JSONDecodeError as error:
        if path.stat().st_size == 0:
            raise FaultsError([Fault(path, "is empty")]) from None
        what = f"is truncated or not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise FaultsError([Fault(path, what)]) from None
    except RecursionError:
        raise FaultsError([Fault(path, "is not labelme: nested too deeply")]) from None


def _labelme_dict(path: Path) -> dict[str, Any]:
    data = read_json(path)
    if isinstance(data, dict) and isinstance(data.get("shapes"), list):
        return data
    if isinstance(data, dict) and "images" in data and "annotations" in data:
        raise FaultsError([Fault(path, "is a COCO file, not a labelme file")])
    raise FaultsError([Fault(path, "is not a labelme file: it has no list of shapes")])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _size(data: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = data.get("imageWidth"), data.get("imageHeight")
    if _is_number(width) and _is_number(height) and width > 0 and height > 0:
        return int(width), int(height)
    return None


def _group(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or str(value).strip() == "" else str(value).strip()


def _points(raw: Any) -> tuple[Point, ...] | None:
    if not isinstance(raw, list):
        return None
    if not all(isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in raw):
        return None
    return tuple((float(x), float(y)) for x, y in raw)


def _count_problem(kind: str, count: int) -> str:
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
    kind = raw.get("shape_type") or ("point" if points and len(points) == 1 else "polygon")
    problem = ""
    if not isinstance(label, str) or not label.strip():
        problem = f"has no label but {label!r}"
    elif points is None:
        problem = f"has points that are not pairs of finite numbers: {str(raw.get('points'))[:60]}"
    else:
        problem = _count_problem(str(kind), len(points))
    flags, mask = raw.get("flags"), raw.get("mask")
    return Shape(
        label=label.strip() if isinstance(label, str) else "",
        kind=str(kind),
        points=points or (),
        group=_group(raw.get("group_id")),
        flags=flags if isinstance(flags, dict) else {},
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
    path = Path(path)
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
    path = Path(path)
    text = _labelme_dict(path).get("imageData")
    if not isinstance(text, str) or not text:
        raise FaultsError([Fault(path, "has no imageData")])
    try:
        # Some tools embed a data URL.
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
    except (binascii.Error, ValueError):
        raise FaultsError([Fault(path, "has imageData that is not base64")]) from None
