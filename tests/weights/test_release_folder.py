"""A release folder: whole or not there, the same bytes every time, nothing of the machine, and a catalog."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from release_models import ROOT, SCORES, dataset_meta, save_run, small_config

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import FaultsError, UserError, run
from pose_tools.weights import fetch
from pose_tools.weights.catalog import read_catalog
from pose_tools.weights.hashes import read_sums, sha256_of
from pose_tools.weights.release import command, folder, publish
from tools import publish_model

KINDS = ("pose", "detector")
NAMES = {"pose": "rtmpose-s-carpose", "detector": "rtmdet-tiny-carpose"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    work = tmp_path_factory.mktemp("runs")
    return {kind: save_run(work, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def releases(runs, picture, tmp_path_factory):
    """One of each kind, with everything."""
    made = {}
    for kind in KINDS:
        made[kind] = tmp_path_factory.mktemp("releases") / kind
        assert publish_model.main([str(runs[kind]), "--local-dir", str(made[kind]), "--licence", "Apache-2.0",
                                   "--safetensors", "--sample-images", str(picture)]) == 0
    return made


def contents(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def one(path, pattern):
    [found] = path.glob(pattern)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_it(kind, releases):
    names = [re.sub("[0-9a-f]{8}", "<sha8>", name) for name in sorted(os.listdir(releases[kind]))]
    name = NAMES[kind]
    assert sorted(names) == sorted(["README.md", "SHA256SUMS", "catalog.yaml", f"{name}-<sha8>_<sha8>.pth",
                                    f"{name}-<sha8>.safetensors", f"{name}.py", "sample.jpg"])
    assert one(releases[kind], "*.pth").name.endswith("_20250314.pth")
    sums = read_sums(releases[kind])
    assert sums == {file: hashlib.sha256(data).hexdigest() for file, data in contents(releases[kind]).items()
                    if file != "SHA256SUMS"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_config_is_the_checkpoints(kind, releases):
    from mmengine import Config

    text = one(releases[kind], "*.py").read_text(encoding="utf-8")
    embedded = torch.load(one(releases[kind], "*.pth"), weights_only=True)["meta"]["cfg"]
    assert text == embedded.rstrip("\n") + "\n"
    assert Config.fromfile(str(one(releases[kind], "*.py"))).work_dir == f"work_dirs/{NAMES[kind]}"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_catalog_from_which_weights_and_config_are_fetched(kind, releases, tmp_path):
    name = NAMES[kind]
    entries = yaml.safe_load((releases[kind] / "catalog.yaml").read_text(encoding="utf-8"))
    assert list(entries) == [name, f"{name}-safetensors"]
    assert entries[name]["metrics"] == {key: value for key, value in SCORES[kind].items() if value >= 0}
    assert (entries[name]["licence"], entries[name]["places"]) == ("Apache-2.0", ["."])
    assert entries[name]["task"] == {"pose": "pose", "detector": "detection"}[kind]
    for entry in entries.values():
        for file in entry["files"]:
            assert file["sha256"] == sha256_of(releases[kind] / file["path"])
            assert file["size"] == (releases[kind] / file["path"]).stat().st_size
    got = fetch(name, tmp_path, releases[kind])
    assert got[0].name == one(releases[kind], "*.pth").name and got[0].parent == tmp_path / name
    fetch(f"{name}-safetensors", tmp_path, releases[kind])
    before, after = contents(releases[kind]), contents(tmp_path / name)
    assert after.pop("SHA256SUMS") and after == {
        file: data for file, data in before.items() if file.endswith((".pth", ".safetensors", ".py"))}


def test_a_card_that_was_corrected_does_not_keep_anybody_from_the_weights(releases, tmp_path):
    shutil.copytree(releases["pose"], tmp_path / "release")
    (tmp_path / "release/README.md").write_text("corrected")
    assert fetch(NAMES["pose"], tmp_path / "got", tmp_path / "release")[0].is_file()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_it_predicts_by_the_lines_of_its_card(kind, form, releases, picture, monkeypatch, tmp_path):
    card = (releases[kind] / "README.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    if form == "safetensors":
        lines = lines.replace(one(releases[kind], "*.pth").name, one(releases[kind], "*.safetensors").name)
    cv2.imwrite(str(tmp_path / "photo.jpg"), cv2.imread(str(picture)))
    monkeypatch.chdir(releases[kind])
    names = {}
    exec(lines.replace('"photo.jpg"', repr(str(tmp_path / "photo.jpg"))), names)
    if kind == "pose":
        assert names["found"].keypoints.shape == (1, 8, 2)
    else:
        assert names["found"].bboxes.shape[1] == 4


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_find_the_same(kind, releases):
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
    from pose_tools.weights.embedded import parse_config_text
    from pose_tools.weights.release.same_outputs import model_outputs

    outputs = []
    for ending in ("pth", "safetensors"):
        loaded = load_checkpoint_file(one(releases[kind], f"*.{ending}"))
        outputs.append(model_outputs(parse_config_text(loaded["meta"]["cfg"], "x"), loaded["state_dict"], Path("x")))
    assert outputs[0] and all(map(torch.equal, *outputs))


@pytest.mark.slow
def test_a_release_tests_and_predicts_as_safetensors(releases, cars, tmp_path):
    from pose_tools import predict
    from pose_tools.openmmlab.testing import TestOptions, test

    file = one(releases["pose"], "*.safetensors")
    photo = sorted((cars / "images").iterdir())[0]
    assert predict.main([str(photo), "--pose", str(file), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert len(json.loads((tmp_path / "out/predictions.json").read_text())) == 1
    options = {"test_dataloader.dataset.data_root": f"{cars}/", "test_evaluator.ann_file": f"{cars}/val_coco.json",
               "test_dataloader.num_workers": 0}
    scores = [test(TestOptions(one(releases["pose"], "*.py"), each, tmp_path / each.suffix[1:], device="cpu",
                               options=options))["metrics"] for each in (file, one(releases["pose"], "*.pth"))]
    assert scores[0] == scores[1] and "coco/AP" in scores[0]


def test_the_card_says_what_the_run_said(releases):
    card = (releases["pose"] / "README.md").read_text(encoding="utf-8")
    for line in ("| 4 | right-front-bumper | left-front-bumper | 0.05 | #3399FF |",
                 "Scores of these weights, on `data/carpose/val_coco.json`.", "| `coco/AP` | 0.625 |",
                 "| `coco/AP (M)` | nothing to count |", "| length | epoch 2 of 2, 6 steps |",
                 "| started from | nothing (from scratch) |", "| saved on | 2025-03-14 |", "| seed | 3 |",
                 "![What this model finds, each picture taken for one object.](sample.jpg)", "Apache-2.0"):
        assert line in card, line
    detectors = (releases["detector"] / "README.md").read_text(encoding="utf-8")
    assert "![What this model finds.](sample.jpg)" in detectors
    assert "A detector: finds objects (car) and the boxes around them." in detectors


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_is_what_predict_draws(kind, releases, picture):
    drawn = cv2.imread(str(releases[kind] / "sample.jpg"))
    assert drawn.shape == (80, 100, 3)
    if kind == "pose":
        plain = cv2.imdecode(cv2.imencode(".jpg", cv2.imread(str(picture)), [cv2.IMWRITE_JPEG_QUALITY, 92])[1], 1)
        assert (drawn != plain).any(axis=2).mean() > 0.01


class NoToday:
    @staticmethod
    def today():
        raise AssertionError("the day of publishing counts")


@pytest.mark.parametrize("kind", KINDS)
def test_made_again_it_is_the_same(kind, runs, releases, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(publish.datetime, "date", NoToday)
    monkeypatch.chdir(tmp_path)
    words = [str(runs[kind]), "--local-dir", "again", "--licence", "Apache-2.0", "--safetensors",
             "--sample-images", os.path.relpath(picture)]
    for _ in range(2):  # the second takes the place of the first
        assert publish_model.main(words) == 0
    assert contents(tmp_path / "again") == contents(releases[kind])


@pytest.mark.slow
def test_another_process_another_day_another_zone(runs, releases, picture, tmp_path):
    """The day is another one in each of the two zones at any moment."""
    for zone, seed in (("Etc/GMT+12", "1"), ("Etc/GMT-14", "2")):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools/publish_model.py"), str(runs["pose"]), "--local-dir", zone[-2:],
             "--licence", "Apache-2.0", "--safetensors", "--sample-images", str(picture)], cwd=tmp_path,
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LANG": "C", "OMP_NUM_THREADS": seed},
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert contents(tmp_path / zone[-2:]) == contents(releases["pose"])


def test_from_a_published_file_it_is_the_same(releases, picture, tmp_path):
    published = one(releases["pose"], "*.pth")
    assert publish_model.main([str(published), str(tmp_path / "copies") + "/", "--local-dir", str(tmp_path / "again"),
                               "--licence", "Apache-2.0", "--safetensors", "--sample-images", str(picture)]) == 0
    assert contents(tmp_path / "again") == contents(releases["pose"])
    assert contents(tmp_path / "copies") == {published.name: published.read_bytes()}


def test_nothing_of_the_machine_is_in_it(tmp_path):
    cfg = small_config("pose")
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        cfg[loader].dataset.data_root = "/home/bobby/photos/cars/"
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = "/home/bobby/photos/cars/val_coco.json"
    cfg.data_root, cfg.work_dir, cfg.load_from = "/home/bobby/photos/cars/", "/home/bobby/runs/x", "/home/bobby/s.pth"
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type="PretrainedHook", checkpoint="C:\\Users\\bobby\\w-12345678.pth")]
    cfg.from_scratch = False
    source = save_run(tmp_path / "runs", "pose", cfg)
    (tmp_path / "metrics.json").write_text(json.dumps({
        "checkpoint": f"/home/bobby/{source.name}", "annotations": "/home/bobby/photos/cars/val_coco.json",
        "metrics": {"coco/AP": 0.5}, "boxes": "/home/bobby/results.json"}))
    assert publish_model.main([str(source), "--local-dir", str(tmp_path / "out"), "--safetensors", "--metrics",
                               str(tmp_path / "metrics.json")]) == 0
    made = contents(tmp_path / "out")
    assert b"bobby" in source.read_bytes()
    for name, data in made.items():
        assert b"bobby" not in data and str(tmp_path).encode() not in data, name
    card = made["README.md"].decode()
    assert "| started from | w-12345678.pth |" in card and "found by a detector" in card
    assert "Scores of these weights, on `val_coco.json`." in card


def test_a_file_published_with_paths_is_told_of(tmp_path, capsys):
    """As this project published before: with the whole report of a test as its scores."""
    content = torch.load(one_published(tmp_path), weights_only=True)
    content["meta"]["metrics"] = {"checkpoint": "/home/bobby/x.pth", "annotations": "data/carpose/val_coco.json",
                                  "metrics": {"coco/AP": 0.5}, "boxes": "ground truth"}
    content["meta"]["metrics_of"] = "these weights"
    torch.save(content, tmp_path / "old.pth")
    name = f"old-{sha256_of(tmp_path / 'old.pth')[:8]}_20240101.pth"
    (tmp_path / "old.pth").rename(tmp_path / name)
    capsys.readouterr()
    assert publish_model.main([str(tmp_path / name), "--local-dir", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "names paths of a machine (/home/bobby/x.pth)" in said
    made = contents(tmp_path / "out")
    assert made[name] == (tmp_path / name).read_bytes()
    assert [file for file, data in made.items() if b"bobby" in data] == [name]
    assert "on `data/carpose/val_coco.json`" in made["README.md"].decode()


def one_published(tmp_path):
    source = save_run(tmp_path / "runs", "pose")
    assert publish_model.main([str(source), str(tmp_path / "checkpoint") + "/"]) == 0
    return one(tmp_path / "checkpoint", "*.pth")


def test_work_of_the_users_is_not_replaced(runs, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(runs["pose"]), "--local-dir", str(out)]
    assert publish_model.main(words) == 0
    (out / "README.md").write_text("my own words")
    before = contents(out)
    assert run(publish_model.main, words) == 1
    assert f"{out / 'README.md'}: was changed since it was made" in capsys.readouterr().err
    (out / "notes").mkdir()
    (out / "notes/mine.txt").write_text("x")
    assert run(publish_model.main, words) == 1
    assert "mine.txt: is not of a release" in capsys.readouterr().err.replace("\\", "/")
    assert {**before, "notes/mine.txt": b"x"} == contents(out)
    assert publish_model.main([*words, "--overwrite"]) == 0
    assert "notes/mine.txt" not in contents(out) and contents(out)["README.md"] != b"my own words"


def test_a_folder_that_holds_the_source_is_not_replaced(runs, capsys):
    before = contents(runs["pose"].parent)
    assert run(publish_model.main, [str(runs["pose"]), "--local-dir", str(runs["pose"].parent), "--overwrite"]) == 1
    assert "would be lost" in capsys.readouterr().err
    assert contents(runs["pose"].parent) == before


@pytest.mark.parametrize("step", ["facts_of", "model_card", "catalog_text", "write_sums", "to_safetensors"])
def test_after_a_failure_the_release_before_is_there(step, runs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert publish_model.main([str(runs["pose"]), "--local-dir", str(out)]) == 0
    before = contents(out)

    def fail(*_args, **_more):
        raise UserError("as if")

    if step == "to_safetensors":
        monkeypatch.setattr("pose_tools.weights.release.safetensors_file.to_safetensors", fail)
    else:
        monkeypatch.setattr(folder, step, fail)
    words = [str(runs["pose"]), str(tmp_path / "new") + "/", "--local-dir", str(out), "--safetensors"]
    assert run(publish_model.main, words) == 1
    assert contents(out) == before and os.listdir(tmp_path) == ["out"]


def test_safetensors_that_differ_are_not_published(runs, tmp_path, monkeypatch):
    from pose_tools.weights.release import safetensors_file

    whole = safetensors_file.to_safetensors

    def corrupted(checkpoint):
        state = checkpoint["state_dict"]
        other = type(state)((name, tensor * 1.0001 if name == "head.final_layer.bias" else tensor)
                            for name, tensor in state.items())
        assert "head.final_layer.bias" in other
        return whole({**checkpoint, "state_dict": other})

    monkeypatch.setattr(safetensors_file, "to_safetensors", corrupted)
    with pytest.raises(UserError, match="other outputs"):
        publish_model.main([str(runs["pose"]), "--local-dir", str(tmp_path / "out"), "--safetensors"])
    assert os.listdir(tmp_path) == []


def test_everything_wrong_at_once(tmp_path, capsys):
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    words = [tmp_path / "none.pth", tmp_path / "a b", "--local-dir", tmp_path / "full", "--to", "hf:bob", "--config",
             tmp_path / "none.py", "--metrics", tmp_path / "bad.json", "--date", "2025-01-01", "--licence", "x" * 97,
             "--sample-images", tmp_path / "bad.jpg", "--det", tmp_path / "none-det.pth"]
    with pytest.raises(FaultsError) as caught:
        publish_model.main(list(map(str, words)))
    *said, last = str(caught.value).splitlines()
    assert len(said) == 10 and last == "nothing was written"
    for mark in ("none.pth: no such file", "a b: is no name", "x: is not of a release", "--to hf:bob: is no repository",
                 "none.py: no such config", "bad.json: is not JSON", "--date: '2025-01-01'", "--licence: ",
                 "bad.jpg: not a picture", "none-det.pth: no such file"):
        assert len([line for line in said if mark in line]) == 1, mark
    assert sorted(os.listdir(tmp_path)) == ["bad.jpg", "bad.json", "full"]


@pytest.mark.parametrize("words, said", [
    ((), "say where"), (("out", "--upload"), "need --to"), (("out", "--private"), "need --to"),
    (("--local-dir", "x", "--sample", "a", "--sample-images", "b"), "exclude each other"),
    (("--local-dir", "x", "--sample", "a", "--det", "b"), "--det needs"),
    (("out", "--licence", "MIT"), "release folder"),
    (("out", "--safetensors"), "release folder"), (("out", "--sample", "a"), "release folder")])
def test_options_that_do_not_go_together(words, said, capsys):
    with pytest.raises(SystemExit) as caught:
        publish_model.main(["in.pth", *words])
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_a_detector_needs_no_detector_for_its_sample(runs, releases, picture, tmp_path):
    with pytest.raises(UserError, match="is for the samples of a keypoint model"):
        publish_model.main([str(runs["detector"]), "--local-dir", str(tmp_path / "out"), "--sample-images",
                            str(picture), "--det", str(one(releases["detector"], "*.pth"))])
    assert os.listdir(tmp_path) == []


def test_a_sheet_of_four_and_a_detectors_boxes(runs, releases, cars, tmp_path):
    assert publish_model.main([str(runs["pose"]), "--local-dir", str(tmp_path / "out"), "--sample-images",
                               str(cars / "images"), "--det", str(one(releases["detector"], "*.pth"))]) == 0
    height, width = cv2.imread(str(tmp_path / "out/sample.jpg")).shape[:2]
    assert width == 2 * (640 + 8) + 8 and height == 2 * (480 + 8) + 8
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "![What this model finds in the boxes of a detector.](sample.jpg)" in card


def test_a_given_picture_loses_what_the_camera_wrote(runs, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x010E] = "bobby's car"
    exif[0x0112] = 6  # lying on its side
    Image.new("RGB", (3000, 1500), (200, 30, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert b"bobby" in (tmp_path / "a.jpg").read_bytes()
    assert publish_model.main([str(runs["pose"]), "--local-dir", str(tmp_path / "out"), "--sample",
                               str(tmp_path / "a.jpg")]) == 0
    with Image.open(tmp_path / "out/sample.jpg") as picture:
        assert picture.size == (640, 1280) and not picture.getexif()
    assert "![A sample picture.](sample.jpg)" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_a_model_that_is_neither_detector_nor_pose_has_no_folder(tmp_path):
    cfg = small_config("pose")
    cfg.default_scope = "mmengine"
    cfg.model["_scope_"] = "mmpose"
    source = save_run(tmp_path / "runs", "pose", cfg)
    with pytest.raises(UserError, match="neither a detector nor a keypoint model"):
        publish_model.main([str(source), "--local-dir", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    assert publish_model.main([str(source), str(tmp_path / "out") + "/"]) == 0, "alone it can be published"


def test_classes_of_any_spelling(tmp_path):
    cfg = small_config("detector")
    odd = "a|b `c`: \"車\" - [x](y) #1"
    cfg.classes = (odd, )
    source = save_run(tmp_path / "runs", "detector", cfg, dataset_meta={**dataset_meta(cfg, "detector")})
    assert publish_model.main([str(source), "--local-dir", str(tmp_path / "out")]) == 0
    assert read_catalog(tmp_path / "out")["rtmdet-tiny-carpose"].classes == odd
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "finds objects (a\\|b \\`c\\`: \"車\" - \\[x\\](y) \\#1) and the boxes around them." in card


def test_without_to_a_dry_run_touches_no_network(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "look", lambda *_: pytest.fail("asked the hub"))
    assert publish_model.main([str(runs["pose"]), "--local-dir", str(tmp_path / "out")]) == 0
