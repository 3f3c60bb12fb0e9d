"""The door by which training, testing and prediction come to their weights."""
import hashlib
import os

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

import pose_tools.openmmlab  # noqa: F401  leads mmengine's loaders through the door
from pose_tools.console import UserError
from pose_tools.weights import resolve, store
from pose_tools.weights.config_sources import weights_in_config
from pose_tools.weights.entries import Entry, ModelFile, Source
from pose_tools.weights.resolve import entry_of, resolve_weights

NAME = "rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth"
ADDRESS = f"https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_tiny_8xb32-300e_coco/{NAME}"


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "1")


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """An empty checkpoint/ in place of the project's."""
    folder = tmp_path / "checkpoint"
    monkeypatch.setattr(store, "CHECKPOINTS", folder)
    return folder


def saved(folder, name="net", **content):
    """A real checkpoint whose name carries its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"weight": torch.arange(3.0)}, **content}, folder / "tmp")
    data = (folder / "tmp").read_bytes()
    file = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}_20261121.pth"
    os.replace(folder / "tmp", file)
    return file


def test_a_file_is_itself(tmp_path):
    file = saved(tmp_path)
    assert resolve_weights(file) == file
    assert resolve_weights(str(file)) == file


@pytest.mark.parametrize("what", ["nothing.pth", "some/where", r"some\where", "x.safetensors"])
def test_a_path_that_is_not_there(what):
    with pytest.raises(UserError, match="no such file$"):
        resolve_weights(what)


def test_a_missing_file_that_is_known_says_how_to_have_it(tmp_path):
    with pytest.raises(UserError, match=r"no such file; python tools/download_weights.py rtmdet-tiny fetches it"):
        resolve_weights(tmp_path / NAME)


def test_an_address_that_the_catalog_knows_has_its_other_sources_too():
    asked = f"https://intranet.example/copies/{NAME}"
    file, = entry_of(asked).files
    assert file.sources[0] == Source("url", asked) and file.sha256.startswith("78e30dcc")
    assert Source("url", ADDRESS) in file.sources
    assert len(entry_of(ADDRESS).files[0].sources) == len(file.sources) - 1


def test_an_address_nobody_knows():
    file, = entry_of("https://example.org/a/mine-0a0b0c0d_20260101.pth?download=1").files
    assert (file.path, file.sha256) == ("mine-0a0b0c0d_20260101.pth", "0a0b0c0d")
    file, = entry_of("hf:user/repo@v2#sub/mine.pth").files
    assert (file.path, file.sources) == ("mine.pth", (Source("hf", "user/repo", "sub/mine.pth", "v2"),))


def test_a_common_file_name_says_nothing_of_the_file():
    for name in ("model.safetensors", "config.json", "GRU.h5"):
        entry = entry_of(f"hf:someone/else#{name}")
        assert entry.files[0].sources == (Source("hf", "someone/else", name),) and entry.folder == "."
    known = entry_of("hf:yonigozlan/synthpose-vitpose-base-hf#model.safetensors")
    assert known.folder == "synthpose-vitpose-base" and len(known.files[0].sources) > 1


@pytest.mark.parametrize("what, word", [
    ("https://example.org/", "does not end in a file name"), ("hf:user", "USER/REPO"), ("hf:user/repo", "relative"),
    ("rtmdet-tinny", "did you mean rtmdet-tiny"), ("torchvision://resnet5000", "no weights of that name"),
])
def test_what_names_nothing(what, word):
    with pytest.raises(UserError, match=word):
        resolve_weights(what)


def test_short_names_of_mmengine():
    assert entry_of("torchvision://resnet50").files[0].sha256 == "0676ba61"
    assert entry_of("open-mmlab://resnet50_caffe").files[0].sha256 == "788b5fa3"  # renamed to detectron/...
    assert entry_of("mmcls://vgg11").files[0].sha256 == "4271cd6c"


def test_a_name_with_several_files_says_which(offline, checkpoints):
    with pytest.raises(UserError, match="is not one file of weights but"):
        resolve_weights("rtmw3d")


def test_of_several_files_the_weights_are_meant(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_TOOLS_MIRROR", str(tmp_path / "mirror"))
    file = saved(tmp_path / "mirror/mine")
    (tmp_path / "mirror/mine/config.json").write_text("{}")
    entry = Entry("mine", (ModelFile("config.json"), ModelFile(file.name)), folder="mine")
    monkeypatch.setattr(resolve, "entry_of", lambda what: entry)
    assert resolve_weights("mine") == checkpoints / "mine" / file.name
    assert (checkpoints / "mine/config.json").is_file()


def test_without_network_every_source_and_the_place_are_named(offline, checkpoints):
    with pytest.raises(UserError) as caught:
        resolve_weights("rtmdet-tiny", checkpoints, advice="or do without")
    said = str(caught.value)
    assert str(checkpoints / NAME) in said and ADDRESS in said and "POSE_TOOLS_OFFLINE is set" in said
    assert "POSE_TOOLS_MIRROR" in said and said.endswith(", or do without")
    assert not checkpoints.exists() or os.listdir(checkpoints) == []


def test_a_mirror_is_a_copy_of_another_checkpoint_folder(offline, checkpoints, tmp_path, monkeypatch):
    file = saved(tmp_path / "mirror")
    monkeypatch.setenv("POSE_TOOLS_MIRROR", str(tmp_path / "mirror"))
    found = resolve_weights(f"https://example.org/{file.name}", checkpoints)
    assert found == checkpoints / file.name and found.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("scheme", ["https://example.org/", "torchvision://"])
def test_mmengine_loads_through_the_door(scheme, offline, checkpoints, tmp_path, monkeypatch):
    file = saved(tmp_path / "mirror", "resnet")
    monkeypatch.setenv("POSE_TOOLS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(resolve, "_short_names", lambda file_: {"mine": f"https://example.org/{file.name}"})
    loaded = CheckpointLoader.load_checkpoint(scheme + ("mine" if "torch" in scheme else file.name))
    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(3.0))
    assert (checkpoints / file.name).is_file()


def test_weights_that_a_run_of_a_config_loads():
    config = {
        "load_from": "hf:user/repo#x.pth", "recipes": {"l": {"checkpoint": "https://example.org/l.pth"}},
        "model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}},
                  "neck": [{"pretrained": "https://example.org/n.pth"}, {"checkpoint": "work_dirs/x.pth"}],
                  "head": {"url": "https://example.org/no.pth"}},
    }
    assert weights_in_config(config) == ["hf:user/repo#x.pth", "torchvision://resnet50", "https://example.org/n.pth"]
