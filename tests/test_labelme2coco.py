import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data"


def script(name, *arguments, cwd=None):
    return subprocess.run([sys.executable, str(ROOT / name), *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True)


def labelme2coco(*arguments, cwd=None):
    return script("pose_tools/labelme2coco.py", *arguments, cwd=cwd)


@pytest.fixture
def source(tmp_path):
    """Five images with a box and two points each, the second called nose_occ or tail."""
    folder = tmp_path / "src"
    folder.mkdir()
    for i in range(5):
        Image.new("RGB", (40, 20), (i, 0, 0)).save(folder / f"{i}.png")
        shapes = [{"label": "car", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]},
                  {"label": "tail", "shape_type": "point", "points": [[2, 2]]},
                  {"label": "nose_occ", "shape_type": "point", "points": [[3, 3]]}]
        content = {"shapes": shapes, "imagePath": f"{i}.png", "imageData": None, "imageWidth": 40, "imageHeight": 20}
        (folder / f"{i}.json").write_text(json.dumps(content))
    return folder


def test_it_converts_from_any_directory_and_sums_up(source, tmp_path):
    done = labelme2coco("src", "out", "--visibility-suffixes", "_occ=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["images", "4", "1", "5"] in lines and ["class", "car", "4", "1", "5"] in lines
    assert ["keypoint", "nose", "4", "1", "5", "5"] in lines and ["keypoint", "tail", "4", "1", "5", "0"] in lines
    assert "keypoints found in the data: nose, tail" in done.stdout
    val = json.loads((tmp_path / "out/val_coco.json").read_text())
    assert val["annotations"][0]["keypoints"] == [3, 3, 1, 2, 2, 2]


def test_names_files_decide_order_and_unknown_labels_are_faults(source, tmp_path):
    (tmp_path / "kpts.txt").write_text("# from head to tail\ntail\n\nnose\n")
    arguments = [source, tmp_path / "out", "--keypoints", tmp_path / "kpts.txt", "--split", "1"]
    failed = labelme2coco(*arguments)
    assert failed.returncode == 1 and failed.stdout == "" and not (tmp_path / "out").exists()
    assert failed.stderr.count("nose_occ (shape 3): is no known keypoint; did you mean 'nose'?") == 5
    done = labelme2coco(*arguments, "--ignore-labels", "nose_occ")
    assert done.returncode == 0, done.stderr
    train = json.loads((tmp_path / "out/train_coco.json").read_text())
    assert train["categories"][0]["keypoints"] == ["tail", "nose"]
    assert train["annotations"][0]["keypoints"] == [2, 2, 2, 0, 0, 0]
    assert "no val_coco.json was written" in done.stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (["--meta", "x.py"], "x.py: no such file"),
    (["--keypoints", "x.txt"], "x.txt: no such file"),
    (["--meta", "x.py", "--classes", "x.txt"], "--meta already names"),
    (["--images", "nowhere"], "nowhere: no such folder"),
    (["--group-by", "("], "not a regular expression"),
    (["--split", "2"], "--split 2"),
])
def test_bad_arguments_give_one_line(source, tmp_path, arguments, message):
    failed = labelme2coco(source, "out", *arguments, cwd=tmp_path)
    assert failed.returncode == 1 and message in failed.stderr
    assert failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--bbox-from-points", "much"], ["--bbox-from-points", "-3"],
                                       ["--visibility-suffixes", "_occ=3"], ["--visibility-suffixes", "_occ"]])
def test_arguments_that_cannot_be_parsed(source, tmp_path, arguments):
    failed = labelme2coco(source, tmp_path / "out", *arguments)
    assert failed.returncode == 2 and "expected" in failed.stderr


@pytest.mark.parametrize("name", ["pose_tools/labelme2coco.py", "tools/new_dataset.py"])
def test_help_is_quick_and_has_an_example(name):
    start = time.perf_counter()
    done = script(name, "--help")
    assert done.returncode == 0 and f"python {name}" in done.stdout
    assert time.perf_counter() - start < 3


def test_a_new_data_set_from_labelme(source, tmp_path):
    done = script("tools/new_dataset.py", "my-car", "--labelme", source, "--configs", tmp_path / "configs")
    assert done.returncode == 0, done.stderr
    assert "keypoints: nose_occ, tail" in done.stdout and "next: python pose_tools/labelme2coco.py" in done.stdout
    meta = tmp_path / "configs/_base_/my-car/meta.py"
    converted = labelme2coco(source, tmp_path / "out", "--meta", meta)
    assert converted.returncode == 0, converted.stderr
    again = script("tools/new_dataset.py", "my-car", "--coco", tmp_path / "out/train_coco.json", "--configs",
                   tmp_path / "configs")
    assert again.returncode == 1 and "--force" in again.stderr
