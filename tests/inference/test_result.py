"""A result in every form in which it leaves, by hand."""
import numpy as np

from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.result import Result

NAMES = KeypointSet(("car", "bus"), ("nose", "tail"), links=(("nose", "tail"),))


def result(**more):
    values = {"boxes": np.array([[20.0, 10, 60, 30]]), "box_scores": np.array([0.5]), "labels": np.array([1]),
              "keypoints": np.array([[[40.0, 20], [22, 12]]]), "scores": np.array([[1.5, 0.25]]), "source": "in/x.jpg"}
    return Result(np.full((40, 80, 3), 200, np.uint8), NAMES, NAMES.classes, **{**values, **more})


def test_coco_results_say_what_their_scores_are():
    assert result().to_coco() == [{
        "file_name": "in/x.jpg", "category_id": 2, "bbox": [20.0, 10.0, 40.0, 20.0], "score": 0.5,
        "keypoints": [40.0, 20.0, 1.5, 22.0, 12.0, 0.25], "keypoint_score": "raw"}]
    found, = result(score_kind="probability", track_ids=np.array([7]), number=3, time=0.1).to_coco(image_id=9)
    assert (found["image_id"], found["track_id"], found["frame"], found["time"]) == (9, 7, 3, 0.1)
    assert found["keypoint_score"] == "probability"


def test_labelme_holds_what_is_sure_enough():
    shapes = result().to_labelme()["shapes"]
    assert [(shape["label"], shape["shape_type"], shape["group_id"]) for shape in shapes] == [
        ("bus", "rectangle", 1), ("nose", "point", 1)]
    assert {shape["label"] for shape in result().to_labelme(kpt_thr=0.2)["shapes"]} == {"bus", "nose", "tail"}


def test_drawing_leaves_the_picture_alone():
    from pose_tools.report.draw import DrawStyle

    found = result()
    drawn = found.draw()
    assert drawn.shape == (40, 80, 3)
    assert (found.image == 200).all()
    assert (drawn[20, 40] != 200).any(), "the nose"
    without = found.draw(DrawStyle(boxes=False))
    assert (without[10, 50] == 200).all()
    assert (drawn[10, 50] != 200).any(), "the upper edge of the box"
    heat = np.zeros((40, 80), np.float32)
    heat[35, 70] = 1
    assert (result(heatmap=heat).draw()[35, 70] != 200).any()
    assert len(found) == 1
