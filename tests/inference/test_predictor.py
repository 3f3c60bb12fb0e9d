"""PosePredictor on small graphs whose answers are known: colours are found where they were painted."""
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from tiny_graphs import COLOURS, DETECTOR, POSE, save_detector, save_pose

from pose_tools import PosePredictor
from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import imwrite

HEIGHT, WIDTH = 64, 128
PLACES = {"red": (20, 30), "green": (70, 10), "blue": (100, 50)}  # (x, y) image px


def painted(shift=0):
    """A black picture with a red, a green and a blue square."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for channel, (x, y) in zip((2, 1, 0), PLACES.values()):
        image[y - 4:y + 5, x - 4 + shift:x + 5 + shift, channel] = 255
    return image


def write_video(path, frames):
    import cv2

    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
    for frame in frames:
        video.write(frame)
    video.release()
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    # Of 64 x 64 px for a picture of 128 x 64: two image px each input px.
    return (save_detector(folder / "det.onnx", boxes=((0, 0, 64, 32, 0.9), (2, 0, 64, 32, 0.2))),
            save_pose(folder / "pose.onnx"))


def test_the_package_is_light_and_knows_the_predictor(root):
    script = ("import sys, pose_tools; assert 'numpy' not in sys.modules and 'cv2' not in sys.modules; "
              "from pose_tools import PosePredictor; assert 'torch' not in sys.modules, 'torch'; "
              "assert 'mmengine' not in sys.modules; print(PosePredictor.__name__)")
    answer = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert answer.stdout == "PosePredictor\n", answer.stderr
    with pytest.raises(ImportError):
        from pose_tools import NoSuchThing  # noqa: F401


def test_one_picture_by_hand(models):
    result = PosePredictor(*models).one(painted())
    assert result.boxes.tolist() == [[0, 0, 128, 64]]
    np.testing.assert_allclose(result.box_scores, [0.9], atol=1e-6)
    assert (result.labels.tolist(), result.classes, result.keypoint_set) == ([0], ("thing",), COLOURS)
    # Crops have 32 x 16 px, so that a keypoint is within a crop px, 4 image px, of its place.
    assert abs(result.keypoints[0] - list(PLACES.values())).max() <= 4
    assert result.scores.shape == (1, 3) and (result.scores > 0).all()
    assert (result.score_kind, result.track_ids, result.time, result.heatmap) == ("raw", None, None, None)
    assert len(result) == 1
    assert (result.draw() != result.image).any() and (result.image == painted()).all()


def test_one_picture_is_what_a_run_gives(models, tmp_path):
    predictor = PosePredictor(*models)
    alone, (in_run,) = predictor.one(painted()), predictor(painted())
    assert (alone.keypoints == in_run.keypoints).all() and (alone.scores == in_run.scores).all()
    assert predictor.times.frames == 1
    with pytest.raises(UserError, match="is not one picture"):
        predictor.one(write_video(tmp_path / "v.avi", [painted()]))


def test_without_a_detector_the_whole_picture_is_the_box(models):
    result = PosePredictor(pose=models[1]).one(painted())
    assert result.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_given_arrays_are_the_boxes(models, tmp_path):
    predictor = PosePredictor(pose=models[1])
    result = predictor.one(painted(), np.array([[0, 10, 64, 42], [64, 0, 128, 64]]))
    assert len(result) == 2
    assert abs(result.keypoints[0, 0] - PLACES["red"]).max() <= 4
    results = list(predictor([painted(), painted()], boxes=[[[0, 0, 9, 9]], []]))
    assert [len(each) for each in results] == [1, 0]
    with pytest.warns(UserWarning, match="boxes were given for 1 pictures"):
        assert len(list(predictor([painted(), painted()], boxes=[[[0, 0, 9, 9]]]))) == 1
    with pytest.raises(FaultsError, match="expected boxes as"):
        predictor.one(painted(), [[[0, 0, 9]]])


def test_pictures_come_in_order_and_a_bad_one_is_left_out(models, tmp_path):
    for number in range(12):
        imwrite(tmp_path / f"p{number}.png", painted(number))
    (tmp_path / "p3.png").write_bytes(b"no picture")
    predictor = PosePredictor(*models)
    with pytest.warns(UserWarning, match=r"p3\.png"):
        results = list(predictor(tmp_path))
    names = [result.source.rpartition("/")[2] for result in results]
    assert names == [f"p{number}.png" for number in range(12) if number != 3]
    assert [len(predictor.faults), predictor.times.frames] == [1, 11]
    shifts = [int(name[1:-4]) for name in names]
    found = [result.keypoints[0, 0, 0] - PLACES["red"][0] for result in results]
    assert abs(np.array(found) - shifts).max() <= 4
    with pytest.raises(UserError, match=r"p3\.png"):
        predictor.one(tmp_path / "p3.png")


def test_nothing_found_is_an_empty_result(models):
    result = PosePredictor(*models, bbox_thr=0.95).one(painted())
    assert (result.boxes.shape, result.keypoints.shape, result.scores.shape) == ((0, 4), (0, 3, 2), (0, 3))
    assert result.to_coco() == []
    assert result.to_labelme()["shapes"] == []
    assert (result.draw() == result.image).all()


def test_a_video_is_tracked_and_frames_are_timed(models, tmp_path):
    video = write_video(tmp_path / "v.avi", [painted(number) for number in range(8)])
    results = list(PosePredictor(*models)(video))
    assert [result.number for result in results] == list(range(8))
    assert [result.time for result in results] == pytest.approx([number / 10 for number in range(8)])
    assert [result.track_ids.tolist() for result in results] == [[1]] * 8
    assert {result.source for result in results} == {str(video)}
    assert all(result.track_ids is None for result in PosePredictor(*models, track=False)(video))


def test_the_detector_rests_between_frames(models, tmp_path, monkeypatch):
    from pose_tools.inference.runtime import DetectorModel

    seen, lock, find = [], threading.Lock(), DetectorModel.many

    def counted(self, images):
        with lock:
            seen.extend(images)
        return find(self, images)

    monkeypatch.setattr(DetectorModel, "many", counted)
    video = write_video(tmp_path / "v.avi", [painted(number) for number in range(7)])
    results = list(PosePredictor(*models, det_interval=3, smooth=True)(video))
    assert len(seen) == 3  # of frames 0, 3 and 6
    assert [result.track_ids.tolist() for result in results] == [[1]] * 7
    again = list(PosePredictor(*models, det_interval=3)([painted(), painted()]))
    assert len(seen) == 5, "pictures are not tracked, so that each is looked at"
    assert len(again) == 2


def test_overlapping_boxes_are_suppressed_across_classes(models):
    assert len(PosePredictor(*models, bbox_thr=0.1).one(painted())) == 2
    result = PosePredictor(*models, bbox_thr=0.1, nms_thr=0.5).one(painted())
    np.testing.assert_allclose(result.box_scores, [0.9], atol=1e-6)


def test_a_heat_map_is_where_the_keypoint_is(models):
    result = PosePredictor(*models, heatmap="green").one(painted())
    assert (result.heatmap.shape, result.heatmap.dtype) == ((HEIGHT, WIDTH), np.float32)
    y, x = np.unravel_index(result.heatmap.argmax(), result.heatmap.shape)
    assert abs(np.array([x, y]) - PLACES["green"]).max() <= 4
    assert PosePredictor(*models, heatmap=True).one(painted()).heatmap.sum() > result.heatmap.sum()
    with pytest.raises(UserError, match="no keypoint 'purple'"):
        PosePredictor(*models, heatmap="purple")


def test_leaving_early_ends_the_threads(models, tmp_path):
    video = write_video(tmp_path / "v.avi", [painted()] * 30)
    before = set(threading.enumerate())
    results = PosePredictor(*models)(video)
    next(results)
    results.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]


def test_an_error_of_a_model_reaches_the_caller(models, monkeypatch):
    from pose_tools.inference.runtime import PoseModel

    def broken(self, *words):
        raise MemoryError("no room")

    monkeypatch.setattr(PoseModel, "many", broken)
    with pytest.raises(MemoryError, match="no room"):
        list(PosePredictor(*models)([painted()] * 5))


@pytest.mark.parametrize(("classes", "keypoints", "what"), [
    (("dog",), None, "finds dog, but .* is for thing; --det-cat-ids"),
    (("thing",), ("red", "green"), "was trained for objects with the keypoints red, green, but"),
])
def test_models_that_do_not_fit_are_refused(models, tmp_path, classes, keypoints, what):
    own = None if keypoints is None else KeypointSet(classes, keypoints)
    det = save_detector(tmp_path / "other.onnx", replace(DETECTOR, classes=classes, keypoint_set=own))
    with pytest.raises(UserError, match=what):
        PosePredictor(det, models[1])
    assert len(PosePredictor(det, models[1], det_cat_ids=[classes[0]]).one(painted())) == 1


def test_classes_are_matched_by_name(tmp_path):
    """The detector's first class is the keypoint model's second; its third is none of it."""
    two = replace(COLOURS, classes=("thing", "other"))
    pose = save_pose(tmp_path / "pose.onnx", replace(POSE, classes=two.classes, keypoint_set=two))
    det = save_detector(tmp_path / "det.onnx", replace(DETECTOR, classes=("other", "thing", "dog")))
    assert PosePredictor(det, pose).one(painted()).labels.tolist() == [1]
    assert len(PosePredictor(det, pose, det_cat_ids=["dog", 1]).one(painted())) == 0
    with pytest.raises(UserError, match="names 1 classes, and .* is for 2: thing, other"):
        PosePredictor(det, pose, det_cat_ids=["dog"])
    with pytest.raises(UserError, match="--det-cat-ids cat: .* has no such class; it has: 0 other, 1 thing, 2 dog"):
        PosePredictor(det, pose, det_cat_ids=["cat", "dog"])


@pytest.mark.parametrize(("options", "what"), [
    ({"track": False, "det_interval": 2}, "needs tracking"), ({"track": False, "smooth": True}, "needs tracking"),
    ({"det_interval": 0}, "expected 1 or more"), ({"threads": 0}, "at least one thread"),
    ({"scores": "odds"}, "none of auto, raw"), ({"camera": "c.json"}, "--camera is for --pnp"),
    ({"scores": "probability"}, "carries no calibration"),
])
def test_options_that_contradict_each_other(models, options, what):
    with pytest.raises(UserError, match=what):
        PosePredictor(*models, **options)
    with pytest.raises(UserError, match="a keypoint model is needed"):
        PosePredictor(models[0])
