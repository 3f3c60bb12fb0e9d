"""Finding what a YOLO data set consists of: its ``data.yaml``, its splits, images and label files."""
from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from pose_tools.console import Fault, UserError
from pose_tools.formats.images import IMAGE_SUFFIXES
from pose_tools.formats.labelme import find_files
from pose_tools.formats.yolo import YoloFacts

# Text files that labelling tools put beside the labels.
_NO_LABELS = ("classes.txt", "notes.txt", "README.txt")


@dataclass
class YoloSplit:
    """Images of a split.

    Attributes:
        name: ``train``, ``val`` or ``test``; empty when the set is not divided.
        images: In a fixed order.
        labels: The label file of each image that has one.
    """

    name: str
    images: list[Path]
    labels: dict[Path, Path] = field(default_factory=dict)


def find_data_yaml(source: Path) -> Path:
    """Finds the ``data.yaml`` of a folder.

    Args:
        source: The folder, or the file itself under any name.

    Raises:
        UserError: There is none, or several.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    if (source / "data.yaml").is_file():
        return source / "data.yaml"
    found = sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
    if len(found) != 1:
        listed = f"several: {', '.join(path.name for path in found)}; name one of them" if found else "none"
        raise UserError(f"{source}: a YOLO data set has a data.yaml; here is {listed}")
    return found[0]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False


def _bases(facts: YoloFacts) -> list[Path]:
    home = facts.path.parent
    root = PureWindowsPath(facts.root).as_posix()
    return [base for base in dict.fromkeys([home / root, Path(root), home]) if _is_there(base) and base.is_dir()]


def _locate(entry: str, bases: Sequence[Path]) -> Path | None:
    """A folder or list file by what ``data.yaml`` calls it: as written, or by the end of its path if it was moved."""
    written = PureWindowsPath(entry)
    parts = [part for part in written.parts if part not in (written.anchor, "..", ".")]
    # A single part such as "images" would match every split's folder that was moved away.
    tails = [Path(*parts[i:]) for i in range(max(1, len(parts) - 1))] if parts else []
    if written.anchor:
        tails = tails[:max(0, len(parts) - 1)]
    for base in bases:
        for tail in (Path(written.as_posix()), *tails):
            if _is_there(base / tail):
                return base / tail
    return None


def _images_of(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(find_files(place, IMAGE_SUFFIXES, []))
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{place}: is neither a folder nor a list of images") from None
    return [place.parent / PureWindowsPath(line.strip()).as_posix() for line in lines if line.strip()]


def label_file(image: Path) -> Path:
    """Where Ultralytics looks for an image's labels: ``labels`` for the last ``images`` in its path."""
    parts = list(image.with_suffix(".txt").parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            return Path(*parts)
    return image.with_suffix(".txt")


def find_splits(facts: YoloFacts) -> tuple[list[YoloSplit], list[str], list[Fault]]:
    """Finds images and labels.

    Args:
        facts: The ``data.yaml``.

    Returns:
        The splits that are there; what is to be told about those that are not; and faults: listed images
        that are missing, label files of no image, images that share labels, images in two splits.

    Raises:
        UserError: There is no image at all.
    """
    bases = _bases(facts)
    splits, notes, faults = [], [], []
    for name, entries in facts.splits.items():
        places = {entry: _locate(entry, bases) for entry in entries}
        notes += [f"{name}: {entry} is not there, left out" for entry, place in places.items() if place is None]
        images = [image for place in places.values() if place is not None for image in _images_of(place)]
        present = [image for image in images if _is_there(image) and image.is_file()]
        known = set(present)
        faults += [Fault(facts.path, f"lists an image that is not there: {str(image)[:300]}", name)
                   for image in dict.fromkeys(images) if image not in known]
        if images:
            splits.append(YoloSplit(name, list(dict.fromkeys(present))))
    if not splits:
        flat = facts.path.parent / "images"
        images = _images_of(flat) if flat.is_dir() else []
        if not images and not faults:
            named = ", ".join(entry for entries in facts.splits.values() for entry in entries) or "none"
            raise UserError(f"{facts.path}: no image was found; it names {named}, and {flat} has none")
        splits = [YoloSplit("", images)]
    faults += _orphans(splits)
    for split in splits:
        _pair(split, faults)
    faults += _shared(splits, facts.path)
    return splits, notes, faults


def _pair(split: YoloSplit, faults: list[Fault]) -> None:
    by_label: dict[Path, list[Path]] = defaultdict(list)
    for image in split.images:
        by_label[label_file(image)].append(image)
    for label, images in by_label.items():
        if len(images) > 1 and label.is_file():
            faults.append(Fault(label, f"is the label file of {len(images)} images: "
                                       f"{', '.join(image.name for image in images)}"))
            split.images = [image for image in split.images if image not in images]
        elif label.is_file():
            split.labels[images[0]] = label


def _orphans(splits: Iterable[YoloSplit]) -> list[Fault]:
    """Label files of no image; a folder may be divided by list files, so all splits count together."""
    expected = {label_file(image) for split in splits for image in split.images}
    known = {os.path.normcase(label) for label in expected}
    found = [label for folder in sorted({label.parent for label in expected if label.parent.is_dir()})
             for label in sorted(folder.glob("*.txt"))]
    return [Fault(label, "labels an image that is not there") for label in found
            if os.path.normcase(label) not in known and label.name not in _NO_LABELS]


def _shared(splits: Iterable[YoloSplit], path: Path) -> list[Fault]:
    owner: dict[Path, str] = {}
    faults = []
    for split in splits:
        for image in list(split.images):
            other = owner.setdefault(image.resolve(), split.name)
            if other != split.name:
                split.images.remove(image)
                what = f"is in {other} and in {split.name} of {path.name}: its score would mean nothing"
                faults.append(Fault(image, what))
    return faults
