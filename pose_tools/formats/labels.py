"""What the labels in labelme files mean: which are classes, which keypoints, and how visible a point is."""
from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pose_tools.console import Fault
from pose_tools.formats.labelme import BOX_KINDS, LabelmeFile, Shape, natural_key
from pose_tools.formats.schema import KeypointSet

VISIBLE, OCCLUDED, NOT_LABELLED = 2, 1, 0


@dataclass(frozen=True)
class LabelRules:
    """How to read labels.

    Attributes:
        names: The classes and keypoints; need not be complete facts, only names.
        ignored: Labels to pass over.
        suffixes: Endings of point labels with the visibility they stand for, such as ``{"_occ": 1}``.
    """

    names: KeypointSet
    ignored: frozenset[str] = frozenset()
    suffixes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledPoint:
    """A keypoint: its name without visibility suffix, its shape, and 0, 1 or 2 for how visible it is."""

    name: str
    shape: Shape
    visibility: int


@dataclass(frozen=True)
class SortedShapes:
    """The shapes of a labelme file by what they mean.

    Attributes:
        boxes: Box-like shapes of a known class.
        points: Points with a known keypoint name.
        passed_over: How many shapes of which label and kind mean nothing here.
        faults: Unknown labels, wrong shape kinds and malformed shapes.
        broken_box: Whether a malformed shape may have been somebody's box.
    """

    boxes: tuple[Shape, ...]
    points: tuple[LabelledPoint, ...]
    passed_over: Counter[str]
    faults: tuple[Fault, ...]
    broken_box: bool


def _strip_suffix(label: str, known: Iterable[str], suffixes: Mapping[str, int]) -> tuple[str, int | None]:
    if label in known:
        return label, None
    for suffix in sorted(suffixes, key=len, reverse=True):
        if label.endswith(suffix) and len(label) > len(suffix):
            return label[:-len(suffix)].rstrip(), suffixes[suffix]
    return label, None


def visibility(shape: Shape, from_suffix: int | None = None) -> int:
    """How visible a point is, by its label's suffix, else its flags, else its description.

    Args:
        shape: A flag ``occluded`` that is set means 1; a description of 0, 1 or 2 means itself.
        from_suffix: What the label's suffix says.

    Returns:
        0 not labelled, 1 occluded, 2 visible; 2 when nothing is said, the lower when flag and description
        differ.
    """
    if from_suffix is not None:
        return from_suffix
    if not shape.flags and not shape.description:
        return VISIBLE
    said = [int(shape.description)] if shape.description in ("0", "1", "2") else []
    if any(name.casefold() == "occluded" and value for name, value in shape.flags.items()):
        said.append(OCCLUDED)
    return min(said, default=VISIBLE)


def discover_names(files: Iterable[LabelmeFile], ignored: Iterable[str] = (),
                   suffixes: Mapping[str, int] | None = None) -> KeypointSet:
    """Collects the names that are used: labels of points, and labels of rectangles, polygons and the like.

    Args:
        files: All files of the data set.
        ignored: Labels to leave out.
        suffixes: Visibility suffixes, which are no part of a name.

    Returns:
        Names in natural order; both may be empty.
    """
    return join_names([labels_used(files, ignored, suffixes)])


def labels_used(files: Iterable[LabelmeFile], ignored: Iterable[str] = (),
                suffixes: Mapping[str, int] | None = None) -> KeypointSet:
    """Collects names as :func:`discover_names` does, in no order, for :func:`join_names`."""
    points: set[str] = set()
    classes: set[str] = set()
    for shape in (shape for file in files for shape in file.shapes):
        if shape.label and not shape.problem and shape.label not in ignored:
            if shape.kind == "point":
                points.add(_strip_suffix(shape.label, (), suffixes or {})[0])
            elif shape.kind in BOX_KINDS:
                classes.add(shape.label)
    return KeypointSet(tuple(classes), tuple(points.difference(ignored)))


def join_names(found: Iterable[KeypointSet]) -> KeypointSet:
    """Joins names collected from parts of a data set, in natural order."""
    points: set[str] = set()
    classes: set[str] = set()
    for names in found:
        points.update(names.keypoints)
        classes.update(names.classes)
    return KeypointSet(classes=tuple(sorted(classes, key=natural_key)),
                       keypoints=tuple(sorted(points, key=natural_key)))


def _unknown(shape: Shape, names: KeypointSet) -> str:
    what, known = ("keypoint", names.keypoints) if shape.kind == "point" else ("class", names.classes)
    close = difflib.get_close_matches(shape.label, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
    return f"is no known {what}; {hint}"


def _judge(shape: Shape, name: str, names: KeypointSet) -> str | None:
    """Says what is wrong with a shape; empty when it counts, ``None`` when it means nothing here."""
    if shape.problem:
        return shape.problem
    if (shape.kind == "point" and name in names.keypoints) \
            or (shape.kind in BOX_KINDS and shape.label in names.classes):
        return ""
    if name in names.keypoints:
        return f"is a keypoint but drawn as a {shape.kind}"
    if shape.label in names.classes:
        return f"is a class but drawn as a {shape.kind}"
    return _unknown(shape, names) if shape.kind == "point" or shape.kind in BOX_KINDS else None


def sort_shapes(file: LabelmeFile, rules: LabelRules) -> SortedShapes:
    """Sorts the shapes of a file into boxes and keypoints.

    Args:
        file: A labelme file.
        rules: Names, labels to ignore and visibility suffixes.
    """
    boxes, points, faults, broken_box = [], [], [], False
    passed_over: Counter[str] = Counter()
    for shape in file.shapes:
        name, said = _strip_suffix(shape.label, rules.names.keypoints, rules.suffixes)
        verdict = _judge(shape, name, rules.names)
        if shape.label in rules.ignored or name in rules.ignored:
            passed_over[f"{shape.label} ({shape.kind}, --ignore-labels)"] += 1
        elif verdict is None:
            passed_over[f"{shape.label} ({shape.kind})"] += 1
        elif verdict:
            faults.append(Fault(file.path, verdict, shape.place))
            broken_box |= shape.kind != "point"
        elif shape.kind == "point":
            points.append(LabelledPoint(name, shape, visibility(shape, said)))
        else:
            boxes.append(shape)
    return SortedShapes(tuple(boxes), tuple(points), passed_over, tuple(faults), broken_box)
