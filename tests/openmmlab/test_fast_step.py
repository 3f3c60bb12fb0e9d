"""What a training step exchanges: the numbers stay upstream's."""
import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.step.depthwise import use_exact_depthwise_gradients
from pose_tools.openmmlab.step.fast_step import use_separate_outputs
from pose_tools.openmmlab.step.optimizer import GroupedAdamW, use_grouped_optimizer
from pose_tools.openmmlab.step.weight_average import (
    GroupedExpMomentumEMA,
    StepEMAHook,
    drop_average,
    use_grouped_average,
)

ROOT = Path(__file__).resolve().parents[2]


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(inplace=True), nn.Conv2d(4, 2, 1))


def train(model, optimizer, steps, after=lambda: None):
    torch.manual_seed(1)
    for _ in range(steps):
        model(torch.randn(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        after()


def one_group_each(model):
    """What mmengine makes of ``paramwise_cfg``: a group of each weight, norms and biases without decay."""
    return [{"params": [value], **({"weight_decay": 0.0} if value.ndim == 1 else {})} for value in model.parameters()]


@pytest.mark.parametrize("fused", [True, False])
def test_merged_groups_step_as_single_ones(fused):
    models = [small_model(), small_model()]
    for model, kind in zip(models, (torch.optim.AdamW, GroupedAdamW)):
        optimizer = kind(one_group_each(model), lr=0.01, weight_decay=0.05, fused=fused)
        train(model, optimizer, 5)
        assert len(optimizer.param_groups) == 6, "schedulers and checkpoints see every group"
    assert len(optimizer._merged()) == 2
    for a, b in zip(models[0].state_dict().values(), models[1].state_dict().values()):
        assert torch.equal(a, b)


def test_groups_that_differ_in_learning_rate_are_not_merged():
    model = small_model()
    optimizer = GroupedAdamW(one_group_each(model), lr=0.01)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[1]["initial_lr"] = 7.0
    before = model[0].weight.clone()
    train(model, optimizer, 1)
    assert torch.equal(model[0].weight, before)
    assert len(optimizer._merged()) == 3


@pytest.mark.parametrize("first", [torch.optim.AdamW, GroupedAdamW])
def test_either_optimizer_resumes_what_the_other_saved(first):
    second = {torch.optim.AdamW: GroupedAdamW, GroupedAdamW: torch.optim.AdamW}[first]
    model = small_model()
    optimizer = first(one_group_each(model), lr=0.01)
    train(model, optimizer, 2)
    again = copy.deepcopy(model)
    resumed = second(one_group_each(again), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # as a file would hold it
    train(model, optimizer, 2)
    train(again, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))


def test_only_adam_is_exchanged():
    for name, expected in (("AdamW", "GroupedAdamW"), ("Adam", "GroupedAdam"), ("SGD", "SGD")):
        wrapper = {"optimizer": {"type": name}}
        use_grouped_optimizer(wrapper)
        assert wrapper["optimizer"]["type"] == expected


@pytest.mark.parametrize("buffers", [True, False])
@pytest.mark.parametrize("interval", [1, 2])
def test_the_average_is_upstreams_bit_for_bit(buffers, interval):
    from mmdet.models.layers import ExpMomentumEMA

    model = small_model()
    averages = [kind(model, momentum=0.1, gamma=5, interval=interval, update_buffers=buffers)
                for kind in (ExpMomentumEMA, GroupedExpMomentumEMA)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, 7, lambda: [average.update_parameters(model) for average in averages])
    expected, got = averages[0].state_dict(), averages[1].state_dict()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert not torch.equal(got["module.0.weight"], model[0].weight)


def test_a_weight_of_several_names_is_averaged_as_upstream_does():
    """RTMDet's head shares its convolutions between levels; taken together, their average grew out of all bounds."""
    from mmdet.models.layers import ExpMomentumEMA

    model = nn.ModuleList([small_model(), small_model(), small_model()])
    model[1][0] = model[2][0] = model[0][0]
    averages = [kind(model, momentum=0.1, gamma=5, update_buffers=True)
                for kind in (ExpMomentumEMA, GroupedExpMomentumEMA)]
    for _ in range(6):
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value))
        for average in averages:
            average.update_parameters(model)
    expected, got = averages[0].state_dict(), averages[1].state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_the_average_goes_on_from_a_checkpoint():
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    whole = GroupedExpMomentumEMA(model, gamma=5, update_buffers=True)
    train(model, optimizer, 3, lambda: whole.update_parameters(model))
    resumed = GroupedExpMomentumEMA(small_model(), gamma=5, update_buffers=True)
    resumed.load_state_dict(whole.state_dict())
    train(model, optimizer, 3, lambda: (whole.update_parameters(model), resumed.update_parameters(model)))
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))


