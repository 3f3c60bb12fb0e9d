"""What benchmarks/predict.py makes of the times and keypoints of three programs."""
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        spec = importlib.util.spec_from_file_location("predict_benchmark", ROOT / "benchmarks/predict.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look there
        spec.loader.exec_module(module)
        yield module


def thing(x, moved=0.0, scores=(0.9, 0.9)):
    """An object at x, 10 px wide, with two keypoints."""
    box = np.array([x, 0, x + 10, 10.])
    return box, np.array([[x + moved, 1.], [x + 5., 2.]]), np.array(scores)


def test_keypoints_are_compared_object_by_object(bench):
    expected = [[thing(0), thing(100)], [thing(0)]]
    found = [[thing(100, 3.0), thing(0), thing(50)], [thing(0, 4.0)]]
    told = bench.compare(expected, found)
    assert (told["objects"], told["matched"], told["extra"], told["points"]) == (3, 3, 1, 6)
    assert (told["median_px"], told["max_px"]) == (0, 4)


def test_unsure_keypoints_and_objects_elsewhere_do_not_count(bench):
    told = bench.compare([[thing(0, scores=(0.2, 0.9))], [thing(0)]], [[thing(0, 7.0)], [thing(6)]])
    assert (told["objects"], told["matched"], told["extra"]) == (2, 1, 1)
    assert told["max_px"] == 0
    missing = bench.compare([[thing(0)], [thing(0)]], [])
    assert (missing["objects"], missing["matched"], missing["max_px"]) == (2, 0, None)


def test_start_up_is_what_the_frames_do_not_take(bench):
    # 100 frames in 12 s and 4 in 2.4: a tenth of a second each, and two seconds before.
    figures = bench._figures([(12.0, 2.4)], 100, [50.0], [])
    assert figures["loop_fps"] == pytest.approx(10)
    assert figures["start_s"] == pytest.approx(2.0)
    assert figures["fps"] == pytest.approx(100 / 12)
    faster = bench._figures([(3.4, 1.0)], 100, [50.0], [])
    assert bench.ratios(faster, figures, 100) == pytest.approx({"whole": 12 / 3.4, "loop": 4.0})


def test_ratios_are_medians_of_pairs(bench):
    own, base = {"rounds": [(1, 0), (1, 0), (1, 0)]}, {"rounds": [(2, 0), (30, 0), (4, 0)]}
    assert bench.ratios(own, base, 10)["whole"] == 4


def test_the_page_shows_every_candidate_once_in_each_table(bench):
    figures = bench._figures([(12.0, 2.4)], 100, [None], [
        {"frames": 100, "wall_s": 9.0, "stages": {"read": 1.0, "detect": 8.0}}])
    px = bench.compare([[thing(0)]], [[thing(0, 0.5)]])
    both = {"whole": 4.0, "loop": 5.0}
    text = bench.as_markdown({
        "machine": {"cpu": "x", "cores": 2, "system": "Linux", "python": "3.11", "versions": {}},
        "settings": {"frames": 100, "pairs": 1, "det_size": [320, 320], "pose_size": [192, 96], "models": ["a", "b"],
                     "ffmpeg": False},
        "candidates": {"upstream": {**figures, "timing": None, "px": None, "by_upstream": both, "by_rtmlib": None},
                       "ours": {**figures, "px": px, "by_upstream": both, "by_rtmlib": None}}})
    rows = [line for line in text.splitlines() if line.startswith("| ours")]
    assert rows == ["| ours | 10.0 | 5.0 | - | 8.33 | 4.0 | - | 2.0 | - |",
                    "| ours | 1 | 1 | 0 | 0.25 | 0.495 | 0.5 |",
                    "| ours | 10.0 | 80.0 | - | - | - | - | 90.0 |"]
    assert "a at 320x320" in text and "b at 192x96" in text


def test_without_trained_models_it_says_how_to_get_them(tmp_path, monkeypatch, bench):
    inputs = sys.modules["predict_inputs"]
    monkeypatch.setattr(inputs, "ROOT", tmp_path)
    with pytest.raises(Exception, match="make demo"):
        inputs.newest_model("rtmdet-tiny")
