"""docs/commands/export.md: its example finds what the project finds, and its limits are those of the check."""
import ast
import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import pose_tools.openmmlab.plugins  # noqa: F401  makes mm* importable here

sys.path.insert(0, str(Path(__file__).parent))
from export_models import save_small

from pose_tools.export.exporting import export_model
from pose_tools.export.parity.tolerance import ENOUGH_LABELLED, Tolerance
from pose_tools.inference.runtime import PoseModel, open_backend
from pose_tools.options.exporting import ExportOptions

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/run_onnx.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("run_onnx", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_small(tmp_path_factory.mktemp("run_onnx"), "pose")


@pytest.fixture(scope="module")
def model(checkpoint):
    path, = export_model(checkpoint, ExportOptions(checkpoint, end_to_end=True, check=False))
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC))
    return path


@pytest.mark.parametrize("box", [(20, 30, 300, 90), (100, 10, 130, 230), (-30, 100.5, 80.25, 260)],
                         ids=["wide", "high", "over the border"])
def test_it_finds_what_the_runtime_finds(example, model, picture, box):
    image, backend = cv2.imread(str(picture)), open_backend(model)
    (expected,), (expected_scores,) = PoseModel(backend)(image, np.array([box], np.float64))
    assert np.ptp(expected, axis=0).min() > 1, "the test's own weights put all keypoints in one place"
    names, points, scores = example.find_keypoints(example.open_model(str(model)), image, box)
    assert tuple(names) == backend.facts.keypoint_set.keypoints
    np.testing.assert_allclose(points, expected, atol=1e-3)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-4)


def test_the_whole_picture_is_the_box_by_default(example, model, picture, capsys):
    assert example.main([str(model), str(picture)]) == 0
    said = capsys.readouterr().out
    assert example.main([str(model), str(picture), "--box", "0", "0", "320", "240"]) == 0
    assert said == capsys.readouterr().out
    assert said.startswith("left-front-bumper: ")


def test_what_it_cannot_run_is_told_in_a_line(example, checkpoint, model, picture, tmp_path):
    plain, = export_model(checkpoint, ExportOptions(checkpoint, out=tmp_path, check=False))
    for words, said in (((plain, picture), "no keypoint model of tools/export.py --end2end"),
                        ((checkpoint, picture), "epoch_1.pth: "), ((tmp_path / "no.onnx", picture), "no.onnx: "),
                        ((model, checkpoint), "no picture that OpenCV reads")):
        with pytest.raises(SystemExit, match=said) as stop:
            example.main(list(map(str, words)))
        assert "\n" not in str(stop.value)


@pytest.fixture(params=["export.md", "zh-TW/export.md"])
def page(request):
    return (ROOT / "docs/commands" / request.param).read_text(encoding="utf-8")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_the_page_names_the_limits(page, precision):
    limits = Tolerance.of(precision)
    line, = (line for line in page.splitlines() if line.startswith(f"| `{precision}` |") and " px" in line
             and line.count("|") == 4)
    assert f" {limits.px:g} px" in line
    assert line.endswith(f"| {limits.max_ap_drop:g} |")
    assert limits.statistic == "max" or f"{limits.statistic[1:]}%" in line
    assert limits.ap_decides == (str(ENOUGH_LABELLED) in line)


def test_the_page_shows_the_code_of_the_example(page):
    shown, = ast.parse(page.split("```python\n")[1].split("```")[0]).body
    whole = next(node for node in ast.parse(EXAMPLE.read_text(encoding="utf-8")).body
                 if isinstance(node, ast.FunctionDef) and node.name == shown.name)
    without_docstring = whole.body[1:]
    assert list(map(ast.dump, shown.body)) == list(map(ast.dump, without_docstring))
    assert [each.arg for each in shown.args.args] == [each.arg for each in whole.args.args]
