import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.device import use_device
from pose_tools.openmmlab.step import precision
from pose_tools.openmmlab.step.precision import Precision, apply_precision, choose_precision, use_fused_optimizer


class Model(nn.Module):
    """A backbone of one convolution and a head of one layer, which note the types they get."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        features = self.backbone(x)
        self.seen = features.dtype
        return self.head(features.mean((2, 3)))


@pytest.mark.parametrize("native", [True, False])
def test_auto_on_a_cpu_follows_the_cpu(monkeypatch, native):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    assert choose_precision("auto", "cpu").name == ("bf16" if native else "fp32")
    assert choose_precision("bf16", "cpu").name == "bf16"
    assert choose_precision("fp32", "cpu").name == "fp32"


def test_a_detector_from_scratch_trains_in_fp32_on_a_cpu_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    assert choose_precision("auto", "cpu", new_detector=True).name == "fp32"
    assert choose_precision("bf16", "cpu", new_detector=True).name == "bf16"
    assert choose_precision("auto", "cpu", new_detector=False).name == "bf16"


@pytest.mark.parametrize(("config", "from_scratch", "expected"), [
    ("rtmdet-tiny", True, "fp32"), ("rtmdet-tiny", False, "bf16"), ("rtmpose-s", True, "bf16")])
def test_a_run_knows_whether_it_is_one(root, monkeypatch, config, from_scratch, expected):
    from pose_tools.openmmlab import training
    from pose_tools.openmmlab.config import load_config
    from pose_tools.options.training import TrainOptions

    class EnoughError(Exception):
        pass

    def stop(cfg):
        raise EnoughError

    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(training.ReadableRunner, "from_cfg", stop)
    cfg = load_config(root / f"configs/{config}-carpose.py")
    cfg.from_scratch = from_scratch
    with pytest.raises(EnoughError):
        training.build_runner(cfg, TrainOptions(Path("x.py"), device="cpu"), [])
    assert cfg.precision == expected


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(UserError, match="needs a GPU"):
        choose_precision("fp16", "cpu")


def test_bf16_stays_in_the_backbone_and_in_training():
    torch.manual_seed(0)
    model, image = Model(), torch.randn(2, 3, 16, 16)
    exact = model(image)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    apply_precision(model, Precision("bf16", ""), "cpu")
    model.train()
    rounded = model(image)
    assert model.seen == torch.float32, "the head gets fp32"
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, atol=0.02)
    rounded.sum().backward()
    assert model.backbone.weight.grad.dtype == torch.float32
    model.eval()
    assert torch.allclose(model(image), exact, atol=1e-6), "validation is in fp32"
    assert model.state_dict().keys() == state.keys()


def test_fp32_gives_the_same_numbers():
    torch.manual_seed(0)
    model, image = Model(), torch.randn(2, 3, 16, 16)
    before = model(image)
    apply_precision(model, Precision("fp32", ""), "cpu")
    assert torch.allclose(model(image), before, atol=1e-6)


@pytest.mark.parametrize(("wanted", "message"), [("tpu", "say cpu"), ("cuda:99", "(no GPU|there are)")])
def test_a_device_that_is_not_here_is_one_line(wanted, message):
    with pytest.raises(UserError, match=message):
        use_device(wanted)


def test_the_device_chosen_is_the_one_mmengine_uses():
    from mmengine.device import get_device

    assert use_device("cpu") == get_device() == "cpu"


@pytest.mark.parametrize(("optimizer", "device", "fused"), [
    ({"type": "AdamW"}, "cpu", tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)),
    ({"type": "AdamW"}, "cuda:0", True),
    ({"type": "AdamW"}, "mps", None),
    ({"type": "LBFGS"}, "cpu", None),
    ({"type": "AdamW", "fused": False}, "cuda", False),
])
def test_the_fused_optimizer_is_used_where_torch_has_it(optimizer, device, fused):
    wrapper = {"optimizer": dict(optimizer)}
    use_fused_optimizer(wrapper, device)
    assert (wrapper["optimizer"].get("fused") or None) == (fused or None)


def types_seen(model, names):
    """A dictionary of the type of what modules return, by dotted name; it fills as the model runs."""
    seen = {}
    modules = dict(model.named_modules())
    for name in names:
        modules[name].register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: output.dtype}))
    return seen


@pytest.fixture(scope="module")
def rtmdet(root):
    from mmengine.registry import MODELS, init_default_scope

    from pose_tools.openmmlab.config import load_config

    cfg = load_config(root / "configs/rtmdet-tiny-carpose.py")
    init_default_scope("mmdet")
    cfg.model.pop("init_cfg", None)
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


@pytest.mark.parametrize(("parts", "stacked", "prediction"), [
    (None, torch.bfloat16, torch.float32),
    (("backbone", ), torch.float32, torch.float32),
    (("backbone", "neck", "bbox_head"), torch.bfloat16, torch.bfloat16),
    (("nothing", ), torch.float32, torch.float32),
])
def test_the_parts_of_rtmdet_train_in_the_types_of_the_table(rtmdet, parts, stacked, prediction):
    model = copy.deepcopy(rtmdet)
    keys = list(model.state_dict())
    apply_precision(model, Precision("bf16", ""), "cpu", parts)
    inside = ["bbox_head.cls_convs.0.1.conv", "bbox_head.reg_convs.2.1"]
    last = ["bbox_head.rtm_cls.0", "bbox_head.rtm_reg.2"]
    seen = types_seen(model, [*inside, *last, "backbone.stem.1.conv"])
    image = torch.randn(2, 3, 64, 64)
    model.train()
    outputs = model.bbox_head(model.extract_feat(image))
    assert {seen[name] for name in inside} == {stacked}
    assert {seen[name] for name in last} == {prediction}
    assert seen["backbone.stem.1.conv"] == (torch.float32 if parts == ("nothing", ) else torch.bfloat16)
    assert {value.dtype for level in outputs for value in level} == {torch.float32}, "losses and decoding get fp32"
    sum(value.mean() for level in outputs for value in level).backward()
    assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in model.parameters())
    model.eval()
    model(image)
    assert set(seen.values()) == {torch.float32}, "validation is in fp32"
    assert list(model.state_dict()) == keys


def test_a_last_layer_that_only_returns_lists_is_found_in_them(rtmdet):
    assert len(precision._modules(rtmdet, "bbox_head.rtm_cls")) == 3
    assert len(precision._modules(rtmdet, "bbox_head.cls_convs")) == 6
    assert precision._modules(rtmdet, "bbox_head.missing") == []
