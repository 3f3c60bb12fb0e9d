"""Checkpoints: what mmengine writes is read, what could run code is refused unread."""
import builtins
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.compat import safe_load
from pose_tools.openmmlab.compat.safe_load import UnsafeCheckpoint, load_checkpoint_file


@pytest.fixture(params=["torch's reader", "our reader for PyTorch before 2.6"])
def reader(request, monkeypatch):
    if request.param.startswith("our"):
        monkeypatch.setattr(safe_load, "NAMES_CAN_BE_GIVEN", False)
    elif not safe_load.NAMES_CAN_BE_GIVEN:
        pytest.skip("this PyTorch is before 2.6")


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class SaysItIs:
    """Pickles as a global of any name, called with arguments."""

    def __init__(self, module, name, *args, state=None):
        self.module, self.name, self.args, self.state = module, name, args, state


class Forger(pickle._Pickler):
    """Writes names that do not exist here, or are not what they seem."""

    def save(self, obj, save_persistent_id=True):
        if not isinstance(obj, SaysItIs):
            return super().save(obj, save_persistent_id)
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        if obj.args != (None, ):
            super().save(tuple(obj.args))
            self.write(pickle.REDUCE)
        if obj.state is not None:
            super().save(obj.state)
            self.write(pickle.BUILD)


def name_only(module, name):
    return SaysItIs(module, name, None)


def forge(path, value):
    """Writes a checkpoint file around a hand-made pickle."""
    stream = io.BytesIO()
    Forger(stream, protocol=2).dump(value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/version", "3\n")
    return path


@pytest.fixture
def saved(tmp_path):
    def save(value, **options):
        path = tmp_path / "file.pth"
        torch.save(value, path, **options)
        return path

    return save


def hostile_values(touched):
    command = f"touch {touched}"
    return {
        "os.system": (Call(os.system, command), "posix.system"),
        "nested": ({"state_dict": OrderedDict(a=[{"b": Call(os.system, command)}])}, "posix.system"),
        "eval": (Call(eval, f"open({str(touched)!r}, 'w')"), "eval"),
        "exec": (Call(exec, f"open({str(touched)!r}, 'w')"), "exec"),
        "open": (Call(open, str(touched), "w"), "open"),
        "getattr of a module": (SaysItIs("builtins", "getattr", name_only("os", "path"), "x"), "os.path"),
        "__import__": (Call(builtins.__import__, "os"), "__import__"),
        "subprocess": (Call(__import__("subprocess").Popen, ["touch", str(touched)]), "Popen"),
        "apply": (Call(__import__("functools").partial, os.system, command), "functools.partial"),
        "torch.hub": (Call(torch.hub.load, "x/y", "z"), "torch.hub.load"),
        "getattr of class": (Call(getattr, HistoryBuffer, "__init__"), "getattr(HistoryBuffer, '__init__')"),
        "getattr of a tensor class": (Call(getattr, torch.Tensor, "mean"), "getattr(Tensor, 'mean')"),
        "numpy objects": (np.array([{}], dtype=object), "numpy.dtype('O8')"),
        "numpy fields": (np.zeros(2, dtype=[("a", "f4")]), "numpy.dtype('V4')"),
        "numpy.load": (Call(np.load, "x", None, True), "numpy.load"),
    }


@pytest.mark.parametrize("kind", sorted(hostile_values("x")))
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickles_are_refused_and_never_run(kind, legacy, tmp_path, reader):
    touched = tmp_path / "touched"
    value, offending = hostile_values(touched)[kind]
    path = tmp_path / "hostile.pth"
    if isinstance(value, SaysItIs):
        forge(path, value)
    else:
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeCheckpoint) as caught:
        load_checkpoint_file(path)
    message = str(caught.value)
    assert offending in caught.value.offending and offending in message
    assert str(path) in message and "\n" not in message
    assert not touched.exists()


