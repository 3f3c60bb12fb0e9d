"""PoseModel and DetectorModel around a backend of numpy: batches, borders, mirrored crops, thresholds, refusals."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_graphs import DETECTOR, POSE, SIZE

from pose_tools.console import UserError
from pose_tools.inference.runtime import DetectorModel, PoseModel


class Colours:
    """Finds the reddest, greenest and bluest column and row, as the graph of tiny_graphs does."""

    name, path, precision = "numpy", Path("colours.onnx"), "fp32"

    def __init__(self, **changes):
        self.facts, self.sizes = replace(POSE, **changes), []

    def run(self, batch):
        self.sizes.append(len(batch))
        if self.facts.batch:
            assert len(batch) == self.facts.batch
        if self.facts.end_to_end:
            planes = batch[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
            x, y = planes.sum(2), planes.sum(3)
            return np.stack([x.argmax(-1), y.argmax(-1)], -1).astype(np.float32), x.max(-1)
        return np.repeat(batch.sum(2), 2, axis=2), np.repeat(batch.sum(3), 2, axis=2)


class Boxes:
    name, path, precision = "numpy", Path("boxes.onnx"), "fp32"

    def __init__(self, dets, labels, **changes):
        self.facts, self.answer, self.seen = replace(DETECTOR, **changes), (dets, labels), []

    def run(self, batch):
        self.seen.append(batch.copy())
        return self.answer


def picture(**spots):
    """A dark (60, 80) picture with 2x2 px of a colour at (x, y)."""
    image = np.zeros((60, 80, 3), np.uint8)
    for colour, (x, y) in spots.items():
        image[y:y + 2, x:x + 2, ["blue", "green", "red"].index(colour)] = 255
    return image


SPOTS = picture(red=(10, 20), green=(30, 10), blue=(36, 24))
BOX = [8, 8, 40, 24]  # as large as a crop: crop px are image px less (8, 8)


@pytest.mark.parametrize("changes", [{}, {"end_to_end": True}])
def test_spots_are_found_where_they_are(changes):
    keypoints, scores = PoseModel(Colours(**changes))(SPOTS, [BOX, [0, 12, 32, 28]])
    assert keypoints[0].tolist()[:2] == [[10, 20], [30, 10]]
    assert keypoints[1, 0].tolist() == [10, 20]
    assert scores.shape == (2, 3)
    assert keypoints.dtype == np.float32


def test_a_box_over_the_border_shows_black_beyond():
    keypoints, scores = PoseModel(Colours())(SPOTS, [[-22, 12, 10 + 2, 28 + 1]])
    assert abs(keypoints[0, 0] - [10, 20]).max() < 1.1
    assert scores[0, 1] == 0, "green is not in it"


def test_pictures_share_batches_and_come_back_apart():
    backend = Colours()
    model = PoseModel(backend, batch_size=4)
    images = [SPOTS, picture(red=(20, 20)), SPOTS]
    boxes = [[BOX] * 3, [], [BOX, [0, 12, 32, 28]]]
    found = model.many(images, boxes)
    assert backend.sizes == [4, 1]
    assert [len(keypoints) for keypoints, _ in found] == [3, 0, 2]
    for image, each, (keypoints, scores) in zip(images, boxes, found):
        alone, alone_scores = PoseModel(Colours())(image, each)
        np.testing.assert_array_equal(keypoints, alone)
        np.testing.assert_array_equal(scores, alone_scores)


def test_a_fixed_batch_is_filled_up():
    backend = Colours(batch=2)
    keypoints, _ = PoseModel(backend)(SPOTS, [BOX] * 3)
    assert backend.sizes == [2, 2]
    assert keypoints[:, 0].tolist() == [[10, 20]] * 3


@pytest.mark.parametrize(("batch", "sizes"), [(None, [6]), (2, [2, 2, 2, 2])])
def test_the_flip_test_averages_with_the_mirrored_crop(batch, sizes):
    """Red and blue are a pair: in the mirrored crop red speaks for blue, at the mirrored place."""
    image = picture(red=(12, 16), blue=(34, 16))
    backend = Colours(batch=batch)
    keypoints, scores = PoseModel(backend, flip_test=True)(image, [BOX] * 3)
    assert backend.sizes == sizes
    plain, plain_scores = PoseModel(Colours())(image, [BOX])
    # Mirrored, red's columns 4 and 5 of 32 are 26 and 27 and are said to be blue's; turned back they are 4 and 5.
    assert plain[0, 0, 0] == 12
    assert set(keypoints[0, [0, 2], 0]) == {12}
    assert scores[0, 0] == pytest.approx(plain_scores[0, 0] / 2)


def test_no_boxes_are_no_keypoints_and_no_run():
    backend = Colours()
    model = PoseModel(backend)
    for nothing in ([], np.zeros((0, 4), np.float32)):
        keypoints, scores = model(SPOTS, nothing)
        assert keypoints.shape == (0, 3, 2)
        assert scores.shape == (0, 3)
    assert model.many([], []) == []
    assert backend.sizes == []


def test_the_clock_counts_stages_and_crops():
    model = PoseModel(Colours())
    model(SPOTS, [BOX] * 3)
    assert model.clock.items == 3
    assert all(seconds > 0 for seconds in model.clock.seconds.values())
    model.clock.reset()
    assert model.clock.items == sum(model.clock.seconds.values()) == 0


def test_what_a_keypoint_model_cannot_do_is_refused():
    with pytest.raises(UserError, match="is a detector model, not a pose model"):
        PoseModel(Boxes(None, None))
    with pytest.raises(UserError, match="flip test has nothing to average"):
        PoseModel(Colours(end_to_end=True), flip_test=True)
    with pytest.raises(UserError, match="batch of at least 1"):
        PoseModel(Colours(), batch_size=0)
    with pytest.raises(UserError, match="boxes for each of 2 pictures, got 1"):
        PoseModel(Colours()).many([SPOTS, SPOTS], [[]])
    with pytest.raises(UserError, match="expected a picture"):
        PoseModel(Colours())(SPOTS[..., 0], [BOX])


def test_boxes_come_back_to_image_px_and_empty_rows_go():
    dets = np.array([[[8, 4, 24, 12, 0.9], [0, 0, 64, 48, 0.3], [0, 0, 0, 0, 0]]], np.float32)
    backend = Boxes(dets, np.array([[1, 0, -1]]), classes=("thing", "other"))
    boxes, scores, labels = DetectorModel(backend)(np.zeros((240, 320, 3), np.uint8))  # a fifth of it in the network
    np.testing.assert_allclose(boxes, [[40, 20, 120, 60], [0, 0, 320, 240]])
    assert scores.tolist() == [np.float32(0.9), np.float32(0.3)]
    assert labels.tolist() == [1, 0]
    assert backend.seen[0].shape == (1, 3, 64, 64)
    assert (backend.seen[0][0, :, 48:] == 114).all()


def test_the_threshold_of_scores_keeps_what_reaches_it():
    dets = np.array([[[0, 0, 8, 8, 0.5], [0, 0, 8, 8, 0.25]]], np.float32)
    for least, count in ((None, 2), (0.25, 2), (0.3, 1), (0.6, 0)):
        boxes, scores, labels = DetectorModel(Boxes(dets, np.zeros((1, 2), int)), least)(SPOTS)
        assert len(boxes) == len(scores) == len(labels) == count


def test_a_detector_of_a_fixed_batch_sees_the_picture_first():
    backend = Boxes(np.zeros((4, 0, 5), np.float32), np.zeros((4, 0), int), batch=4)
    assert DetectorModel(backend)(SPOTS)[0].shape == (0, 4)
    assert backend.seen[0].shape == (4, 3, 64, 64)
    with pytest.raises(UserError, match="is a pose model, not a detector model"):
        DetectorModel(Colours())


def test_size_of_crops_is_what_the_tests_count_on():
    assert (BOX[2] - BOX[0], BOX[3] - BOX[1]) == SIZE
