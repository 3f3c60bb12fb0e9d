"""Results as COCO, JSON lines, drawn pictures and videos: hand-made results, values worked out by hand."""
import json
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.media.video import VideoFile
from pose_tools.inference.result import Result
from pose_tools.inference.writers import CocoResults, DrawnImages, DrawnVideo, JsonLines, coco_results
from pose_tools.inference.writers.writer import Names, stem_of
from pose_tools.report.draw import imread

SET = KeypointSet(("car", "bus"), ("nose", "tail"), links=(("nose", "tail"), ))


@dataclass
class Heading:
    heading_deg: float

    def to_dict(self):
        return {"heading_deg": self.heading_deg, "rotation": np.eye(3), "focal_assumed": np.bool_(True)}


def result_of(source="photos/a.jpg", **changed):
    facts = {
        "image": np.full((48, 64, 3), 200, np.uint8), "keypoint_set": SET, "classes": SET.classes,
        "boxes": np.array([[1, 2, 31, 42], [10.1234, 20, 30.5, 40]], np.float32),
        "box_scores": np.array([0.9, 0.25], np.float32), "labels": np.array([0, 1]),
        "keypoints": np.array([[[5, 6], [7.5, 8.25]], [[11, 21], [12, 22]]], np.float32),
        "scores": np.array([[1.25, 0.5], [0.75, 0.125]], np.float32), "source": source}
    return Result(**{**facts, **changed})


def nothing(**changed):
    empty = {"boxes": np.zeros((0, 4)), "box_scores": np.zeros(0), "labels": np.zeros(0, int),
             "keypoints": np.zeros((0, 2, 2)), "scores": np.zeros((0, 2))}
    return result_of(**{**empty, **changed})


def strict(text):
    """JSON as its standard has it: no NaN, no Infinity."""
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_coco_results_by_hand():
    assert coco_results(result_of()) == [
        {"file_name": "photos/a.jpg", "category_id": 1, "bbox": [1.0, 2.0, 30.0, 40.0], "score": 0.9,
         "keypoints": [5.0, 6.0, 1.25, 7.5, 8.25, 0.5], "keypoint_score": "raw"},
        {"file_name": "photos/a.jpg", "category_id": 2, "bbox": [10.123, 20.0, 20.377, 20.0], "score": 0.25,
         "keypoints": [11.0, 21.0, 0.75, 12.0, 22.0, 0.125], "keypoint_score": "raw"}]


def test_what_is_known_beyond_is_written_too():
    result = result_of("film.mp4", number=7, time=7 / 30, track_ids=np.array([3, 9]), score_kind="probability",
                       vehicle_poses=(Heading(12.5), None))
    first, second = strict(json.dumps(coco_results(result, image_id=4)))
    assert (first["image_id"], first["frame"], first["time"], first["track_id"]) == (4, 7, 0.2333, 3)
    assert first["keypoint_score"] == "probability" and "file_name" not in first
    assert first["vehicle_pose"] == {"heading_deg": 12.5, "rotation": np.eye(3).tolist(), "focal_assumed": True}
    assert second["vehicle_pose"] is None and second["track_id"] == 9


def spoilt():
    """NaN and infinity wherever they can be."""
    result = result_of(vehicle_poses=(Heading(float("nan")), Heading(1.0)))
    keypoints, scores, box_scores = result.keypoints.copy(), result.scores.copy(), result.box_scores.copy()
    keypoints[0, 0, 1], keypoints[1, 1], scores[0, 1], box_scores[0] = np.nan, np.inf, np.nan, np.nan
    return replace(result, keypoints=keypoints, scores=scores, box_scores=box_scores)