def test_the_hostile_pickles_are_hostile(tmp_path):
    touched = tmp_path / "touched"
    value, _ = hostile_values(touched)["os.system"]
    torch.save(value, tmp_path / "hostile.pth")
    torch.load(tmp_path / "hostile.pth", weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize("forged", [
    # numpy.dtype takes flags that say "no objects inside" about fields that are pointers.
    SaysItIs("numpy", "dtype", "V8", False, True,
             state=(3, "|", None, ("a", ), {"a": (None, 0)}, 8, 1, 0)),
    SaysItIs("numpy", "ndarray", (1 << 40, )),
    SaysItIs("numpy.core.multiarray", "scalar", SaysItIs("numpy", "dtype", "O8", False, True), b"12345678"),
    SaysItIs("builtins", "getattr", name_only("builtins", "getattr"), "x"),
    SaysItIs("numpy.core.multiarray", "_reconstruct", name_only("torch", "Tensor"), (0, ), b"b"),
], ids=["dtype flags", "huge array", "pointer scalar", "getattr of getattr", "other class"])
def test_forged_numpy_is_refused(forged, tmp_path, reader):
    with pytest.raises(UnsafeCheckpoint):
        load_checkpoint_file(forge(tmp_path / "forged.pth", forged))


@pytest.mark.parametrize("state", [
    (1, (4, ), SaysItIs("numpy", "dtype", "f8", False, True), False, b"too short"),
    (1, (-1, ), SaysItIs("numpy", "dtype", "f8", False, True), False, b""),
    (1, "shape", SaysItIs("numpy", "dtype", "f8", False, True), False, b""),
    (1, ),
])
def test_malformed_arrays_are_one_line(state, tmp_path, reader):
    array = SaysItIs("numpy.core.multiarray", "_reconstruct", name_only("numpy", "ndarray"), (0, ), b"b",
                     state=state)
    with pytest.raises(UserError, match="numpy array") as caught:
        load_checkpoint_file(forge(tmp_path / "forged.pth", {"a": array}))
    assert "\n" not in str(caught.value)


def test_arrays_scalars_and_history_come_back_as_they_were(saved, reader):
    buffer = HistoryBuffer([1.0, 3.0], [1, 1], max_length=7)
    arrays = [np.arange(6, dtype=dtype).reshape(2, 3) for dtype in ("f4", "f8", "i4", "u1", ">i2", "c8")]
    value = {"loss": buffer, "again": buffer, "arrays": arrays, "fortran": np.asfortranarray(arrays[1]),
             "empty": np.zeros((0, 4), "f4"), "zero-d": np.array(2.5), "mask": np.array([True, False]),
             "names": np.array(["wheel", "輪"]), "bytes": np.array([b"ab", b"c"]), "scalar": np.float32(0.5),
             "integer": np.int64(-3), "true": np.bool_(True), "plain": ("a", 1, None, {1, 2}, b"raw"),
             "dtype": np.dtype("f4"), "config": ConfigDict(a={"b": np.float64(1.5)})}
    got = load_checkpoint_file(saved(value))
    for ours, theirs in zip(got["arrays"], arrays):
        assert type(ours) is np.ndarray and ours.dtype == theirs.dtype and ours.flags.writeable
        np.testing.assert_array_equal(ours, theirs)
    for name in ("fortran", "empty", "zero-d", "mask", "names", "bytes"):
        np.testing.assert_array_equal(got[name], value[name])
        assert got[name].dtype == value[name].dtype and got[name].shape == value[name].shape
    for name in ("scalar", "integer", "true"):
        assert type(got[name]) is type(value[name]) and got[name] == value[name]
    assert got["plain"] == value["plain"] and got["dtype"] == np.dtype("f4")
    assert type(got["config"]) is ConfigDict and got["config"].a.b == 1.5
    assert type(got["loss"]) is HistoryBuffer and got["loss"] is got["again"]
    assert got["loss"].mean() == 2.0 and got["loss"].current() == 3.0 and got["loss"].max_length == 7
    assert got["loss"].statistics("max") == 3.0
    got["loss"].update(8.0)
    assert got["loss"].mean() == 4.0


def test_numpy_2_names_are_read(tmp_path, reader):
    dtype = SaysItIs("numpy", "dtype", "f8", False, True, state=(3, "<", None, None, None, -1, -1, 0))
    scalar = SaysItIs("numpy._core.multiarray", "scalar", dtype, struct.pack("<d", 0.25))
    array = SaysItIs("numpy._core.multiarray", "_reconstruct", name_only("numpy", "ndarray"), (0, ), b"b",
                     state=(1, (2, ), dtype, False, struct.pack("<2d", 1, 2)))
    got = load_checkpoint_file(forge(tmp_path / "numpy2.pth", {"scalar": scalar, "array": array}))
    assert got["scalar"] == 0.25
    np.testing.assert_array_equal(got["array"], [1.0, 2.0])


def test_legacy_files_of_weights_are_read(saved, reader):
    value = {"state_dict": OrderedDict(w=torch.arange(3.0)), "meta": {"score": np.float64(0.5)}}
    got = load_checkpoint_file(saved(value, _use_new_zipfile_serialization=False))
    assert torch.equal(got["state_dict"]["w"], torch.arange(3.0)) and got["meta"]["score"] == 0.5


def test_parameters_and_optimizers_are_read(saved, reader):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    got = load_checkpoint_file(saved({"optimizer": optimizer.state_dict(), "p": model.weight}))
    assert isinstance(got["p"], torch.nn.Parameter)
    assert got["optimizer"]["state"][0]["step"] == 1


def test_the_list_is_not_left_behind(saved):
    path = saved({"a": np.float64(1.0)})
    load_checkpoint_file(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def tar_of(path):
    inner = path.with_name("inner")
    inner.write_bytes(b"x" * 100)
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "pickle")


def zip_of(name):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")

    return write


def cut(path):
    torch.save({"w": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("write, word", [
    (lambda path: None, "no such file"),
    (lambda path: path.mkdir(), "is a folder"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_text("\n<!DOCTYPE html><html>domain expired</html>"), "web page"),
    (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git-lfs"),
    (lambda path: path.write_bytes(os.urandom(3000)), "no checkpoint"),
    (lambda path: path.write_text("hello\n"), "no checkpoint"),
    (lambda path: path.write_bytes(pickle.dumps({"a": 1}, protocol=4)), "no checkpoint"),
    (cut, "cut short"),
    (tar_of, "tar archive"),
    (zip_of("archive/constants.pkl"), "TorchScript"),
    (zip_of("photo.jpg"), "zip archive"),
    (zip_of("archive/data.pkl"), "no checkpoint"),
])
def test_what_is_no_checkpoint_is_one_line(write, word, tmp_path, reader):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(UserError, match=word) as caught:
        load_checkpoint_file(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class TestEveryWayIntoMmengine:
    @pytest.fixture
    def hostile(self, tmp_path):
        path = tmp_path / "hostile.pth"
        torch.save({"state_dict": Call(os.system, f"touch {tmp_path / 'touched'}")}, path)
        yield str(path)
        assert not (tmp_path / "touched").exists()

    def test_load_checkpoint(self, hostile):
        from mmengine.runner import load_checkpoint

        with pytest.raises(UnsafeCheckpoint):
            load_checkpoint(torch.nn.Linear(1, 1), hostile)

    def test_checkpoint_loader_and_with_prefix(self, hostile):
        from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint_with_prefix

        with pytest.raises(UnsafeCheckpoint):
            CheckpointLoader.load_checkpoint(hostile)
        with pytest.raises(UnsafeCheckpoint):
            _load_checkpoint_with_prefix("backbone.", hostile)

    def test_pretrained_init(self, hostile):
        from mmengine.model import initialize

        with pytest.raises(UnsafeCheckpoint):
            initialize(torch.nn.Linear(1, 1), {"type": "Pretrained", "checkpoint": hostile})

    def test_every_load_in_the_module(self, hostile):
        """The s3, pavi and openmmlab schemes call torch.load in the module's own namespace."""
        from mmengine.runner import checkpoint

        with pytest.raises(UnsafeCheckpoint):
            checkpoint.torch.load(hostile, map_location="cpu")
        with open(hostile, "rb") as opened, pytest.raises(UnsafeCheckpoint):
            checkpoint.torch.load(io.BytesIO(opened.read()))
        with pytest.raises(UnsafeCheckpoint):
            checkpoint.torch.load(hostile, weights_only=False)

    def test_model_zoo_scheme(self, hostile, tmp_path, monkeypatch):
        from mmengine.runner import checkpoint

        monkeypatch.setattr(checkpoint, "_get_mmengine_home", lambda: str(tmp_path))
        monkeypatch.setattr(checkpoint, "get_external_models", lambda: {"x": "hostile.pth"})
        with pytest.raises(UnsafeCheckpoint):
            checkpoint.CheckpointLoader.load_checkpoint("open-mmlab://x")

    @pytest.mark.parametrize("scheme", ["https://example.org/{}", "torchvision://x", "mmcls://x", "open-mmlab://x"])
    def test_addresses_use_the_checkpoint_folder(self, scheme, tmp_path, monkeypatch):
        from mmengine.runner import checkpoint

        from pose_tools.weights import resolve, store

        torch.save({"state_dict": {"backbone.w": torch.ones(1)}}, tmp_path / "present.pth")
        monkeypatch.setattr(store, "CHECKPOINTS", tmp_path)
        monkeypatch.setattr(resolve, "_short_names", lambda file: {"x": "https://example.org/present.pth"})
        for table in ("get_torchvision_models", "get_mmcls_models", "get_external_models"):
            monkeypatch.setattr(checkpoint, table, lambda: {"x": "https://example.org/present.pth"})
        got = checkpoint.CheckpointLoader.load_checkpoint(scheme.format("present.pth"), "cpu")
        assert [float(v) for v in got["state_dict"].values()] == [1.0]

    def test_installing_again_changes_nothing(self):
        from mmengine.runner import checkpoint

        before = checkpoint.torch
        safe_load.install()
        assert checkpoint.torch is before
        assert checkpoint.torch.nn is torch.nn and checkpoint.torch.save is torch.save

    def test_missing_file_is_one_line(self, tmp_path):
        from mmengine.runner.checkpoint import CheckpointLoader

        with pytest.raises(UserError, match="no such file"):
            CheckpointLoader.load_checkpoint(str(tmp_path / "absent.pth"))

    def test_nobody_else_calls_torch_load(self):
        """A new upstream release with another torch.load would pass us by."""
        import importlib.util
        from pathlib import Path

        found = []
        for package in ("mmengine", "mmdet", "mmpose", "mmcv"):
            root = Path(importlib.util.find_spec(package).origin).parent
            for file in root.rglob("*.py"):
                where = file.relative_to(root)
                if where.parts[0] != ".mim" and "torch.load(" in file.read_text(encoding="utf-8"):
                    found.append(f"{package}/{where.as_posix()}")
        assert sorted(found) == ["mmengine/runner/checkpoint.py", "mmengine/utils/dl_utils/hub.py"]


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode="tensor"):
        out = self.layer(inputs)
        return {"loss": out.square().mean()} if mode == "loss" else out


class Points(torch.utils.data.Dataset):
    metainfo = {"sigmas": np.array([0.05], "f4"), "colors": np.array([[255, 0, 0]], np.uint8)}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"inputs": torch.full((2, ), float(index + 1))}


def runner(work_dir, epochs, **options):
    return Runner(
        Net(), str(work_dir), experiment_name=str(work_dir), custom_hooks=[{"type": "EMAHook"}],
        train_dataloader={"dataset": Points(), "batch_size": 2, "sampler": {"type": "DefaultSampler"},
                          "collate_fn": {"type": "default_collate"}},
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler={"type": "LinearLR", "start_factor": 0.5, "end": 4, "by_epoch": False},
        randomness={"seed": 1}, **options)


def test_a_real_run_is_read_and_resumed(tmp_path, reader):
    runner(tmp_path / "a", 2).train()
    path = tmp_path / "a" / "epoch_2.pth"
    got = load_checkpoint_file(path)
    assert got["meta"]["epoch"] == 2 and got["meta"]["iter"] == 4
    assert got["meta"]["dataset_meta"]["colors"].tolist() == [[255, 0, 0]]
    history = got["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(history, HistoryBuffer) and len(history.data[0]) == 4
    assert got["optimizer"]["state"][0]["step"] == 4
    assert set(got) >= {"state_dict", "ema_state_dict", "param_schedulers"}

    resumed = runner(tmp_path / "b", 3, load_from=str(path), resume=True)
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (3, 6)
    again = load_checkpoint_file(tmp_path / "b" / "epoch_3.pth")
    assert len(again["message_hub"]["log_scalars"]["train/loss"].data[0]) == 6


def test_resuming_from_a_hostile_file_is_refused(tmp_path):
    path = tmp_path / "hostile.pth"
    torch.save({"state_dict": Call(os.system, f"touch {tmp_path / 'touched'}")}, path)
    for resume in (True, False):
        with pytest.raises(UnsafeCheckpoint):
            runner(tmp_path / "work", 1, load_from=str(path), resume=resume).train()
    assert not (tmp_path / "touched").exists()
