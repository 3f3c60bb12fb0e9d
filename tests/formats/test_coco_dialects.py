"""COCO keypoint exports as the tools really write them: facts from their sources, written down by hand.

The commit of the source that was read stands behind each tool's name where it is known.
"""
import copy

import cv2
import numpy as np
import pytest

from pose_tools import coco2labelme, labelme2coco
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.coco_folder import read_sides
from pose_tools.dataset.image_names import locate_images
from pose_tools.formats.coco import load_coco, save_coco
from pose_tools.formats.coco_dialects import normalise_coco

# CVAT, "COCO Keypoints 1.0" (cvat 0097fd10, and _KeypointsConverter of its Datumaro with skeletons): ids from 1, a
# category for every label without a parent, skeleton and rectangle alike; the box is the extent of the points; a point
# that is outside has v = 0 and keeps its place.
CVAT = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
    "categories": [
        {"id": 1, "name": "bird", "supercategory": "", "keypoints": ["beak", "tail", "foot"],
         "skeleton": [[1, 2], [2, 3]]},
        {"id": 5, "name": "nest", "supercategory": "", "keypoints": [], "skeleton": []}],
    "images": [{"id": 1, "width": 200, "height": 100, "file_name": "frame_000000.png", "license": 0, "flickr_url": "",
                "coco_url": "", "date_captured": 0}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [], "area": 800.0, "bbox": [20.0, 30.0, 40.0, 20.0],
         "iscrowd": 0, "attributes": {"occluded": False, "track_id": 0, "keyframe": True},
         "keypoints": [20.0, 30.0, 2, 60.0, 50.0, 1, 44.5, 41.0, 0], "num_keypoints": 2}]}

# Label Studio, label-studio-sdk 0015729c (convert_to_coco) and 41b7f7cd (process_keypoints_for_coco): ids from 0,
# KeyPointLabels become one category "default", rectangles are annotations of their own; the path is relative to the
# export, on Windows with a backslash; the size of a picture without labels that could not be opened is null; where no
# keypoint has a known name, the box is empty.
LABEL_STUDIO = {
    "images": [{"width": 200, "height": 100, "id": 0, "file_name": "images\\1f2e3d4c-frame_000000.png"},
               {"width": None, "height": None, "id": 1, "file_name": "images\\frame_000001.png"}],
    "categories": [{"id": 0, "name": "bird"},
                   {"id": 1, "name": "default", "supercategory": "default", "keypoints": ["beak", "tail"],
                    "skeleton": []}],
    "annotations": [
        {"id": 0, "image_id": 0, "category_id": 0, "segmentation": [], "bbox": [10.0, 20.0, 60.0, 50.0], "ignore": 0,
         "iscrowd": 0, "area": 3000.0},
        {"id": 1, "image_id": 0, "category_id": 1, "keypoints": [20, 30, 2, 60, 50, 2], "num_keypoints": 2,
         "bbox": [20, 30, 40, 20], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "keypoints": [0, 0, 0, 0, 0, 0], "num_keypoints": 0,
         "bbox": [0, 0, 0, 0], "iscrowd": 0}],
    "info": {"year": 2025, "version": "1.0", "description": "", "contributor": "Label Studio", "url": "",
             "date_created": "2025-06-01"}}

# mmpose 51e5c1cf, tools/dataset_converters/labelstudio2coco.py: images from 0, no segmentation where a rectangle was
# drawn, file_name is the URL of the task, categories have an id and a name.
MMPOSE = {
    "images": [{"width": 200, "height": 100, "id": 0, "file_name": "/data/upload/3/1f2e3d4c-frame_000000.png"}],
    "categories": [{"id": 1, "name": "bird"}],
    "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "keypoints": [20.0, 30.0, 2, 60.0, 50.0, 2], "ignore": 0,
                     "iscrowd": 0, "bbox": [10.0, 20.0, 60.0, 50.0], "area": 3000.0, "num_keypoints": 2}],
    "info": {"contributor": "Label Studio"}}

