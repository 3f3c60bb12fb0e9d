import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_tools import estimate_sigmas
from pose_tools.console import UserError, run
from pose_tools.formats.coco import load_coco, save_coco
from pose_tools.formats.schema import read_meta

ROOT = Path(__file__).resolve().parents[1]
META = ROOT / "configs/_base_/carpose/meta.py"


def moved(data, random, sigma):
    """The same labels by somebody else: sqrt(2) sigma away, root mean square."""
    copy = json.loads(json.dumps(data))
    for annotation in copy["annotations"]:
        points = np.array(annotation["keypoints"]).reshape(-1, 3)
        points[:, :2] += random.normal(0, sigma * math.sqrt(annotation["area"]), (len(points), 2)) * (points[:, 2:] > 0)
        annotation["keypoints"] = points.ravel().tolist()
    return copy


@pytest.fixture(scope="module")
def twice(cars, tmp_path_factory):
    """Rendered cars as two people of sigma 0.03 might have labelled them: two folders."""
    folder = tmp_path_factory.mktemp("twice")
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        data = load_coco(cars / f"{split}_coco.json")
        save_coco(folder / f"one/{split}_coco.json", data)
        save_coco(folder / f"two/{split}_coco.json", moved(data, random, 0.03))
    return folder / "one", folder / "two"


@pytest.fixture
def meta(tmp_path):
    path = tmp_path / "meta.py"
    path.write_bytes(META.read_bytes())
    return path


def test_two_annotators_to_a_table(twice, capsys):
    before = [path.read_bytes() for folder in twice for path in sorted(folder.iterdir())]
    assert estimate_sigmas.main([*map(str, twice), "--meta", str(META), "--from-truth"]) == 0
    said = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line.startswith(("left-", "right-"))}
    assert set(rows) == set(read_meta(META).keypoints)
    for row in rows.values():
        name, pairs, _, sigma, low, dash, high, _, _, now = row
        assert float(sigma.strip("*")) == pytest.approx(0.03, rel=0.5) and float(low) < float(high) and dash == "-"
        assert now == "0.05" and int(pairs) > 0, name
    assert "12 images" in said and "1/8 (Ultralytics)" in said and "about" not in said.split("sigma:")[0]
    assert "the true position" in said and "* measured together with the point it swaps with" in said
    assert before == [path.read_bytes() for folder in twice for path in sorted(folder.iterdir())]


def test_json_is_json_and_says_the_same(twice, capsys):
    assert estimate_sigmas.main([*map(str, twice), "--meta", str(META), "--json", "--seed", "3"]) == 0
    between = json.loads(capsys.readouterr().out)
    assert estimate_sigmas.main([*map(str, twice), "--meta", str(META), "--json", "--from-truth"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["from"] == "annotators" and about["images"] == 12
    for a, b in zip(about["keypoints"], between["keypoints"]):
        assert b["sigma"] == pytest.approx(math.sqrt(2) * a["sigma"]) and a["now"] == 0.05
    assert len(about["ap"]["curve"]) == 21 and set(about["ap"]["marks"]) == {"estimated", "now", "1/8 (Ultralytics)"}


def test_sigmas_are_written_and_the_report(twice, meta, tmp_path, capsys):
    out = tmp_path / "out"
    assert estimate_sigmas.main([*map(str, twice), "--meta", str(meta), "--write", "--out", str(out),
                                 "--floor", "0.029"]) == 0
    told = capsys.readouterr()
    assert "they were 0.05, 0.05" in told.err and f"wrote {out}" in told.err
    written = json.loads((out / "sigmas.json").read_text(encoding="utf-8"))
    assert read_meta(meta).sigmas == pytest.approx([row["sigma"] for row in written["keypoints"]], rel=0.005)
    assert min(read_meta(meta).sigmas) >= 0.029
    assert (out / "sigmas.txt").read_text(encoding="utf-8").strip() == told.out.strip()
    for name in ("sigmas.png", "ap_by_sigma.png"):
        assert Image.open(out / name).size[0] == 880


def test_predictions(cars, tmp_path, capsys):
    data = load_coco(cars / "val_coco.json")
    found = [{"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "keypoints": a["keypoints"], "score": 0.5}
             for a in moved(data, np.random.default_rng(1), 0.04)["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(found))
    argv = [str(cars / "val_coco.json"), "--predictions", str(tmp_path / "results.json"), "--meta", str(META)]
    assert estimate_sigmas.main(argv) == 0
    said = capsys.readouterr().out
    assert "3 images" in said and "upper bound" in said and "AP of the predictions against the labels" in said


def test_nothing_is_written_after_a_mistake(twice, meta, tmp_path, capsys):
    one, two = map(str, twice)
    text = meta.read_text()
    out = tmp_path / "out"
    for argv, said in (([one], "name a second annotation"),
                       ([one, two, "--write"], "name the meta.py"),
                       ([one, one, "--meta", str(meta), "--write", "--out", str(out)], "copies of an annotation"),
                       ([one, two, "--meta", str(meta), "--write", "--min-pairs", "100000", "--out", str(out)],
                        "too few pairs"),
                       ([one, two, "--meta", str(meta), "--out", str(twice[0])], "which would be lost"),
                       ([one, two, "--meta", str(tmp_path / "no.py")], "no such file")):
        assert run(estimate_sigmas.main, argv) == 1
        assert said in capsys.readouterr().err
        assert meta.read_text() == text and not out.exists()
    for argv in (["--floor=-1"], ["--floor", "nan"], ["--min-pairs", "0"], ["--seed=-1"]):
        with pytest.raises(UserError, match=argv[0].split("=")[0]):
            estimate_sigmas.main([one, two, *argv])


def test_a_missing_file_is_one_line(tmp_path):
    answer = subprocess.run([sys.executable, str(ROOT / "pose_tools/estimate_sigmas.py"), "no.json", "none.json"],
                            cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1 and answer.stderr.startswith("error: no.json: no such file")
    assert len(answer.stderr.splitlines()) == 1
