import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.dataset.data_set import DataSet, find_keypoint_set, read_data_set
from pose_tools.dataset.objects import CROWD, KEYPOINTS, read_objects
from pose_tools.dataset.stats.measure import coverage, numbers_of, summary
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("cat", "dog"), ("nose", "tail"))


def objects_of(annotations, images=None, names=NAMES):
    """Objects of one split; box corners in ``annotations`` are x0, y0, x1, y1, or whole annotations."""
    images = images or [coco_image(1, "a.jpg", (200, 100))]
    whole = [one if isinstance(one, dict) else coco_annotation(i, 1, 1, one, [(0, 0, 0)] * len(names.keypoints))
             for i, one in enumerate(annotations, 1)]
    side = {"images": images, "annotations": whole, "categories": coco_categories(names)}
    return read_objects(DataSet({}, {"train": side}, {}), names)


@pytest.fixture
def two_splits(tmp_path):
    """Two images to train on, one of them empty, with a cat and a dog; one cat in val."""
    train = {"images": [coco_image(1, "a.jpg", (200, 100)), coco_image(2, "b.jpg", (100, 200))],
             "annotations": [coco_annotation(1, 1, 1, (0, 0, 100, 50), [(10, 10, 2), (110, 20, 1)]),
                             coco_annotation(2, 1, 2, (100, 50, 140, 60), [(0, 0, 0), (120, 55, 2)])],
             "categories": coco_categories(NAMES)}
    val = {"images": [coco_image(1, "c.jpg", (200, 100))],
           "annotations": [coco_annotation(1, 1, 1, (50, 20, 90, 60), [(0, 0, 0), (0, 0, 0)])],
           "categories": coco_categories(NAMES)}
    for split, data in (("train", train), ("val", val)):
        (tmp_path / f"{split}_coco.json").write_text(json.dumps(data), encoding="utf-8")
    return tmp_path


def test_counts_by_hand(two_splits):
    data_set = read_data_set([two_splits])
    found = numbers_of(read_objects(data_set, find_keypoint_set(data_set)[0]))
    train, val = found["splits"]["train"], found["splits"]["val"]
    assert (train["images"], train["without_objects"], train["objects"], train["with_keypoints"]) == (2, 1, 2, 2)
    assert (val["images"], val["without_objects"], val["objects"], val["with_keypoints"]) == (1, 0, 1, 0)
    assert train["per_image"] == {"mean": 1.0, "max": 2}
    assert train["classes"] == {"cat": 1, "dog": 1} and val["classes"] == {"cat": 1, "dog": 0}
    nose, tail = found["keypoints"]
    assert (nose["visible"], nose["occluded"], nose["not_labelled"], nose["outside_box"]) == (1, 0, 1, 0)
    assert (tail["visible"], tail["occluded"], tail["not_labelled"], tail["outside_box"]) == (1, 1, 0, 1)
    assert tail["classes"] == {"cat": {"visible": 0, "occluded": 1, "not_labelled": 0},
                               "dog": {"visible": 1, "occluded": 0, "not_labelled": 0}}
    cat, dog = found["classes"]
    assert (cat["objects"], cat["width"], cat["height"], cat["aspect"]) == (2, 70, 45, 1.5)  # 100x50 and 40x40
    assert (dog["visible"], dog["occluded"], dog["not_labelled"]) == (1, 0, 1)
    assert found["images"]["sizes"] == {"200 x 100": 2, "100 x 200": 1}
    assert found["images"]["wide"] == pytest.approx(2 / 3) and found["images"]["unknown"] == 0


def test_boxes_and_places_by_hand(two_splits):
    data_set = read_data_set([two_splits])
    found = numbers_of(read_objects(data_set, NAMES))
    assert (found["boxes"]["width"]["min"], found["boxes"]["width"]["max"]) == (40, 100)
    assert found["boxes"]["short_side"]["median"] == 40
    assert found["boxes"]["aspect"]["median"] == 2  # of 2, 4 and 1
    assert found["boxes"]["share"]["max"] == pytest.approx(0.25)  # 100 x 50 of 200 x 100
    assert found["places"]["x"]["min"] == pytest.approx(0.25) and found["places"]["x"]["max"] == pytest.approx(0.6)
    assert found["places"]["at_border"] == pytest.approx(1 / 3)  # the one that starts at (0, 0)


def test_what_cannot_be_measured_is_counted_and_left_out():
    good = coco_annotation(1, 1, 1, (10, 10, 50, 50), [(20, 20, 2), (30, 30, 1)])
    broken = [{"bbox": [10, 10, 0, 5]}, {"bbox": [math.nan, 0, 5, 5]}, {"bbox": None}, {"bbox": [10, 10, 5]},
              {"bbox": [500, 10, 5, 5]}, {"image_id": 9}, {"image_id": [1]}, {"category_id": None}, {"iscrowd": 1}]
    keypoints = [[1, 2], [1, 2, 3, "a", 5, 6], [math.nan, 1, 2, 5, 5, 2], [1, 1, 7, 5, 5, 2], [[1], [1, 2]], "none",
                 [1, 2, 1, 10**400, 1, 1]]
    objects = objects_of([good, *({**good, "id": i, **change} for i, change in enumerate(broken, 2)),
                          *({**good, "id": i, "keypoints": value} for i, value in enumerate(keypoints, 20))])
    assert len(objects.boxes) == 1 + len(keypoints)
    assert objects.labelled.tolist() == [True, *[False] * len(keypoints)]
    assert objects.left_out[0] == {
        "with a box of no size": 1, "without a box of four finite numbers": 3, "with a box outside its image": 1,
        "of an image that is not in the file": 2, "of a class that is not in the file": 1, CROWD: 1,
        KEYPOINTS: len(keypoints)}
    side = numbers_of(objects)["splits"]["train"]
    assert side["crowd_regions"] == 1 and CROWD not in side["left_out"]


