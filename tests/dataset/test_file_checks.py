import copy
from pathlib import Path

import pytest

from pose_tools.dataset.doctor.file_checks import boxes_are_corners, file_findings, mirroring_findings
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("cat", ), ("left-ear", "right-ear", "nose"))


def make(boxes=((10, 20, 30, 40), ), skeleton=((1, 2), ), points=(0, 0, 0, 5, 6, 1, 0, 0, 0), size=(100, 80)):
    return {"images": [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
            "annotations": [{"id": i, "image_id": 1, "category_id": 1, "bbox": list(box), "area": 100,
                             "keypoints": list(points)} for i, box in enumerate(boxes, 1)],
            "categories": [{"id": 1, "name": "cat", "keypoints": list(NAMES.keypoints), "skeleton": list(skeleton)}]}


def rules(data):
    return [(f.rule, f.where) for f in file_findings(data, Path("f.json"), NAMES)]


def test_a_sound_file():
    assert rules(make()) == []


@pytest.mark.parametrize(("links", "expected"), [
    ([[0, 1], [1, 2]], "counts keypoints from 0"),
    ([[1, 4]], "join no two keypoints: [[1, 4]]"),
    ([[0, 3]], "join no two keypoints: [[0, 3]]"),  # 3 would be out of range had it counted from 0
    ([[1, 1]], "join no two keypoints: [[1, 1]]"),
    ([["a", 1]], "join no two"),
    ([7], "join no two"),
])
def test_links(links, expected):
    (finding, ) = file_findings(make(skeleton=links), Path("f.json"), NAMES)
    assert expected in finding.what
    assert (finding.rule, finding.level) == (("skeleton-base", "error") if "from 0" in expected else
                                             ("links", "warning"))


def test_unlabelled_points_with_coordinates():
    (finding, ) = file_findings(make(points=[7, 0, 0, 5, 6, 1, 0, 3, 0]), Path("f.json"), NAMES)
    assert (finding.rule, finding.keypoints, finding.annotation, finding.image) == (
        "hidden-coordinates", ("left-ear", "nose"), 1, 1)
    assert finding.where == "annotation 1 in a.jpg"


CORNERS = [(60, 10, 90, 40), (10, 50, 70, 75), (50, 20, 80, 60)]  # 60 + 90 > 100, 50 + 75 > 80, 50 + 80 > 100


@pytest.mark.parametrize(("boxes", "expected"), [
    (CORNERS, True),
    ([*CORNERS, (5, 5, 20, 20)], True),  # fits both ways
    ([*CORNERS, (60, 10, 30, 40)], False),  # 30 < 60: no right side
    ([CORNERS[0], (5, 5, 20, 20)], False),  # a single one that leaves its image is no evidence
    ([(5, 5, 40, 40), (0, 0, 100, 80)], False),
    ([*CORNERS, (60, 10, 120, 40)], False),  # its right side is outside
    ([], False),
])
def test_corners_taken_for_sizes(boxes, expected):
    data = make(boxes)
    assert boxes_are_corners(data) is expected
    assert [rule for rule, _ in rules(data)] == ["xyxy"] * expected


def test_names_that_change_places_but_are_no_swap():
    data = make()
    (finding, ) = mirroring_findings(data, Path("f"), NAMES)
    assert finding.rule == "swaps-missing" and "left-ear and right-ear" in finding.what
    sound = KeypointSet(NAMES.classes, NAMES.keypoints, (("left-ear", "right-ear"), ))
    assert list(mirroring_findings(data, Path("f"), sound)) == []
    clock = KeypointSet(NAMES.classes, NAMES.keypoints, mirror=False)
    assert list(mirroring_findings(data, Path("f"), clock)) == []


def test_mirroring_where_nothing_looks_mirrored():
    names = KeypointSet(("cat", ), ("a", "b", "c"))
    data = make([(10, 20, 30, 40)] * 12, points=[12, 25, 2, 15, 50, 2, 38, 55, 2])
    assert [f.rule for f in mirroring_findings(data, Path("f"), names)] == ["no-mirror"]
    facing = copy.deepcopy(data)
    for ann in facing["annotations"][::2]:
        ann["keypoints"][::3] = [38, 35, 12]
    assert list(mirroring_findings(facing, Path("f"), names)) == []
