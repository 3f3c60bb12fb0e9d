"""Model points come through all that carries a keypoint set: exported files, checkpoints, new configs."""
from dataclasses import replace
from pathlib import Path

import pytest

from pose_tools.console import FaultsError
from pose_tools.dataset.scaffold import meta_text
from pose_tools.export.parity.claims import false_claims
from pose_tools.formats.schema import read_meta
from pose_tools.inference.runtime.facts import ModelFacts

ROOT = Path(__file__).resolve().parents[2]
META = ROOT / "configs/_base_/carpose/meta.py"
CARPOSE = read_meta(META)
POSE = ModelFacts("pose", "rtmpose-s-carpose", ("car", ), CARPOSE, (256, 256), (1.0, 2, 3), (1.0, 1, 1), True)


def test_through_the_strings_of_an_exported_file():
    strings = POSE.to_metadata()
    found = ModelFacts.from_metadata(strings, "m.onnx")
    assert found.keypoint_set.model_points == CARPOSE.model_points
    bare = replace(POSE, keypoint_set=replace(CARPOSE, model_points=()))
    assert "model_points" not in bare.to_metadata()
    assert ModelFacts.from_metadata(bare.to_metadata(), "m.onnx").keypoint_set.model_points == ()
    with pytest.raises(FaultsError, match="model_points"):
        ModelFacts.from_metadata({**strings, "model_points": "[[1, 2, 3]]"}, "m.onnx")


def test_an_exported_file_with_other_points_than_its_checkpoint_is_told():
    moved = tuple((x + 1, y, z) for x, y, z in CARPOSE.model_points)
    other = replace(POSE, keypoint_set=replace(CARPOSE, model_points=moved))
    assert false_claims(POSE, POSE, Path("none.pth")) == []
    assert ["model_points" in line for line in false_claims(POSE, other, Path("none.pth"))] == [True]


def test_through_the_config_inside_a_checkpoint():
    from pose_tools.openmmlab.config import keypoint_set_of, load_config
    from pose_tools.weights.embedded import parse_config_text

    cfg = load_config(ROOT / "configs/rtmpose-s-carpose.py")
    assert keypoint_set_of(cfg).model_points == CARPOSE.model_points
    assert parse_config_text(cfg.pretty_text, "m.pth")["model_points"] == CARPOSE.model_points


def test_new_configs_have_them_where_they_are_known(tmp_path):
    template = META.read_text(encoding="utf-8")
    for names in (CARPOSE, replace(CARPOSE, model_points=())):
        path = tmp_path / "meta.py"
        path.write_text(meta_text("mine", names, "data/mine", template), encoding="utf-8")
        assert read_meta(path).model_points == names.model_points
    assert "model_points" not in path.read_text(encoding="utf-8")
