from pathlib import Path

import pytest
import torch

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab import loading
from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.loading import default_workers, fit_loaders
from pose_tools.options.training import TrainOptions


def options(**changes):
    return TrainOptions(config=Path("x.py"), **changes)


def fitted(monkeypatch, cores=6, own=2, device="cpu", **changes):
    monkeypatch.setattr(loading, "_cores", lambda: cores)
    cfg = load_config("configs/rtmpose-s-carpose.py")
    cfg.train_dataloader.num_workers = own
    lines = fit_loaders(cfg, device, options(**changes))
    return cfg, lines


@pytest.mark.parametrize("cores,processes,workers", [(1, 1, 2), (2, 1, 2), (4, 1, 2), (8, 1, 6), (64, 1, 8),
                                                     (16, 4, 3), (4, 4, 1)])
def test_workers_follow_the_cores(cores, processes, workers):
    assert default_workers(cores, processes) == workers


def test_the_command_line_and_a_zero_in_the_config_go_first(monkeypatch):
    assert fitted(monkeypatch)[0].train_dataloader.num_workers == 4
    cfg, lines = fitted(monkeypatch, workers=0)
    assert cfg.train_dataloader.num_workers == 0 and not cfg.val_dataloader.persistent_workers
    assert lines == ["no loader processes"]
    assert fitted(monkeypatch, own=0)[0].train_dataloader.num_workers == 0
    assert fitted(monkeypatch, own=0, workers=3)[0].train_dataloader.num_workers == 3
    cfg, _ = fitted(monkeypatch, device="cuda:0")
    assert cfg.train_dataloader.pin_memory and cfg.train_dataloader.persistent_workers


def hooks(cfg):
    return [hook for hook in cfg.custom_hooks if hook.type == "PictureCacheHook"]


def test_the_cache_is_asked_for_once_and_the_pipelines_stay_upstreams(monkeypatch):
    cfg, _ = fitted(monkeypatch, cache_gb=2.5)
    before = load_config("configs/rtmpose-s-carpose.py")
    assert hooks(cfg) == [dict(type="PictureCacheHook", keep=True, gigabytes=2.5, form="raw")]
    assert cfg.train_dataloader.dataset == before.train_dataloader.dataset
    fit_loaders(cfg, "cpu", options(cache=False))  # as when a run's own config is trained again
    assert hooks(cfg) == [dict(type="PictureCacheHook", keep=False, gigabytes=None, form="raw")]
    assert hooks(fitted(monkeypatch, cache_format="jpeg")[0])[0].form == "jpeg"
    assert not hooks(fitted(monkeypatch, cache_gb=0)[0])[0].keep


def trained(cars, folder, *more):
    """Trains two epochs, the second with the late pipeline; gives the last checkpoint's weights."""
    from tools import train

    data = [f"{split}_dataloader.dataset.data_root={cars}/" for split in ("train", "val", "test")]
    assert train.main([
        "configs/rtmpose-s-carpose.py", "--no-pretrained", "--epochs", "2", "--batch-size", "4", "--input-size", "32",
        "32", "--precision", "fp32", "--recipe", "config", "--device", "cpu", "--work-dir", str(folder), *more,
        "--cfg-options", *data, f"val_evaluator.ann_file={cars}/val_coco.json", "custom_hooks.1.switch_epoch=1",
        "train_cfg.val_interval=2"]) == 0
    return load_checkpoint_file(folder / "epoch_2.pth")["state_dict"]


@pytest.mark.slow
def test_training_learns_the_same_with_and_without_the_cache(cars, tmp_path):
    from pose_tools.openmmlab.image_cache.store import stored_files

    cached = trained(cars, tmp_path / "a", "--workers", "1")
    plain = trained(cars, tmp_path / "b", "--workers", "0", "--no-cache")
    assert len({entry.name.split(".")[0] for entry in stored_files(tmp_path / "a/cache")}) == 12
    assert not (tmp_path / "b/cache").exists()
    assert cached.keys() == plain.keys() and all(torch.equal(cached[key], plain[key]) for key in cached)
