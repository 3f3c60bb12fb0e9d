"""From a run's checkpoint to a file that can be used alone."""
import json
import os
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.weights.hashes import hash_in_name, sha256_of
from pose_tools.weights.release import publish
from pose_tools.weights.release.plain import to_plain
from pose_tools.weights.release.publish import publish_model


@MODELS.register_module()
class PublishNet(BaseModel):
    def __init__(self, width=4):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, width, 3, stride=8)
        self.norm = torch.nn.BatchNorm2d(width)
        self.tied = self.conv

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.norm(self.tied(inputs))
        if mode == "loss":
            return {"loss": (out - 1).abs().mean()}
        return [out] if mode == "predict" else (out, {"mean": out.mean()})


@DATASETS.register_module()
class PublishPoints(torch.utils.data.Dataset):
    metainfo = {"classes": ("car", ), "sigmas": np.array([0.05, 0.1]), "names": {"b", "a"},
                "keypoint_colors": np.array([[255, 0, 0], [0, 255, 0]], np.uint8), "id2name": {0: "left"}}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"inputs": torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(index))}


@METRICS.register_module()
class PublishMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {"AP": np.float64(0.625)}


def loader():
    return {"dataset": {"type": "PublishPoints"}, "batch_size": 2, "sampler": {"type": "DefaultSampler"},
            "collate_fn": {"type": "default_collate"}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs with averaged weights, as our configs have it."""
    work = tmp_path_factory.mktemp("runs") / "tiny-carpose"
    cfg = Config({
        "model": {"type": "PublishNet", "width": 4}, "work_dir": str(work), "experiment_name": "tiny-carpose",
        "train_dataloader": loader(), "val_dataloader": loader(), "val_evaluator": {"type": "PublishMetric"},
        "train_cfg": {"by_epoch": True, "max_epochs": 2}, "val_cfg": {},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.1}}, "codec": {"input_size": (64, 32)},
        "custom_hooks": [{"type": "EMAHook", "momentum": 0.3}], "randomness": {"seed": 3},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "save_best": "AP", "rule": "greater"}}})
    runner = Runner.from_cfg(cfg)
    runner.train()
    return work, runner


def read(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def test_the_file_is_named_by_its_bytes_and_smaller(trained, tmp_path):
    source = trained[0] / "epoch_2.pth"
    published = publish_model(source, tmp_path / "checkpoint" / "tiny", date="20250131")
    assert re.fullmatch(r"tiny-[0-9a-f]{8}_20250131\.pth", published.path.name)
    assert sha256_of(published.path).startswith(hash_in_name(published.path.name))
    assert os.listdir(tmp_path / "checkpoint") == [published.path.name]
    assert published.bytes_before == source.stat().st_size
    assert published.bytes_after == published.path.stat().st_size < published.bytes_before
    assert re.search(r"MB, was \d", str(published))


def test_it_holds_the_averaged_weights(trained, tmp_path):
    work, runner = trained
    got = read(publish_model(work / "epoch_2.pth", tmp_path / "x").path)
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == "EMAHook")
    ema = hook.ema_model.module.state_dict()
    plain = runner.model.state_dict()
    assert set(got) == {"meta", "state_dict"} and set(got["state_dict"]) == set(plain)
    for name, tensor in got["state_dict"].items():
        assert torch.equal(tensor, ema[name]), name
    assert not torch.equal(got["state_dict"]["conv.weight"], plain["conv.weight"])


def test_it_carries_what_is_needed_in_plain_types(trained, tmp_path):
    meta = read(publish_model(trained[0] / "epoch_2.pth", tmp_path / "tiny").path)["meta"]
    assert meta["dataset_meta"] == {
        "classes": ("car", ), "sigmas": [0.05, 0.1], "names": ["a", "b"],
        "keypoint_colors": [[255, 0, 0], [0, 255, 0]], "id2name": {0: "left"}}
    cfg = Config.fromstring(meta["cfg"], ".py")
    assert cfg.model == {"type": "PublishNet", "width": 4}
    assert cfg.work_dir == "work_dirs/tiny" and str(trained[0]) not in meta["cfg"]
    assert meta["epoch"] == 2 and meta["versions"]["torch"] == torch.__version__.split("+")[0]
    assert {"mmengine", "mmdet", "mmpose", "rtmpose-workshop"} <= set(meta["versions"])


def test_scores_say_whose_they_are(trained, tmp_path):
    source = trained[0] / "epoch_2.pth"
    last = read(publish_model(source, tmp_path / "last").path)["meta"]
    assert last["metrics"] == {"AP": 0.625} and "last validation before" in last["metrics_of"]
    best = read(publish_model(next(trained[0].glob("best_AP_*")), tmp_path / "best").path)["meta"]
    assert best["metrics"] == {"AP": 0.625} and best["metrics_of"] == "these weights"
    (tmp_path / "m.json").write_text('{"AP": 0.7, "PCK": {"tire": 0.9}}')
    given = read(publish_model(source, tmp_path / "given", tmp_path / "m.json").path)["meta"]
    assert given["metrics"] == {"AP": 0.7, "PCK": {"tire": 0.9}} and given["metrics_of"] == "these weights"


def test_twice_gives_the_same_bytes(trained, tmp_path):
    one, two = (publish_model(trained[0] / "epoch_2.pth", tmp_path / day / "tiny", date=day).path
                for day in ("20250101", "20250102"))
    assert one.read_bytes() == two.read_bytes() and one.name[:-12] == two.name[:-12]


class NoToday:
    """Stands in for datetime.date where the day it is must not be asked for."""

    @staticmethod
    def today():
        raise AssertionError("the day of publishing counts")


def test_the_date_is_that_of_saving(trained, tmp_path, monkeypatch):
    source = changed(trained, tmp_path, lambda c: c["meta"].update(time="20240229_235959"))
    with monkeypatch.context() as patch:
        patch.setattr(publish.datetime, "date", NoToday)
        assert publish_model(source, tmp_path / "x").path.name.endswith("_20240229.pth")
    for time in (None, "noon", "20230229_101010"):  # there was no such day
        source = changed(trained, tmp_path, lambda c, time=time: c["meta"].update(time=time))
        today = publish.datetime.date.today().strftime("%Y%m%d")
        assert publish_model(source, tmp_path / "y").path.name.endswith(f"_{today}.pth")


@pytest.mark.parametrize("out", ["again/tiny", "again/", "again/tiny.pth"])
def test_a_published_file_is_taken_as_it_is(out, trained, tmp_path, monkeypatch):
    first = publish_model(trained[0] / "epoch_2.pth", tmp_path / "tiny", date="20200101").path
    monkeypatch.setattr(publish, "_versions", lambda: {"torch": "later"})
    second = publish_model(first, f"{tmp_path}/{out}").path
    assert first.read_bytes() == second.read_bytes() and first.name == second.name
    assert publish_model(first, f"{tmp_path}/{out}", date="20210101").path.name == first.name.replace("2020", "2021")


def test_a_published_file_with_another_name_or_scores_is_another(trained, tmp_path):
    first = publish_model(trained[0] / "epoch_2.pth", tmp_path / "tiny").path
    renamed = read(publish_model(first, tmp_path / "other").path)["meta"]
    assert "work_dirs/other" in renamed["cfg"] and renamed["metrics"] == read(first)["meta"]["metrics"]
    (tmp_path / "m.json").write_text('{"AP": 0.7}')
    scored = publish_model(first, tmp_path / "tiny", tmp_path / "m.json").path
    assert read(scored)["meta"]["metrics"] == {"AP": 0.7} and scored.name != first.name


def test_a_file_whose_name_lies_about_its_hash_is_published_anew(trained, tmp_path):
    first = publish_model(trained[0] / "epoch_2.pth", tmp_path / "tiny", date="20200101").path
    liar = first.rename(tmp_path / "tiny-deadbeef_20200101.pth")
    assert publish_model(liar, tmp_path / "new/tiny").path.name != liar.name


def report_of(trained, **changes):
    return {"checkpoint": f"/home/bob/{trained[0].name}/epoch_2.pth", "annotations": "/home/bob/data/val_coco.json",
            "metrics": {"coco/AP": 0.5}, "boxes": "ground truth",
            "keypoints": [{"name": "/", "labelled": 3, "found": 2, "mean_px": 1.5, "median_px": 1.0, "pck": [0.5, 1]}],
            **changes}


@pytest.mark.parametrize("changes, expected", [
    ({}, ("these weights", "ground truth")), ({"boxes": "its own"}, ("these weights", "its own")),
    ({"boxes": "/home/bob/results.json"}, ("these weights", "a detector's")),
    ({"checkpoint": "C:\\\\runs\\\\other.pth"}, ("other.pth", "ground truth"))])
def test_the_report_of_a_test_is_taken_apart(changes, expected, trained, tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(report_of(trained, **changes)))
    path = publish_model(trained[0] / "epoch_2.pth", tmp_path / "x", tmp_path / "metrics.json").path
    meta = read(path)["meta"]
    assert meta["metrics"] == {"coco/AP": 0.5} and meta["metrics_on"] == "val_coco.json"
    assert (meta["metrics_of"], meta["metrics_boxes"]) == expected
    assert meta["keypoint_metrics"][0]["name"] == "/"
    assert b"home" not in path.read_bytes()


def test_paths_of_the_machine_are_not_published(trained, tmp_path):
    text = read_run(trained)["meta"]["cfg"] + (
        "dataset_name = 'cars'\ndata_root = '/home/bob/secret/cars/'\nval_ann = '/home/bob/secret/cars/val.json'\n"
        "hooks = [dict(type='PretrainedHook', checkpoint='/home/bob/start.pth')]\nkeypoints = ('/home/of/points',)\n")
    source = changed(trained, tmp_path, set_config(text))
    assert b"bob" in source.read_bytes()
    path = publish_model(source, tmp_path / "x").path
    cfg = Config.fromstring(read(path)["meta"]["cfg"], ".py")
    assert (cfg.data_root, cfg.val_ann, cfg.hooks[0].checkpoint) == ("data/cars/", "data/cars/val.json", "start.pth")
    assert cfg.keypoints == ("/home/of/points", )
    assert b"bob" not in path.read_bytes()


@pytest.mark.parametrize("spelling", ["folder", "slash", "suffix"])
def test_ways_to_say_where(spelling, trained, tmp_path):
    out = {"folder": tmp_path, "slash": f"{tmp_path}/new/", "suffix": tmp_path / "tiny-carpose.pth"}[spelling]
    path = publish_model(trained[0] / "epoch_2.pth", out, date="20250131").path
    assert re.fullmatch(r"tiny-carpose-[0-9a-f]{8}_20250131\.pth", path.name)
    assert path.parent == (tmp_path / "new" if spelling == "slash" else tmp_path)


def test_shared_tensors_are_stored_once(trained, tmp_path):
    weights = read(publish_model(trained[0] / "epoch_2.pth", tmp_path / "x").path)["state_dict"]
    assert weights["tied.weight"].data_ptr() == weights["conv.weight"].data_ptr()


def test_mmengine_loads_it(trained, tmp_path):
    from mmengine.runner import load_checkpoint

    path = publish_model(trained[0] / "epoch_2.pth", tmp_path / "x").path
    model = PublishNet()
    load_checkpoint(model, str(path), strict=True)
    assert torch.equal(model.conv.weight, read(path)["state_dict"]["conv.weight"])


def read_run(trained):
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    return load_checkpoint_file(trained[0] / "epoch_2.pth")


def changed(trained, tmp_path, change):
    checkpoint = read_run(trained)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "in.pth")
    return tmp_path / "in.pth"


def set_config(text):
    def change(checkpoint):
        checkpoint["meta"]["cfg"] = text

    return change


@pytest.mark.parametrize("change, words", [
    (lambda c: c.pop("state_dict"), "holds no weights"),
    (lambda c: c["meta"].pop("cfg"), "--config"),
    (lambda c: c.pop("meta"), "--config"),
    (lambda c: c["state_dict"]["conv.weight"].fill_(float("nan")), "diverged"),
    (lambda c: c["state_dict"].pop("norm.weight"), r"do not belong together: 1 \(norm.weight\) missing"),
    (lambda c: c["state_dict"].update(more=torch.zeros(1)), r"1 \(more\) too many"),
    (set_config("model = dict(type='PublishNet', width=5)\n"), "do not belong together"),
    (set_config("model = dict(type='Unheard')\n"), "cannot be built"),
    (set_config("a = 1\n"), "describes no model"),
    (set_config("model = dict(type='subprocess.Popen', args=['touch', 'x'])\n"), "refused"),
    (set_config("model = __import__('os').system('touch x')\n"), "not plain data"),
    (set_config("default_scope = 'os'\nmodel = dict(type='PublishNet')\n"), "mmdet and mmpose are supported"),
])
def test_what_cannot_be_published_leaves_nothing(change, words, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = changed(trained, tmp_path, change)
    with pytest.raises(UserError, match=words) as caught:
        publish_model(source, tmp_path / "out" / "x")
    assert "\n" not in str(caught.value) and str(source) in str(caught.value)
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []
    assert not (tmp_path / "x").exists()


def test_a_file_that_differs_is_not_published(trained, tmp_path, monkeypatch):
    whole = publish.plain_weights

    def corrupted(*args):
        weights = whole(*args)
        weights["conv.bias"][0] += 1e-6
        return weights

    monkeypatch.setattr(publish, "plain_weights", corrupted)
    with pytest.raises(UserError, match="other outputs"):
        publish_model(trained[0] / "epoch_2.pth", tmp_path / "out" / "x")
    assert os.listdir(tmp_path / "out") == []


def test_a_hostile_checkpoint_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'touched'}", )

    torch.save({"state_dict": {"w": torch.zeros(1)}, "meta": Hostile()}, tmp_path / "in.pth")
    with pytest.raises(UserError, match="refused, nothing in it was run"):
        publish_model(tmp_path / "in.pth", tmp_path / "out" / "x")
    assert sorted(os.listdir(tmp_path)) == ["in.pth"]


def test_missing_files_bad_dates_and_bad_metrics(trained, tmp_path):
    source = trained[0] / "epoch_2.pth"
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text.json").write_text("AP: 1")
    for arguments, words in (
            ((tmp_path / "absent.pth", tmp_path / "x"), "no such file"),
            ((source, tmp_path / "x", tmp_path / "absent.json"), "cannot be read"),
            ((source, tmp_path / "x", tmp_path / "list.json"), "not an object"),
            ((source, tmp_path / "x", tmp_path / "text.json"), "is not JSON"),
            ((source, tmp_path / "x", None, tmp_path / "absent.py"), "absent.py"),
            ((source, tmp_path / "x", None, None, "2025-01-31"), "YYYYMMDD")):
        with pytest.raises(UserError, match=words):
            publish_model(*arguments)


def test_a_config_can_be_given(trained, tmp_path):
    source = changed(trained, tmp_path, lambda c: c["meta"].pop("cfg"))
    (tmp_path / "tiny.py").write_text("model = dict(type='PublishNet', width=2 + 2)\n")
    meta = read(publish_model(source, tmp_path / "x", config=tmp_path / "tiny.py").path)["meta"]
    assert "width=4" in meta["cfg"]


def test_bare_weights_with_a_config(tmp_path):
    torch.save(PublishNet().state_dict(), tmp_path / "bare.pth")
    (tmp_path / "tiny.py").write_text("model = dict(type='PublishNet')\n")
    got = read(publish_model(tmp_path / "bare.pth", tmp_path / "x", config=tmp_path / "tiny.py").path)
    assert "dataset_meta" not in got["meta"] and "metrics" not in got["meta"]


def test_plain_types():
    class Text(str):
        pass

    got = to_plain({Text("a"): np.float32(0.5), "b": (np.int64(1), None, True), "c": {3, 1},
                    "d": np.zeros((1, 2))})
    assert got == {"a": 0.5, "b": (1, None, True), "c": [1, 3], "d": [[0.0, 0.0]]}
    assert [type(key) for key in got] == [str] * 4 and type(got["a"]) is float and type(got["b"][0]) is int
    assert got["b"][2] is True


def test_the_script(trained, tmp_path, capsys):
    from tools.publish_model import main

    assert main([str(trained[0] / "epoch_2.pth"), str(tmp_path / "x"), "--date", "20250131"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"x-[0-9a-f]{8}_20250131\.pth: \d+\.\d MB, was \d+\.\d MB\nverified: ", out)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rtmdet-tiny-carpose", "rtmpose-s-carpose"])
def test_real_models_load_upstream(name, tmp_path):
    from pathlib import Path

    from mmengine.registry import DefaultScope

    cfg = Config.fromfile(str(Path(__file__).resolve().parents[2] / "configs" / f"{name}.py"))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    meta = {"cfg": cfg.pretty_text, "experiment_name": f"{name}_20250131_101010", "epoch": 1, "iter": 1}
    if name.startswith("rtmpose"):
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        meta["dataset_meta"] = parse_pose_metainfo(cfg.dataset_info)
    else:
        meta["dataset_meta"] = {"classes": ("car", )}
    torch.save({"meta": meta, "state_dict": model.state_dict(), "optimizer": {"state": torch.zeros(10)}},
               tmp_path / "epoch_1.pth")
    path = publish_model(tmp_path / "epoch_1.pth", tmp_path).path
    assert path.name.startswith(f"{name}-")
    picture = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    own = Config.fromstring(read(path)["meta"]["cfg"], ".py")
    if name.startswith("rtmpose"):
        from mmpose.apis import inference_topdown, init_model
        from mmpose.visualization import PoseLocalVisualizer

        found = inference_topdown(init_model(own, str(path), device="cpu"), picture)[0]
        assert found.pred_instances.keypoints.shape == (1, 8, 2)
        drawer = PoseLocalVisualizer("publish-test", vis_backends=[])
        drawer.set_dataset_meta(read(path)["meta"]["dataset_meta"])
        drawer.add_datasample("x", picture, found, draw_gt=False, kpt_thr=-1.0)
        assert (drawer.get_image() != picture).any()
    else:
        from mmdet.apis import inference_detector, init_detector

        upstream = init_detector(own, str(path), device="cpu")
        assert upstream.dataset_meta["classes"] == ("car", )
        assert inference_detector(upstream, picture).pred_instances.bboxes.shape[1] == 4
