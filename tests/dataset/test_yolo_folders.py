import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.convert.from_yolo import YoloOptions, yolo_to_coco
from pose_tools.dataset.convert.to_yolo import coco_to_yolo
from pose_tools.dataset.convert.yolo_folder import label_file
from pose_tools.formats.coco import load_coco

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LINE = "0 0.5 0.5 0.2 0.2 0.45 0.45 1 0.55 0.55 2\n"


def picture(path, size=(200, 100)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), 90, np.uint8))
    return path


def labels(path, text=LINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def described(root, **more):
    content = {"names": ["cat"], "kpt_shape": [2, 3], "kpt_names": {0: ["left-ear", "right-ear"]}, **more}
    (root / "data.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return root


@pytest.fixture
def divided(tmp_path):
    """Two images to train on, one to validate on, in Ultralytics' layout."""
    root = tmp_path / "yolo"
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        picture(root / f"images/{split}/{name}.jpg")
        labels(root / f"labels/{split}/{name}.txt")
    return described(root, train="images/train", val="images/val", flip_idx=[1, 0])


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_its_own_division_is_kept(divided, tmp_path):
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    assert listing(tmp_path / "out") == ["images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg",
                                         "train_coco.json", "val_coco.json"]
    train, val = (load_coco(tmp_path / f"out/{split}_coco.json") for split in ("train", "val"))
    assert [a["id"] for a in [*train["annotations"], *val["annotations"]]] == [1, 2, 3]
    (annotation, ) = val["annotations"]
    assert annotation["bbox"] == pytest.approx([80, 40, 40, 20]) and annotation["area"] == pytest.approx(800)
    assert annotation["keypoints"] == pytest.approx([90, 45, 1, 110, 55, 2])
    assert train["categories"][0]["swap"] == [["left-ear", "right-ear"]] and not result.notes
    assert coco_faults(train, "t", result.names, tmp_path / "out/images") == []


def test_a_flat_set_is_split(tmp_path):
    root = described(tmp_path / "yolo" if picture(tmp_path / "yolo/images/0.jpg") else None, flip_idx=[1, 0])
    for n in range(10):
        picture(root / f"images/{n}.jpg")
        labels(root / f"labels/{n}.txt")
    result = yolo_to_coco(root, tmp_path / "out", YoloOptions(split=0.7))
    assert {split: len(data["images"]) for split, data in result.sides.items()} == {"train": 7, "val": 3}
    assert listing(tmp_path / "out/images")[0] == "0.jpg"


def test_moved_folders_windows_paths_and_list_files(divided, tmp_path):
    described(divided, train=r"C:\Users\someone\set\images\train", val="../set/images/val/list.txt", flip_idx=[1, 0])
    (divided / "images/val/list.txt").write_text("c.jpg\n\n")
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    assert {split: len(data["images"]) for split, data in result.sides.items()} == {"train": 2, "val": 1}


def test_one_folder_divided_by_list_files(tmp_path):
    root = tmp_path / "yolo"
    for name in "abc":
        picture(root / f"images/{name}.jpg")
        labels(root / f"labels/{name}.txt")
    (root / "train.txt").write_text("./images/a.jpg\n./images/b.jpg\n")
    (root / "val.txt").write_text("./images/c.jpg\n")
    described(root, train="train.txt", val="val.txt", flip_idx=[1, 0])
    result = yolo_to_coco(root, tmp_path / "out", YoloOptions())
    assert {split: len(data["images"]) for split, data in result.sides.items()} == {"train": 2, "val": 1}


def test_all_faults_come_at_once_and_nothing_is_written(divided, tmp_path):
    labels(divided / "labels/train/a.txt", LINE + "0 0.5 0.5\n" + "7" + LINE[1:])
    labels(divided / "labels/val/ghost.txt")
    (divided / "images/val/c.jpg").write_bytes(b"no image")
    with pytest.raises(FaultsError) as error:
        yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    said = str(error.value)
    for part in ("a.txt: line 2: has 3 columns", "a.txt: line 3: class 7", "ghost.txt: labels an image that is not",
                 "c.jpg: is not an image", "4 faults in 3 files"):
        assert part in said
    assert not (tmp_path / "out").exists()


def test_faulty_images_can_be_left_out(divided, tmp_path):
    labels(divided / "labels/train/a.txt", "0 0.5\n")
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions(skip_faulty=True))
    assert [path.name for path in result.skipped] == ["a.jpg"]
    assert listing(tmp_path / "out/images") == ["train/b.jpg", "val/c.jpg"]


def test_missing_and_empty_label_files(divided, tmp_path):
    (divided / "labels/train/a.txt").unlink()
    labels(divided / "labels/train/b.txt", "\n")
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    assert "1 images without a label file left out" in result.notes[0]
    assert [image["file_name"] for image in result.sides["train"]["images"]] == ["train/b.jpg"]
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions(keep_empty=True, overwrite=True))
    assert len(result.sides["train"]["images"]) == 2 and not result.sides["train"]["annotations"]