def test_coordinates_of_what_is_not_labelled_do_not_matter():
    odd = {**coco_annotation(1, 1, 1, (10, 10, 50, 50), [(0, 0, 0), (30, 30, 1)]),
           "keypoints": [math.nan, -1e9, 0, 30, 30, 1]}
    objects = objects_of([odd])
    assert objects.left_out[0] == {}
    assert objects.keypoints.tolist() == [[[0, 0], [30, 30]]] and objects.visibility.tolist() == [[0, 1]]


def test_areas_are_those_of_the_file_unless_they_are_placeholders():
    box = coco_annotation(1, 1, 1, (0, 0, 10, 20), [(0, 0, 0)] * 2)
    objects = objects_of([{**box, "area": area} for area in (120, 1, 0, None, math.nan)])
    assert objects.areas.tolist() == [120, 200, 200, 200, 200]


def test_boxes_are_clipped_as_mmpose_does_it():
    objects = objects_of([(-10, -10, 50, 40), (150, 50, 300, 90)])
    assert objects.clipped_boxes().tolist() == [[0, 0, 50, 40], [150, 50, 49, 40]]  # 200 px wide: the last is 199


def test_images_without_a_size():
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg", "width": math.nan, "height": 5}]
    objects = objects_of([(10, 10, 50, 50)], images)
    found = numbers_of(objects)
    assert found["images"]["unknown"] == 2 and found["images"]["width"] is None
    assert found["boxes"]["share"] is None and found["places"] == {"x": None, "y": None, "at_border": None}
    assert found["boxes"]["width"]["median"] == 40


def test_nothing_at_all():
    found = numbers_of(objects_of([]))
    assert found["splits"]["train"]["objects"] == 0 and found["classes"] == [] and found["boxes"]["width"] is None
    json.dumps(found, allow_nan=False)


def test_classes_that_only_the_file_names_are_counted():
    side = {"images": [coco_image(1, "a.jpg", (200, 100))], "categories": [{"id": 7, "name": "cow"}],
            "annotations": [coco_annotation(1, 1, 7, (0, 0, 10, 20), [(0, 0, 0)] * 2)]}
    objects = read_objects(DataSet({}, {"train": side}, {}), NAMES)
    assert numbers_of(objects)["splits"]["train"]["classes"] == {"cat": 0, "dog": 0, "cow": 1}


def test_summary_by_hand():
    assert summary(np.array([3, 1, np.nan, 2, 5, 4])) == {
        "min": 1, "5 %": pytest.approx(1.2), "25 %": 2, "median": 3, "75 %": 4, "95 %": pytest.approx(4.8), "max": 5}
    assert summary(np.array([np.nan])) is None


corner = st.tuples(st.floats(0, 150), st.floats(0, 80), st.floats(1, 100), st.floats(1, 60))


@settings(max_examples=40, deadline=None)
@given(st.lists(corner, min_size=1, max_size=8))
def test_coverage_is_what_counting_cell_by_cell_gives(boxes):
    objects = objects_of([(x, y, x + w, y + h) for x, y, w, h in boxes])
    expected = np.zeros((5, 5))
    for x, y, w, h in objects.boxes:
        for row in range(5):
            for column in range(5):
                # A cell is 40 x 20 px of the 200 x 100.
                across = x / 200 * 5 < column + 1 and (x + w) / 200 * 5 > column
                down = y / 100 * 5 < row + 1 and (y + h) / 100 * 5 > row
                expected[row, column] += across and down
    assert coverage(objects, 5) == pytest.approx(expected / len(boxes))


@pytest.mark.parametrize(("file", "images", "objects", "labelled"), [
    ("coco/test_coco.json", 4, 14, 181), ("ap10k/test_ap10k.json", 2, 2, 32),
    ("animalpose/test_animalpose.json", 2, 2, 32), ("onehand10k/test_onehand10k.json", 4, 4, 63),
    ("crowdpose/test_crowdpose.json", 2, 5, 47)])
def test_real_sets(real_data, file, images, objects, labelled):
    data_set = read_data_set([real_data / "coco_small" / file])
    found = numbers_of(read_objects(data_set, find_keypoint_set(data_set)[0]))
    side = next(iter(found["splits"].values()))
    assert (side["images"], side["objects"], side["left_out"]) == (images, objects, {})
    assert sum(one["visible"] + one["occluded"] for one in found["keypoints"]) == labelled
    json.dumps(found, allow_nan=False)
