"""Single objects that a person should look at: points, boxes and sizes that are odd. Coordinates are image px."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pose_tools.dataset.doctor.instance_table import InstanceTable
from pose_tools.dataset.findings import WARNING, Finding
from pose_tools.formats.boxes import paired_iou
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

# A point may lie this share of the box's longer side outside of its box.
FAR = 0.25
# Boxes are compared by their sides over the extents of their points; so far from the median, in robust standard
# deviations of the logarithm, and by such a factor at least, is odd.
BOX_DEVIATIONS, BOX_FACTOR = 4.5, 1.6
# An object whose longer side is shorter than this many px cannot show its points.
TINY = 24
# So much longer or wider than the input a box may be.
ASPECT = 3.0
# When more boxes than this share are, the input is wrong, not the boxes.
ASPECT_COMMON = 0.1
# Two boxes of a class that overlap (IoU) so much are one object, if their points are about as near to each other.
TWICE = 0.9
_TWICE_POINTS = 0.05
_LEAST_BOXES = 20


def instance_warnings(table: InstanceTable, names: KeypointSet,
                      input_size: tuple[int, int] | None = None) -> Iterator[Finding]:
    """Looks at each object by itself and against the others of its file.

    Args:
        table: One file's objects.
        names: Their keypoint set.
        input_size: Width and height of the keypoint model's input in px; ``None`` to not look at the aspects.
    """
    if not len(table):
        return
    yield from _far_points(table, names)
    yield from _outside_image(table, names)
    yield from _same_places(table, names)
    yield from _odd_boxes(table)
    yield from _sizes(table)
    yield from _areas(table)
    yield from _twice(table)
    if input_size is not None:
        yield from _aspects(table, input_size)


def _points_text(names: KeypointSet, where: np.ndarray) -> tuple[str, ...]:
    return tuple(names.keypoints[k] for k in np.flatnonzero(where))


def _far_points(table: InstanceTable, names: KeypointSet) -> Iterator[Finding]:
    low, high = table.boxes[:, None, :2], (table.boxes[:, :2] + table.boxes[:, 2:])[:, None]
    beyond = np.maximum(low - table.points, table.points - high).max(axis=2, initial=-np.inf)
    share = np.nan_to_num(beyond / table.boxes[:, 2:].max(axis=1)[:, None], nan=-1)
    for row in np.flatnonzero((share > FAR).any(axis=1)):
        far = _points_text(names, share[row] > FAR)
        yield table.warn(row, "far-point", f"{', '.join(far)}: {beyond[row, share[row].argmax()]:.0f} px outside of "
                         f"the box, {share[row].max():.0%} of its longer side", share[row].max() * 10, far)


def _outside_image(table: InstanceTable, names: KeypointSet) -> Iterator[Finding]:
    beyond = np.maximum(-0.5 - table.points, table.points - (table.sizes[:, None] - 0.5)).max(axis=2, initial=-np.inf)
    beyond = np.nan_to_num(beyond, nan=-1)
    for row in np.flatnonzero((beyond > 1).any(axis=1)):
        out = _points_text(names, beyond[row] > 1)
        yield table.warn(row, "outside-image", f"{', '.join(out)}: up to {beyond[row].max():.0f} px outside of the "
                         "image", 3 + 10 * beyond[row].max() / table.scales[row], out)


def _same_places(table: InstanceTable, names: KeypointSet) -> Iterator[Finding]:
    for first in range(len(names.keypoints) - 1):
        same = (table.points[:, first + 1:] == table.points[:, first, None]).all(axis=2)
        for row in np.flatnonzero(same.any(axis=1)):
            found = names.keypoints[first], *_points_text(names, np.r_[[False] * (first + 1), same[row]])
            yield table.warn(row, "same-place", f"{' and '.join(found)} are in the same place", 6, found)


def _odd_boxes(table: InstanceTable) -> Iterator[Finding]:
    """Compares box side over points' extent with the other objects of the class that have as many points."""
    enough = table.labelled.sum(axis=1) >= max(3, 0.75 * table.labelled.shape[1])
    if not enough.any():
        return
    extents = np.full((len(table), 2), np.nan)
    extents[enough] = np.nanmax(table.points[enough], axis=1) - np.nanmin(table.points[enough], axis=1)
    for number in np.unique(table.classes):
        rows = np.flatnonzero((table.classes == number) & enough & (extents > 0).all(axis=1))
        if len(rows) < _LEAST_BOXES:
            continue
        ratio = np.sqrt((table.boxes[rows, 2:] / extents[rows]).prod(axis=1))
        usual = float(np.median(ratio))
        off = np.log(ratio / usual)
        spread = max(1.4826 * float(np.median(np.abs(off))), 0.02)
        odd = np.abs(off) > max(BOX_DEVIATIONS * spread, np.log(BOX_FACTOR))
        for row, value, far in zip(rows[odd], ratio[odd], off[odd]):
            rule, word = ("loose-box", "larger") if far > 0 else ("tight-box", "smaller")
            yield table.warn(row, rule, f"its box is {value:.2g} times the size of its points' extent, "
                             f"{np.exp(abs(far)):.1f} times {word} than usual ({usual:.2g})", abs(far) / spread)


