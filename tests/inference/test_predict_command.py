"""predict.py as a user calls it: on small graphs, so that what it writes is known."""
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from test_predictor import PLACES, painted, write_video
from tiny_graphs import save_detector, save_pose

from pose_tools import predict
from pose_tools.console import UserError, run
from pose_tools.report.draw import imread, imwrite


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return (str(save_detector(folder / "det.onnx", boxes=((0, 0, 64, 32, 0.9), (2, 0, 64, 32, 0.2)))),
            str(save_pose(folder / "pose.onnx")))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.png", "a.jpg", "more/a.png"):
        imwrite(folder / name, painted())
    (folder / "note.txt").write_text("no picture", encoding="utf-8")
    return folder


def call(*words):
    return run(predict.main, [str(word) for word in words])


def results_in(folder):
    return json.loads((folder / "predictions.json").read_text(encoding="utf-8"))


def test_a_folder_with_a_bad_picture(models, photos, tmp_path, capsys):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    out = tmp_path / "out"
    assert call(photos, "--det", models[0], "--pose", models[1], "--out", out, "--sheet") == 1
    told = capsys.readouterr()
    assert f"3 images, 3 instances: {out}" in told.out
    assert "bad.jpg" in told.err and "Traceback" not in told.err
    assert "frames/s" in told.err
    results = results_in(out)
    assert [each["file_name"].rpartition("photos")[2][1:] for each in results] == ["a.jpg", "b.png", "more/a.png"]
    assert results[0]["bbox"] == [0, 0, 128, 64]
    assert abs(np.reshape(results[1]["keypoints"], (3, 3))[:, :2] - list(PLACES.values())).max() <= 4
    # Two images are called a; both are kept.
    assert {p.name for p in out.glob("*.jpg")} == {"a.jpg", "a-2.jpg", "b.jpg", "contact_sheet.jpg"}
    assert (imread(out / "b.jpg") != painted()).any(), "something was drawn"


def test_predictions_can_be_corrected_with_labelme(models, photos, tmp_path, capsys, root):
    from pose_tools import coco2labelme

    out, meta = tmp_path / "out", tmp_path / "meta.py"
    meta.write_text("classes = ('thing', )\nkeypoints = ('red', 'green', 'blue')\n", encoding="utf-8")
    assert call(photos / "b.png", "--det", models[0], "--pose", models[1], "--out", out, "--labelme") == 0
    assert coco2labelme.main([str(out / "predictions.json"), str(tmp_path / "one"), "--meta", str(meta)]) == 0
    made, own = (json.loads(path.read_text(encoding="utf-8"))["shapes"]
                 for path in (tmp_path / "one/b.json", out / "labelme/b.json"))
    assert [shape["label"] for shape in made] == [shape["label"] for shape in own] == ["thing", "red", "green", "blue"]
    assert (out / "labelme/b.png").is_file()


def test_a_video_is_a_video_again(models, tmp_path, capsys):
    video = write_video(tmp_path / "street.avi", [painted(number) for number in range(9)])
    out = tmp_path / "out"
    assert call(video, "--det", models[0], "--pose", models[1], "--out", out, "--jsonl", "--det-interval", "2",
                "--smooth", "--timing", out / "timing.json", "--draw-heatmap") == 0
    assert f"9 frames, 9 instances: {out}" in capsys.readouterr().out
    drawn = cv2.VideoCapture(str(out / "street.mp4"))
    assert drawn.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert (drawn.get(cv2.CAP_PROP_FRAME_WIDTH), drawn.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (128, 64)
    assert [drawn.read()[0] for _ in range(10)] == [True] * 9 + [False]
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["frame"] for line in lines] == list(range(9))
    assert {line["objects"][0]["track_id"] for line in lines} == {1}
    assert [each["frame"] for each in results_in(out)] == list(range(9))
    timing = json.loads((out / "timing.json").read_text(encoding="utf-8"))
    assert timing["frames"] == 9 and timing["start_s"] > 0 and timing["wall_s"] > 0
    assert set(timing["stages"]) == {"read", "detect", "pose", "follow", "draw", "write"}
    assert all(timing["stages"].values())


