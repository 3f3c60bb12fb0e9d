"""What models are compared on, and the AP that is measured there."""
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.export.parity.accuracy import bbox_ap, keypoint_ap
from pose_tools.export.parity.matching import Detections
from pose_tools.export.parity.pictures import Pictures, boxes_without_labels
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.runtime import ModelFacts

NAMES = KeypointSet(("thing", ), ("a", "b"), sigmas=(0.05, 0.05))
POSE = ModelFacts("pose", "x", ("thing", ), NAMES, (64, 64), (0., 0., 0.), (1., 1., 1.), True)
DETECTOR = replace(POSE, task="detector", keypoint_set=None)


def thing(number, image, x=10, **more):
    return {"id": number, "image_id": image, "category_id": 7, "bbox": [x, 10, 40, 20], "area": 800, "iscrowd": 0,
            "keypoints": [x + 5, 15, 2, x + 30, 25, 1], "num_keypoints": 2, **more}


def write(folder, annotations, names=("a", "b"), images=3):
    (folder / "images").mkdir()
    for number in range(1, images + 1):
        cv2.imwrite(str(folder / f"images/{number}.png"), np.full((60, 100, 3), number * 10, np.uint8))
    path = folder / "val_coco.json"
    path.write_text(json.dumps({
        "images": [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 60} for i in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "thing", "keypoints": list(names)}, {"id": 9, "name": "other"}]}))
    return path


def test_boxes_and_truth_of_a_coco_file(tmp_path):
    path = write(tmp_path, [thing(1, 1), thing(2, 1, 50), thing(3, 2), thing(4, 3, category_id=9)])
    pictures = Pictures.of_coco(path, POSE)
    assert pictures.each[0].boxes.tolist() == [[10, 10, 50, 30], [50, 10, 90, 30]]
    assert pictures.each[1].boxes.tolist() == [[10, 10, 50, 30]]
    assert pictures.labelled == 3 and [image["id"] for image in pictures.truth["images"]] == [1, 2]
    assert [category["name"] for category in pictures.truth["categories"]] == ["thing"]
    assert pictures.each[1].read()[0, 0].tolist() == [20, 20, 20]
    assert len(Pictures.of_coco(path, DETECTOR)) == 3, "for a detector a picture without objects counts"


def test_unsound_annotations_and_crowds_are_no_boxes(tmp_path):
    bad = [thing(2, 1, bbox=[0, 0, 0, 5]), thing(3, 1, bbox="x"), thing(4, 1, keypoints=[1, 2]),
           thing(5, 1, keypoints=[0] * 6), thing(6, 8), thing(7, 1, iscrowd=1)]
    pictures = Pictures.of_coco(write(tmp_path, [thing(1, 1, area=None), *bad]), POSE)
    assert [len(picture.boxes) for picture in pictures] == [1]
    assert pictures.truth["annotations"][0]["area"] == 800.0
    assert [entry["id"] for entry in pictures.truth["annotations"]] == [1, 7], "a crowd is still ignored by the AP"


@pytest.mark.parametrize(("annotations", "names", "message"), [
    ([], ("a", "b"), "labels no thing that can be used"),
    ([thing(1, 1)], ("b", "a"), "is of thing, other, and the model of thing with the keypoints a, b"),
    ([thing(1, 1)], ("a", ), "and the model of thing with the keypoints a, b")])
def test_a_file_of_other_things_is_refused(tmp_path, annotations, names, message):
    with pytest.raises(UserError, match=message):
        Pictures.of_coco(write(tmp_path, annotations, names), POSE)


def test_pictures_are_taken_evenly(tmp_path):
    path = write(tmp_path, [thing(i, i) for i in range(1, 10)], images=9)
    chosen = Pictures.of_coco(path, POSE, limit=3)
    assert [picture.image_id for picture in chosen] == [1, 5, 9] and chosen.labelled == 3
    fewer = Pictures.of_coco(path, POSE).up_to(2)
    assert [picture.image_id for picture in fewer] == [1, 9]
    assert [entry["image_id"] for entry in fewer.truth["annotations"]] == [1, 9]