def _sizes(table: InstanceTable) -> Iterator[Finding]:
    longer = table.boxes[:, 2:].max(axis=1)
    for row in np.flatnonzero((longer < TINY) & table.labelled.any(axis=1)):
        width, height = table.boxes[row, 2:]
        yield table.warn(row, "tiny", f"it is {width:.0f} x {height:.0f} px; points cannot be told apart below "
                         f"{TINY} px", TINY / longer[row])


def _areas(table: InstanceTable) -> Iterator[Finding]:
    areas = np.array([a["area"] if is_number(a.get("area")) else np.nan for a in table.annotations], float)
    share = areas / (table.boxes[:, 2] * table.boxes[:, 3])
    with np.errstate(invalid="ignore"):
        odd = (share > 1.1) | (share < 0.02)
    for row in np.flatnonzero(odd & (areas > 1)):
        yield table.warn(row, "odd-area", f"its area is {areas[row]:.6g} px, that of its box "
                         f"{areas[row] / share[row]:.6g}", abs(np.log(share[row])))


def _aspects(table: InstanceTable, input_size: tuple[int, int]) -> Iterator[Finding]:
    aspects = table.boxes[:, 2] / table.boxes[:, 3] / (input_size[0] / input_size[1])
    factor = np.maximum(aspects, 1 / aspects)
    odd = (factor > ASPECT) & table.labelled.any(axis=1)
    if odd.sum() > ASPECT_COMMON * len(table):
        width, height = np.median(table.boxes[:, 2:], axis=0)
        what = f"{odd.mean():.0%} of the boxes are more than {ASPECT:g} times as long or as wide as an input of " \
            f"{input_size[0]} x {input_size[1]}; the median box is {width:.0f} x {height:.0f} px"
        yield Finding(table.path, what, rule="aspect", level=WARNING, suspicion=5)
        return
    for row in np.flatnonzero(odd):
        width, height = table.boxes[row, 2:]
        yield table.warn(row, "aspect", f"it is {width:.0f} x {height:.0f} px, for an input of {input_size[0]} x "
                         f"{input_size[1]}: {1 - 1 / factor[row]:.0%} of the input is not the box", factor[row])


def _twice(table: InstanceTable) -> Iterator[Finding]:
    """Compares each object with those of its image: with the next, the next but one, and so on."""
    numbers = {image: number for number, image in enumerate(dict.fromkeys(image["id"] for image in table.images))}
    own = np.array([numbers[image["id"]] for image in table.images])
    order = np.argsort(own, kind="stable")
    for step in range(1, len(order)):
        same = own[order[:-step]] == own[order[step:]]
        if not same.any():
            return
        first, second = order[:-step][same], order[step:][same]
        overlap = paired_iou(table.boxes[first], table.boxes[second])
        alike = (overlap > TWICE) & (table.classes[first] == table.classes[second])
        for a, b, share in zip(first[alike], second[alike], overlap[alike]):
            apart = np.linalg.norm(table.points[a] - table.points[b], axis=1)
            known = ~np.isnan(apart)
            if not known.any() or np.mean(apart[known]) <= _TWICE_POINTS * table.scales[a]:
                yield table.warn(b, "twice", f"the same object as annotation {table.annotations[a]['id']}: their boxes "
                                 f"overlap with IoU {share:.2f}", 10 * share)
