"""Each stand-in does what it says, and nothing where upstream is sound."""
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.compat import install, keypoint_order
from pose_tools.openmmlab.compat.torchvision_absent import ToPILImage

ROOT = Path(__file__).resolve().parents[2]


def in_a_new_process(code, **environment):
    """Runs code in a fresh interpreter: what an import hook does shows only there."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


def test_installing_again_changes_nothing():
    from mmengine.optim import AmpOptimWrapper
    from mmengine.runner import Runner

    before = (Runner.wrap_model, AmpOptimWrapper.__init__, list(sys.meta_path))
    install()
    assert (Runner.wrap_model, AmpOptimWrapper.__init__, list(sys.meta_path)) == before


@pytest.mark.parametrize("how", ["absent", "raises"])
def test_mmpose_imports_without_a_working_torchvision(tmp_path, how):
    if how == "raises":
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision/__init__.py").write_text(
            "raise RuntimeError('operator torchvision::nms does not exist')", encoding="utf-8")
    said = in_a_new_process("""
        import pose_tools.openmmlab
        import mmpose.visualization, sys
        from mmengine.utils.dl_utils import collect_env
        env = collect_env()
        print("torchvision" in sys.modules, "TorchVision" in env, mmpose.visualization.PoseLocalVisualizer.__name__)
        """, PYTHONPATH=str(tmp_path))
    from pose_tools.openmmlab.compat.torchvision_absent import torchvision_works

    if how == "absent" and torchvision_works():
        pytest.skip("torchvision works here, so nothing stands in for it")
    assert said == "False False PoseLocalVisualizer"


def test_the_stand_in_for_to_pil_image():
    picture = torch.zeros(3, 2, 4)
    picture[0, 1, 3] = 1.0
    image = ToPILImage()(picture)
    assert (image.size, image.mode, image.getpixel((3, 1))) == ((4, 2), "RGB", (255, 0, 0))
    assert ToPILImage()(np.full((2, 4, 1), 7, np.uint8)).getpixel((0, 0)) == 7


def many_keypoints(order):
    names = [f"left-{i}" for i in range(6)] + [f"right-{i}" for i in range(6)]
    partner = {**dict(zip(names[:6], names[6:])), **dict(zip(names[6:], names[:6]))}
    info = {i: {"name": names[i], "id": i, "color": (i, 0, 0), "type": "", "swap": partner[names[i]]} for i in order}
    return {"dataset_name": "many", "keypoint_info": info, "skeleton_info": {}, "joint_weights": [1.0] * 12,
            "sigmas": [0.05] * 12}


def test_a_dumped_config_keeps_the_order_of_twelve_keypoints(tmp_path):
    """mmengine writes 0, 1, 10, 11, 2, ...; read back so, mmpose flips the wrong points."""
    from mmengine import Config
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    right = [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    Config({"dataset_info": many_keypoints(range(12))}).dump(str(tmp_path / "dumped.py"))
    dumped = Config.fromfile(str(tmp_path / "dumped.py")).dataset_info
    assert list(dumped.keypoint_info)[:4] == [0, 1, 10, 11], "upstream still sorts as strings"
    parsed = parse_pose_metainfo(dumped)
    assert parsed["flip_indices"] == right
    assert [colour[0] for colour in parsed["keypoint_colors"].tolist()] == list(range(12))
    assert parse_pose_metainfo.__wrapped__(dumped)["flip_indices"] != right, "without us it is wrong"
    assert keypoint_order._in_order({"a": 1}) == {"a": 1}


def test_a_configs_text_is_laid_out_once_and_follows_changes(monkeypatch):
    from mmengine import Config
    from yapf.yapflib import yapf_api

    laid_out = []
    monkeypatch.setattr("mmengine.config.config.FormatCode",
                        lambda text, **more: laid_out.append(1) or yapf_api.FormatCode(text, **more))
    cfg = Config({"model": {"depth": 171717}})
    first = cfg.pretty_text
    assert cfg.pretty_text == first == "model = dict(depth=171717)\n"
    assert len(laid_out) == 1
    cfg.model.depth = 181818
    assert cfg.pretty_text == "model = dict(depth=181818)\n"
    assert len(laid_out) == 2


def test_upstreams_amp_wrapper_trains_on_a_cpu():
    from mmengine.optim import AmpOptimWrapper

    if torch.cuda.is_available():
        pytest.skip("with a GPU nothing stands in for it")
    torch.manual_seed(0)
    layer = nn.Linear(4, 1)
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1), dtype="bfloat16")
    before = layer.weight.detach().clone()
    with wrapper.optim_context(layer):
        out = layer(torch.ones(2, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    # d(sum over 2 rows of ones) / d weight = 2 everywhere, times lr 0.1.
    assert torch.allclose(before - layer.weight, torch.full((1, 4), 0.2), atol=1e-3)
    with pytest.raises(ValueError, match="dtype should be one of"):
        AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1), dtype="int8")


@pytest.mark.slow
def test_gloo_and_sync_bn_in_two_cpu_processes(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent("""
        import pose_tools.openmmlab
        import torch, torch.distributed as dist
        from mmengine.dist import init_dist
        from mmengine.runner import Runner
        from mmengine.model import BaseModel
        class Model(BaseModel):
            def __init__(self):
                super().__init__()
                self.net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.SyncBatchNorm(4))
            def forward(self, inputs, mode):
                return {"loss": self.net(inputs).square().mean()}
        init_dist("pytorch", backend="nccl")
        runner = Runner.__new__(Runner)
        runner._distributed, runner._launcher, runner.cfg = True, "pytorch", {}
        model = Runner.wrap_model(runner, None, Model())
        loss = model(torch.randn(2, 3, 4, 4), mode="loss")["loss"]
        loss.backward()
        kinds = [type(m).__name__ for m in model.module.net]
        gradient = model.module.net[0].weight.grad.clone()
        dist.all_reduce(gradient, op=dist.ReduceOp.MAX)
        assert torch.equal(gradient, model.module.net[0].weight.grad), "gradients are shared"
        if dist.get_rank() == 0:
            print(dist.get_backend(), dist.get_world_size(), type(model).__name__, kinds)
        """), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         f"--master_port={21000 + os.getpid() % 20000}", str(script)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    assert "gloo 2 MMDistributedDataParallel ['Conv2d', '_BatchNormXd']" in done.stdout