def test_a_picture_on_both_sides_is_a_fault(divided, tmp_path):
    described(divided, train="images", val="images/val", flip_idx=[1, 0])
    with pytest.raises(FaultsError, match=r"c\.jpg: is in train and in val"):
        yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions(skip_faulty=True))
    names = [image["file_name"] for side in result.sides.values() for image in side["images"]]
    assert sorted(names) == ["train/a.jpg", "train/b.jpg", "val/c.jpg"], "once, not on both sides"


def test_two_pictures_with_one_label_file_are_a_fault(divided, tmp_path):
    picture(divided / "images/val/c.png")
    with pytest.raises(FaultsError, match=r"c\.txt: is the label file of 2 images: c\.jpg, c\.png"):
        yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions(skip_faulty=True, keep_empty=True))
    names = [image["file_name"] for side in result.sides.values() for image in side["images"]]
    assert sorted(names) == ["train/a.jpg", "train/b.jpg"], "neither became a negative"


@pytest.mark.parametrize(("flip", "said"), [([0, 1], "is the identity, though"), ([], "is missing")])
def test_swaps_that_flip_idx_forgot_are_guessed_and_said(divided, tmp_path, flip, said):
    described(divided, train="images/train", val="images/val", flip_idx=flip)
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions())
    assert said in result.notes[0] and result.names.swaps == (("left-ear", "right-ear"), )


def test_names_from_a_file_must_be_as_many(divided, tmp_path):
    result = yolo_to_coco(divided, tmp_path / "out", YoloOptions(keypoints=("x", "y")))
    assert result.names.keypoints == ("x", "y") and result.names.swaps == (("x", "y"), )
    with pytest.raises(UserError, match="has 2 keypoints, not 3"):
        yolo_to_coco(divided, tmp_path / "other", YoloOptions(keypoints=("x", "y", "z")))


@pytest.mark.parametrize(("image", "label"), [
    ("set/images/train/a.jpg", "set/labels/train/a.txt"), ("images/images/a.b.png", "images/labels/a.b.txt"),
    ("a.jpg", "a.txt")])
def test_where_labels_are_looked_for(image, label):
    assert label_file(Path(image)) == Path(label)


