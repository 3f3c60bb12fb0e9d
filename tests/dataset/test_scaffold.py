import json
import shutil
from pathlib import Path

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.scaffold import (
    CONFIGS,
    Facts,
    default_data_root,
    facts_from_coco,
    facts_from_labelme,
    guess_swaps,
    missing_data,
    new_dataset,
)
from pose_tools.formats.coco import save_coco
from pose_tools.formats.schema import KeypointSet, read_meta

CAT = KeypointSet(classes=("cat", ), keypoints=("nose", "ear-l", "ear-r"), swaps=(("ear-l", "ear-r"), ),
                  links=(("nose", "ear-r"), ), sigmas=(.1, .2, .2))


def labelme(folder, *shapes):
    folder.mkdir(exist_ok=True)
    content = {"shapes": [{"label": label, "shape_type": kind, "points": points} for label, kind, points in shapes]}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(("names", "pairs"), [
    (["left-eye", "right-eye", "nose"], [("left-eye", "right-eye")]),
    (["RightHand", "LeftHand"], [("LeftHand", "RightHand")]),
    (["l_hip", "r_hip"], [("l_hip", "r_hip")]),
    (["hip-R", "hip-L"], [("hip-L", "hip-R")]),
    (["front_l_wheel", "front_r_wheel"], [("front_l_wheel", "front_r_wheel")]),
    (["左眼", "右眼"], [("左眼", "右眼")]),
    (["tail", "tair", "left"], []),
    (["wheel-right", "wheel-top"], []),
    (["lamp", "ramp"], []),
])
def test_swaps_are_guessed_from_names(names, pairs):
    assert guess_swaps(names) == tuple(pairs)


def test_a_meta_file_gives_back_its_facts(tmp_path):
    written = new_dataset("my-cat_2", Facts(CAT), "data/elsewhere", tmp_path)
    assert read_meta(tmp_path / "_base_/my-cat_2/meta.py") == CAT
    assert len(written) == 11 and all(path.is_file() for path in written)
    text = (tmp_path / "_base_/my-cat_2/meta.py").read_text()
    assert "data_root = 'data/elsewhere/'" in text and "dataset_name = 'my-cat_2'" in text
    template = (CONFIGS / "_base_/carpose/meta.py").read_text()
    assert text.endswith(template[template.index("# ---- derived"):])


def test_the_derived_part_runs(tmp_path):
    new_dataset("cat", Facts(CAT), "data/cat", tmp_path)
    values = {}
    exec((tmp_path / "_base_/cat/meta.py").read_text(), values)
    assert values["num_keypoints"] == 3 and values["dataset_info"]["keypoint_info"][1]["swap"] == "ear-r"


def test_eight_configs_that_name_only_the_new_set(tmp_path):
    new_dataset("my-cat", Facts(CAT), "data/my-cat", tmp_path)
    leaves = sorted(path.name for path in tmp_path.glob("*.py"))
    assert leaves == sorted([f"rtmdet-{s}-my-cat.py" for s in ("tiny", "s", "m", "l")]
                            + [f"rtmpose-{s}-my-cat.py" for s in ("s", "m", "l", "x")])
    for path in [*tmp_path.glob("*.py"), *(tmp_path / "_base_/my-cat").glob("*.py")]:
        assert "carpose" not in path.read_text(), path


def test_the_configs_load(tmp_path):
    mmengine = pytest.importorskip("mmengine")
    shutil.copytree(CONFIGS, tmp_path / "configs")
    new_dataset("my-cat", Facts(CAT), "data/my-cat", tmp_path / "configs")
    for name in ("rtmdet-tiny-my-cat", "rtmpose-s-my-cat"):
        cfg = mmengine.Config.fromfile(str(tmp_path / f"configs/{name}.py"), import_custom_modules=False)
        assert cfg.num_keypoints == 3 and cfg.train_dataloader.dataset.data_root == "data/my-cat/"


def test_nothing_is_replaced_without_force(tmp_path):
    new_dataset("cat", Facts(CAT), "data/cat", tmp_path)
    meta = tmp_path / "_base_/cat/meta.py"
    meta.write_text("mine")
    with pytest.raises(FaultsError, match="--force") as caught:
        new_dataset("cat", Facts(CAT), "data/cat", tmp_path)
    assert len(caught.value.faults) == 11 and meta.read_text() == "mine"
    new_dataset("cat", Facts(CAT), "data/cat", tmp_path, force=True)
    assert read_meta(meta) == CAT


