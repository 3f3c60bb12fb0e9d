import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_tools import coco2labelme
from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.convert.labelme import ConvertOptions, convert
from pose_tools.dataset.convert.labelme_sources import gather
from pose_tools.dataset.convert.to_labelme import shapes_of, write_labelme_files
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco
from pose_tools.formats.schema import KeypointSet

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NAMES = KeypointSet(("貓", "dog"), ("nose", "tail"))


def make(folder, annotations, images=("a.jpg", "deep/b.png"), size=(200, 100)):
    for name in images:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / name), np.zeros((size[1], size[0], 3), np.uint8))
    save_coco(folder / "train_coco.json", {
        "images": [coco_image(i, name, size) for i, name in enumerate(images, 1)],
        "annotations": annotations, "categories": coco_categories(NAMES)})
    return folder / "train_coco.json"


def export(source, out, **more):
    pictures, names, classes, _ = gather(source, more.pop("coco", None), more.pop("names", None),
                                         more.pop("images", None), more.pop("box_thr", 0.3))
    return write_labelme_files(pictures, names, classes, out, **more)


def test_shapes_by_hand():
    annotation = coco_annotation(1, 1, 1, (10, 20, 40, 60), [(12, 22, 1), (0, 0, 0)])
    box, nose = shapes_of(annotation, 3, "貓", NAMES.keypoints, 0.3)
    assert (box["label"], box["shape_type"], box["points"]) == ("貓", "rectangle", [[10, 20], [40, 60]])
    assert (nose["label"], nose["points"], nose["flags"]) == ("nose", [[12, 22]], {"occluded": True})
    assert box["group_id"] == nose["group_id"] == 3


def test_a_result_carries_its_scores_and_leaves_out_weak_keypoints():
    result = {"bbox": [0, 0, 9, 9], "score": 0.71, "keypoints": [1, 2, 0.9, 3, 4, 0.1]}
    box, nose = shapes_of(result, 1, "dog", NAMES.keypoints, 0.3)
    assert box["description"] == "score 0.710" and nose["description"] == "score 0.900" and not nose["flags"]


def test_an_outline_is_written_when_the_box_is_its_own():
    outline = [[10, 20, 40, 20, 25, 60]]
    own = coco_annotation(1, 1, 1, (10, 20, 40, 60), [], outline, 600)
    other = coco_annotation(1, 1, 1, (0, 0, 99, 99), [], outline, 600)
    assert [s["shape_type"] for s in shapes_of(own, 1, "dog", (), 0.3)] == ["polygon"]
    assert [s["shape_type"] for s in shapes_of(other, 1, "dog", (), 0.3)] == ["rectangle"]


@st.composite
def objects(draw):
    """Annotations on two images of 200x100 px."""
    found = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        left, top = draw(st.floats(0, 150)), draw(st.floats(0, 60))
        box = (left, top, left + draw(st.floats(1, 50)), top + draw(st.floats(1, 40)))
        points = [(draw(st.floats(0, 200)), draw(st.floats(0, 100)), draw(st.integers(0, 2))) for _ in range(2)]
        found.append(coco_annotation(number, draw(st.integers(1, 2)), draw(st.integers(1, 2)), box, points))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects())
def test_labelme2coco_gives_the_same_annotations_back(tmp_path_factory, annotations):
    tmp_path = tmp_path_factory.mktemp("there_and_back")
    source = make(tmp_path / "coco", annotations)
    export(source, tmp_path / "labelme")
    convert(tmp_path / "labelme", tmp_path / "back", ConvertOptions(names=NAMES, split=1))
    back = load_coco(tmp_path / "back/train_coco.json")
    assert [image["file_name"] for image in back["images"]] == ["a.jpg", "deep/b.png"]
    wanted = sorted(annotations, key=lambda a: (a["image_id"], a["id"]))
    for before, after in zip(wanted, back["annotations"]):
        for key in ("image_id", "category_id", "num_keypoints", "iscrowd", "segmentation", "keypoints"):
            assert before[key] == after[key]
        assert after["bbox"] == pytest.approx(before["bbox"], abs=1e-9)
    assert len(wanted) == len(back["annotations"])


def test_labelme_itself_opens_the_files(tmp_path):
    label_file = pytest.importorskip("labelme._label_file", reason="labelme moved its reader")
    source = make(tmp_path / "coco", [coco_annotation(1, 1, 1, (1, 2, 30, 40), [(5, 6, 2), (7, 8, 1)])])
    export(source, tmp_path / "out")
    opened = label_file.LabelFile(str(tmp_path / "out/a.json"))
    assert [shape["label"] for shape in opened.shapes] == ["貓", "nose", "tail"]
    assert opened.imagePath == "a.jpg" and opened.imageData


def test_predictions_become_labels(tmp_path):
    make(tmp_path / "coco", [])
    results = [{"file_name": str(tmp_path / "coco/images/a.jpg"), "category_id": 2, "bbox": [1, 2, 3, 4], "score": s,
                "keypoints": [1, 2, 1.2, 3, 4, 0.2]} for s in (0.9, 0.1)]
    (tmp_path / "p.json").write_text(json.dumps(results))
    done = export(tmp_path / "p.json", tmp_path / "out", names=NAMES)
    assert (done.images, done.objects, done.points) == (1, 1, 1)
    with pytest.raises(UserError, match="say what they are of"):
        export(tmp_path / "p.json", tmp_path / "other")


def test_results_on_the_images_of_a_coco_file(tmp_path):
    truth = make(tmp_path / "coco", [])
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]))
    done = export(tmp_path / "r.json", tmp_path / "out", coco=truth)
    assert (done.images, done.objects) == (2, 1)
    assert json.loads((tmp_path / "out/a.json").read_text(encoding="utf-8"))["shapes"] == []


