"""Every script answers --help without the heavy libraries, and fails in one line."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*ROOT.glob("tools/*.py"), *ROOT.glob("pose_tools/[!_]*.py")])
HEAVY = ("torch", "mmengine", "mmcv", "mmdet", "mmpose", "cv2", "scipy")


def ids(path):
    return f"{path.parent.name}/{path.name}"


def run_script(path, *words, cwd=None, env=None):
    return subprocess.run([sys.executable, str(path), *map(str, words)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})


@pytest.mark.parametrize("script", SCRIPTS, ids=ids)
def test_help_has_an_example_and_imports_nothing_heavy(script, tmp_path):
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('--help imported {name}')\n", encoding="utf-8")
    answer = run_script(script, "--help", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert answer.returncode == 0, answer.stderr
    assert f"python {ids(script)}" in answer.stdout, "the help shows how it is called"


@pytest.mark.parametrize("script", SCRIPTS, ids=ids)
def test_a_script_is_thin(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("words", [
    ("tools/train.py", "configs/rtmpose-z-carpose.py"),
    ("tools/test.py", "configs/rtmpose-s-carpose.py", "nothing.pth"),
    ("tools/publish_model.py", "nothing.pth", "out"),
    ("tools/print_config.py", "nothing.py"),
    ("pose_tools/predict.py", "nothing.jpg", "--pose", "nothing.pth"),
    ("pose_tools/labelme2coco.py", "nothing", "out"),
], ids=lambda words: words[0])
def test_a_missing_file_is_one_line_and_exit_code_1(words, tmp_path):
    answer = run_script(ROOT / words[0], *words[1:], cwd=tmp_path)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    said = [line for line in answer.stderr.splitlines() if line.startswith("error:") or "nothing" in line]
    assert len(said) == 1, answer.stderr


def test_a_missing_config_names_those_that_exist(tmp_path):
    answer = run_script(ROOT / "tools/train.py", ROOT / "configs/rtmpose-z-carpose.py", cwd=tmp_path)
    assert "rtmpose-s-carpose.py" in answer.stderr


def test_the_environment_report_names_what_runs(tmp_path):
    answer = run_script(ROOT / "tools/print_config.py", "--env", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    for word in ("torch ", "numpy", "mmdet", "mmpose", "operators:", "device", "precision"):
        assert word in answer.stdout
