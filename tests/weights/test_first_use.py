"""Training, testing and predicting fetch what they need, once, through the one door."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from download_server import BadServer, without_network_settings

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/rtmpose-s-carpose.py"
pytestmark = pytest.mark.slow


def call(*words, code=0):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def training(cars, work_dir, *options):
    return ["tools/train.py", CONFIG, "--work-dir", work_dir, "--epochs", 1, "--batch-size", 4, "--input-size", 64, 64,
            "--no-validate", "--cfg-options", f"train_dataloader.dataset.data_root={cars}/",
            f"val_dataloader.dataset.data_root={cars}/", f"test_dataloader.dataset.data_root={cars}/",
            f"val_evaluator.ann_file={cars}/val_coco.json", f"test_evaluator.ann_file={cars}/val_coco.json", *options]


@pytest.fixture(scope="module")
def published(cars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    words = training(cars, folder)
    call(*words[:2], "--no-pretrained", *words[2:])
    call("tools/publish_model.py", folder / "epoch_1.pth", folder / "mine")
    return next(folder.glob("mine-*.pth"))


@pytest.fixture
def server(monkeypatch, tmp_path, published):
    without_network_settings(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("POSE_TOOLS_CHECKPOINTS", str(tmp_path / "checkpoint"))
    with BadServer() as running, BadServer() as cdn:
        running.put(f"/{published.name}", published.read_bytes())
        running.put_hub("user/repo", published.name, published.read_bytes(), cdn)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_training_starts_from_an_address(server, published, cars, tmp_path):
    address = f"{server.url}/{published.name}"
    said = call(*training(cars, tmp_path / "work", f"load_from={address}"))
    assert f"fetching {published.name} (" in said and "loaded 254 of 254 tensors" in said
    assert (tmp_path / "checkpoint" / published.name).read_bytes() == published.read_bytes()
    assert (tmp_path / "work/epoch_1.pth").is_file()


def test_a_backbone_that_the_config_wants_is_fetched_before_the_model_is_built(server, cars, tmp_path):
    said = call(*training(cars, tmp_path / "work", "model.init_cfg=None",
                          "model.backbone.init_cfg.type=Pretrained",
                          f"model.backbone.init_cfg.checkpoint={server.url}/gone-0a0b0c0d.pth"), code=1)
    assert "gone-0a0b0c0d.pth: cannot be had" in said and "404" in said and "--no-pretrained" in said
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").glob("*.pth"))


def test_testing_and_predicting_fetch_once(server, published, cars, tmp_path):
    hub = f"hf:user/repo#{published.name}"
    picture = next((cars / "images").glob("*.jpg"))
    said = call("pose_tools/predict.py", picture, "--pose", hub, "--out", tmp_path / "out")
    assert "fetching" in said and "1 images, 1 instances" in said
    asked = len(server.requests)
    call(*["tools/test.py", CONFIG, hub, "--work-dir", tmp_path / "test", "--cfg-options",
           f"test_dataloader.dataset.data_root={cars}/", f"test_evaluator.ann_file={cars}/val_coco.json"])
    assert len(server.requests) == asked
    assert os.listdir(tmp_path / "checkpoint") and (tmp_path / "test/metrics.json").is_file()


def test_offline_advice_comes_before_anything_is_built(server, cars, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "1")
    said = call(*training(cars, tmp_path / "work"), code=1)
    assert "fcb2599b_20230126.pth: cannot be had" in said and "POSE_TOOLS_OFFLINE is set" in said
    assert "POSE_TOOLS_MIRROR" in said and "--no-pretrained" in said


def test_a_hostile_file_of_the_internet_is_refused(server, tmp_path, cars):
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    server.put("/evil.pth", pickle.dumps({"state_dict": Evil()}, protocol=2))
    said = call("pose_tools/predict.py", next((cars / "images").glob("*.jpg")), "--pose", f"{server.url}/evil.pth",
                "--out", tmp_path / "out", code=1)
    assert "refused" in said and not (tmp_path / "ran").exists()
