"""Which predictions count, and which of them are right."""
import numpy as np
import pytest
from PIL import Image

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.calibration.observing import LabelledPicture, Rule, labelled_pictures, observe

NAMES = KeypointSet(("car",), ("front", "rear"))


def entry(number, image, box, points, **more):
    return {"id": number, "image_id": image, "category_id": 1, "bbox": list(box), "keypoints": list(points),
            "iscrowd": 0, **more}


class FixedModel:
    """Finds ``front`` at the left top of a box and ``rear`` at (x + 10, y); says 0.9 and 1.4 for the first picture."""

    def __init__(self):
        self.calls = []

    def many(self, images, boxes):
        self.calls.append([len(each) for each in boxes])
        return [(np.stack([each[:, :2], each[:, :2] + (10, 0)], 1), np.tile([0.9, 1.4], (len(each), 1)))
                for each in boxes]


@pytest.fixture
def pictures(tmp_path):
    for number in (1, 2):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{number}.png")
    # A box of 100 px: within 5 px is right. 4.9 px off, 5 px off; on the second picture rear is not labelled.
    first = entry(1, 1, (0, 0, 100, 50), (4.9, 0, 2, 10, 5, 1))
    second = entry(2, "b", (5, 5, 20, 40), (5, 7, 2, 0, 0, 0))
    return [LabelledPicture(tmp_path / "1.png", 1, (first,)), LabelledPicture(tmp_path / "2.png", "b", (second,))]


def test_a_point_is_right_when_it_is_nearer_than_the_distance(pictures):
    found = observe(FixedModel(), pictures, Rule(0.05))
    assert found.right.tolist() == [True, False, False]  # 2 px off in a box of 40 px is not within 5 %
    assert found.scores.tolist() == [0.9, 1.4, 0.9] and found.keypoints.tolist() == [0, 1, 0]
    assert found.pictures.tolist() == [0, 0, 1]


def test_unlabelled_points_can_count_as_wrong(pictures):
    found = observe(FixedModel(), pictures, Rule(0.06, unlabelled=True))
    assert found.right.tolist() == [True, True, True, False] and found.keypoints.tolist() == [0, 1, 0, 1]


def test_boxes_are_collected_into_batches(pictures):
    model = FixedModel()
    observe(model, pictures, Rule(0.05), batch_size=1)
    assert model.calls == [[1], [1]]
    model = FixedModel()
    observe(model, pictures, Rule(0.05), batch_size=8)
    assert model.calls == [[1, 1]]


def test_in_a_detector_s_boxes_those_that_match_count(pictures):
    def box(image, xywh, score):
        return {"image_id": image, "category_id": 1, "bbox": list(xywh), "score": score}

    boxes = [box(1, (60, 0, 30, 30), 0.95), box(1, (0, 2, 100, 50), 0.9), box(1, (0, 1, 100, 50), 0.5),
             box("b", (0, 0, 5, 5), 0.9)]
    found = observe(FixedModel(), pictures, Rule(0.05), detections=boxes)
    # The better of the two boxes that match starts at (0, 2): 5.3 px and 3 px off.
    assert found.right.tolist() == [False, True] and found.pictures.tolist() == [0, 0]
    with pytest.raises(UserError, match="no box of the detector matches"):
        observe(FixedModel(), pictures, Rule(0.05), detections=boxes[:1])


def test_scores_that_are_not_finite_are_refused(pictures):
    class Diverged(FixedModel):
        def many(self, images, boxes):
            return [(points, scores * np.nan) for points, scores in super().many(images, boxes)]

    with pytest.raises(UserError, match="not finite"):
        observe(Diverged(), pictures, Rule(0.05))


def coco(*annotations, keypoints=("front", "rear")):
    return {"images": [{"id": 1, "file_name": "1.png"}, {"id": "b", "file_name": "2.png"}],
            "annotations": list(annotations),
            "categories": [{"id": 1, "name": "car", "keypoints": list(keypoints)}, {"id": 2, "name": "box"}]}


def test_what_is_not_labelled_is_left_out(pictures, tmp_path):
    boxed = {"id": 4, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}
    bare = entry(5, 1, (0, 0, 9, 9), (0, 0, 0, 0, 0, 0))
    crowd = entry(6, 1, (0, 0, 9, 9), (1, 1, 2, 1, 1, 2), iscrowd=1)
    data = coco(*pictures[1].objects, boxed, bare, crowd)
    assert labelled_pictures(data, tmp_path / "x.json", tmp_path, NAMES) == [pictures[1]]
    with pytest.raises(UserError, match="not one point is labelled"):
        labelled_pictures(coco(bare, crowd), tmp_path / "x.json", tmp_path, NAMES)


def test_other_keypoints_and_faults_are_named(pictures, tmp_path):
    with pytest.raises(UserError, match="no category has exactly the model's keypoints: front, rear"):
        labelled_pictures(coco(keypoints=("rear", "front")), tmp_path / "x.json", tmp_path, NAMES)
    faulty = coco(*pictures[0].objects, *pictures[1].objects, entry(7, 1, (0, 0, 9, 9), (1, 1, 2)),
                  entry(8, 1, (0, 0, 9, 0), (1, 1, 2, 1, 1, 2)))
    (tmp_path / "2.png").unlink()
    with pytest.raises(FaultsError) as caught:
        labelled_pictures(faulty, tmp_path / "x.json", tmp_path, NAMES)
    assert [(each.where, each.what) for each in caught.value.faults] == [
        ("annotation 7", "keypoints are not 2 triples of numbers"),
        ("annotation 8", "bbox [0, 0, 9, 0] is not x, y, w, h with an area"), ("", "no such picture")]