@pytest.mark.parametrize("name", ["Cat", "2cats", "my cat", "", "a/b", "a.b", "..", "katze-ß", "carpose"])
def test_names_that_would_break_paths(tmp_path, name):
    with pytest.raises(UserError, match="cannot be a name here|choose another name"):
        new_dataset(name, Facts(CAT), "data/cat", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_facts_from_coco_are_completed_and_said(tmp_path):
    category = {"id": 1, "name": "cat", "keypoints": ["left-ear", "right-ear"], "skeleton": [[1, 2], [0, 1]]}
    save_coco(tmp_path / "c.json", {"images": [], "annotations": [], "categories": [category]})
    facts = facts_from_coco(tmp_path / "c.json")
    assert facts.names == KeypointSet(
        classes=("cat", ), keypoints=("left-ear", "right-ear"), swaps=(("left-ear", "right-ear"), ),
        links=(("left-ear", "right-ear"), ), sigmas=(.05, .05))
    notes = "\n".join(facts.notes)
    assert "[[0, 1]]" in notes and "left-ear <-> right-ear" in notes and "0.05 for every keypoint" in notes


def test_facts_that_coco_gives_are_not_guessed(tmp_path):
    category = {"id": 1, "name": "cat", "keypoints": ["left-ear", "right-ear", "x"], "skeleton": [[1, 2]],
                "sigmas": [.1, .2, .3], "swap": [["left-ear", "x"]]}
    save_coco(tmp_path / "c.json", {"images": [], "annotations": [], "categories": [category]})
    facts = facts_from_coco(tmp_path / "c.json")
    assert facts.names.swaps == (("left-ear", "x"), ) and facts.names.sigmas == (.1, .2, .3) and not facts.notes


@pytest.mark.parametrize(("side", "mirror"), [(1.0, False), (0.5, True)])
def test_objects_that_never_occur_mirrored_are_not_mirrored(tmp_path, side, mirror):
    category = {"id": 1, "name": "clock", "keypoints": ["twelve", "three"]}
    pose = [20, 0, 2, 40 * side, 20, 2]
    annotations = [{"id": n + 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0,
                    "keypoints": pose, "num_keypoints": 2, "segmentation": []} for n in range(12)]
    images = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 40}]
    save_coco(tmp_path / "c.json", {"images": images, "annotations": annotations, "categories": [category]})
    facts = facts_from_coco(tmp_path / "c.json")
    assert facts.names.mirror is mirror
    assert any(note.startswith("mirror: False") for note in facts.notes) is not mirror


def test_a_coco_file_without_keypoints(tmp_path):
    save_coco(tmp_path / "c.json", {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]})
    with pytest.raises(UserError, match="names no keypoints"):
        facts_from_coco(tmp_path / "c.json")


def test_facts_from_labelme(tmp_path):
    folder = labelme(tmp_path / "src", ("p10", "point", [[1, 1]]), ("p2", "point", [[1, 1]]),
                     ("cat", "rectangle", [[0, 0], [4, 4]]))
    facts = facts_from_labelme(folder)
    assert facts.names.keypoints == ("p2", "p10") and facts.names.classes == ("cat", )
    assert any("swaps, guessed from the names: none" in note for note in facts.notes)


def test_facts_from_labelme_without_boxes_or_points(tmp_path):
    facts = facts_from_labelme(labelme(tmp_path / "src", ("p", "point", [[1, 1]])))
    assert facts.names.classes == ("object", )
    with pytest.raises(UserError, match="has a point"):
        facts_from_labelme(labelme(tmp_path / "src", ("cat", "rectangle", [[0, 0], [4, 4]])))
    with pytest.raises(UserError, match="no such folder"):
        facts_from_labelme(tmp_path / "none")


def test_a_name_with_quotes_survives(tmp_path):
    odd = KeypointSet(classes=("it's", ), keypoints=('a"b', "c\\d", "鼻"), sigmas=(.1, .1, .1))
    new_dataset("odd", Facts(odd), "data/odd", tmp_path)
    assert read_meta(Path(tmp_path / "_base_/odd/meta.py")) == odd


def test_guessed_pairs_have_left_before_right():
    assert guess_swaps(["r_ear", "nose", "l_ear", "右眼", "左眼", "Right Foot", "Left Foot"]) == (
        ("l_ear", "r_ear"), ("左眼", "右眼"), ("Left Foot", "Right Foot"))


def test_the_data_root_is_where_the_training_file_is(tmp_path, root):
    assert default_data_root("cat", None) == "data/cat"
    assert default_data_root("cat", tmp_path / "all.json") == "data/cat"
    assert default_data_root("cat", tmp_path / "train_coco.json") == tmp_path.as_posix()
    assert default_data_root("cat", root / "data/cats/train_coco.json") == "data/cats"
    assert missing_data(str(tmp_path)) == ["train_coco.json", "val_coco.json", "images/"]
    (tmp_path / "images").mkdir()
    assert missing_data(str(tmp_path)) == ["train_coco.json", "val_coco.json"]
