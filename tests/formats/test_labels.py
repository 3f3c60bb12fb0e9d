from pathlib import Path

import pytest

from pose_tools.formats.labelme import LabelmeFile, Shape
from pose_tools.formats.labels import LabelRules, discover_names, sort_shapes, visibility
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(classes=("wheel", ), keypoints=("wheel-top", "wheel-right"))
CORNERS = {"point": 1, "rectangle": 2, "circle": 2}


def shape(label, kind="point", **more):
    return Shape(label, kind, tuple((float(i), float(i)) for i in range(CORNERS.get(kind, 3))), **more)


def sort(*shapes, **rules):
    return sort_shapes(LabelmeFile(Path("a.json"), "a.jpg", None, shapes), LabelRules(NAMES, **rules))


@pytest.mark.parametrize(("more", "expected"), [
    ({}, 2),
    ({"flags": {"occluded": True}}, 1),
    ({"flags": {"Occluded": True}}, 1),
    ({"flags": {"occluded": False}}, 2),
    ({"flags": {"blurred": True}}, 2),
    ({"description": "0"}, 0),
    ({"description": "1"}, 1),
    ({"description": "2"}, 2),
    ({"description": "a scratch"}, 2),
    ({"description": "2", "flags": {"occluded": True}}, 1),
    ({"description": "0", "flags": {"occluded": True}}, 0),
])
def test_visibility(more, expected):
    assert visibility(shape("wheel-top", **more)) == expected


def test_suffixes_are_taken_off_and_win():
    found = sort(shape("wheel-top_occ"), shape("wheel-right_hidden", description="2"),
                 suffixes={"_occ": 1, "_hidden": 0})
    assert [(p.name, p.visibility) for p in found.points] == [("wheel-top", 1), ("wheel-right", 0)]
    assert not found.faults


def test_a_known_name_that_ends_like_a_suffix_keeps_it():
    found = sort(shape("wheel-top"), suffixes={"-top": 1})
    assert [(p.name, p.visibility) for p in found.points] == [("wheel-top", 2)]


@pytest.mark.parametrize(("odd", "message"), [
    (shape("wheel_top"), "is no known keypoint; did you mean 'wheel-top'?"),
    (shape("zzz"), "is no known keypoint; known: wheel-top, wheel-right"),
    (shape("car", "rectangle"), "is no known class; known: wheel"),
    (shape("wheel-top", "rectangle"), "is a keypoint but drawn as a rectangle"),
    (shape("wheel-top", "linestrip"), "is a keypoint but drawn as a linestrip"),
    (shape("wheel", "line"), "is a class but drawn as a line"),
    (shape("wheel"), "is a class but drawn as a point"),
    (shape("wheel", "rectangle", problem="is broken"), "is broken"),
])
def test_each_fault_of_a_label(odd, message):
    found = sort(odd)
    assert [(fault.what, fault.where) for fault in found.faults] == [(message, odd.place)]
    assert not found.boxes and not found.points


def test_a_malformed_box_is_remembered_but_not_a_malformed_point():
    assert sort(shape("wheel", "rectangle", problem="is broken")).broken_box
    assert not sort(shape("wheel-top", problem="is broken")).broken_box


def test_other_lines_are_passed_over_and_counted():
    found = sort(shape("lane", "linestrip"), shape("lane", "linestrip"), shape("edge", "line"))
    assert not found.faults
    assert found.passed_over == {"lane (linestrip)": 2, "edge (line)": 1}


def test_ignored_labels_are_passed_over_even_when_malformed():
    found = sort(shape("dirt", "rectangle", problem="is broken"), shape("zzz_occ"),
                 ignored=frozenset({"dirt", "zzz"}), suffixes={"_occ": 1})
    assert not found.faults and not found.broken_box
    assert sum(found.passed_over.values()) == 2


def test_names_are_discovered_in_natural_order():
    file = LabelmeFile(Path("a.json"), "", None, (
        shape("p10"), shape("p2"), shape("p2_occ"), shape("truck", "polygon"), shape("car", "circle"),
        shape("lane", "line"), shape("junk"), shape("junk_occ")))
    found = discover_names([file], ignored={"junk"}, suffixes={"_occ": 1})
    assert found.keypoints == ("p2", "p10")
    assert found.classes == ("car", "truck")