# Roboflow's description of its "COCO Keypoint" of 2024: ids from 0, category 0 groups the others. That sizes may be
# text and num_keypoints missing is an assumption; the description shows no annotation.
ROBOFLOW = {
    "info": {"year": "2024", "version": "1", "description": "Exported from roboflow.com"},
    "licenses": [{"id": 1, "url": "", "name": "CC BY 4.0"}],
    "categories": [{"id": 0, "name": "birds-Qg7R", "supercategory": "none"},
                   {"id": 1, "name": "bird", "supercategory": "birds-Qg7R", "keypoints": ["beak", "tail"],
                    "skeleton": [[1, 2]]}],
    "images": [{"id": 0, "license": 1, "file_name": "frame_000000.png", "height": "100", "width": "200",
                "date_captured": "2024-09-10T07:12:44+00:00", "extra": {"name": "frame_000000.png"}}],
    "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [10, 20, "60.5", 50], "area": 3025.0,
                     "segmentation": [], "iscrowd": 0, "keypoints": [20, 30, 2, 0, 0, 0]}]}

# COCO-Annotator 0dba42b2 (coco_util.get_dataset_coco): iscrowd is a BooleanField, keypoints without an outline have an
# empty box and area, categories without keypoints name none.
COCO_ANNOTATOR = {
    "images": [{"id": 625, "dataset_id": 5, "path": "/datasets/df/frame_000000.png", "width": 200, "height": 100,
                "file_name": "frame_000000.png", "category_ids": [3]}],
    "categories": [{"id": 3, "name": "bird", "supercategory": "", "color": "#f00", "metadata": {},
                    "keypoint_colors": ["#00f", "#0f0"], "keypoints": ["beak", "tail"], "skeleton": [[1, 2]]}],
    "annotations": [{"id": 7, "image_id": 625, "category_id": 3, "dataset_id": 5, "segmentation": [], "area": 0,
                     "bbox": [0, 0, 0, 0], "iscrowd": False, "isbbox": False, "color": "#f0f", "metadata": {},
                     "keypoints": [20, 30, 2, 60, 50, 1], "num_keypoints": 2}]}

# X-AnyLabeling 021a5b9f (custom_to_coco, mode "pose", without visibility): images and annotations from 0, pairs, no v.
X_ANYLABELING = {
    "categories": [{"id": 1, "name": "bird", "supercategory": "", "keypoints": ["beak", "tail"], "skeleton": []}],
    "images": [{"license": 0, "url": None, "file_name": "frame_000000.png", "height": 100, "width": 200,
                "date_captured": None, "id": 0}],
    "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [10, 20, 60, 50], "area": 3000, "iscrowd": 0,
                     "keypoints": [20, 30, 0, 0], "num_keypoints": 1, "ignore": 0, "segmentation": []}]}

# Supervisely, export-coco-keypoints 20f67dab (create_coco_annotation): num_keypoints is the number of names.
SUPERVISELY = {
    "images": [{"license": "None", "file_name": "frame_000000.png", "url": "None", "height": 100, "width": 200,
                "date_captured": "2023-01-01", "id": 192837465}],
    "categories": [{"supercategory": "bird", "id": 1, "name": "bird", "keypoints": ["beak", "tail", "foot"],
                    "skeleton": [[1, 2]]}],
    "annotations": [{"segmentation": [], "area": 3000, "iscrowd": 0, "image_id": 192837465,
                     "bbox": [20.0, 30.0, 41.0, 21.0], "category_id": 1, "id": 1,
                     "keypoints": [20, 30, 2, 60, 50, 2, 0, 0, 0], "num_keypoints": 3}]}

# FiftyOne (COCOObject.from_label and to_anno_dict): categories from 0; keypoints alone have neither a box nor an
# area; with abs_paths, file_name is absolute; a confidence becomes score.
FIFTYONE = {
    "info": {"description": "Exported from FiftyOne"}, "licenses": [],
    "categories": [{"id": 0, "name": "bird", "supercategory": None, "keypoints": ["beak", "tail"],
                    "skeleton": [[0, 1]]}],
    "images": [{"id": 1, "file_name": "/home/someone/data/frame_000000.png", "height": 100, "width": 200,
                "license": None, "coco_url": None}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 0, "keypoints": [20, 30, 2, 60, 50, 2], "num_keypoints": 2,
                     "score": 0.75, "iscrowd": 0}]}

