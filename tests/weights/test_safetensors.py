"""A published checkpoint as .safetensors: the same contents, the same bytes each time, read in its place."""
import io
import json
from collections import OrderedDict

import numpy as np
import pytest
import torch

from pose_tools.console import UserError
from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
from pose_tools.openmmlab.compat.safetensors_file import is_safetensors
from pose_tools.weights.release.safetensors_file import to_safetensors


def checkpoint_of():
    shared = torch.arange(6.0).reshape(2, 3)
    state = OrderedDict([("b.weight", shared), ("a.weight", shared), ("count", torch.tensor(7)),
                         ("half", torch.tensor([0.5, -1], dtype=torch.bfloat16)), ("turned", shared.t()),
                         ("none", torch.zeros(0, 3)), ("車", torch.tensor([True, False]))])
    state._metadata = OrderedDict({"": {"version": 1}, "a": {"version": 2}})
    meta = {"cfg": "a = 1\nclasses = ('車', )\n", "epoch": 3, "metrics": {"coco/AP": 0.1 + 0.2, "no": None},
            "dataset_meta": {"keypoint_id2name": {0: "x", 1: "y"}, "keypoint_name2id": {"0": 1}, "sigmas": [0.05],
                             "classes": ("車", )}}
    return {"meta": meta, "state_dict": state}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(to_safetensors(checkpoint_of()))
    return path


def test_it_is_read_like_the_checkpoint(written):
    before, after = checkpoint_of(), load_checkpoint_file(written)
    assert set(after) == {"meta", "state_dict"} and set(after["state_dict"]) == set(before["state_dict"])
    for name, tensor in before["state_dict"].items():
        got = after["state_dict"][name]
        assert got.dtype == tensor.dtype and torch.equal(got, tensor), name
    assert after["state_dict"]._metadata == before["state_dict"]._metadata
    before["meta"]["dataset_meta"]["classes"] = ["車"]  # JSON has no tuples
    assert after["meta"] == before["meta"]


def test_the_same_checkpoint_gives_the_same_bytes():
    """The library writes its metadata in the order of a hash that differs from call to call."""
    assert len({to_safetensors(checkpoint_of()) for _ in range(8)}) == 1


def test_others_can_read_it(written):
    from safetensors import safe_open

    with safe_open(str(written), framework="np") as opened:
        assert opened.metadata()["format"] == "pt" and opened.metadata()["cfg"].startswith("a = 1")
        assert json.loads(opened.metadata()["dataset_meta"])["sigmas"] == [0.05]
        np.testing.assert_array_equal(opened.get_tensor("turned"), [[0, 3], [1, 4], [2, 5]])


def test_the_tensors_begin_where_processors_like_it(written):
    data = written.read_bytes()
    assert int.from_bytes(data[:8], "little") % 8 == 0


def test_a_file_of_others_is_weights_alone(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, str(tmp_path / "x.safetensors"), {"cfg": "import os", "meta": "{"})
    got = load_checkpoint_file(tmp_path / "x.safetensors")
    assert got["meta"] == {} and torch.equal(got["state_dict"]["w"], torch.ones(2))


def test_where_tensors_go(written):
    assert load_checkpoint_file(written, "meta")["state_dict"]["count"].device.type == "meta"
    assert load_checkpoint_file(written, {"cuda:0": "cpu"})["state_dict"]["count"].device.type == "cpu"
    assert load_checkpoint_file(io.BytesIO(written.read_bytes()), None)["state_dict"]["count"] == 7


@pytest.mark.parametrize("damage", [
    lambda data: data[:-1], lambda data: data[:40], lambda data: data[:9], lambda data: data + b"x",
    lambda data: data[:8] + b"{" + b"x" * (len(data) - 9),
    lambda data: (2).to_bytes(8, "little") + b"{}" + b"x",
    lambda data: data.replace(b'"epoch\\":3', b'"epoch\\":{'),
    lambda data: data.replace(b'"pose_tools":"1"', b'"pose_tools":1  '),
    lambda data: data.replace(b'"modules"', b'"module_"').replace(b'"meta"', b'"mete"')],
    ids=["last byte", "header", "one", "more", "no JSON", "surplus", "meta", "number", "no meta"])
def test_damage_is_told_in_a_line(damage, written):
    before = written.read_bytes()
    after = damage(before)
    assert after != before and is_safetensors(after)
    written.write_bytes(after)
    with pytest.raises(UserError, match="is cut short or damaged; fetch it again") as caught:
        load_checkpoint_file(written)
    assert str(caught.value).startswith(str(written)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"{" * 20, b"\x80\x02}q\x00.", b"\xff" * 8 + b"{"])
def test_what_else_is_not_taken_for_it(data):
    assert not is_safetensors(data)


def test_mmengine_reads_it(written):
    from mmengine.runner.checkpoint import CheckpointLoader

    import pose_tools.openmmlab  # noqa: F401

    assert CheckpointLoader.load_checkpoint(str(written))["state_dict"]["count"] == 7
