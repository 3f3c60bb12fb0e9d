import cv2
import numpy as np
import pytest

from pose_tools import crop_instances as script
from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.convert.crops import crop_instances, crop_window, moved
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("cat", ), ("nose", "tail"))


@pytest.mark.parametrize(("box", "points", "margin", "window"), [
    ((20, 30, 60, 50), [(25, 35, 2), (0, 0, 0)], 0.25, (10, 20, 71, 61)),  # 40 px wide, so 10 px of room
    ((20, 30, 60, 50), [(25, 35, 2), (90, 35, 1)], 0, (20, 30, 91, 51)),  # a keypoint outside of the box
    ((0, 0, 100, 80), [(0, 0, 0), (0, 0, 0)], 0.25, (0, 0, 100, 80)),  # never more than the image
    ((20.5, 30.5, 60.2, 50.2), [(0, 0, 0), (0, 0, 0)], 0, (20, 30, 61, 51)),
])
def test_windows_by_hand(box, points, margin, window):
    assert crop_window(coco_annotation(1, 1, 1, box, points), (100, 80), margin) == window


def test_an_annotation_moves_whole():
    before = coco_annotation(1, 1, 1, (20, 30, 60, 50), [(25, 35, 1), (0, 0, 0)], [[20, 30, 60, 30, 60, 50]], 400)
    after = moved(before, 10, 20)
    assert after["bbox"] == [10, 10, 40, 20] and after["keypoints"] == [15, 15, 1, 0, 0, 0]
    assert after["segmentation"] == [[10, 10, 50, 10, 50, 30]] and after["area"] == 400
    runs = {**before, "segmentation": {"size": [80, 100], "counts": [8000]}}
    assert moved(runs, 10, 20)["segmentation"] == [] and moved(runs, 10, 20)["area"] == 400


@pytest.fixture
def data(tmp_path):
    """Two objects in one image of 100x80 px whose blue is x and whose green is y, and a crowd."""
    folder = tmp_path / "data"
    (folder / "images/deep").mkdir(parents=True)
    picture = np.zeros((80, 100, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.arange(100)[None], np.arange(80)[:, None]
    cv2.imwrite(str(folder / "images/deep/a.png"), picture)
    annotations = [coco_annotation(5, 1, 1, (20, 30, 60, 50), [(25, 35, 2), (50, 45, 1)]),
                   coco_annotation(6, 1, 1, (70, 10, 90, 30), [(75, 15, 2), (0, 0, 0)]),
                   {**coco_annotation(7, 1, 1, (0, 0, 99, 79), [(0, 0, 0), (0, 0, 0)]), "iscrowd": 1}]
    save_coco(folder / "train_coco.json", {"images": [coco_image(1, "deep/a.png", (100, 80))],
                                           "annotations": annotations, "categories": coco_categories(NAMES)})
    return folder


def test_the_same_crop_of_two_splits_is_a_fault(data, tmp_path):
    save_coco(data / "val_coco.json", load_coco(data / "train_coco.json"))
    with pytest.raises(FaultsError, match=r"its annotation 5 is in two of the files: both would be deep/a_5\.png"):
        crop_instances(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_keypoint_lies_on_the_same_pixel(data, tmp_path):
    crop_instances(data, tmp_path / "out", 0.1)
    before = {a["id"]: a for a in load_coco(data / "train_coco.json")["annotations"]}
    written = load_coco(tmp_path / "out/train_coco.json")
    assert [image["file_name"] for image in written["images"]] == ["deep/a_5.png", "deep/a_6.png"]
    assert coco_faults(written, "f", NAMES, tmp_path / "out/images") == []
    for image, annotation in zip(written["images"], written["annotations"]):
        picture = cv2.imread(str(tmp_path / "out/images" / image["file_name"]))
        assert picture.shape[1::-1] == (image["width"], image["height"])
        old = before[annotation["id"]]["keypoints"]
        for i in (0, 3):
            x, y, seen = annotation["keypoints"][i:i + 3]
            if seen:
                assert picture[int(y), int(x), :2].tolist() == old[i:i + 2]


def test_a_picture_that_is_not_what_the_file_says(data, tmp_path):
    cv2.imwrite(str(data / "images/deep/a.png"), np.zeros((8, 10, 3), np.uint8))
    with pytest.raises(FaultsError, match=r"a\.png: is 10x8 px; expected 100x80 px"):
        crop_instances(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="--margin -1"):
        crop_instances(data, tmp_path / "out", -1)
    with pytest.raises(UserError, match="which would be lost"):
        crop_instances(data, data, overwrite=True)


def test_the_command(cars, tmp_path, capsys):
    assert script.main([str(cars), str(tmp_path / "out")]) == 0
    assert "train 22, val 8 pictures" in capsys.readouterr().out
