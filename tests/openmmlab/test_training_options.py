"""Options of tools/train.py: what is refused, and what a run with them leaves."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pose_tools.console import run
from tools import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("words", "message"), [
    (["--epochs", "0"], "--epochs 0: must be at least 1"),
    (["--batch-size", "-4"], "--batch-size -4: must be at least 1"),
    (["--accumulate", "0", "--patience", "-1"],
     "--accumulate 0: must be at least 1; --patience -1: must be at least 1"),
    (["--workers", "-1", "--cache-gb", "nan"],
     "--workers -1: must be a number from 0; --cache-gb nan: must be a number from 0"),
    (["--auto-batch", "--batch-size", "8"], "--auto-batch finds the batch: leave --batch-size out"),
    (["--auto-batch", "--launcher", "pytorch"], "--auto-batch measures one process: with --launcher give --batch-size"),
    (["--patience", "3", "--no-validate"], "--patience counts validations: leave --no-validate out"),
])
def test_nonsense_is_one_line_before_anything_is_read(words, message, capsys):
    assert run(train.main, [str(ROOT / "configs/rtmpose-s-carpose.py"), *words]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {message}"


def test_patience_needs_to_know_what_is_better(capsys):
    words = ["--patience", "2", "--cfg-options", "default_hooks.checkpoint.rule=less"]
    assert run(train.main, [str(ROOT / "configs/rtmpose-s-carpose.py"), *words]) == 1
    assert "--patience needs to know what is better" in capsys.readouterr().err


def command(script, cars, work_dir, *words):
    own = [f"{split}_dataloader.dataset.data_root={cars}/" for split in ("train", "val", "test")]
    own += [f"{split}_evaluator.ann_file={cars}/val_coco.json" for split in ("val", "test")]
    words = [script, "configs/rtmpose-s-carpose.py", "--no-pretrained", "--work-dir", work_dir, "--input-size", 64, 64,
             "--batch-size", 4, *words, "--cfg-options", *own]
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def checkpoint(path):
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    return load_checkpoint_file(path)


@pytest.mark.slow
def test_ours_and_upstream_resume_each_others_runs(cars, tmp_path):
    """A run goes from our step to upstream's and back: the same keys, groups and averages in every checkpoint."""
    command("tools/train.py", cars, tmp_path, "--epochs", 1)
    command("benchmarks/upstream_train.py", cars, tmp_path, "--epochs", 2, "--resume")
    command("tools/train.py", cars, tmp_path, "--epochs", 3, "--resume")
    ours, theirs = checkpoint(tmp_path / "epoch_3.pth"), checkpoint(tmp_path / "epoch_2.pth")
    for part in ("state_dict", "ema_state_dict"):
        assert list(ours[part]) == list(theirs[part])
    assert [int(state["ema_state_dict"]["steps"]) for state in (theirs, ours)] == [
        state["meta"]["iter"] for state in (theirs, ours)]
    groups = [state["optimizer"]["param_groups"] for state in (ours, theirs)]
    assert len(groups[0]) == len(groups[1]) > 100
    assert [sorted(group) for group in groups[0]] == [sorted(group) for group in groups[1]]
    dumped = (tmp_path / "rtmpose-s-carpose.py").read_text(encoding="utf-8")
    assert "Grouped" not in dumped and "StepEMAHook" not in dumped and "type='EMAHook'" in dumped


@pytest.mark.slow
def test_accumulated_steps_patience_and_no_average(cars, tmp_path):
    said = command("tools/train.py", cars, tmp_path, "--epochs", 2, "--accumulate", 3, "--no-ema", "--patience", 9)
    assert "a step averages the gradients of 3 batches of 4; batch norm sees each batch alone" in said
    batches = int(re.search(r"Epoch\(train\) +\[2/2\]\[(\d+)/\1\]", said).group(1))
    state = checkpoint(tmp_path / "epoch_2.pth")
    assert "ema_state_dict" not in state
    steps = {int(value["step"]) for value in state["optimizer"]["state"].values()}
    assert steps == {2 * -(-batches // 3)}, "every epoch ends in a step"
    scores = json.loads((tmp_path / "patience.json").read_text(encoding="utf-8"))["scores"]
    assert [epoch for epoch, _ in scores] == [1, 2]