def test_json_never_holds_nan(tmp_path):
    with CocoResults(tmp_path / "r.json") as whole, JsonLines(tmp_path / "r.jsonl") as lines:
        for writer in (whole, lines):
            writer.add(spoilt())
            writer.add(replace(result_of(), boxes=np.array([[1, np.nan, 3, 4], [1, 2, 3, np.inf]])))
    first, second = strict((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert first["keypoints"] == [0, 0, 0, 0, 0, 0] and first["score"] == 0
    assert second["keypoints"] == [11, 21, 0.75, 0, 0, 0] and first["vehicle_pose"]["heading_deg"] is None
    found = [strict(line) for line in (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(line["objects"]) for line in found] == [2, 0], "an object without a box is none"


def test_coco_files_are_read_by_the_standard_tools(tmp_path):
    with CocoResults(tmp_path / "sub/r.json") as writer:
        writer.add(result_of(), image_id=1)
        writer.add(nothing(), image_id=2)
        writer.add(result_of(), image_id=3)
        assert not (tmp_path / "sub/r.json").exists()
    found = strict((tmp_path / "sub/r.json").read_text(encoding="utf-8"))
    assert [each["image_id"] for each in found] == [1, 1, 3, 3]
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["r.json"]


def test_nothing_found_is_an_empty_valid_file(tmp_path):
    with CocoResults(tmp_path / "r.json") as writer:
        writer.add(nothing())
    assert strict((tmp_path / "r.json").read_text(encoding="utf-8")) == []


def test_an_error_leaves_the_old_file_and_ctrl_c_the_new(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), CocoResults(path) as writer:
        writer.add(result_of())
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(KeyboardInterrupt), CocoResults(path) as writer:
        writer.add(result_of())
        raise KeyboardInterrupt
    assert len(strict(path.read_text(encoding="utf-8"))) == 2 and len(list(tmp_path.iterdir())) == 1
    writer.close()
    writer.abort()


def test_json_lines_can_be_read_while_they_are_written(tmp_path):
    path = tmp_path / "sub/r.jsonl"
    with JsonLines(path) as writer:
        writer.add(result_of("film.mp4", number=0, time=0.0))
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1
        writer.add(nothing(source="film.mp4", number=1, time=0.04))
        writer.add(nothing(source="ü.jpg"), image_id=5)
        first, second, third = map(strict, path.read_text(encoding="utf-8").splitlines())
    assert (first["file_name"], first["frame"], first["time"], first["width"], first["height"]) == (
        "film.mp4", 0, 0.0, 64, 48)
    assert first["objects"][0] == {key: value for key, value in coco_results(result_of())[0].items()
                                   if key != "file_name"}
    assert second == {"file_name": "film.mp4", "frame": 1, "time": 0.04, "width": 64, "height": 48, "objects": []}
    assert third["image_id"] == 5 and "frame" not in third


def test_json_lines_go_to_the_standard_output(capsys):
    with JsonLines("-") as writer:
        writer.add(nothing())
    assert strict(capsys.readouterr().out)["objects"] == []
    print("still open")


@pytest.mark.parametrize(("source", "stem"), [
    ("photos/a b.jpg", "a-b"), ("C:\\photos\\a.jpg", "a"), ("array 3", "array-3"), ("webcam:0", "webcam-0"),
    ("rtsp://user:secret@10.0.0.1:554/live?x=1", "10.0.0.1-554-live-x=1"), ("http://host/cam", "http-host-cam"),
    ("...", "picture"), ("日本.png", "日本")])
def test_files_are_named_after_their_source(source, stem):
    assert stem_of(source) == stem


def test_names_are_given_once():
    names = Names()
    results = [result_of("x/a.jpg"), result_of("y/A.png"), result_of("y/a-2.png"),
               result_of("a.mp4", number=4, time=0.1)]
    assert [names.free(result) for result in results] == ["a", "A-2", "a-2-2", "a-000004"]


def test_pictures_are_drawn_or_taken_as_drawn(tmp_path):
    black = np.zeros((48, 64, 3), np.uint8)
    with DrawnImages(tmp_path / "out") as writer:
        drawn = writer.add(result_of())
        taken = writer.add(result_of("b.png"), black)
    assert (imread(drawn) != 200).any() and imread(drawn).shape == (48, 64, 3)
    assert (imread(taken) == 0).all() and sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]


def test_a_video_has_the_size_of_its_first_frame_and_the_time_of_its_source(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with DrawnVideo(tmp_path / "out/a.mp4", 10.0) as writer:
        for i in (0, 1, 2, 7, 8):
            picture = np.full((48, 64, 3), 25 * i, np.uint8)
            writer.add(result_of("a.mp4", number=i, time=i / 10), picture if i else None)
    found = VideoFile(tmp_path / "out/a.mp4")
    assert (found.size, found.frame_rate, writer.notes) == ((64, 48), 10.0, [])
    assert [round(np.median(frame.image) / 25) for frame in found] == [8, 1, 2, 2, 2, 2, 2, 7, 8]
    assert cv2.VideoCapture(str(tmp_path / "out/a.mp4")).isOpened()


def test_a_video_that_is_aborted_or_empty_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with DrawnVideo(tmp_path / "out/a.mp4", None):
        pass
    with pytest.raises(RuntimeError), DrawnVideo(tmp_path / "out/b.mp4", None) as writer:
        writer.add(result_of("b.mp4", time=0.0))
        raise RuntimeError
    assert list((tmp_path / "out").iterdir()) == []
