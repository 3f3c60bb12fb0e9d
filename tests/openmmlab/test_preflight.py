import json
import shutil

import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import FaultsError
from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.preflight import check_before_run


@pytest.fixture
def data(cars, tmp_path):
    return shutil.copytree(cars, tmp_path / "data")


def config(root, data, name):
    """A config of ours reading another folder."""
    cfg = load_config(root / f"configs/{name}.py")
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_root = f"{data}/"
    return cfg


def edit(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", ["rtmdet-tiny-carpose", "rtmpose-s-carpose"])
def test_sound_data_is_counted(root, data, name):
    counts = check_before_run(config(root, data, name))
    train = json.loads((data / "train_coco.json").read_text(encoding="utf-8"))
    assert counts["train"].images == len(train["images"]) == 9
    assert counts["train"].instances == sum(1 for a in train["annotations"] if a["num_keypoints"]) > 0
    assert counts["val"].images == 3


def test_all_faults_of_both_files_come_at_once(root, data):
    edit(data / "train_coco.json", lambda c: c["annotations"][0].update(area=1))
    edit(data / "val_coco.json", lambda c: c["categories"][0].update(name="Car"))
    next((data / "images").glob("*.jpg")).unlink()
    with pytest.raises(FaultsError) as caught:
        check_before_run(config(root, data, "rtmpose-s-carpose"))
    said = str(caught.value)
    assert "area" in said and "Car" in said and ".jpg" in said
    assert "train_coco.json" in said and "val_coco.json" in said


def test_missing_files_say_how_to_make_them(root, data):
    (data / "train_coco.json").unlink()
    with pytest.raises(FaultsError, match="labelme2coco"):
        check_before_run(config(root, data, "rtmdet-tiny-carpose"))


def test_keypoints_in_another_order_are_found(root, data):
    def reverse(content):
        content["categories"][0]["keypoints"].reverse()

    edit(data / "train_coco.json", reverse)
    with pytest.raises(FaultsError, match="keypoints"):
        check_before_run(config(root, data, "rtmpose-s-carpose"))


def test_nothing_labelled_is_found(root, data):
    def unlabel(content):
        for annotation in content["annotations"]:
            annotation.update(keypoints=[0] * 24, num_keypoints=0)

    edit(data / "train_coco.json", unlabel)
    with pytest.raises(FaultsError, match="nothing to learn from"):
        check_before_run(config(root, data, "rtmpose-s-carpose"))
    assert check_before_run(config(root, data, "rtmdet-tiny-carpose"))["train"].instances == 0


def test_mirroring_in_vain_is_noticed(root, data):
    def always_the_same_way_round(content):
        for image in range(12):
            content["annotations"].append(dict(
                content["annotations"][0], id=9000 + image, bbox=[0, 0, 40, 20], area=800.,
                keypoints=[v for k in range(8) for v in (5 * k, 2 * k, 2)], num_keypoints=8, segmentation=[]))
        content["annotations"] = content["annotations"][-12:]

    edit(data / "train_coco.json", always_the_same_way_round)
    cfg = config(root, data, "rtmpose-s-carpose")
    assert not check_before_run(cfg, ["train"])["train"].mirror_in_vain  # there are swap pairs
    for file in (data / "train_coco.json", ):
        edit(file, lambda content: content["categories"][0].pop("swap", None))
    cfg.swaps = ()
    assert check_before_run(cfg, ["train"])["train"].mirror_in_vain
    detector = config(root, data, "rtmdet-tiny-carpose")
    detector.swaps = ()
    assert not check_before_run(detector, ["train"])["train"].mirror_in_vain
    cfg.mirror = False
    assert not check_before_run(cfg, ["train"])["train"].mirror_in_vain