EXPORTS = {"cvat": CVAT, "label studio": LABEL_STUDIO, "mmpose": MMPOSE, "roboflow": ROBOFLOW,
           "coco-annotator": COCO_ANNOTATOR, "x-anylabeling": X_ANYLABELING, "supervisely": SUPERVISELY,
           "fiftyone": FIFTYONE}


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))


def only(data):
    data, notes = normalise_coco(data)
    (annotation, ) = data["annotations"]
    return annotation, "\n".join(notes), data


@pytest.mark.parametrize("tool", EXPORTS)
def test_every_export_keeps_the_contract_and_its_input_is_left_alone(tool, tmp_path):
    for name in ("frame_000000.png", "frame_000001.png"):
        picture(tmp_path / "images" / name)
    before = copy.deepcopy(EXPORTS[tool])
    save_coco(tmp_path / "export.json", before)
    notes = []
    sides, faults = read_sides({"train": tmp_path / "export.json"}, tmp_path / "images", notes)
    assert faults == []
    for image in sides["train"]["images"]:
        assert (tmp_path / "images" / image["file_name"]).is_file() and (image["width"], image["height"]) == (200, 100)
    for annotation in sides["train"]["annotations"]:
        assert {"bbox", "area", "iscrowd", "segmentation"} <= set(annotation)
        assert type(annotation["iscrowd"]) is int
    assert normalise_coco(before)[0] != before
    assert before == EXPORTS[tool]
    assert all(note.startswith("export.json: ") for note in notes)


def test_cvat_points_outside_lose_their_place():
    annotation, said, data = only(CVAT)
    assert annotation["keypoints"] == [20, 30, 2, 60, 50, 1, 0, 0, 0] and annotation["num_keypoints"] == 2
    assert annotation["attributes"] == {"occluded": False, "track_id": 0, "keyframe": True}, "unknown fields stay"
    assert data["categories"][1] == {"id": 5, "name": "nest", "supercategory": "", "skeleton": [[1, 2], [2, 3]],
                                     "keypoints": ["beak", "tail", "foot"]}
    assert "1 annotations have coordinates where v = 0" in said
    assert "category 'nest' names no keypoints: takes those of 'bird'" in said


def test_label_studio_areas_and_empty_annotations(tmp_path):
    data, notes = normalise_coco(LABEL_STUDIO)
    box, points = data["annotations"]
    assert "keypoints" not in box and box["ignore"] == 0
    assert points["area"] == 800 and points["segmentation"] == []
    assert data["categories"][0]["keypoints"] == ["beak", "tail"]
    assert any("neither a box nor an outline nor a labelled keypoint" in note for note in notes)
    for name in ("frame_000000.png", "frame_000001.png"):
        picture(tmp_path / name)
    located, told = locate_images(data, tmp_path)
    assert [image["file_name"] for image in located["images"]] == ["frame_000000.png", "frame_000001.png"]
    assert (located["images"][1]["width"], located["images"][1]["height"]) == (200, 100)
    assert "1 images have no size" in told[0]
    assert "images\\1f2e3d4c-frame_000000.png is frame_000000.png, for example" in told[1]


def test_mmposes_converter_has_no_segmentation():
    annotation, said, data = only(MMPOSE)
    assert annotation["segmentation"] == [] and said == ""
    assert data["categories"] == MMPOSE["categories"], "nobody knows the names"


def test_roboflow_groups_are_no_class():
    annotation, said, data = only(ROBOFLOW)
    assert [category["name"] for category in data["categories"]] == ["bird"]
    assert (data["images"][0]["width"], data["images"][0]["height"]) == (200, 100)
    assert annotation["bbox"] == [10, 20, 60.5, 50] and annotation["num_keypoints"] == 1
    assert "category 'birds-Qg7R' only groups others" in said and "1 images have numbers written as text" in said


