import json
import math
import os

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.coco import (
    coco_annotation,
    coco_categories,
    coco_image,
    keypoint_set_from_coco,
    load_coco,
    save_coco,
)
from pose_tools.formats.schema import KeypointSet

CAT = KeypointSet(classes=("cat", "kitten"), keypoints=("nose", "left-ear", "right-ear"),
                  swaps=(("left-ear", "right-ear"), ), links=(("nose", "right-ear"), ), sigmas=(.1, .2, .3))


def test_annotation_keeps_the_contract():
    ann = coco_annotation(7, 3, 1, (10, 20, 40, 60), [(11, 21, 2), (5, 5, 0), (12.5, 22, 1)])
    assert ann == {"id": 7, "image_id": 3, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200,
                   "iscrowd": 0, "segmentation": [], "keypoints": [11, 21, 2, 0, 0, 0, 12.5, 22, 1], "num_keypoints": 2}


def test_area_is_that_of_the_segmentation():
    ann = coco_annotation(1, 1, 1, (0, 0, 4, 4), [], [[0, 0, 4, 0, 4, 4]], 8.0)
    assert ann["area"] == 8 and ann["segmentation"] == [[0, 0, 4, 0, 4, 4]]


def test_categories_carry_all_facts_and_give_them_back():
    categories = coco_categories(CAT)
    assert categories[1] == {
        "id": 2, "name": "kitten", "supercategory": "kitten", "keypoints": ["nose", "left-ear", "right-ear"],
        "skeleton": [[1, 3]], "sigmas": [.1, .2, .3], "swap": [["left-ear", "right-ear"]]}
    assert keypoint_set_from_coco({"categories": categories[::-1]}, "f.json") == CAT


def test_unknown_facts_are_not_invented():
    assert coco_categories(KeypointSet(("cat", ), ("nose", ))) == [
        {"id": 1, "name": "cat", "supercategory": "cat", "keypoints": ["nose"], "skeleton": []}]
    assert coco_categories(KeypointSet(("cat", ), ())) == [{"id": 1, "name": "cat", "supercategory": "cat"}]


def test_image_entry():
    assert coco_image(1, "a/b.jpg", (40, 20)) == {"id": 1, "file_name": "a/b.jpg", "width": 40, "height": 20}


def test_links_that_count_from_zero_are_left_out():
    skeleton = [[0, 1], [1, 2], [2, 2], "x", [1, 3]]
    category = {"id": 1, "name": "x", "keypoints": ["a", "b"], "skeleton": skeleton}
    found = keypoint_set_from_coco({"categories": [category]}, "f.json")
    assert found.links == (("a", "b"), )


@pytest.mark.parametrize(("categories", "message"), [
    ([{"id": 1}], "category 1: has no name"),
    ([{"id": 1, "name": "a", "keypoints": ["x"]}, {"id": 2, "name": "b", "keypoints": ["y"]}],
     "category 'b': has other keypoints than 'a'"),
    ([{"id": 1, "name": "a", "keypoints": ["x", "x"]}], "'x' is listed 2 times"),
    ([{"id": 1, "name": "a", "keypoints": ["x"], "sigmas": [1, 2]}], "has 2 values for 1 keypoints"),
])
def test_categories_that_contradict_themselves(categories, message):
    with pytest.raises(FaultsError, match=message):
        keypoint_set_from_coco({"categories": categories}, "f.json")


@pytest.mark.parametrize(("text", "message"), [
    ("", "is empty"),
    ('{"images": [', "is truncated or not JSON"),
    ("[]", "holds a list, as COCO results are"),
    ("3", "holds a int"),
    ('{"images": [], "categories": {}}', "has no list of annotations"),
    ('{"images": [{"file_name": "a"}], "annotations": [5], "categories": []}',
     "annotations\\[0\\]: is not an object"),
])
def test_files_that_are_not_coco_are_named(tmp_path, text, message):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(FaultsError, match=message) as caught:
        load_coco(path)
    assert all(fault.file == path for fault in caught.value.faults)


def test_all_missing_parts_are_listed(tmp_path):
    path = tmp_path / "f.json"
    path.write_text("{}")
    with pytest.raises(FaultsError) as caught:
        load_coco(path)
    assert len(caught.value.faults) == 3


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_coco(tmp_path / "f.json")


def test_saving_and_loading(tmp_path):
    data = {"images": [coco_image(1, "照片.jpg", (4, 2))], "annotations": [],
            "categories": coco_categories(CAT)}
    save_coco(tmp_path / "new/f.json", data)
    assert load_coco(tmp_path / "new/f.json") == data
    assert "照片" in (tmp_path / "new/f.json").read_text(encoding="utf-8")
    assert os.listdir(tmp_path / "new") == ["f.json"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f.json"
    path.write_text("old")
    with pytest.raises(ValueError):
        save_coco(path, {"area": math.nan})

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        save_coco(path, {"a": 1})
    assert os.listdir(tmp_path) == ["f.json"] and path.read_text() == "old"


def test_a_saved_file_can_be_read_by_others(tmp_path):
    save_coco(tmp_path / "f.json", {})
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "f.json").stat().st_mode & 0o777 == 0o666 & ~umask
    assert json.loads((tmp_path / "f.json").read_text()) == {}
