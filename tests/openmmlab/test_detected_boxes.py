import json

import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.detected_boxes import DetectedBoxesDataset
from pose_tools.openmmlab.testing import _use_boxes


@pytest.fixture
def boxes(cars, tmp_path):
    """30 boxes on one image with scores 0.01, 0.02, ... 0.30, and one on another with 0.9."""
    images = json.loads((cars / "val_coco.json").read_text(encoding="utf-8"))["images"]
    found = [{"image_id": images[0]["id"], "category_id": 1, "bbox": [n, 0, 20, 20], "score": n / 100}
             for n in range(1, 31)]
    found.append({"image_id": images[1]["id"], "category_id": 1, "bbox": [0, 0, 30, 20], "score": 0.9})
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(found))
    return path


def dataset(root, cars, boxes, **more):
    meta = load_config(root / "configs/rtmpose-s-carpose.py").dataset_info
    return DetectedBoxesDataset(ann_file=str(cars / "val_coco.json"), data_prefix=dict(img=f"{cars}/images/"),
                                data_mode="topdown", metainfo=meta, bbox_file=str(boxes), test_mode=True, **more)


def test_the_best_twenty_boxes_of_an_image_are_taken(root, cars, boxes):
    scores = [round(float(sample["bbox_score"][0]), 2) for sample in dataset(root, cars, boxes)]
    assert scores == [n / 100 for n in range(30, 10, -1)] + [0.9]


def test_boxes_below_the_threshold_are_left_out(root, cars, boxes):
    found = dataset(root, cars, boxes, bbox_thr=0.25)
    assert [round(float(sample["bbox_score"][0]), 2) for sample in found] == [.30, .29, .28, .27, .26, .25, .9]
    assert found[0]["bbox"].tolist() == [[30, 0, 50, 20]]


def test_a_threshold_that_leaves_nothing_is_said(root, cars, boxes):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    cfg.test_dataloader.dataset.update(data_root=f"{cars}/")
    with pytest.raises(UserError, match="of its 31 detections none has a score of 0.95"):
        _use_boxes(cfg, boxes, 0.95)