def test_a_folder_has_boxes_of_every_kind_and_no_truth(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 100, 3), np.uint8))
    (tmp_path / "note.txt").write_text("no picture")
    pictures = Pictures.of(tmp_path, tmp_path / "unused.pth", POSE)
    assert len(pictures) == 1 and pictures.truth is None
    assert pictures.each[0].boxes.tolist() == [[0, 0, 100, 50], [25, 12.5, 75, 37.5], [-10, -10, 50, 30]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no picture"):
        Pictures.of(tmp_path / "empty", tmp_path / "unused.pth", POSE)
    assert boxes_without_labels(1, 1)[0].tolist() == [0, 0, 1, 1]


def test_rendered_cars_are_truth_for_a_model_of_cars_only():
    from pose_tools.dataset.demo.cars import KEYPOINTS

    cars = replace(POSE, classes=("car", ), keypoint_set=KeypointSet(("car", ), KEYPOINTS))
    labelled, others = Pictures.rendered(cars, 2), Pictures.rendered(POSE, 2)
    assert labelled.labelled == sum(len(picture.boxes) for picture in labelled) > 0
    assert others.truth is None and others.labelled == 0 and "not what it was trained on" in others.origin
    assert np.array_equal(labelled.each[0].read(), others.each[0].read())
    again = Pictures.rendered(cars, 2)
    assert np.array_equal(labelled.each[1].read(), again.each[1].read()), "the same pictures each time"


def two_things(tmp_path):
    return Pictures.of_coco(write(tmp_path, [thing(1, 1), thing(2, 2)], images=2), POSE)


def test_keypoint_ap_by_hand(tmp_path):
    pictures = two_things(tmp_path)
    right = np.array([[[15.0, 15.0], [40.0, 25.0]]])
    sure, unsure = np.full((1, 2), 0.9), np.full((1, 2), 0.5)
    assert keypoint_ap(pictures, [right, right], [sure, sure], POSE) == pytest.approx(1.0)
    assert keypoint_ap(pictures, [right + 500, right + 500], [sure, sure], POSE) == pytest.approx(0.0)
    # One of two is right and the surer: precision 1 up to a recall of 0.5, at 51 of COCO's 101 points.
    assert keypoint_ap(pictures, [right, right + 500], [sure, unsure], POSE) == pytest.approx(51 / 101)


def test_bbox_ap_by_hand(tmp_path):
    pictures = two_things(tmp_path)
    right = Detections(np.array([[10.0, 10, 50, 30]]), np.array([0.9]), np.array([0]))
    none = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    assert bbox_ap(pictures, [right, right], POSE) == pytest.approx(1.0)
    assert bbox_ap(pictures, [right, none], POSE) == 0.505, "51 / 101, of which upstream gives three digits"
    assert bbox_ap(pictures, [none, none], POSE) == 0.0


def test_the_ap_of_test_py(cars, tmp_path, root):
    """Ground truth moved at random, by our way and by upstream's evaluator over upstream's data set."""
    from mmengine.registry import DATASETS, METRICS, DefaultScope

    from pose_tools.inference.runtime.torch_facts import facts_of_config
    from pose_tools.openmmlab.config import load_config

    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    facts = facts_of_config(cfg, "pose", tmp_path / "x.pth")
    pictures = Pictures.of_coco(cars / "train_coco.json", facts)
    rng = np.random.default_rng(0)
    found, scores, by_id = [], [], {}
    for picture in pictures:
        truth = np.array([entry["keypoints"] for entry in picture.annotations], float).reshape(-1, 8, 3)
        found.append(truth[..., :2] + rng.normal(0, 5, truth[..., :2].shape))
        scores.append(rng.uniform(0, 1, truth.shape[:2]))
        by_id.update({entry["id"]: (points, values) for entry, points, values in
                      zip(picture.annotations, found[-1], scores[-1])})
    dataset = dict(cfg.test_dataloader.dataset, data_root=f"{cars}/", ann_file="train_coco.json", pipeline=[])
    with DefaultScope.overwrite_default_scope("mmpose"):
        data = DATASETS.build(dataset)
        metric = METRICS.build(dict(cfg.test_evaluator, ann_file=str(cars / "train_coco.json")))
    metric.dataset_meta = data.metainfo
    for index in range(len(data)):
        info = data.get_data_info(index)
        points, values = by_id[info["id"]]
        metric.process({}, [{**info, "pred_instances": {"keypoints": points[None], "keypoint_scores": values[None]},
                             "gt_instances": {"bbox_scores": info["bbox_score"]}}])
    theirs = metric.evaluate(len(data))["coco/AP"]
    assert 0.05 < theirs < 0.95, "a figure that could differ"
    assert keypoint_ap(pictures, found, scores, facts) == pytest.approx(theirs, abs=1e-9)


def test_a_single_picture_is_no_coco_file(tmp_path):
    write(tmp_path, [thing(1, 1)])
    with pytest.raises(UserError, match=r"1\.png: give a folder of pictures, or a COCO file"):
        Pictures.of(tmp_path / "images/1.png", tmp_path / "unused.pth", POSE)
