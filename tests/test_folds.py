"""Cross-validation as a user does it: folds, a training and a test for each, sigmas from what was not trained on."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pose_tools import estimate_sigmas, split_coco
from pose_tools.formats.coco import load_coco

ROOT = Path(__file__).resolve().parents[1]


def run(*words):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
def test_folds_are_trained_tested_and_measured(cars, tmp_path, capsys):
    folds = tmp_path / "folds"
    assert split_coco.main([str(cars), str(folds), "--folds", "2"]) == 0
    results = []
    for fold in (0, 1):
        work = tmp_path / f"rtmpose-s-carpose-fold{fold}"
        roots = [f"{split}_dataloader.dataset.data_root={folds}/" for split in ("train", "val", "test")]
        files = [f"{split}_evaluator.ann_file={folds}/val_coco.json" for split in ("val", "test")]
        run("tools/train.py", "configs/rtmpose-s-carpose.py", "--fold", fold, "--no-pretrained", "--epochs", 1,
            "--batch-size", 8, "--input-size", 64, 64, "--work-dir", work, "--cfg-options", *roots, *files)
        run("tools/test.py", work / "rtmpose-s-carpose.py", work / "epoch_1.pth")
        results.append(work / "test/results.json")
        found = {entry["image_id"] for entry in json.loads(results[-1].read_text(encoding="utf-8"))}
        assert found == {a["image_id"] for a in load_coco(folds / f"fold{fold}/val_coco.json")["annotations"]}
    capsys.readouterr()
    assert estimate_sigmas.main([*(str(folds / f"fold{fold}/val_coco.json") for fold in (0, 1)), "--predictions",
                                 *map(str, results), "--meta", str(ROOT / "configs/_base_/carpose/meta.py")]) == 0
    said = capsys.readouterr().out
    assert "12 images" in said and "upper bound" in said, "every image was predicted by a model that had not seen it"