def test_a_group_with_annotations_is_a_class():
    data = copy.deepcopy(ROBOFLOW)
    data["annotations"].append({**data["annotations"][0], "id": 1, "category_id": 0})
    assert [category["name"] for category in normalise_coco(data)[0]["categories"]] == ["birds-Qg7R", "bird"]


def test_coco_annotator_boxes_are_taken_from_the_keypoints():
    annotation, said, _ = only(COCO_ANNOTATOR)
    assert annotation["iscrowd"] == 0 and type(annotation["iscrowd"]) is int
    assert annotation["bbox"] == [20, 30, 40, 20] and annotation["area"] == 800
    assert "taken around their labelled keypoints, closer than a detector should learn" in said


def test_an_outline_gives_the_box_and_its_own_area():
    data = copy.deepcopy(COCO_ANNOTATOR)
    data["annotations"][0]["segmentation"] = [[10, 10, 50, 10, 50, 40]]
    annotation, said, _ = only(data)
    assert annotation["bbox"] == [10, 10, 40, 30] and annotation["area"] == 600 and "around their outline" in said


def test_x_anylabeling_pairs_become_triples():
    annotation, said, _ = only(X_ANYLABELING)
    assert annotation["keypoints"] == [20, 30, 2, 0, 0, 0] and annotation["num_keypoints"] == 1
    assert "keypoints of x and y alone" in said


@pytest.mark.parametrize("change", [{"num_keypoints": 2}, {"keypoints": [20, 30, 0, 0, 1]}])
def test_pairs_that_contradict_themselves_stay_faults(change, tmp_path):
    data = copy.deepcopy(X_ANYLABELING)
    data["annotations"][0].update(change)
    assert any("keypoints" in fault.what for fault in coco_faults(normalise_coco(data)[0], "f.json"))


def test_supervisely_counts_the_list():
    annotation, said, _ = only(SUPERVISELY)
    assert annotation["num_keypoints"] == 2 and "counted" in said


def test_a_count_that_is_wrong_here_and_there_stays_a_fault():
    data = copy.deepcopy(SUPERVISELY)
    data["annotations"].append({**data["annotations"][0], "id": 2, "num_keypoints": 1})
    faults = [fault.what for fault in coco_faults(normalise_coco(data)[0], "f.json")]
    assert faults == ["num_keypoints is 3, but 2 keypoints are labelled",
                      "num_keypoints is 1, but 2 keypoints are labelled"]


def test_fiftyone_skeleton_from_zero_and_keypoints_alone():
    annotation, said, data = only(FIFTYONE)
    assert data["categories"][0]["skeleton"] == [[1, 2]] and "counts from 0" in said
    assert annotation["bbox"] == [20, 30, 40, 20] and annotation["segmentation"] == []


@pytest.mark.parametrize("links", [[[0, 2]], [[1, 2]], [[0, "1"]], [[-1, 0]], [0, 1], None, [[0, 1, 1]]])
def test_a_skeleton_that_is_not_surely_from_zero_stays(links):
    data = copy.deepcopy(FIFTYONE)
    data["categories"][0]["skeleton"] = links
    assert normalise_coco(data)[0]["categories"][0]["skeleton"] == links


def test_a_single_keypoint_makes_no_box():
    data = copy.deepcopy(COCO_ANNOTATOR)
    data["annotations"][0].update(keypoints=[20, 30, 2, 0, 0, 0], num_keypoints=1)
    (fault, *_) = coco_faults(normalise_coco(data)[0], "f.json")
    assert fault.what == "bbox is 0 x 0 px in size"


