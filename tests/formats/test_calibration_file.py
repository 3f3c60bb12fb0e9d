"""The calibration of a keypoint model as text."""
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import UserError
from pose_tools.formats.calibration import DETECTED, Calibration, Curve, read_calibration
from pose_tools.formats.schema import KeypointSet

NOSE = Curve("nose", 40, (0.2, 0.6), (0.1, 0.9))
TAIL = Curve("尾", 0, (0.5,), (0.25,))
CALIBRATION = Calibration((NOSE, TAIL), 0.05, "by hand", DETECTED, True, "val_coco.json", 12, "ab" * 32)


def test_a_score_is_looked_up_on_the_line_of_its_keypoint():
    found = CALIBRATION(np.array([[0.1, -3.0], [0.2, 0.5], [0.3, 0.6], [0.5, 9.0], [1.7, np.nan]]))
    # On the way from (0.2, 0.1) to (0.6, 0.9) probabilities rise by 2 for each score; beyond both ends they stay.
    np.testing.assert_allclose(found, [[0.1, 0.25], [0.1, 0.25], [0.3, 0.25], [0.7, 0.25], [0.9, np.nan]], atol=1e-7)
    assert found.dtype == np.float32 and CALIBRATION(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 2, 2)])
def test_scores_of_other_keypoints_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected scores of shape \(N, 2\)"):
        CALIBRATION(np.zeros(shape))


def test_what_is_written_is_read_back(tmp_path):
    text = CALIBRATION.to_json()
    assert Calibration.from_json(text) == CALIBRATION and Calibration.from_json(text).to_json() == text
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    assert read_calibration(tmp_path / "c.json") == CALIBRATION
    assert "to within 5 % of the longer side of the labelled box" in CALIBRATION.meaning


@st.composite
def curves(draw, name="a"):
    scores = draw(st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=8, unique=True))
    heights = draw(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=len(scores), max_size=len(scores)))
    return Curve(name, draw(st.integers(0, 10 ** 6)), tuple(sorted(scores)), tuple(sorted(heights)))


@given(curves("a"), curves("b"), st.lists(st.floats(-10, 10), min_size=1, max_size=10), st.floats(0.001, 1))
def test_any_calibration_comes_back_and_rises_within_its_bounds(first, second, scores, distance):
    calibration = Calibration((first, second), distance, "m")
    assert Calibration.from_json(calibration.to_json()) == calibration
    found = calibration(np.stack([np.sort(scores)] * 2, 1))
    assert (np.diff(found, axis=0) >= -1e-6).all()
    for column, curve in enumerate((first, second)):
        low, high = np.float32(curve.probabilities[0]), np.float32(curve.probabilities[-1])
        assert ((found[:, column] >= low - 1e-6) & (found[:, column] <= high + 1e-6)).all()


def changed(**values):
    return json.dumps({**json.loads(CALIBRATION.to_json()), **values})


def curve(**values):
    return changed(keypoints={"nose": {"labels": 3, "scores": [0.1, 0.2], "probabilities": [0.3, 0.4], **values}})


@pytest.mark.parametrize("text, said", [
    ("{", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ("[1, 2]", "is no calibration, as tools/calibrate.py writes it"),
    ("{}", "is no calibration"),
    (changed(layout=2), "has layout 2, and this version reads 1"),
    (changed(layout=True), "has layout True"),
    (changed(temperature=2), "says temperature, of which nothing is known"),
    (json.dumps({"layout": 1, "distance": 0.05}), "lacks annotations, boxes, distance_of"),
    (changed(distance=0), "distance = 0: is not a share above 0"),
    (changed(distance=float("nan")), "distance = NaN: is not a share"),
    (changed(distance_of="head"), 'distance_of = "head": is not'),
    (changed(boxes="mine"), "boxes ="),
    (changed(flip_test=1), "flip_test = 1: is neither true nor false"),
    (changed(pictures=-1), "pictures = -1: is not a whole number"),
    (changed(method=None), "method = null: is no text"),
    (changed(weights_sha256="XY"), "is no SHA-256"),
    (changed(keypoints={}), "names none"),
    (changed(keypoints=[]), "names none"),
    (changed(keypoints={"nose": []}), "nose: does not have labels, scores and probabilities"),
    (curve(extra=1), "nose: does not have"),
    (curve(labels=1.5), "nose: labels = 1.5"),
    (curve(scores=[]), "nose: scores = []: is not a list of finite numbers"),
    (curve(scores=[0.1, float("inf")]), "is not a list of finite numbers"),
    (curve(scores=[0.1, "x"]), "is not a list of finite numbers"),
    (curve(scores=[0.1] * 30), "nose: has 30 scores and 2 probabilities"),
    (curve(scores=[0.2, 0.2]), "nose: its scores do not increase"),
    (curve(probabilities=[0.4, 0.3]), "nose: its probabilities decrease"),
    (curve(probabilities=[0, 0.3]), "nose: has a probability that is not between 0 and 1"),
    (curve(probabilities=[0.3, 1]), "nose: has a probability that is not between 0 and 1"),
])
def test_nothing_else_is_taken_and_one_line_says_why(text, said):
    with pytest.raises(UserError) as caught:
        Calibration.from_json(text, "c.json")
    assert str(caught.value).startswith("c.json: ") and said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_of_other_keypoints_refuses_it():
    text = CALIBRATION.to_json()
    assert Calibration.of_model(text, KeypointSet(("c",), ("nose", "尾")), "m.pth") == CALIBRATION
    assert Calibration.of_model("", KeypointSet(("c",), ("nose",)), "m.pth") is None
    with pytest.raises(UserError, match="^m.pth: its calibration: is of the keypoints nose, 尾; the model has 尾"):
        Calibration.of_model(text, KeypointSet(("c",), ("尾", "nose")), "m.pth")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_calibration(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read: is not UTF-8"):
        read_calibration(tmp_path / "binary.json")