@pytest.mark.parametrize("named", [
    {"image_id": "a"},  # Ultralytics: the file's name without its ending
    {"image_id": "a", "file_name": "a.jpg"},
    {"image_id": 2, "file_name": "a.jpg"},  # a name says more than a number that only looks like an id
])
def test_results_that_name_their_image(tmp_path, named):
    truth = make(tmp_path / "coco", [])
    (tmp_path / "r.json").write_text(json.dumps([{**named, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]))
    export(tmp_path / "r.json", tmp_path / "out", coco=truth)
    assert len(json.loads((tmp_path / "out/a.json").read_text(encoding="utf-8"))["shapes"]) == 1


def test_results_that_name_their_image_by_a_number(tmp_path):
    truth = make(tmp_path / "coco", [], ("000017.jpg", "000018.jpg"))
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": 18, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]))
    export(tmp_path / "r.json", tmp_path / "out", coco=truth)
    assert len(json.loads((tmp_path / "out/000018.json").read_text(encoding="utf-8"))["shapes"]) == 1


def test_a_score_makes_an_annotation_no_result(tmp_path):
    annotation = coco_annotation(1, 1, 1, (10, 20, 40, 60), [(12, 22, 1), (0, 0, 0)])
    truth = make(tmp_path / "coco", [{**annotation, "score": 0.75}])
    export(truth, tmp_path / "out", keypoint_thr=1.5)
    _, nose = json.loads((tmp_path / "out/a.json").read_text(encoding="utf-8"))["shapes"]
    assert nose["flags"] == {"occluded": True} and nose["description"] == ""


def test_outlines_labelme_cannot_hold_are_told(tmp_path):
    runs = {"size": [100, 200], "counts": [10, 5, 19985]}
    truth = make(tmp_path / "coco", [coco_annotation(1, 1, 1, (10, 20, 40, 60), [], runs, 5)])
    assert gather(truth, None, None, None, 0.3)[3] == [
        "left out: 1 outlines that are run-length codes or do not touch their box; the boxes stay"]


@pytest.mark.parametrize(("result", "said"), [
    ({"image_id": 1}, "result 0: has no category_id, bbox, score"),
    ({"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}, "image_id 9 is not in the data set"),
    ({"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}, "category_id 3 is none of 1, 2"),
    ({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1, "keypoints": [1]},
     "keypoints is not a list of x, y, score triples"),
    ({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1, "keypoints": [1, 2, 1]},
     "has 1 keypoints; expected 2"),
    ({"image_id": 1, "category_id": 1, "bbox": [0, 0, "1", 1], "score": 1}, "is not four finite numbers"),
    ({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": None}, "score None is not a finite number"),
])
def test_faulty_results_are_named(tmp_path, result, said):
    truth = make(tmp_path / "coco", [])
    (tmp_path / "r.json").write_text(json.dumps([result]))
    with pytest.raises(FaultsError) as error:
        export(tmp_path / "r.json", tmp_path / "out", coco=truth)
    assert said in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", r"C:\\a.jpg", "deep/../../a.jpg"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    truth = make(tmp_path / "coco", [])
    data = load_coco(truth)
    data["images"][0]["file_name"] = name
    save_coco(truth, data)
    with pytest.raises(FaultsError, match="leads outside of the images' folder"):
        export(truth, tmp_path / "out")


def test_missing_images_and_shared_names_come_all_at_once(tmp_path):
    truth = make(tmp_path / "coco", [], ("a.jpg", "a.png", "c.jpg"))
    (tmp_path / "coco/images/c.jpg").write_bytes(b"")
    with pytest.raises(FaultsError) as error:
        export(truth, tmp_path / "out")
    said = str(error.value)
    assert said.count("would share a.json with another image") == 2 and "c.jpg: is empty" in said
    assert not (tmp_path / "out").exists()


def test_the_images_it_reads_are_not_replaced(tmp_path):
    truth = make(tmp_path / "coco", [])
    with pytest.raises(UserError, match="which would be lost"):
        export(truth, tmp_path / "coco", overwrite=True)
    assert truth.is_file() and (tmp_path / "coco/images/a.jpg").is_file()


def test_the_command(cars, tmp_path, capsys):
    assert coco2labelme.main([str(cars / "val_coco.json"), str(tmp_path / "out")]) == 0
    assert "3 images" in capsys.readouterr().out
    assert len(list((tmp_path / "out").rglob("*.json"))) == 3


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
def test_real_polygons_there_and_back(tmp_path):
    root = SHARED / "people_polygons_labelme"
    first = convert(root / "json", tmp_path / "coco",
                    ConvertOptions(split=1, image_folders=(root / "JPEGImages", ), keep_empty=True))
    export(tmp_path / "coco/train_coco.json", tmp_path / "labelme")
    convert(tmp_path / "labelme", tmp_path / "back", ConvertOptions(split=1, names=first.names))
    before, after = (load_coco(tmp_path / f"{name}/train_coco.json") for name in ("coco", "back"))
    assert len(before["annotations"]) == len(after["annotations"]) == 13
    for a, b in zip(before["annotations"], after["annotations"]):
        assert a["segmentation"] == b["segmentation"] and a["keypoints"] == b["keypoints"] and a["bbox"] == b["bbox"]


def test_a_folder_is_no_source(tmp_path):
    with pytest.raises(UserError, match="is a folder; name one of its COCO files"):
        gather(tmp_path, None, None, None, 0.3)
