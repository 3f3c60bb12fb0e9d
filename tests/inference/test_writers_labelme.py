"""Labelme files of predictions, and the way back through labelme2coco.py."""
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pose_tools import labelme2coco
from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.media import open_sources
from pose_tools.inference.result import Result
from pose_tools.inference.writers import Labelme, labelme_content_of
from pose_tools.report.draw import imread

SET = KeypointSet(("car", "bus"), ("nose", "tail"))


def result_of(image, source="a.jpg", **changed):
    facts = {
        "image": image, "keypoint_set": SET, "classes": SET.classes, "source": str(source),
        "boxes": np.array([[1, 2, 31, 42], [10.5, 20, 30.25, 40]]), "box_scores": np.array([0.9, 0.5]),
        "labels": np.array([0, 1]), "keypoints": np.array([[[5, 6], [7.5, 8.125]], [[11, 21], [12, 22]]]),
        "scores": np.array([[1.25, 0.5], [0.75, 0.1]])}
    return Result(**{**facts, **changed})


BLANK = np.full((48, 64, 3), 200, np.uint8)


def test_shapes_by_hand():
    content = labelme_content_of(result_of(BLANK, "photos/a.jpg"))
    assert (content["imagePath"], content["imageWidth"], content["imageHeight"]) == ("a.jpg", 64, 48)
    rows = [(s["label"], s["shape_type"], s["group_id"], s["points"], s["flags"], s["description"])
            for s in content["shapes"]]
    assert rows == [
        ("car", "rectangle", 1, [[1.0, 2.0], [31.0, 42.0]], {}, "score 0.900"),
        ("nose", "point", 1, [[5.0, 6.0]], {"occluded": False}, "score 1.250"),
        ("tail", "point", 1, [[7.5, 8.125]], {"occluded": False}, "score 0.500"),
        ("bus", "rectangle", 2, [[10.5, 20.0], [30.25, 40.0]], {}, "score 0.500"),
        ("nose", "point", 2, [[11.0, 21.0]], {"occluded": False}, "score 0.750")]


def test_tracks_are_the_groups():
    content = labelme_content_of(result_of(BLANK, track_ids=np.array([7, 3])))
    assert [shape["group_id"] for shape in content["shapes"]] == [7, 7, 7, 3, 3]


def test_what_is_outside_the_picture_or_no_number_is_not_written():
    result = result_of(BLANK, boxes=np.array([[-5, -5, 80, 60], [100, 0, 120, 20]]),
                       keypoints=np.array([[[-3, 6], [np.nan, 8]], [[11, 21], [12, 22]]]))
    shape, = labelme_content_of(result)["shapes"]
    assert shape["points"] == [[0.0, 0.0], [64.0, 48.0]]
    broken = replace(result, boxes=np.full((2, 4), np.nan), box_scores=np.full(2, np.nan))
    assert labelme_content_of(broken)["shapes"] == []


def test_a_picture_lies_beside_its_file_unchanged(tmp_path):
    photo = tmp_path / "photos/a.jpg"
    photo.parent.mkdir()
    Image.fromarray(BLANK).save(photo)
    with Labelme(tmp_path / "out") as writer:
        path = writer.add(result_of(imread(photo), photo), photo)
    assert path == tmp_path / "out/a.json" and (tmp_path / "out/a.jpg").read_bytes() == photo.read_bytes()
    assert json.loads(path.read_text(encoding="utf-8"))["imagePath"] == "a.jpg"


def test_frames_arrays_and_odd_pictures_are_written_anew(tmp_path):
    webp = tmp_path / "b.webp"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BLANK[:, ::2]).save(webp, exif=exif, lossless=True)
    source, = open_sources(webp)
    frame, = source
    with Labelme(tmp_path / "out") as writer:
        names = [writer.add(result_of(BLANK, "film.mp4", number=3, time=0.1)).name,
                 writer.add(result_of(BLANK, "array 0")).name, writer.add(result_of(frame.image, webp), webp).name]
    assert names == ["film-000003.json", "array-0.json", "b.json"]
    for name, suffix in zip(names, (".jpg", ".png", ".png")):
        content = json.loads((tmp_path / "out" / name).read_text(encoding="utf-8"))
        picture = imread(tmp_path / "out" / content["imagePath"])
        assert content["imagePath"].endswith(suffix)
        assert picture.shape[1::-1] == (content["imageWidth"], content["imageHeight"])
    assert (imread(tmp_path / "out/array-0.png") == BLANK).all()


def test_files_corrected_by_hand_are_not_overwritten(tmp_path):
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="corrected by hand"):
        Labelme(tmp_path)


def test_the_folder_of_the_photographs_may_take_them(tmp_path):
    Image.fromarray(BLANK).save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    with Labelme(tmp_path) as writer:
        writer.add(result_of(BLANK, tmp_path / "a.jpg"), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == before and (tmp_path / "a.json").is_file()


def random_result(random, image, source):
    height, width = image.shape[:2]
    count = int(random.integers(1, 5))
    corners = np.sort(random.uniform(0, [[[width], [height]]], (count, 2, 2)), axis=2) + [[[0], [0.01]]]
    boxes = np.clip(corners.transpose(0, 2, 1).reshape(count, 4), 0, [width, height] * 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], np.minimum(boxes[:, :2] + 2, [width, height]))
    points = random.uniform([0, 0], [width - 1, height - 1], (count, 2, 2))
    return result_of(image, source, boxes=boxes, box_scores=random.uniform(0.3, 1, count), keypoints=points,
                     labels=random.integers(0, 2, count), scores=random.uniform(0.3, 1.4, (count, 2)))


def test_labelme2coco_gives_back_the_same_boxes_and_points(tmp_path):
    """Groups hold what belongs together even where boxes overlap, and scores do not become visibilities."""
    random, expected = np.random.default_rng(5), {}
    (tmp_path / "photos").mkdir()
    with Labelme(tmp_path / "labelme") as writer:
        for number in range(6):
            path = tmp_path / f"photos/{number}.png"
            Image.fromarray(random.integers(0, 256, (90 + number, 120, 3), np.uint8)).save(path)
            result = random_result(random, imread(path), path)
            expected[path.name] = result
            writer.add(result, path)
    meta = tmp_path / "meta.py"
    meta.write_text(f"classes = {SET.classes!r}\nkeypoints = {SET.keypoints!r}\n", encoding="utf-8")
    words = [str(tmp_path / "labelme"), str(tmp_path / "coco"), "--meta", str(meta), "--split", "1"]
    assert labelme2coco.main(words) == 0
    data = json.loads((tmp_path / "coco/train_coco.json").read_text(encoding="utf-8"))
    assert len(data["images"]) == 6
    for image in data["images"]:
        result = expected[image["file_name"]]
        found = [a for a in data["annotations"] if a["image_id"] == image["id"]]
        boxes = np.array([a["bbox"] for a in found])
        points = np.array([a["keypoints"] for a in found]).reshape(-1, 2, 3)
        order = [int(np.abs(boxes[:, :2] - box[:2]).sum(axis=1).argmin()) for box in result.boxes]
        assert sorted(order) == list(range(len(result)))
        assert np.allclose(boxes[order, :2] + boxes[order, 2:], result.boxes[:, 2:], atol=2e-3)
        assert np.allclose(boxes[order, :2], result.boxes[:, :2], atol=1e-3)
        assert np.allclose(points[order, :, :2], result.keypoints, atol=1e-3)
        assert (points[..., 2] == 2).all() and [found[i]["category_id"] for i in order] == (result.labels + 1).tolist()
