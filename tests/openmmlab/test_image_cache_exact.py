"""Samples from the picture cache are upstream's, bit for bit."""
import random
import time

import numpy as np
import pytest
import torch
from cache_pictures import BOXES, build, cached, same, write_set

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.image_cache.store import stored_files


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = write_set(tmp_path_factory.mktemp("pictures"))
    time.sleep(0.1)  # a file this young might change again without showing it
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = write_set(tmp_path_factory.mktemp("small"), [(30, 20, 30, 24), (370, 280, 20, 16), (200, 150, 5, 40)])
    time.sleep(0.1)
    return root


def seeded(dataset, index, epoch):
    """A sample; the pipelines seed each by its index, those without randomness do not care."""
    for step in dataset.pipeline.transforms:
        if hasattr(step, "set_clock"):
            step.set_clock(7, epoch)
    random.seed(epoch)
    np.random.seed(epoch)
    torch.manual_seed(epoch)
    return dataset.prepare_data(index)


def differences(theirs, ours, epochs):
    found = []
    for epoch in range(epochs):
        for index in range(len(theirs)):
            a, b = seeded(theirs, index, epoch), seeded(ours, index, epoch)
            if (a is None) != (b is None):
                found.append(f"sample {index}: {a} and {b}")
            elif a is not None:
                found += [f"sample {index}, epoch {epoch} {line}" for line in same(a, b)]
    return found


def counted(opener, monkeypatch):
    """How often a picture was decoded."""
    import mmcv

    calls, decode = [], mmcv.imfrombytes
    monkeypatch.setattr(mmcv, "imfrombytes", lambda *args, **more: calls.append(1) or decode(*args, **more))
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", ["train_pipeline", "train_pipeline_stage2"])
def test_pose_from_small_parts(small, tmp_path, pipeline, monkeypatch):
    theirs, ours = (build(small, "rtmpose-s-carpose", pipeline) for _ in range(2))
    asked, opener = cached(ours, tmp_path / "cache")
    assert all(len(wish.whats) > 1 and wish.size < 300 * 400 * 3 * 0.5 for wish in asked)
    assert differences(theirs, ours, 2) == []
    calls = counted(opener, monkeypatch)
    for epoch in range(4):
        for index in range(len(ours)):
            seeded(ours, index, epoch)
    assert calls == [], "what the affine reads lies within what was computed"


@pytest.mark.parametrize("pipeline", ["train_pipeline", "train_pipeline_stage2", "test_pipeline"])
@pytest.mark.parametrize("size", [None, (192, 256)])
def test_pose(pictures, tmp_path, pipeline, size, monkeypatch):
    theirs, ours = (build(pictures, "rtmpose-s-carpose", pipeline) for _ in range(2))
    for step in [*theirs.pipeline.transforms, *ours.pipeline.transforms] if size else ():
        if hasattr(step, "input_size"):
            step.input_size = size
        if hasattr(step, "encoder"):
            step.encoder.input_size = size
    assert len(theirs) == 7 * len(BOXES)
    asked, opener = cached(ours, tmp_path / "cache")
    assert differences(theirs, ours, 1) == []
    assert len(list(stored_files(tmp_path / "cache"))) == sum(len(wish.whats) for wish in asked)
    calls = counted(opener, monkeypatch)
    for index in range(len(ours)):
        seeded(ours, index, 9)
    assert calls == [], "nothing is decoded a second time"


@pytest.mark.parametrize("pipeline", ["train_pipeline", "test_pipeline"])
def test_pose_from_parts_kept_as_jpeg_differs_by_their_rounding_alone(small, tmp_path, pipeline, monkeypatch):
    theirs, ours = (build(small, "rtmpose-s-carpose", pipeline) for _ in range(2))
    asked, opener = cached(ours, tmp_path / "cache", form="jpeg")
    for index in range(len(ours)):
        seeded(ours, index, 0)
    files = list(stored_files(tmp_path / "cache"))
    assert len(files) == sum(len(wish.whats) for wish in asked)
    assert all(file.stat().st_size <= 400 * 300 + 8192 for file in files)
    calls = counted(opener, monkeypatch)
    for index in range(len(ours)):
        a, b = seeded(theirs, index, 1), seeded(ours, index, 1)
        assert all(".inputs" in line for line in same(a, b)), "boxes, points and random numbers are the same"
        apart = (a["inputs"].float() - b["inputs"].float()).abs()
        assert apart.mean() < 10 and apart.max() < 120, "the pictures are noise of 40 grey levels"
    assert len(calls) == len(theirs), "upstream's, once for each sample; none of ours"


def test_a_picture_that_would_be_kept_whole_as_jpeg_is_not_kept(pictures, tmp_path):
    """Its copy would be decoded for every sample, as the picture itself is."""
    detector = build(pictures, "rtmdet-tiny-carpose", "train_pipeline_stage2")
    assert cached(detector, tmp_path / "raw", form="raw")[0]
    assert not cached(detector, tmp_path / "jpeg", form="jpeg")[0]


def test_a_pipeline_with_a_step_of_somebody_elses_gets_whole_pictures(pictures, tmp_path, monkeypatch):
    from pose_tools.openmmlab.config import load_config

    own = [*load_config("configs/rtmpose-s-carpose.py").train_pipeline]
    own.insert(3, dict(type="RandomHalfBody", prob=0.0))
    theirs, ours = (build(pictures, "rtmpose-s-carpose", "train_pipeline", steps=own) for _ in range(2))
    asked, opener = cached(ours, tmp_path / "cache")
    assert {wish.whats for wish in asked} == {((0, 0, 400, 300), )} | {((0, 0, 300, 400), )} & {w.whats for w in asked}
    assert differences(theirs, ours, 2) == []
    calls = counted(opener, monkeypatch)
    seeded(ours, 0, 3)
    assert calls == []


@pytest.mark.parametrize("pipeline", ["train_pipeline", "train_pipeline_stage2", "test_pipeline"])
@pytest.mark.parametrize("side", [96, 320])  # smaller than the pictures, and larger
def test_detector(pictures, tmp_path, pipeline, side, monkeypatch):
    theirs, ours = (build(pictures, "rtmdet-tiny-carpose", pipeline) for _ in range(2))
    sizes = {"img_scale": (side + 32, side), "dynamic_scale": (side + 32, side), "size": (side + 32, side),
             "crop_size": (side, side + 32)}
    for step in [*theirs.pipeline.transforms, *ours.pipeline.transforms]:
        for name, size in sizes.items():
            if getattr(step, name, None) is not None:
                setattr(step, name, size)
        if type(step).__name__ == "RandomResize":
            step.scale = (2 * side + 64, 2 * side)
        if type(step).__name__ == "Resize":
            step.scale = (side + 32, side)
    asked, opener = cached(ours, tmp_path / "cache")
    assert differences(theirs, ours, 3 if "train" in pipeline else 1) == []
    assert len(list(stored_files(tmp_path / "cache"))) == sum(len(wish.whats) for wish in asked) == 7
    calls = counted(opener, monkeypatch)
    for index in range(len(ours)):
        seeded(ours, index, 9)
    assert calls == []


def test_without_a_plan_the_samples_are_the_same_too(pictures, tmp_path):
    theirs, ours = (build(pictures, "rtmpose-s-carpose", "train_pipeline") for _ in range(2))
    _, opener = cached(ours, tmp_path / "cache")
    opener.wanted.clear()
    assert differences(theirs, ours, 1) == []
    assert list(stored_files(tmp_path / "cache")) == []
