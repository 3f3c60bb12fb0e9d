from pathlib import Path

import numpy as np
import pytest

from pose_tools.dataset.doctor.instance_table import make_table
from pose_tools.dataset.doctor.shape_warnings import shape_warnings
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet

# A table seen from anywhere above: four feet and, off centre, a lamp.
NAMES = KeypointSet(("table", ), ("front-left", "front-right", "back-left", "back-right", "lamp"),
                    (("front-left", "front-right"), ("back-left", "back-right")))
SOLID = np.array([[-1, 1, 0], [1, 1, 0], [-1, -1, 0], [1, -1, 0], [0, -0.5, 1]], float)


def seen_from(turn, tilt):
    """Orthographic picture of the table, y down, its front towards the viewer at turn 0."""
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    x, y, z = (SOLID @ rotation.T).T
    return np.stack([x, y * np.sin(tilt) - z * np.cos(tilt)], 1)


def tables(count=120, change=None, seed=0, path="train_coco.json"):
    """Tables of 100 px, turned up to 60 degrees; ``change(number, points)`` spoils some labels."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(1, count + 1):
        points = 100 * seen_from(rng.uniform(-1, 1), rng.uniform(0.4, 0.9)) + 300 + rng.normal(0, 1, (5, 2))
        low, high = points.min(0) - 5, points.max(0) + 5
        if change:
            points = change(number, points)
        images.append(coco_image(number, f"{number}.jpg", (600, 600)))
        annotations.append(coco_annotation(number, number, 1, (*low, *high), [(*p, 2) for p in points]))
    data = {"images": images, "annotations": annotations, "categories": coco_categories(NAMES)}
    return make_table(data, Path(path), NAMES)


def found(table, names=NAMES):
    return {(f.annotation, f.rule): f for f in shape_warnings([table], names)}


def test_sound_labels_raise_no_alarm():
    assert found(tables()) == {}


def test_one_exchanged_pair_is_named():
    def spoil(number, points):
        return points[[1, 0, 2, 3, 4]] if number in (7, 50) else points
    warnings = found(tables(change=spoil))
    assert set(warnings) == {(7, "swapped"), (50, "swapped")}
    assert warnings[7, "swapped"].keypoints == ("front-left", "front-right")
    assert warnings[7, "swapped"].level == "warning" and warnings[7, "swapped"].suspicion > 6
    assert "7.jpg" in warnings[7, "swapped"].where


def test_where_the_file_lies_makes_no_difference():
    def spoil(number, points):
        return points[[1, 0, 2, 3, 4]] if number in (7, 50) else points
    here, there = (found(tables(change=spoil, path=path)) for path in ("train_coco.json", "data/x/train_coco.json"))
    assert [f.what for f in here.values()] == [f.what for f in there.values()]


def test_both_sides_exchanged_are_told_as_such():
    def spoil(number, points):
        return points[[1, 0, 3, 2, 4]] if number == 7 else points
    warnings = found(tables(change=spoil))
    assert set(warnings) == {(7, "swapped")}
    assert "whole left and right side" in warnings[7, "swapped"].what


def test_swaps_are_guessed_from_the_names_where_none_are_given():
    def spoil(number, points):
        return points[[1, 0, 2, 3, 4]] if number == 7 else points
    assert (7, "swapped") in found(tables(change=spoil), KeypointSet(NAMES.classes, NAMES.keypoints))


def test_a_misplaced_point_is_named_once_with_its_distance():
    def spoil(number, points):
        return points + [(0, 0)] * 4 + [(0, 0)] if number != 9 else points + np.array([(0, 0)] * 4 + [(90, 0)])
    warnings = found(tables(change=lambda n, p: p if n != 9 else spoil(n, p)))
    assert set(warnings) == {(9, "odd-point")}
    assert warnings[9, "odd-point"].keypoints == ("lamp", )
    off = float(warnings[9, "odd-point"].what.split(" is ")[1].split(" px")[0])
    assert off == pytest.approx(90, abs=10)


def test_few_objects_tell_nothing():
    def spoil(number, points):
        return points[[1, 0, 2, 3, 4]] if number == 7 else points
    assert found(tables(19, spoil)) == {}


def test_unlabelled_points_are_no_hindrance():
    table = tables(change=lambda n, p: p[[1, 0, 2, 3, 4]] if n == 7 else p)
    table.visibility[::2, 4] = 0
    table.points[::2, 4] = np.nan
    assert set(found(table)) == {(7, "swapped")}


def test_rendered_cars_exchange_by_exchange(cars):
    """Every tenth car's tires are exchanged; most are found, and hardly any sound car is accused."""
    from pose_tools.dataset.data_set import find_keypoint_set, read_data_set

    data_set = read_data_set([cars])
    names, _ = find_keypoint_set(data_set)
    spoiled = set()
    for data in data_set.sides.values():
        for ann in data["annotations"][::10]:
            k = 3 * names.keypoints.index("left-front-tire"), 3 * names.keypoints.index("right-front-tire")
            points = ann["keypoints"]
            if points[k[0] + 2] and points[k[1] + 2]:
                points[k[0]:k[0] + 3], points[k[1]:k[1] + 3] = points[k[1]:k[1] + 3], points[k[0]:k[0] + 3]
                spoiled.add(ann["id"])
    table = [make_table(data, data_set.files[split], names) for split, data in data_set.sides.items()]
    accused = {f.annotation for f in shape_warnings(table, names) if f.rule == "swapped"}
    assert spoiled and len(accused & spoiled) >= 0.5 * len(spoiled) and len(accused - spoiled) <= 1