def test_nothing_to_convert(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        yolo_to_coco(tmp_path / "none", tmp_path / "out", YoloOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has a data\.yaml; here is none"):
        yolo_to_coco(tmp_path / "empty", tmp_path / "out", YoloOptions())
    with pytest.raises(UserError, match="no image was found"):
        yolo_to_coco(described(tmp_path / "empty"), tmp_path / "out", YoloOptions())
    with pytest.raises(UserError, match="which would be lost"):
        yolo_to_coco(tmp_path / "empty", tmp_path, YoloOptions(overwrite=True))


def same(first, second):
    """Compares two COCO files, ids apart, to a millionth of a px."""
    assert [i["file_name"] for i in first["images"]] == [i["file_name"] for i in second["images"]]
    assert first["categories"] == second["categories"]
    assert len(first["annotations"]) == len(second["annotations"])
    for a, b in zip(first["annotations"], second["annotations"]):
        assert a["bbox"] == pytest.approx(b["bbox"], abs=1e-5)
        assert a["keypoints"] == pytest.approx(b["keypoints"], abs=1e-6)


def test_there_and_back(cars, tmp_path):
    export = coco_to_yolo(cars, tmp_path / "yolo")
    assert set(export.sides) == {"train", "val"}
    yolo_to_coco(tmp_path / "yolo", tmp_path / "coco", YoloOptions())
    coco_to_yolo(tmp_path / "coco", tmp_path / "again")
    assert (tmp_path / "again/data.yaml").read_text() == (tmp_path / "yolo/data.yaml").read_text()
    for split in ("train", "val"):
        first, second = (load_coco(folder / f"{split}_coco.json") for folder in (cars, tmp_path / "coco"))
        for image in second["images"]:
            image["file_name"] = image["file_name"].removeprefix(f"{split}/")
        first["categories"][0].pop("skeleton"), first["categories"][0].pop("sigmas", None)
        second["categories"][0].pop("skeleton")  # YOLO has no word for either
        same(first, second)


def test_crowds_and_outlines_left_out_are_told(cars, tmp_path):
    data = load_coco(cars / "train_coco.json")
    data["annotations"][0].update(iscrowd=1)
    data["annotations"][1].update(segmentation=[[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]])
    (tmp_path / "train_coco.json").write_text(json.dumps(data))
    export = coco_to_yolo(tmp_path / "train_coco.json", tmp_path / "yolo", cars / "images")
    assert export.notes == ["left out: 1 crowd regions, which YOLO has no word for",
                            "left out: 1 segmentations, of which only the boxes stay"]
    lines = sum(len(path.read_text().splitlines()) for path in (tmp_path / "yolo/labels").rglob("*.txt"))
    assert lines == len(data["annotations"]) - 1


def test_the_images_it_reads_are_not_replaced(cars, tmp_path):
    source = tmp_path / "train_coco.json"
    source.write_bytes((cars / "train_coco.json").read_bytes())
    shutil.copytree(cars / "images", tmp_path / "yolo/pictures")
    with pytest.raises(UserError, match="which would be lost"):
        coco_to_yolo(source, tmp_path / "yolo", tmp_path / "yolo/pictures", overwrite=True)
    assert (tmp_path / "yolo/pictures").is_dir()


def test_a_faulty_coco_file_is_not_exported(cars, tmp_path):
    data = load_coco(cars / "train_coco.json")
    data["annotations"][0]["bbox"][2] = -5
    (tmp_path / "train_coco.json").write_text(json.dumps(data))
    with pytest.raises(FaultsError, match="nothing was written"):
        coco_to_yolo(tmp_path / "train_coco.json", tmp_path / "yolo", cars / "images")
    assert not (tmp_path / "yolo").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
def test_real_badminton_players(tmp_path):
    result = yolo_to_coco(SHARED / "badminton_yolo", tmp_path / "out", YoloOptions())
    annotations = [a for side in result.sides.values() for a in side["annotations"]]
    seen = [v for a in annotations for v in a["keypoints"][2::3]]
    assert sum(len(side["images"]) for side in result.sides.values()) == 21 and len(annotations) == 42
    assert (sum(v > 0 for v in seen), seen.count(1)) == (710, 93)
    assert all(a["keypoints"][i:i + 2] == [0, 0] for a in annotations for i in range(0, 51, 3)
               if a["keypoints"][i + 2] == 0), "four of them carried coordinates"
    assert any("flip_idx is the identity" in note for note in result.notes)
    coco_to_yolo(tmp_path / "out", tmp_path / "yolo")
    back = yolo_to_coco(tmp_path / "yolo", tmp_path / "back", YoloOptions())
    assert sum(len(side["annotations"]) for side in back.sides.values()) == 42
