"""Which keypoint belongs to which object of a labelme file. All coordinates are image px."""
from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pose_tools.console import Fault
from pose_tools.formats.labelme import LabelmeFile, Point, Shape
from pose_tools.formats.labels import LabelledPoint, SortedShapes
from pose_tools.formats.shapes import Box, bounds, contains, segmentation, shape_area, shape_bounds

# A point may lie this share of the image's longer side beyond its border; further out it is a slip.
_OFF_IMAGE = 0.05
# A box may reach this share of the image's width or height beyond it: further, coco_faults would refuse it as well.
_BOX_OFF_IMAGE = 0.25


@dataclass(frozen=True)
class Pad:
    """Room around the points of an instance that has no box: px, or a share of the points' longer side."""

    amount: float
    is_share: bool = False

    def around(self, points: Sequence[Point], size: tuple[int, int] | None) -> Box:
        """Box around points (image px), cut at the image of ``size`` (width, height) where that is known."""
        left, top, right, bottom = bounds(points)
        room = self.amount * max(right - left, bottom - top) if self.is_share else self.amount
        left, top, right, bottom = left - room, top - room, right + room, bottom + room
        if size is None:
            return left, top, right, bottom
        return max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1]))


@dataclass
class Instance:
    """One object with its keypoints.

    Attributes:
        label: Its class.
        shapes: Its box-like shapes: several when it consists of polygons; none when the box was made from
            the points.
        group: ``group_id``, ``None`` when it has none.
        points: Its keypoints.
        box: Left, top, right and bottom in image px.
    """

    label: str
    shapes: tuple[Shape, ...]
    group: str | None
    box: Box
    points: list[LabelledPoint] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Names the instance in a fault."""
        group = f", group {self.group}" if self.group is not None else ""
        return f"{self.label}{group}" + (f" (shape {self.shapes[0].number})" if self.shapes else "")


def _is_one(shapes: Sequence[Shape]) -> bool:
    """Whether shapes of a group can be parts of one object."""
    return len({s.label for s in shapes}) == 1 and all(s.kind in ("polygon", "circle") for s in shapes)


def _boxes_to_instances(file: LabelmeFile, boxes: Sequence[Shape]) -> tuple[list[Instance], list[Fault]]:
    parts: dict[object, list[Shape]] = defaultdict(list)
    for shape in boxes:
        parts[shape.group if shape.group is not None else shape.number].append(shape)
    instances, faults = [], []
    for shapes in parts.values():
        if len(shapes) > 1 and not _is_one(shapes):
            listed = " and ".join(f"{s.label} ({s.kind}, shape {s.number})" for s in shapes)
            faults.append(Fault(file.path, f"has {len(shapes)} boxes: {listed}", f"group {shapes[0].group}"))
        instances.append(Instance(shapes[0].label, tuple(shapes), shapes[0].group, shape_bounds(shapes)))
    return instances, faults


def _around(instances: Sequence[Instance], point: LabelledPoint) -> list[Instance]:
    """The smallest instances that contain a point; several only when they are equally small."""
    areas = []
    for instance in instances:
        if any(contains(shape, point.shape.points[0]) for shape in instance.shapes):
            areas.append((sum(map(shape_area, instance.shapes)), instance))
    least = min((area for area, _ in areas), default=0.0)
    return [instance for area, instance in areas if math.isclose(area, least, rel_tol=1e-9)]


def _no_owner(point: LabelledPoint, instances: Sequence[Instance]) -> str:
    if not instances:
        return "has no owner: there is no box in this image (see --bbox-from-points)"
    x, y = point.shape.points[0]

    def distance(instance: Instance) -> float:
        left, top, right, bottom = instance.box
        return math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))

    if point.shape.group is not None:
        return f"has no owner: group {point.shape.group} has no box and its points lie in no ungrouped one"
    nearest = min(instances, key=distance)
    return f"has no owner: it lies in no box; the nearest is {nearest.place}, {distance(nearest):.0f} px away"


def _two_owners(owners: Sequence[Instance]) -> str:
    return "has two owners: " + " and ".join(owner.place for owner in owners) + "; give it a group_id"


class _Assignment:
    """Gives the points of one file to its instances, and keeps what is left over."""

    def __init__(self, file: LabelmeFile, instances: list[Instance]) -> None:
        self.file, self.instances = file, instances
        self.faults: list[Fault] = []
        self.left_over: dict[str | None, list[LabelledPoint]] = defaultdict(list)

    def give(self, points: Sequence[LabelledPoint]) -> None:
        by_group: dict[str | None, list[LabelledPoint]] = defaultdict(list)
        for point in points:
            by_group[point.shape.group].append(point)
        for point in by_group.pop(None, []):
            self._give_single(point)
        boxless = []
        for group, members in by_group.items():
            owner = next((i for i in self.instances if i.group == group), None)
            if owner is not None:
                owner.points += members
            else:
                boxless.append(group)
        for group in boxless:
            self._give_group(group, by_group[group])

    def _give_single(self, point: LabelledPoint) -> None:
        owners = self.instances if len(self.instances) == 1 else _around(self.instances, point)
        if len(owners) == 1:
            owners[0].points.append(point)
        elif owners:
            self.faults.append(Fault(self.file.path, _two_owners(owners), point.shape.place))
        else:
            self.left_over[None].append(point)

    def _give_group(self, group: str | None, members: list[LabelledPoint]) -> None:
        """A group without a box goes, as a whole, to the one ungrouped box that contains its points."""
        free = [instance for instance in self.instances if instance.group is None]
        if len(free) == 1 and len(self.instances) == 1:
            owners = free
        else:
            owners = []
            for owner in (owner for member in members for owner in _around(free, member)):
                if owner not in owners:
                    owners.append(owner)
        if len(owners) > 1:
            place = f"{members[0].name}, group {group}"
            self.faults.append(Fault(self.file.path, _two_owners(owners), place))
        elif owners:
            taken = {point.shape.group for point in owners[0].points} - {None, group}
            if taken:
                what = f"is claimed by groups {', '.join(sorted(taken))} and {group}"
                self.faults.append(Fault(self.file.path, what, owners[0].place))
            owners[0].points += members
        else:
            self.left_over[group] += members


def _made_boxes(assignment: _Assignment, classes: Sequence[str], pad: Pad | None,
                size: tuple[int, int] | None) -> None:
    """Turns groups of points without a box into instances, or into faults."""
    for group, members in assignment.left_over.items():
        if pad is None:
            for point in members:
                what = _no_owner(point, assignment.instances)
                assignment.faults.append(Fault(assignment.file.path, what, point.shape.place))
        elif len(classes) != 1:
            what = f"has no box, and which of the {len(classes)} classes its points are cannot be known"
            place = "ungrouped points" if group is None else f"group {group}"
            assignment.faults.append(Fault(assignment.file.path, what, place))
        else:
            box = pad.around([p.shape.points[0] for p in members], size)
            assignment.instances.append(Instance(classes[0], (), group, box, members))


def _instance_faults(file: LabelmeFile, instance: Instance, size: tuple[int, int] | None) -> list[Fault]:
    faults = []
    left, top, right, bottom = instance.box
    if right <= left or bottom <= top:
        faults.append(Fault(file.path, f"its box is {right - left:g} x {bottom - top:g} px", instance.place))
    elif size and (right <= 0 or bottom <= 0 or left >= size[0] or top >= size[1]):
        faults.append(Fault(file.path, "lies outside the image of {}x{} px".format(*size), instance.place))
    elif size and max(-left / size[0], -top / size[1], right / size[0] - 1, bottom / size[1] - 1) > _BOX_OFF_IMAGE:
        faults.append(Fault(file.path, "reaches far outside the image of {}x{} px".format(*size), instance.place))
    counts = Counter(point.name for point in instance.points) if instance.points else {}
    for name, count in counts.items():
        if count > 1:
            numbers = ", ".join(str(p.shape.number) for p in instance.points if p.name == name)
            group = f", group {instance.group}" if instance.group is not None else ""
            what = f"is there {count} times (shapes {numbers}) in one instance, {instance.place}"
            faults.append(Fault(file.path, what, name + group))
    return faults


def _shape_faults(file: LabelmeFile, found: SortedShapes, size: tuple[int, int] | None) -> list[Fault]:
    faults = []
    for shape in found.boxes:
        if shape.kind == "rectangle" and not shape.mask:
            continue
        try:
            area = segmentation([shape], size or (1, 1))[1]
        except ValueError as error:
            faults.append(Fault(file.path, str(error), shape.place))
            continue
        left, top, right, bottom = shape_bounds([shape])
        has_area = shape.kind in ("polygon", "circle") or (shape.mask and size)
        if has_area and area <= 0 and right > left and bottom > top:
            faults.append(Fault(file.path, f"is a {shape.kind} that covers nothing", shape.place))
    for point in found.points if size else ():
        x, y = point.shape.points[0]
        room = _OFF_IMAGE * max(size)
        inside = -room <= x <= size[0] + room and -room <= y <= size[1] + room
        if not inside:
            what = f"at ({x:g}, {y:g}) is far outside the image of {size[0]}x{size[1]} px"
            faults.append(Fault(file.path, what, point.shape.place))
    return faults


def find_instances(file: LabelmeFile, found: SortedShapes, classes: Sequence[str], pad: Pad | None = None,
                   size: tuple[int, int] | None = None) -> tuple[list[Instance], list[Fault]]:
    """Finds the owner of every keypoint.

    A point belongs to the box of its ``group_id``; else to the only box of the image; else to the smallest
    box that contains it (inside the outline, for a polygon); else, with ``pad``, to a box made around the
    points of its group. Points of a group whose box has no group stay together.

    Args:
        file: Named in the faults.
        found: Its shapes, sorted.
        classes: All class names; a made box needs that there is one only.
        pad: Room around the points for made boxes; ``None`` makes points without a box faults.
        size: (width, height) of the image in px, ``None`` when unknown.

    Returns:
        The instances in the file's order, and the faults: points with no or two owners, a label twice in an
        instance, two boxes in a group, boxes of no size, things far outside the image. The instances are
        only meaningful without faults.
    """
    faults = list(_shape_faults(file, found, size))
    instances, more = _boxes_to_instances(file, found.boxes)
    assignment = _Assignment(file, instances)
    # A malformed box would turn each of its points into one more fault, which tells nothing new.
    if not found.broken_box:
        assignment.give(found.points)
        _made_boxes(assignment, classes, pad, size)
    faults += more + assignment.faults
    for instance in assignment.instances:
        faults += _instance_faults(file, instance, size)
    return assignment.instances, faults
