import copy

import pytest
from PIL import Image

from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.doctor.repair import repair

SOUND = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 20], "area": 600, "iscrowd": 0,
                     "segmentation": [], "keypoints": [11, 12, 2, 0, 0, 0], "num_keypoints": 1, "note": "mine"}],
    "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
}
TRIANGLE = [[10, 10, 40, 10, 10, 30]]  # 30 * 20 / 2 = 300 px


def mended(part="annotations", **values):
    """Changes values of the first entry of a part (None removes), mends, and gives entry and changes."""
    data = copy.deepcopy(SOUND)
    for key, value in values.items():
        data[part][0].pop(key) if value is None else data[part][0].update({key: value})
    changes = repair(data, None)
    return data[part][0], [(c.rule, c.what) for c in changes]


def test_a_sound_file_stays_as_it_is():
    data = copy.deepcopy(SOUND)
    assert repair(data, None) == [] and data == SOUND


@pytest.mark.parametrize(("broken", "expected", "rule"), [
    ({"num_keypoints": 5}, {"num_keypoints": 1}, "num-keypoints"),
    ({"num_keypoints": None}, {"num_keypoints": 1}, "num-keypoints"),
    ({"area": 0}, {"area": 600}, "area"),
    ({"area": 1}, {"area": 600}, "area"),
    ({"area": None}, {"area": 600}, "area"),
    ({"area": float("nan")}, {"area": 600}, "area"),
    ({"area": None, "segmentation": TRIANGLE}, {"area": 300}, "area"),
    ({"bbox": [0, 0, 0, 0], "segmentation": TRIANGLE}, {"bbox": [10, 10, 30, 20]}, "box"),
    ({"bbox": ["10", "10", "30", 20]}, {"bbox": [10, 10, 30, 20]}, "box"),
    ({"keypoints": [11, 12, 2, 7, 0, 0]}, {"keypoints": [11, 12, 2, 0, 0, 0]}, "hidden-coordinates"),
    ({"keypoints": [11, 12, 2, float("nan"), 0, 0]}, {"keypoints": [11, 12, 2, 0, 0, 0]}, "hidden-coordinates"),
    ({"keypoints": ["11", "12.0", 2, 0, 0, 0]}, {"keypoints": [11, 12, 2, 0, 0, 0]}, "not-a-number"),
    ({"iscrowd": None}, {"iscrowd": 0}, "missing-field"),
    ({"segmentation": None}, {"segmentation": []}, "missing-field"),
])
def test_what_has_one_right_answer(broken, expected, rule):
    entry, changes = mended(**broken)
    assert {key: entry[key] for key in expected} == expected
    assert [name for name, _ in changes] == [rule]
    assert entry["note"] == "mine"


@pytest.mark.parametrize("broken", [
    {"bbox": [0, 0, 0, 0], "area": 0},  # nothing says where it is
    {"keypoints": [11, 12, 3, 0, 0, 0]},  # visible, or not labelled?
    {"keypoints": [11, 12, 2]},
    {"keypoints": [11, float("nan"), 2, 0, 0, 0]},
    {"bbox": ["ten", 10, 30, 20]},
    {"image_id": 9}, {"image_id": [9]}, {"category_id": 9},
])
def test_what_could_be_meant_in_two_ways_is_left_alone(broken):
    assert mended(**broken)[1] == []


def test_links_that_count_from_0():
    assert mended("categories", skeleton=[[0, 1]])[0]["skeleton"] == [[1, 2]]
    assert mended("categories", skeleton=[[0, 2]])[1] == []


def test_ids_that_are_there_twice():
    data = copy.deepcopy(SOUND)
    data["annotations"] = [dict(SOUND["annotations"][0], id=i) for i in (1, 5, 1, 5)]
    assert [str(c) for c in repair(data, None)] == [
        "duplicate-id: annotation 1: the second of this id is now 6",
        "duplicate-id: annotation 5: the second of this id is now 7"]
    assert [ann["id"] for ann in data["annotations"]] == [1, 5, 6, 7]
    assert coco_faults(data, "f") == []


def test_corners_become_sizes_together_with_the_area_reckoned_from_them():
    data = copy.deepcopy(SOUND)
    boxes = [[60, 10, 90, 40], [10, 50, 70, 75], [50, 20, 80, 60]]
    data["annotations"] = [dict(SOUND["annotations"][0], id=i, bbox=list(box), area=box[2] * box[3])
                           for i, box in enumerate(boxes, 1)]
    assert {c.rule for c in repair(data, None)} == {"xyxy"}
    assert [ann["bbox"] for ann in data["annotations"]] == [[60, 10, 30, 30], [10, 50, 60, 25], [50, 20, 30, 40]]
    assert [ann["area"] for ann in data["annotations"]] == [900, 1500, 1200]


def test_sizes_and_slashes_come_from_the_files(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "sub/a.png")
    data = copy.deepcopy(SOUND)
    data["images"] = [{"id": 1, "file_name": "sub\\a.png", "width": 0}, {"id": 2, "file_name": "gone.png"}]
    assert [str(c) for c in repair(data, tmp_path)] == [
        "image-missing: image 1: file_name 'sub\\\\a.png' -> 'sub/a.png'",
        "image-size: image 1: size 0 x None -> 100 x 80, as its file has it"]
    assert data["images"] == [{"id": 1, "file_name": "sub/a.png", "width": 100, "height": 80},
                              {"id": 2, "file_name": "gone.png"}]
