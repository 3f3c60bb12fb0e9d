from pathlib import Path

import pytest

from pose_tools.formats.labelme import LabelmeFile, Shape
from pose_tools.formats.labels import LabelRules, sort_shapes
from pose_tools.formats.ownership import Pad, find_instances
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(classes=("car", "bus"), keypoints=("a", "b"))
SIZE = (100, 80)


def box(*corners, label="car", kind="rectangle", group=None):
    return Shape(label, kind, tuple((float(x), float(y)) for x, y in corners), group)


def point(label, x, y, group=None):
    return Shape(label, "point", ((float(x), float(y)), ), group)


def find(*shapes, pad=None, names=NAMES, size=SIZE):
    numbered = tuple(s._replace(number=i) for i, s in enumerate(shapes, 1))
    file = LabelmeFile(Path("f.json"), "f.jpg", size, numbered)
    found = sort_shapes(file, LabelRules(names))
    instances, faults = find_instances(file, found, names.classes, pad, size)
    owned = [(i.label, i.box, {p.name: p.shape.points[0] for p in i.points}) for i in instances]
    return owned, [f"{fault.where}: {fault.what}" for fault in [*found.faults, *faults]]


BIG, SMALL, FAR = box((0, 0), (60, 60)), box((30, 30), (10, 10), label="bus"), box((70, 0), (90, 20))


def test_group_id_decides_even_against_position():
    owned, faults = find(box((0, 0), (20, 20), group="1"), box((50, 50), (70, 70), group="2"),
                         point("a", 60, 60, "1"), point("a", 5, 5, "2"))
    assert not faults
    assert owned == [("car", (0, 0, 20, 20), {"a": (60, 60)}), ("car", (50, 50, 70, 70), {"a": (5, 5)})]


@pytest.mark.parametrize(("box_group", "point_group"), [(None, None), ("1", None), (None, "1"), ("1", "1")])
def test_the_only_box_owns_points_outside_of_it_too(box_group, point_group):
    owned, faults = find(box((0, 0), (20, 20), group=box_group), point("a", 30, 30, point_group))
    assert not faults and owned[0][2] == {"a": (30, 30)}


def test_the_only_box_of_another_group_does_not_own():
    _, faults = find(box((0, 0), (20, 20), group="1"), point("a", 5, 5, "2"))
    assert faults == ["a, group 2 (shape 2): has no owner: group 2 has no box and its points lie in no "
                      "ungrouped one"]


def test_the_smallest_box_around_a_point_owns_it():
    owned, faults = find(BIG, SMALL, FAR, point("a", 20, 20), point("b", 50, 50))
    assert not faults
    assert [points for _, _, points in owned] == [{"b": (50, 50)}, {"a": (20, 20)}, {}]


def test_a_polygon_contains_by_its_outline():
    notched = box((0, 0), (40, 0), (40, 20), (20, 20), (20, 40), (0, 40), kind="polygon")
    owned, faults = find(notched, box((15, 15), (60, 79)), point("a", 30, 30), point("a", 5, 30))
    assert not faults
    assert [points for _, _, points in owned] == [{"a": (5, 30)}, {"a": (30, 30)}]


def test_instances_without_keypoints_are_kept():
    owned, faults = find(BIG, FAR)
    assert not faults and [points for _, _, points in owned] == [{}, {}]


def test_polygon_parts_of_a_group_are_one_instance():
    owned, faults = find(box((0, 0), (4, 0), (4, 4), kind="polygon", group="1"),
                         box((10, 10), (14, 10), (14, 14), kind="polygon", group="1"),
                         point("a", 12, 11), FAR)
    assert not faults
    assert owned[0] == ("car", (0, 0, 14, 14), {"a": (12, 11)}) and len(owned) == 2


@pytest.mark.parametrize("other", [
    box((50, 50), (60, 60), group="1"),
    box((50, 50), (60, 50), (60, 60), kind="polygon", label="bus", group="1")])
def test_two_boxes_in_a_group_are_a_fault(other):
    _, faults = find(box((0, 0), (4, 0), (4, 4), kind="polygon", group="1"), other)
    assert len(faults) == 1 and faults[0].startswith("group 1: has 2 boxes: car (polygon, shape 1) and")


def test_a_point_without_owner():
    _, faults = find(SMALL, FAR, point("a", 60, 10))
    assert faults == ["a (shape 3): has no owner: it lies in no box; the nearest is car (shape 2), "
                      "10 px away"]


