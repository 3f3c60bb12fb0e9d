import copy

import pytest

from pose_tools.dataset.checks import coco_faults
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(classes=("cat", ), keypoints=("nose", "tail"), sigmas=(.1, .1))
SOUND = {
    "images": [{"id": 1, "file_name": "a/1.jpg", "width": 100, "height": 80}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 20], "area": 600, "iscrowd": 0,
                     "segmentation": [], "keypoints": [11, 12, 2, 0, 0, 0], "num_keypoints": 1}],
    "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]],
                    "sigmas": [.1, .1]}],
}


def check(change=None, names=NAMES, folder=None):
    data = copy.deepcopy(SOUND)
    if change:
        change(data)
    return [f"{fault.where}: {fault.what}" for fault in coco_faults(data, "f.json", names, folder)]


def edit(part, **values):
    """A change to the first entry of a part; None removes a key."""
    def change(data):
        for key, value in values.items():
            data[part][0].pop(key) if value is None else data[part][0].update({key: value})
    return change


def double(part):
    return lambda data: data[part].append(copy.deepcopy(data[part][0]))


ANN = "annotation 1 in a/1.jpg: "


def test_a_sound_file_has_no_faults():
    assert check() == [] and check(names=None) == []


@pytest.mark.parametrize(("change", "expected"), [
    (double("images"), "image 1: 2 images have this id; ids must be unique"),
    (double("annotations"), "annotation 1: 2 annotations have this id; ids must be unique"),
    (double("categories"), "category 1: 2 categories have this id; ids must be unique"),
    (edit("annotations", image_id=9), "annotation 1: image_id 9 is not in the file"),
    (edit("annotations", image_id=[9]), "annotation 1: image_id [9] is not in the file"),
    (edit("annotations", category_id=None), "annotation 1: category_id None is not in the file"),
    (edit("images", file_name=None), "image 1: has no file_name"),
    (edit("images", width=None), "image 1 (a/1.jpg): its size is None x 80"),
    (edit("images", height=0), "image 1 (a/1.jpg): its size is 100 x 0"),
    (edit("annotations", bbox=None), ANN + "bbox None is not four finite numbers x, y, w, h"),
    (edit("annotations", bbox=[1, 2, 3]), ANN + "bbox [1, 2, 3] is not four finite numbers x, y, w, h"),
    (edit("annotations", bbox=[float("nan"), 2, 3, 4]), ANN + "bbox [nan, 2, 3, 4] is not four finite numbers "
     "x, y, w, h"),
    (edit("annotations", bbox=[1, 2, 0, 4]), ANN + "bbox is 0 x 4 px in size"),
    (edit("annotations", bbox=[1, 2, 5, -4]), ANN + "bbox is 5 x -4 px in size"),
    (edit("annotations", bbox=[100, 2, 5, 5]), ANN + "bbox [100, 2, 5, 5] lies outside its image of 100x80 px"),
    (edit("annotations", bbox=[80, 2, 50, 5]), ANN + "bbox [80, 2, 50, 5] lies outside its image of 100x80 px"),
    (edit("annotations", area=None), ANN + "area is missing; OKS and COCO's AP need it"),
    (edit("annotations", area=0), ANN + "area is 0; OKS divides by it"),
    (edit("annotations", area=float("inf")), ANN + "area is inf; OKS divides by it"),
    (edit("annotations", area=1), ANN + "area is 1, a placeholder; expected the object's area in px"),
    (edit("annotations", keypoints=[1, 2]), ANN + "keypoints is not a list of x, y, v triples"),
    (edit("annotations", keypoints=[1, 2, 2]), ANN + "has 1 keypoints; expected 2"),
    (edit("annotations", keypoints=[1, None, 2, 0, 0, 0]), ANN + "keypoints holds something that is not a finite "
     "number"),
    (edit("annotations", keypoints=[1, 2, 3, 0, 0, 0]), ANN + "visibility is 3; expected 0, 1 or 2"),
    (edit("annotations", num_keypoints=2), ANN + "num_keypoints is 2, but 1 keypoints are labelled"),
    (edit("annotations", num_keypoints=None), ANN + "num_keypoints is None, but 1 keypoints are labelled"),
    (edit("categories", sigmas=[.1]), "category 'cat': has 1 sigmas for 2 keypoints"),
])
def test_each_fault_of_a_file(change, expected):
    assert check(change, names=None) == [expected]


@pytest.mark.parametrize(("change", "expected"), [
    (edit("categories", keypoints=["tail", "nose"]), "category 'cat': calls keypoint 1 'tail'; the config has 'nose' "
     "(the same names in another order)"),
    (edit("categories", keypoints=["nose", "toe"]), "category 'cat': calls keypoint 2 'toe'; the config has 'tail'"),
    (edit("categories", keypoints=["nose"], sigmas=None), "category 'cat': has 1 keypoints; the config has 2"),
    (edit("categories", keypoints=None, sigmas=None), "category 'cat': names no keypoints, though there are "
     "annotations with keypoints"),
])
def test_each_difference_from_the_config(change, expected):
    assert check(change) == [expected]


def test_a_misspelt_category_is_found_from_both_sides():
    assert check(edit("categories", name="cats")) == [
        "class 'cat': has no such category; did you mean 'cats'?",
        "category 'cats': is no class of the config, but has 1 annotations; did you mean 'cat'?"]


def test_categories_without_annotations_may_be_there():
    assert check(lambda data: data["categories"].append({"id": 2, "name": "dog"})) == []


def test_sigmas_of_the_config():
    short = KeypointSet(classes=("cat", ), keypoints=("nose", "tail"), sigmas=(.1, ))
    assert check(names=short) == ["sigmas: the config has 1 sigmas for 2 keypoints"]


def test_boxes_of_cut_off_objects_are_sound():
    assert check(edit("annotations", bbox=[-10, -10, 120, 100], area=9000)) == []
    assert check(edit("annotations", bbox=[0, 0, 1, 1], area=1)) == []


def test_a_file_of_boxes_alone_is_sound():
    def change(data):
        edit("annotations", keypoints=None, num_keypoints=None)(data)
        edit("categories", keypoints=None, skeleton=None, sigmas=None)(data)

    assert check(change) == []


def test_missing_image_files(tmp_path):
    assert check(folder=tmp_path) == [f"image 1 (a/1.jpg): its file is not in {tmp_path}"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.jpg").touch()
    assert check(folder=tmp_path) == []
    assert check(folder=tmp_path / "none") == [": there is no such folder of images"]


def test_all_faults_are_listed_together():
    def change(data):
        edit("annotations", bbox=[0, 0, 0, 0], area=0, num_keypoints=7)(data)
        edit("images", width=-1)(data)

    assert len(check(change)) == 4