def test_found_boxes_can_be_given_again(models, photos, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    video = write_video(tmp_path / "v.avi", [painted(number) for number in range(4)])
    assert call(photos, video, "--det", models[0], "--pose", models[1], "--out", first, "--no-track") == 0
    assert call(photos, video, "--boxes", first / "predictions.json", "--pose", models[1], "--out", second,
                "--no-track", "--no-draw") == 0
    assert results_in(second) == results_in(first)
    assert not list(second.glob("*.jpg")) and not list(second.glob("*.mp4"))


def test_ground_truth_as_boxes(models, photos, tmp_path, capsys):
    truth = tmp_path / "train_coco.json"
    truth.write_text(json.dumps({
        "images": [{"id": 1, "file_name": "b.png", "width": 128, "height": 64}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 10, 64, 32]}]}), encoding="utf-8")
    assert call(photos, "--boxes", truth, "--pose", models[1], "--out", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert "1 images, 1 instances" in told.out
    assert "a.jpg: " in told.err and "has no picture of that name" in told.err
    assert results_in(tmp_path / "out")[0]["bbox"] == [0, 10, 64, 32]
    assert call(photos / "a.jpg", "--boxes", truth, "--pose", models[1], "--out", tmp_path / "out") == 1
    assert "has boxes for none of the inputs" in capsys.readouterr().err


def test_nothing_found_is_valid(models, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(photos, "--det", models[0], "--pose", models[1], "--out", out, "--bbox-thr", "0.95") == 0
    assert results_in(out) == []
    assert len(list(out.glob("*.jpg"))) == 3
    assert "3 images, 0 instances" in capsys.readouterr().out


def test_the_whole_picture_is_a_box_if_one_says_so(models, photos, tmp_path, capsys):
    for number, words in enumerate([[], ["--no-det"]]):
        assert call(photos / "b.png", "--pose", models[1], "--out", tmp_path / str(number), *words) == 0
        assert results_in(tmp_path / str(number))[0]["bbox"] == [0, 0, 128, 64]


def test_what_was_drawn_before_is_no_input(models, photos, tmp_path, capsys):
    for _ in range(2):
        assert call(photos, "--det", models[0], "--pose", models[1], "--out", photos / "out") == 0
        assert "3 images, 3 instances" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "what"), [
    (["--det", "d.onnx", "--no-det"], "--det and --no-det say different things"),
    (["--det", "d.onnx", "--boxes", "b.json"], "--det and --boxes say different things"),
    (["--coco", "c.json"], "--coco is for --boxes"), (["--det-cat-ids", "car"], "--det-cat-ids is for a detector"),
    (["--nms-thr", "0.3"], "--nms-thr is for a detector"), (["--batch-size", "0"], "expected 1 or more"),
    (["--boxes", "b.json", "--det-interval", "2"], "--det-interval is for a detector"),
    (["--skeleton-style", "openpose"], "openpose"), (["--radius", "0"], "radius"),
    (["--heatmap-kpt", "purple"], "no keypoint 'purple'"), (["--out", "FILE"], "--out names a folder"),
])
def test_options_that_make_no_sense(models, photos, words, what):
    words = [str(photos / "note.txt") if word == "FILE" else word for word in words]
    with pytest.raises(UserError, match=what):
        predict.main([str(photos / "b.png"), "--pose", models[1], *words, *(
            [] if "--out" in words else ["--out", str(photos / "out")])])


def test_missing_inputs_are_all_named(models, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert call(tmp_path / "empty", tmp_path / "none.jpg", "--pose", models[1], "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "empty" in told and "none.jpg" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
def test_ctrl_c_leaves_whole_files(models, tmp_path, root):
    import shutil

    video = write_video(tmp_path / "long.avi", [painted(number % 8) for number in range(400)])
    for number in range(1, 40):
        shutil.copy(video, tmp_path / f"long{number}.avi")
    process = subprocess.Popen(
        [sys.executable, str(root / "pose_tools/predict.py"), str(tmp_path / "*.avi"), "--det", models[0], "--pose",
         models[1], "--out", str(tmp_path / "out"), "--jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    lines = tmp_path / "out/predictions.jsonl"
    deadline = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < deadline and \
            not (lines.exists() and lines.stat().st_size > 10000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told and "what was done until then is written" in told
    written = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert sum(len(line["objects"]) for line in written) == len(results_in(tmp_path / "out")) > 0
    assert said.startswith(f"{len(written)} frames, ")
    videos = list((tmp_path / "out").glob("*.mp4"))
    assert videos and all(cv2.VideoCapture(str(path)).read()[0] for path in videos)
    assert not list((tmp_path / "out").glob(".*.part")), "nothing half-written"
