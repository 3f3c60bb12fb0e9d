import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.coco_folder import split_of
from pose_tools.dataset.data_set import find_keypoint_set, find_meta, read_data_set, unlike_its_config
from pose_tools.formats.coco import save_coco
from pose_tools.formats.schema import KeypointSet

DATA = {"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "annotations": [],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}]}
META = "classes = ('dog', )\nkeypoints = ('snout', )\n"


@pytest.mark.parametrize(("name", "split"), [
    ("train_coco.json", "train"), ("person_keypoints_val2017.json", "val"), ("instances_default.json",
                                                                             "instances_default"),
    ("valid.json", "val"), ("my_testing-set.json", "test"), ("_annotations.coco.json", "_annotations.coco"),
    ("retrained.json", "retrained"),
])
def test_splits_by_name(tmp_path, name, split):
    assert split_of(tmp_path / name) == split


def test_a_folder_and_its_files_are_the_same_set(tmp_path):
    root = tmp_path / "set"  # beside nothing else: pictures are looked for in the folders next to it, too
    for split in ("train", "val"):
        save_coco(root / f"{split}_coco.json", DATA)
    whole = read_data_set([root])
    assert list(whole.files) == ["train", "val"] and whole.images == dict.fromkeys(whole.files, root / "images")
    assert read_data_set(sorted(root.glob("*.json"))) == whole
    assert whole.image_path("val", whole.sides["val"]["images"][0]) == root / "images/a.jpg"


@pytest.mark.parametrize("place", ["images", ".", "..", "pictures", "../val2017"])
def test_images_are_found_near_the_file(tmp_path, place):
    home = tmp_path / "set/annotations"
    save_coco(home / "val.json", DATA)
    folder = (home / place).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jpg").touch()
    assert read_data_set([home / "val.json"]).images["val"].resolve() == folder


def test_files_of_one_split_keep_apart(tmp_path):
    save_coco(tmp_path / "a/train_coco.json", DATA)
    save_coco(tmp_path / "b/train_coco.json", DATA)
    assert list(read_data_set([tmp_path / "a", tmp_path / "b"]).files) == ["train", str(tmp_path / "b/train_coco.json")]


def test_what_cannot_be_read_is_told_together(tmp_path):
    (tmp_path / "train_coco.json").write_text("{", encoding="utf-8")
    (tmp_path / "val_coco.json").write_text("[]", encoding="utf-8")
    with pytest.raises(FaultsError) as error:
        read_data_set([tmp_path])
    assert len(error.value.faults) == 2
    with pytest.raises(UserError, match="no such file"):
        read_data_set([tmp_path / "nothing"])
    with pytest.raises(UserError, match="no such folder of images"):
        read_data_set([tmp_path], tmp_path / "nothing")


def test_the_config_of_the_same_name_tells_the_keypoints(tmp_path):
    save_coco(tmp_path / "data/dogs/train_coco.json", DATA)
    meta = tmp_path / "configs/_base_/dogs/meta.py"
    meta.parent.mkdir(parents=True)
    meta.write_text(META, encoding="utf-8")
    data_set = read_data_set([tmp_path / "data/dogs"])
    names, source = find_keypoint_set(data_set, configs=tmp_path / "configs")
    assert (names.keypoints, source) == (("snout", ), str(meta))
    names, source = find_keypoint_set(data_set, configs=tmp_path / "none")
    assert (names.keypoints, source) == (("nose", "tail"), "")
    assert find_meta(data_set, configs=tmp_path / "none") == (None, "")
    assert find_meta(data_set, meta, tmp_path / "none")[0].classes == ("dog", )


def test_data_that_does_not_fit_the_config_of_its_name_is_told(tmp_path):
    meta = tmp_path / "configs/_base_/dogs/meta.py"
    meta.parent.mkdir(parents=True)
    meta.write_text(META, encoding="utf-8")
    fitting, other = KeypointSet(("dog", ), ("snout", )), KeypointSet(("dog", ), ("nose", ))
    assert unlike_its_config(tmp_path / "data/dogs", fitting, tmp_path / "configs") == []
    assert unlike_its_config(tmp_path / "data/cats", other, tmp_path / "configs") == []
    (line, ) = unlike_its_config(tmp_path / "data/dogs", other, tmp_path / "configs")
    assert line.startswith("warning:") and line.endswith(f"--meta {meta}")
