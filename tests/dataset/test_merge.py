import json

import cv2
import numpy as np
import pytest

from pose_tools import merge_coco
from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.convert.merge import merge
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, load_coco, save_coco
from pose_tools.formats.schema import KeypointSet

EARS = KeypointSet(("cat", ), ("left", "right", "nose"), (("left", "right"), ), (("left", "nose"), ), (.1, .1, .2))
TURNED = KeypointSet(("dog", "cat"), ("nose", "right", "left"), (("right", "left"), ), (("nose", "right"), ),
                     (.2, .1, .1))


def make(folder, names, grey, val=False, category=1):
    """One image a split, with one object whose keypoint k is at (10 k, k) and occluded."""
    for number, split in enumerate(("train", "val") if val else ("train", )):
        path = folder / f"images/{split}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((60, 80, 3), grey + number, np.uint8))
        points = [(10 * k + 1, k + 1, 1) for k in range(len(names.keypoints))]
        save_coco(folder / f"{split}_coco.json", {
            "images": [coco_image(7, f"{split}.png", (80, 60))],
            "annotations": [coco_annotation(7, 7, category, (1, 1, 50, 50), points)],
            "categories": coco_categories(names)})
    return folder


def test_keypoints_are_put_in_order_by_name(tmp_path):
    result = merge([make(tmp_path / "a", EARS, 10, val=True), make(tmp_path / "b", TURNED, 20, category=2)],
                   tmp_path / "out")
    assert result.names == KeypointSet(("cat", "dog"), EARS.keypoints, EARS.swaps,
                                       (("left", "nose"), ("nose", "right")), EARS.sigmas)
    train, val = (load_coco(tmp_path / f"out/{split}_coco.json") for split in ("train", "val"))
    assert [image["file_name"] for image in train["images"]] == ["a/train.png", "b/train.png"]
    assert [a["id"] for a in [*train["annotations"], *val["annotations"]]] == [1, 2, 3]
    assert [a["image_id"] for a in [*train["annotations"], *val["annotations"]]] == [1, 2, 3]
    assert [a["category_id"] for a in train["annotations"]] == [1, 1], "cat was category 2 in b"
    assert train["annotations"][0]["keypoints"] == [1, 1, 1, 11, 2, 1, 21, 3, 1]
    assert train["annotations"][1]["keypoints"] == [21, 3, 1, 11, 2, 1, 1, 1, 1]
    for data in (train, val):
        assert coco_faults(data, "f", result.names, tmp_path / "out/images") == []


def test_missing_keypoints_are_a_fault_or_unlabelled(tmp_path):
    few = KeypointSet(("cat", ), ("nose", ))
    sources = [make(tmp_path / "a", EARS, 10), make(tmp_path / "b", few, 20)]
    with pytest.raises(FaultsError, match=r"b.train_coco.json: has no keypoint 'left', 'right'"):
        merge(sources, tmp_path / "out")
    result = merge(sources, tmp_path / "out", union=True)
    annotation = result.sides["train"]["annotations"][1]
    assert annotation["keypoints"] == [0, 0, 0, 0, 0, 0, 1, 1, 1] and annotation["num_keypoints"] == 1


def test_renaming(tmp_path):
    other = KeypointSet(("kitten", ), ("l", "right", "nose"), (("l", "right"), ), (), (.1, .1, .2))
    sources = [make(tmp_path / "a", EARS, 10), make(tmp_path / "b", other, 20)]
    result = merge(sources, tmp_path / "out", {"l": "left", "kitten": "cat"})
    assert result.names.keypoints == EARS.keypoints and result.names.classes == ("cat", )
    with pytest.raises(UserError, match="no class or keypoint is called 'tail'"):
        merge(sources, tmp_path / "other", {"tail": "x"})
    with pytest.raises(FaultsError, match="'nose' is listed 2 times"):
        merge(sources, tmp_path / "other", {"right": "nose"})


def test_contradictions_come_all_at_once(tmp_path):
    other = KeypointSet(("cat", ), EARS.keypoints, (("left", "nose"), ), (), (.1, .1, .3))
    with pytest.raises(FaultsError) as error:
        merge([make(tmp_path / "a", EARS, 10), make(tmp_path / "b", other, 20)], tmp_path / "out")
    said = str(error.value)
    assert "swaps 'left' with 'nose'; before it was 'right'" in said and "sigma of 'nose' is 0.3" in said
    assert not (tmp_path / "out").exists()


def test_the_same_picture_twice(tmp_path):
    sources = [make(tmp_path / "a", EARS, 10), make(tmp_path / "b", EARS, 10)]
    with pytest.raises(FaultsError, match=r"\(train\) is the same picture as .*a.images.train\.png \(train\)"):
        merge(sources, tmp_path / "out")
    assert len(merge(sources, tmp_path / "out", keep_duplicates=True).sides["train"]["images"]) == 2


def test_a_picture_in_two_splits_of_one_set(tmp_path):
    sources = [make(tmp_path / "a", EARS, 10), make(tmp_path / "b", EARS, 20)]
    save_coco(tmp_path / "a/val_coco.json", load_coco(tmp_path / "a/train_coco.json"))
    with pytest.raises(FaultsError, match=r"train\.png: \(val\) is the same picture as .*train\.png \(train\)"):
        merge(sources, tmp_path / "out")
    merged = merge(sources, tmp_path / "out", keep_duplicates=True)
    assert {split: len(data["images"]) for split, data in merged.sides.items()} == {"train": 2, "val": 1}


def test_folders_of_one_name_are_kept_apart(tmp_path):
    sources = [make(tmp_path / "x/data", EARS, 10), make(tmp_path / "y/data", EARS, 20)]
    names = [image["file_name"] for image in merge(sources, tmp_path / "out").sides["train"]["images"]]
    assert names == ["data/train.png", "data_2/train.png"]


def test_faulty_sources_are_refused(tmp_path):
    sources = [make(tmp_path / "a", EARS, 10), make(tmp_path / "b", EARS, 20)]
    data = json.loads((tmp_path / "b/train_coco.json").read_text())
    data["annotations"][0]["area"] = 0
    (tmp_path / "b/train_coco.json").write_text(json.dumps(data))
    with pytest.raises(FaultsError, match="area is 0"):
        merge(sources, tmp_path / "out")
    with pytest.raises(UserError, match="at least two"):
        merge(sources[:1], tmp_path / "out")
    with pytest.raises(UserError, match="is named twice"):
        merge([sources[0], tmp_path / "b/../a"], tmp_path / "out")
    with pytest.raises(UserError, match="which would be lost"):
        merge(sources, tmp_path / "a", overwrite=True)


def test_the_command(tmp_path, capsys):
    a, b = make(tmp_path / "a", EARS, 10), make(tmp_path / "b", EARS, 20)
    assert merge_coco.main([str(a), str(b), "--out", str(tmp_path / "out")]) == 0
    assert "keypoint nose" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        merge_coco.main([str(a), str(b), "--out", str(tmp_path / "x"), "--rename", "nose"])