def test_the_hook_is_exchanged_with_its_settings():
    from mmengine.hooks import EMAHook, IterTimerHook

    hooks = [IterTimerHook(), EMAHook(ema_type="ExpMomentumEMA", momentum=0.0003, update_buffers=True, begin_epoch=2),
             EMAHook(ema_type="StochasticWeightAverage")]
    hooks[1].priority = 49
    use_grouped_average(hooks)
    assert isinstance(hooks[1], StepEMAHook) and hooks[1].priority == 49 and hooks[1].begin_epoch == 2
    assert hooks[1].ema_cfg == {"type": "GroupedExpMomentumEMA", "momentum": 0.0003, "update_buffers": True}
    assert hooks[2].ema_cfg["type"] == "StochasticWeightAverage"


def test_no_ema_takes_the_hook_out():
    from mmengine import Config

    cfg = Config({"custom_hooks": [{"type": "EMAHook"}, {"type": "Other"}]})
    drop_average(cfg)
    assert [hook["type"] for hook in cfg.custom_hooks] == ["Other"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(5, 12), st.sampled_from([3, 5]), st.integers(1, 2),
       st.integers(1, 2))
def test_depthwise_gradients_are_those_of_fp32_on_the_rounded_values(images, channels, side, kernel, stride, dilation):
    torch.manual_seed(side)
    conv = nn.Conv2d(channels, channels, kernel, stride, padding=kernel // 2, dilation=dilation, groups=channels,
                     bias=False)
    conv.weight.data = conv.weight.data.bfloat16().float()  # so that rounding them changes nothing
    image = torch.randn(images, channels, side, side).bfloat16().float()
    if side + 2 * (kernel // 2) < dilation * (kernel - 1) + 1:
        return
    exact = conv(image)
    pull = torch.randn_like(exact).bfloat16().float()
    expected = torch.autograd.grad(exact, conv.weight, pull)[0]
    plain = conv.forward
    assert use_exact_depthwise_gradients(nn.Sequential(conv)) == 1
    x = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), plain(x)), "the convolution itself is the one of autocast"
        rounded = conv(x)
    assert rounded.dtype == torch.bfloat16
    of_x, of_weight = torch.autograd.grad(rounded, (x, conv.weight), pull.bfloat16())
    assert torch.allclose(of_weight, expected, rtol=1e-4, atol=1e-4)
    assert of_x.dtype == of_weight.dtype == torch.float32
    assert torch.allclose(of_x, torch.autograd.grad(conv(image.requires_grad_()), image, pull)[0], rtol=0.02, atol=0.05)


def test_other_convolutions_and_fp32_are_left_alone():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 4, 3, groups=4),
                          nn.Conv2d(4, 4, 3, groups=4, bias=False, padding_mode="reflect", padding=1))
    assert use_exact_depthwise_gradients(model) == 0, "biases, other widths and paddings"
    conv = nn.Conv2d(4, 4, 3, groups=4, bias=False)
    image = torch.randn(1, 4, 6, 6)
    before = conv(image)
    use_exact_depthwise_gradients(conv)
    assert torch.equal(conv(image), before)


def test_silu_beside_its_input_gives_the_same():
    results = []
    for change in (lambda model: None, use_separate_outputs):
        model = small_model()
        change(model)
        out = model(torch.ones(2, 3, 8, 8))
        out.sum().backward()
        results.append((out, model[0].weight.grad))
    assert not model[2].inplace
    assert all(torch.equal(a, b) for a, b in zip(*results))


FAULTS = """
import resource, torch
from pose_tools.openmmlab.step.allocator import keep_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(2**24).fill_(1)  # 64 MiB: 16384 pages of 4 KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(3)
print(faults(24), keep_freed_memory(), faults(6) + 1 and faults(24))
"""


def test_freed_memory_is_kept():
    """The pages of a tensor that is made and freed again and again are asked for once."""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, cwd=ROOT)
    before, told, after = done.stdout.split()
    if told != "True":
        pytest.skip("no glibc")
    # Now and then one has to be put elsewhere, behind what was allocated in between.
    assert int(before) >= 24 * 16384 > 2 * int(after)