@pytest.mark.parametrize(("names", "files", "found"), [
    (["a.png"], ["default/a.png"], ["default/a.png"]),  # CVAT: the subset's folder is left out
    (["images/x/a.png"], ["x/a.png", "a.png"], ["x/a.png"]),  # the longest end
    (["/data/local-files/?d=set%20one/a.png"], ["a.png"], ["a.png"]),  # Label Studio, local files
    (["https://host/bucket/a%20b.png?sig=1/2"], ["a b.png"], ["a b.png"]),
    (["0123abcd-a.png"], ["a.png"], ["a.png"]),
    (["0123abcd-a.png"], ["a.png", "x/0123abcd-a.png"], ["x/0123abcd-a.png"]),
    (["C:\\data\\a.png"], ["a.png"], ["a.png"]),
    (["x/a.png"], ["y/a.png", "z/a.png"], ["x/a.png"]),  # which?
    (["x/a.png", "y/a.png"], ["a.png"], ["x/a.png", "y/a.png"]),  # whose?
    (["a.png", "x/b.png"], ["a.png", "y/b.png"], ["a.png", "x/b.png"]),  # the first is there: b is missing
    (["../a.png"], ["a.png"], ["../a.png"]),
    (["http://[/a.png"], ["a.png"], ["http://[/a.png"]),
])
def test_where_an_image_is(tmp_path, names, files, found):
    for name in files:
        picture(tmp_path / name)
    images = [{"id": i, "file_name": name, "width": 200, "height": 100} for i, name in enumerate(names)]
    assert [image["file_name"] for image in locate_images({"images": images}, tmp_path)[0]["images"]] == found


def test_an_image_of_another_size_is_another_image(tmp_path):
    picture(tmp_path / "a.png")
    data = {"images": [{"id": 1, "file_name": "x/a.png", "width": 100, "height": 200}]}
    assert locate_images(data, tmp_path) == (data, [])


def layouts():
    """Where each tool puts its file and its pictures; FiftyOne's are wherever they were."""
    yield "cvat", "annotations/person_keypoints_default.json", "images/default/frame_000000.png"
    yield "label studio", "result.json", "images/frame_000000.png"
    yield "roboflow", "train/_annotations.coco.json", "train/frame_000000.png"
    yield "coco-annotator", "export.json", "images/frame_000000.png"
    yield "x-anylabeling", "coco_keypoints.json", "images/frame_000000.png"
    yield "supervisely", "annotations/keypoints.json", "images/frame_000000.png"
    yield "fiftyone", "labels.json", "images/frame_000000.png"


@pytest.mark.parametrize(("tool", "file", "image"), layouts())
def test_to_labelme_and_back_gives_the_same_keypoints(tool, file, image, tmp_path, capsys):
    picture(tmp_path / image)
    if tool == "label studio":
        picture((tmp_path / image).with_name("frame_000001.png"))
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    save_coco(tmp_path / file, EXPORTS[tool])
    assert coco2labelme.main([str(tmp_path / file), str(tmp_path / "labelme")]) == 0
    names = next(c["keypoints"] for c in EXPORTS[tool]["categories"] if c.get("keypoints"))
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert labelme2coco.main([str(tmp_path / "labelme"), str(tmp_path / "coco"), "--split", "1", "--keypoints",
                              str(tmp_path / "names.txt")]) == 0
    back = load_coco(tmp_path / "coco/train_coco.json")
    wanted = normalise_coco(EXPORTS[tool])[0]["annotations"]
    assert len(back["annotations"]) == len(wanted)
    for before, after in zip(wanted, back["annotations"]):
        assert after["keypoints"] == (before.get("keypoints") or [0] * 3 * len(names))
        assert after["bbox"] == pytest.approx(before["bbox"], abs=1e-9)
    assert coco_faults(back, "back", image_dir=tmp_path / "coco/images") == []


def test_names_nobody_knows_are_asked_for(tmp_path, capsys):
    from pose_tools.console import run

    picture(tmp_path / "images/1f2e3d4c-frame_000000.png")
    save_coco(tmp_path / "export.json", MMPOSE)
    words = [str(tmp_path / "export.json"), str(tmp_path / "out")]
    assert run(coco2labelme.main, words) == 1
    assert "has annotations with 2 keypoints; 0 have a name; its categories name none" in capsys.readouterr().err
    (tmp_path / "meta.py").write_text("classes = ('bird', )\nkeypoints = ('beak', 'tail')\n")
    assert run(coco2labelme.main, [*words, "--meta", str(tmp_path / "meta.py")]) == 0
    assert "1 images, 1 objects, 2 keypoints" in capsys.readouterr().out
