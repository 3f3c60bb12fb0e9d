"""The doctor as a command: what it prints, its exit codes, JSON and --fix."""
import json
import shutil

import pytest

from pose_tools import check_coco
from pose_tools.console import UserError, run
from pose_tools.dataset.doctor.rules import RULES
from pose_tools.dataset.findings import ERROR
from pose_tools.formats.coco import load_coco, save_coco


@pytest.fixture
def spoiled(cars, tmp_path):
    """A copy of the rendered cars with three things wrong, two of which can be mended."""
    folder = tmp_path / "autos"
    shutil.copytree(cars, folder)
    data = load_coco(folder / "train_coco.json")
    first, second, third = data["annotations"][:3]
    first["area"] = 1
    second["num_keypoints"] += 3
    third["category_id"] = 77
    save_coco(folder / "train_coco.json", data)
    return folder


def check(*words):
    return check_coco.main([*map(str, words)])


def findings(capsys, *words):
    code = check(*words, "--json")
    return code, json.loads(capsys.readouterr().out)


def test_rendered_cars_are_sound(cars, capsys, root):
    assert check(cars, "--meta", root / "configs/_base_/carpose/meta.py", "--verify-images") == 0
    assert "0 errors" in capsys.readouterr().out


def test_errors_give_exit_code_1_and_name_rule_file_and_annotation(spoiled, capsys):
    assert check(spoiled) == 1
    out = capsys.readouterr().out
    assert "area  1 x" in out and "train_coco.json: annotation 1 in " in out and "3 errors" in out
    code, told = findings(capsys, spoiled)
    assert code == 1 and told["errors"] == 3
    assert {name for name in told["rules"] if RULES[name].level == ERROR} == {"area", "num-keypoints", "dangling-id"}
    area = next(f for f in told["findings"] if f["rule"] == "area")
    assert area["annotation"] == 1 and area["level"] == "error" and area["file"].endswith("train_coco.json")


def test_warnings_count_with_strict_only(cars, capsys):
    words = (cars, "--input-size", 256, 64)  # cars are not that flat
    assert check(*words) == 0 and check(*words, "--strict") == 1
    assert "aspect" in capsys.readouterr().out
    code, told = findings(capsys, *words, "--strict", "--ignore", *RULES)
    assert (code, told["findings"]) == (0, [])


def test_fix_writes_new_files_and_tells_what_is_left(spoiled, capsys):
    before = (spoiled / "train_coco.json").read_bytes()
    assert check(spoiled, "--fix") == 1, "the dangling id is left"
    out = capsys.readouterr().out
    assert "mended 2 things" in out and "1 error left" in out and "area" not in out.split("looked at")[0]
    assert (spoiled / "train_coco.json").read_bytes() == before
    assert not (spoiled / "val_coco.fixed.json").exists(), "there was nothing to mend"
    log = (spoiled / "train_coco.fixed.log").read_text(encoding="utf-8").splitlines()
    assert len(log) == 2 and log[0].startswith("area: annotation 1 in ")
    old, new = load_coco(spoiled / "train_coco.json"), load_coco(spoiled / "train_coco.fixed.json")
    box = old["annotations"][0]["bbox"]
    assert new["annotations"][0]["area"] == box[2] * box[3]
    assert new["annotations"][2:] == old["annotations"][2:] and new["images"] == old["images"]
    with pytest.raises(UserError, match="train_coco.fixed.json: exists; replace it with --overwrite"):
        check(spoiled, "--fix")
    check(spoiled, "--fix", "--overwrite")


def test_a_mended_file_is_sound_and_stays_so(spoiled, tmp_path, capsys):
    data = load_coco(spoiled / "train_coco.json")
    data["annotations"][2]["category_id"] = 1
    save_coco(spoiled / "train_coco.json", data)
    assert check(spoiled, "--fix-to", tmp_path / "new") == 0
    assert "0 errors left" in capsys.readouterr().out
    fixed = tmp_path / "new/train_coco.fixed.json"
    assert check(fixed, "--images", spoiled / "images", "--fix") == 0
    assert "wrote" not in capsys.readouterr().out


def test_what_json_cannot_hold_is_not_written(spoiled):
    data = load_coco(spoiled / "train_coco.json")
    data["annotations"][0]["keypoints"][:3] = [float("nan"), 5, 2]
    (spoiled / "train_coco.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError, match="holds NaN or infinity"):
        check(spoiled, "--fix")
    assert not list(spoiled.glob("*.fixed.*"))


def test_nothing_is_written_when_one_of_the_files_cannot_be(spoiled, tmp_path, capsys):
    shutil.copytree(spoiled, tmp_path / "other")
    both = spoiled / "train_coco.json", tmp_path / "other/train_coco.json"
    with pytest.raises(UserError, match="would be written for two files"):
        check(*both, "--fix-to", tmp_path / "new")
    data = load_coco(both[1])
    data["info"] = {"description": "\ud800"}
    both[1].write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError, match="half a character"):
        check(*both, "--fix")
    assert not [*tmp_path.rglob("*.fixed.*")]


def test_a_missing_image_and_a_leak(spoiled, capsys):
    train, val = load_coco(spoiled / "train_coco.json"), load_coco(spoiled / "val_coco.json")
    (spoiled / "images" / train["images"][0]["file_name"]).unlink()
    val["images"][0]["file_name"] = train["images"][1]["file_name"]
    save_coco(spoiled / "val_coco.json", val)
    _, told = findings(capsys, spoiled)
    assert told["rules"]["image-missing"] == 1 and told["rules"]["leak"] == 1
    _, told = findings(capsys, spoiled, "--no-images")
    assert "image-missing" not in told["rules"] and told["rules"]["leak"] == 1


def test_categories_that_contradict_each_other_are_told_and_the_rest_is_checked(spoiled, capsys):
    data = load_coco(spoiled / "train_coco.json")
    data["categories"].append({"id": 2, "name": "bus", "keypoints": ["door"]})
    save_coco(spoiled / "train_coco.json", data)
    code, told = findings(capsys, spoiled)
    assert code == 1 and told["rules"]["keypoint-names"] == 1 and told["rules"]["area"] == 1


def test_wrong_use_is_one_line(capsys, cars):
    assert run(check_coco.main, []) == 1
    assert run(check_coco.main, [str(cars), "--ignore", "everything"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and "no such rule: everything" in err[1]


def test_the_rules_are_listed(capsys):
    assert check("--rules") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(RULES)


@pytest.mark.parametrize(("name", "rules"), [
    ("ap10k/test_ap10k", set()), ("animalpose/test_animalpose", set()), ("coco/test_coco", set()),
    ("onehand10k/test_onehand10k", {"num-keypoints"}), ("crowdpose/test_crowdpose", {"num-keypoints", "area"}),
])
def test_real_files_have_the_errors_that_are_known(real_data, tmp_path, capsys, name, rules):
    source = real_data / f"coco_small/{name}.json"
    code, told = findings(capsys, source, "--verify-images")
    assert {f["rule"] for f in told["findings"] if f["level"] == "error"} == rules and code == bool(rules)
    if rules:
        code, told = findings(capsys, source, "--fix-to", tmp_path)
        assert (code, told["errors"]) == (0, 0) and told["changes"] and len(told["written"]) == 2