def test_a_point_in_an_image_without_boxes():
    _, faults = find(point("a", 60, 10), point("b", 1, 1))
    assert len(faults) == 2
    assert all("there is no box in this image (see --bbox-from-points)" in fault for fault in faults)


def test_two_equally_small_boxes_are_two_owners():
    _, faults = find(box((0, 0), (20, 20)), box((10, 10), (30, 30)), point("a", 15, 15))
    assert faults == ["a (shape 3): has two owners: car (shape 1) and car (shape 2); give it a group_id"]


def test_a_label_twice_in_an_instance():
    _, faults = find(box((0, 0), (20, 20), group="3"), point("a", 1, 1, "3"), point("a", 2, 2, "3"))
    assert faults == ["a, group 3: is there 2 times (shapes 2, 3) in one instance, car, group 3 (shape 1)"]


@pytest.mark.parametrize(("flat", "size"), [(box((5, 5), (5, 9)), "0 x 4"), (box((5, 5), (5, 5)), "0 x 0")])
def test_a_box_without_size(flat, size):
    _, faults = find(flat)
    assert faults == [f"car (shape 1): its box is {size} px"]


def test_a_polygon_on_a_slanted_line_covers_nothing():
    _, faults = find(box((0, 0), (5, 5), (9, 9), kind="polygon"))
    assert faults == ["car (shape 1): is a polygon that covers nothing"]


def test_things_far_outside_the_image():
    _, faults = find(box((101, 0), (120, 20)), point("a", 130, 5), point("b", 104, 5))
    assert faults == ["a (shape 2): at (130, 5) is far outside the image of 100x80 px",
                      "car (shape 1): lies outside the image of 100x80 px"]


def test_a_group_of_points_goes_as_a_whole_to_an_ungrouped_box():
    owned, faults = find(BIG, FAR, point("a", 75, 5, "1"), point("b", 95, 5, "1"), point("a", 9, 9, "2"))
    assert not faults
    assert [points for _, _, points in owned] == [{"a": (9, 9)}, {"a": (75, 5), "b": (95, 5)}]


def test_a_group_of_points_over_two_boxes_has_two_owners():
    _, faults = find(BIG, FAR, point("a", 75, 5, "1"), point("b", 5, 5, "1"))
    assert faults == ["a, group 1: has two owners: car (shape 2) and car (shape 1); give it a group_id"]


def test_two_groups_cannot_share_a_box():
    _, faults = find(BIG, FAR, point("a", 5, 5, "1"), point("b", 6, 6, "2"))
    assert faults == ["car (shape 1): is claimed by groups 1 and 2"]


ONE_CLASS = KeypointSet(classes=("car", ), keypoints=("a", "b"))


def test_boxes_around_the_points_of_each_group():
    owned, faults = find(point("a", 10, 10, "1"), point("b", 30, 20, "1"), point("a", 50, 50),
                         point("b", 54, 58), pad=Pad(5), names=ONE_CLASS)
    assert not faults
    assert sorted(b for _, b, _ in owned) == [(5, 5, 35, 25), (45, 45, 59, 63)]


def test_pad_as_a_share_and_cut_at_the_image():
    assert Pad(0.1, True).around([(10, 10), (30, 20)], SIZE) == (8, 8, 32, 22)
    assert Pad(50).around([(10, 10), (90, 70)], SIZE) == (0, 0, 100, 80)
    assert Pad(5).around([(2, 2)], None) == (-3, -3, 7, 7)


def test_pad_is_for_points_without_a_box_only():
    owned, faults = find(FAR, SMALL, point("a", 75, 5), point("b", 1, 70), pad=Pad(2), names=KeypointSet(
        classes=("car", "bus"), keypoints=("a", "b")))
    assert faults == ["ungrouped points: has no box, and which of the 2 classes its points are cannot be "
                      "known"]
    assert owned[0][2] == {"a": (75, 5)}


def test_a_single_point_without_room_gives_no_box():
    _, faults = find(point("a", 10, 10), pad=Pad(0), names=ONE_CLASS)
    assert faults == ["car: its box is 0 x 0 px"]


def test_a_malformed_box_does_not_orphan_its_points():
    broken = Shape("car", "rectangle", (), problem="has no points")
    _, faults = find(broken, point("a", 1, 1))
    assert faults == ["car (shape 1): has no points"]


def test_all_faults_are_listed_together():
    _, faults = find(box((5, 5), (5, 9), group="1"), point("a", 1, 1, "1"), point("a", 2, 2, "1"),
                     point("zzz", 1, 1), point("b", 1, 1, "9"))
    assert len(faults) == 4
