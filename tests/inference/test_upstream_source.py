"""From what a user says of a model to weights and config: files, names, configs, random weights, a server."""
import hashlib
import os
import sys
from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.inference.source import ModelSource, find_model
from pose_tools.weights import store
from pose_tools.weights.catalog import known
from pose_tools.weights.catalog.config_files import installed_config, installed_configs
from pose_tools.weights.entries import Entry, ModelFile, Source

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
HRNET = "td-hm_hrnet-w32_8xb64-210e_coco-256x192"
PERSON = "rtmdet_nano_320-8xb32_coco-person"
FASTER = "faster-rcnn_r50_fpn_1x_coco"


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    """An empty checkpoint/ in place of the project's, and no network."""
    monkeypatch.setattr(store, "CHECKPOINTS", tmp_path / "checkpoint")
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "1")
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("name, folder", [(HRNET, "topdown_heatmap"), (PERSON, "mmdetection_cfg"),
                                          (FASTER, "faster_rcnn"), ("rtmdet_tiny_8xb32-300e_coco", "rtmdet")])
def test_configs_are_those_that_the_packages_install(name, folder):
    path = installed_config(name)
    assert path.name == f"{name}.py"
    assert folder in path.parts
    assert installed_config(f"{name}.py") == path
    assert not any("_base_" in each.parts for each in installed_configs().values())


def test_a_file_is_itself(tmp_path):
    file = tmp_path / "mine.pth"
    file.touch()
    assert find_model(file) == ModelSource(file)
    assert find_model(str(file), FASTER) == ModelSource(file, installed_config(FASTER))
    assert find_model(file, random_init=True) == ModelSource(file)  # its weights are here
    assert find_model(file).warning == ""


def test_a_graph_takes_no_config(tmp_path):
    (tmp_path / "net.onnx").touch()
    assert find_model(tmp_path / "net.onnx") == ModelSource(tmp_path / "net.onnx")
    with pytest.raises(UserError, match="says by itself what it is"):
        find_model(tmp_path / "net.onnx", FASTER)


def test_a_name_whose_weights_cannot_be_had_says_where_it_looked_and_what_else():
    with pytest.raises(UserError) as caught:
        find_model(HRNET)
    said = str(caught.value)
    assert "td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth" in said
    assert "POSE_TOOLS_OFFLINE is set" in said
    assert said.endswith("or give --random-init to try without")


@pytest.mark.parametrize("name, config", [(HRNET, HRNET), ("hrnet-w32", HRNET), ("rtmdet-nano-person", PERSON),
                                          (PERSON, PERSON), ("cascade_rcnn_x101_64x4d_fpn_1class", None)])
def test_random_weights_are_loud(name, config):
    found = find_model(name, random_init=True)
    path = installed_config(config or name)
    assert found == ModelSource(path, path, 0)
    assert found.warning == f"WARNING: {path.stem} has RANDOM WEIGHTS (--random-init): what it finds means nothing"


def test_a_config_alone_has_no_weights(tmp_path):
    config = tmp_path / "mine.py"
    config.write_text("")
    assert find_model(config, random_init=True) == ModelSource(config, config, 0)
    with pytest.raises(UserError, match="mine.py: is a config; give its weights"):
        find_model(config)
    with pytest.raises(UserError, match="no weights are known for this config"):
        find_model("cascade_rcnn_x101_64x4d_fpn_1class")


@pytest.mark.parametrize("what, config, words", [
    ("faster-rcnn_r50_fpn_1x_cocoo", None, "no model called.*did you mean faster-rcnn_r50_fpn_1x_coco"),
    ("nothing.pth", None, "nothing.pth: no such file"),
    (FASTER, "nothing.py", "nothing.py: no such config, neither as a file nor in the installed mmdet and mmpose"),
])
def test_what_is_not_there(what, config, words):
    with pytest.raises(UserError, match=words):
        find_model(what, config, random_init=True)


def listed(monkeypatch, name, file, address):
    """Lists a model as mmpose's index does, its weights at an address of this machine."""
    entry = Entry(name, (ModelFile(file.name, None, file.stem.split("-")[-2], (Source("url", address),)),), config=name,
                  catalog="mmpose's model index")
    monkeypatch.setattr(known, "index_entries", lambda: {name: entry})


def hashed(folder, content):
    digest = hashlib.sha256(content).hexdigest()
    return folder / f"{HRNET}-{digest[:8]}-20220909.pth", content


def test_weights_of_a_name_come_from_its_address_and_stay(tmp_path, checkpoints, monkeypatch):
    from download_server import BadServer

    monkeypatch.delenv("POSE_TOOLS_OFFLINE")
    file, content = hashed(tmp_path, os.urandom(5000))
    with BadServer() as server:
        listed(monkeypatch, HRNET, file, server.put(f"/v1/{file.name}", content))
        found = find_model(HRNET)
        assert found == ModelSource(checkpoints / file.name, installed_config(HRNET))
        assert found.path.read_bytes() == content
        assert find_model(HRNET) == found
        assert len(server.asked(f"/v1/{file.name}")) == 1
    # Random weights were allowed, but the real ones are here now.
    assert find_model(HRNET, random_init=True) == found


def test_random_weights_ask_nobody(tmp_path, monkeypatch):
    from download_server import BadServer

    monkeypatch.delenv("POSE_TOOLS_OFFLINE")
    file, content = hashed(tmp_path, b"x" * 100)
    with BadServer() as server:
        listed(monkeypatch, HRNET, file, server.put(f"/v1/{file.name}", content))
        assert find_model(HRNET, random_init=True).is_random
        assert server.asked() == []


def test_weights_that_were_put_into_the_folder_by_hand(tmp_path, checkpoints, monkeypatch):
    checkpoints.mkdir()
    file, content = hashed(checkpoints, b"weights")
    file.write_bytes(content)
    listed(monkeypatch, HRNET, file, "http://127.0.0.1:9/nobody")
    assert find_model(HRNET) == ModelSource(file, installed_config(HRNET))


def test_the_config_of_a_file_of_upstream_is_known_by_its_name(monkeypatch):
    from pose_tools.inference.runtime.torch_facts import _config_of_known_file

    assert _config_of_known_file("faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth") == installed_config(FASTER)
    assert _config_of_known_file("best_coco_AP_epoch_3.pth") is None


