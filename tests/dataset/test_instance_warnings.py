from pathlib import Path

import numpy as np
import pytest

from pose_tools.dataset.doctor.balance_warnings import balance_warnings
from pose_tools.dataset.doctor.instance_table import make_table
from pose_tools.dataset.doctor.instance_warnings import instance_warnings
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("cat", "dog"), ("nose", "left", "right", "tail"))
POINTS = [(20, 20, 2), (30, 30, 2), (80, 30, 1), (90, 70, 2)]  # in a box from (10, 10) to (100, 80)


def make(*objects, size=(200, 100)):
    """One image a object: (points, box, class, extra values)."""
    images, annotations = [], []
    for number, (points, box, category, extra) in enumerate(objects, 1):
        images.append(coco_image(number, f"{number}.jpg", size))
        annotations.append({**coco_annotation(number, number, category, box, points), **extra})
    return {"images": images, "annotations": annotations, "categories": coco_categories(NAMES)}


def one(points=POINTS, box=(10, 10, 100, 80), category=1, **extra):
    return points, box, category, extra


def warned(data, **options):
    table = make_table(data, Path("train_coco.json"), NAMES)
    return [(f.annotation, f.rule, f.keypoints) for f in instance_warnings(table, NAMES, **options)]


def moved(k, x, y, v=2):
    return [(x, y, v) if i == k else point for i, point in enumerate(POINTS)]


def test_an_ordinary_object_is_left_alone():
    assert warned(make(one()), input_size=(256, 192)) == []


@pytest.mark.parametrize(("thing", "expected"), [
    (one(moved(0, 125, 20)), [(1, "far-point", ("nose", ))]),  # 25 px out of a box 90 px long: 28%
    (one(moved(0, 121, 20)), []),  # 23%
    (one(moved(3, 100, 101)), [(1, "outside-image", ("tail", ))]),
    (one(moved(3, 100, 100)), []),  # half a pixel outside is a matter of counting
    (one(moved(1, 20, 20)), [(1, "same-place", ("nose", "left"))]),
    (one(moved(1, 125, 20, 0)), []),
    (one(area=9000.0), [(1, "odd-area", ())]),  # of a box of 6300
    (one(area=60.0), [(1, "odd-area", ())]),
    (one(area=5000.0), []),
    (one([(3, 3, 2), (5, 5, 2), (8, 5, 2), (9, 9, 2)], (1, 1, 24, 10)), [(1, "tiny", ())]),
    (one([(0, 0, 0)] * 4, (1, 1, 24, 10)), []),
    (one(box=(10, 10, 100, 80), iscrowd=1, area=1e6), []),
])
def test_each_warning_about_an_object(thing, expected):
    assert warned(make(thing)) == expected


def test_aspects_are_held_against_the_input():
    long = one([(20, 20, 2), (30, 22, 2), (80, 28, 1), (90, 29, 2)], (10, 10, 110, 30))
    assert warned(make(long, *[one()] * 10), input_size=(256, 192)) == [(1, "aspect", ())]
    assert warned(make(long), input_size=(256, 64)) == []
    many = make_table(make(long, long, one()), Path("f"), NAMES)
    (finding, ) = instance_warnings(many, NAMES, (256, 192))
    assert finding.annotation is None and "67% of the boxes" in finding.what and "100 x 20" in finding.what


def test_boxes_are_held_against_the_others_of_their_class():
    rng = np.random.default_rng(0)
    objects = []
    for _ in range(30):
        low, high = np.array((10, 10)) + rng.uniform(-2, 2, 2), np.array((100, 80)) + rng.uniform(-2, 2, 2)
        objects.append(one(box=(*low, *high)))
    objects[4] = one(box=(0, 0, 190, 95))  # sqrt(190 * 95 / (70 * 50)) = 2.27; usual: sqrt(90 * 70 / 3500) = 1.34
    objects[5] = one(box=(35, 25, 75, 50))  # 0.53
    rows = {f.annotation: f for f in instance_warnings(make_table(make(*objects), Path("f"), NAMES), NAMES)
            if f.rule in ("loose-box", "tight-box")}
    assert {number: f.rule for number, f in rows.items()} == {5: "loose-box", 6: "tight-box"}
    assert rows[5].what.startswith("its box is 2.3 times") and "1.7 times larger than usual (1.3)" in rows[5].what


def test_an_object_labelled_twice():
    data = make(one(), one(), one(moved(0, 60, 60), (11, 10, 100, 80)), one(category=2))
    for ann in data["annotations"]:
        ann["image_id"] = 1
    assert warned(data) == [(2, "twice", ())], "not: other points, another class"
    data["annotations"].insert(1, {**data["annotations"][2], "id": 9, "bbox": [150, 10, 40, 40]})
    assert (2, "twice", ()) in warned(data), "with another object between the two"


def test_what_is_unsound_is_left_out_of_the_table():
    broken = [one(bbox=[1, 2, 0, 4]), one(bbox=None), one(keypoints=[1, 2]), one(image_id=99), one(category_id=[1]),
              one(keypoints=["a", 0, 2] + [0] * 9), one(iscrowd=1)]
    table = make_table(make(*broken, one()), Path("f"), NAMES)
    assert [ann["id"] for ann in table.annotations] == [8]
    assert table.points[0, 1].tolist() == [30, 30] and table.visibility[0].tolist() == [2, 2, 1, 2]
    assert table.poses[0, 0] == pytest.approx(np.array([20 - 55, 20 - 45]) / np.sqrt(90 * 70))
    assert len(make_table({"images": [], "annotations": [], "categories": []}, Path("f"), NAMES)) == 0
    assert warned({"images": [], "annotations": [], "categories": []}) == []


def test_boxes_without_keypoints_are_looked_at_as_well():
    boxes = KeypointSet(NAMES.classes, ())
    data = make(one([]), one([]), one([]))
    data["annotations"][2]["image_id"] = 2
    table = make_table(data, Path("f"), boxes)
    assert [(f.annotation, f.rule) for f in instance_warnings(table, boxes, (256, 256))] == [(3, "twice")]
    assert [f.rule for f in balance_warnings({"train": table}, boxes)] == ["rare-class"], "there is no dog"


def balance(**splits):
    tables = {split: make_table(make(*objects), Path(f"{split}.json"), NAMES) for split, objects in splits.items()}
    return [(str(f.file), f.rule, f.where or f.what) for f in balance_warnings(tables, NAMES)]


def test_rare_keypoints_and_classes():
    without_tail = one(moved(3, 0, 0, 0))
    assert balance(train=[one(), one(category=2)] * 10) == []
    assert balance(train=[one(), one(category=2), *[without_tail, one(moved(3, 0, 0, 0), category=2)] * 10]) == [
        ("train.json", "rare-keypoint", "keypoint 'tail'")]
    assert balance(train=[one(category=2), *[one()] * 25]) == [("train.json", "rare-class", "class 'dog'")]


def test_what_a_split_lacks():
    dogs = [one(category=2)] * 8
    assert balance(train=[*[one()] * 8, *dogs], val=[one(moved(0, 0, 0, 0))] * 2) == [
        ("val.json", "missing-in-split", "class 'dog'"), ("val.json", "missing-in-split", "keypoint 'nose'")]


def test_objects_without_points():
    assert balance(train=[one(), one(category=2), one([(0, 0, 0)] * 4)]) == [
        ("train.json", "no-keypoints", "1 of 3 objects have no labelled keypoint")]
