"""Which calibration a checkpoint may be published with."""
import json
from pathlib import Path

import pytest
import torch

from pose_tools.console import UserError
from pose_tools.formats.calibration import Calibration, Curve
from pose_tools.weights.release.calibration import sha256_of_weights, stored_calibration, told_calibration

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3), "half": torch.ones(2, dtype=torch.bfloat16)}
SOURCE = Path("run.pth")


def calibration(**changes):
    return Calibration((Curve("nose", 9, (0.1, 0.5), (0.2, 0.8)),),
                       **{"distance": 0.05, "method": "logistic", "annotations": "val.json", "pictures": 7,
                          "weights_sha256": sha256_of_weights(WEIGHTS), **changes})


def test_the_hash_is_of_names_kinds_shapes_and_values_only():
    shuffled = {name: WEIGHTS[name] for name in ("steps", "half", "a")}
    shuffled["a"] = WEIGHTS["a"].t().contiguous().t()  # the same values, lying otherwise in memory
    assert sha256_of_weights(shuffled) == sha256_of_weights(WEIGHTS)
    others = [{**WEIGHTS, "a": WEIGHTS["a"] + 1e-6}, {**WEIGHTS, "a": WEIGHTS["a"].double()},
              {**WEIGHTS, "a": WEIGHTS["a"].reshape(3, 2)}, {**WEIGHTS, "b": WEIGHTS["a"]},
              {("b" if name == "a" else name): value for name, value in WEIGHTS.items()}]
    assert len({sha256_of_weights(each) for each in (WEIGHTS, *others)}) == 6


def test_one_of_these_weights_is_stored_and_others_are_not(tmp_path):
    file = tmp_path / "c.json"
    file.write_text(calibration().to_json())
    assert stored_calibration({}, file, WEIGHTS, {"keypoints": ("nose",)}, SOURCE) == calibration().to_json()
    file.write_text(calibration(weights_sha256="0" * 64).to_json())
    with pytest.raises(UserError, match="was fitted to other weights than those of run.pth"):
        stored_calibration({}, file, WEIGHTS, {"keypoints": ("nose",)}, SOURCE)


def test_that_of_the_source_stays_unless_the_config_has_other_keypoints():
    own = {"calibration": calibration(weights_sha256="").to_json()}
    assert stored_calibration(own, None, WEIGHTS, {"keypoints": ("nose",)}, SOURCE) == own["calibration"]
    assert stored_calibration({}, None, WEIGHTS, {}, SOURCE) == ""
    with pytest.raises(UserError, match="its calibration: is of the keypoints nose, and the config of tail"):
        stored_calibration(own, None, WEIGHTS, {"keypoints": ("tail",)}, SOURCE)
    broken = {"calibration": json.dumps({**json.loads(own["calibration"]), "distance": -1})}
    with pytest.raises(UserError, match="run.pth: its calibration: distance = -1"):
        stored_calibration(broken, None, WEIGHTS, {}, SOURCE)


def test_a_card_says_what_a_score_means():
    told = told_calibration(calibration(boxes="a detector's").to_json())
    assert told.startswith("calibrated on 7 pictures of val.json, in the boxes of a detector: the chance that")
    assert "5 % of the longer side of the labelled box" in told
