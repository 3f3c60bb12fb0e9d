"""torch.compile: what is kept, and what a model is after it was given up."""
import copy
import itertools

import pytest
import torch
from torch import nn

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.step import compilation
from pose_tools.openmmlab.step.compilation import compile_parts


class Model(nn.Module):
    """A backbone of a convolution and a norm; notes how often it ran as Python."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.ran = 0
        self.backbone.register_forward_pre_hook(self._count)

    def _count(self, module, inputs):
        self.ran += 1

    def extract_feat(self, image):
        return (self.backbone(image), )


def same_state(model, before):
    return model.state_dict().keys() == before.keys() and all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), before.values()))


def fails(forward, **options):
    def never(*args):
        raise RuntimeError("no C++ compiler here\nand more that nobody wants to read")
    return never


def test_without_a_compiler_the_run_goes_on_as_it_was(monkeypatch):
    monkeypatch.setattr(torch, "compile", fails)
    model = Model().eval()
    before = copy.deepcopy(model.state_dict())
    line = compile_parts(model, 2, (16, 12), "cpu")
    assert line == "--compile: going on without (RuntimeError: no C++ compiler here)"
    assert "forward" not in model.backbone.__dict__
    assert not model.training
    assert same_state(model, before), "no running mean of the trial is left"
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(("plain", "compiled", "kept"), [(0.5, 0.2, True), (0.2, 0.5, False)])
def test_only_what_is_faster_is_kept(monkeypatch, plain, compiled, kept):
    times = itertools.chain([9.0], itertools.cycle([plain, compiled]))
    monkeypatch.setattr(compilation, "_seconds", lambda *args: next(times))
    shapes = []

    def spy(forward, **options):
        assert options == {"dynamic": False, "fullgraph": True}

        def call(image):
            shapes.append(tuple(image.shape))
            return forward(image)
        return call

    monkeypatch.setattr(torch, "compile", spy)
    model = Model()
    before = copy.deepcopy(model.state_dict())
    line = compile_parts(model, 2, (16, 12), "cpu")
    assert (f"{compiled:.3f} s a step" in line) and ("instead of" in line) == kept
    assert ("forward" in model.backbone.__dict__) == kept
    assert same_state(model, before)
    del shapes[:]
    model.backbone(torch.zeros(2, 3, 12, 16))
    model.backbone(torch.zeros(1, 3, 12, 16))  # the last batch of an epoch
    model.eval().backbone(torch.zeros(2, 3, 12, 16))
    assert shapes == ([(2, 3, 12, 16)] if kept else [])


@pytest.mark.slow
def test_a_compiled_backbone_learns_the_same(monkeypatch):
    seconds, calls = compilation._seconds, []

    def compiled_wins(*args):
        seconds(*args)
        calls.append(args)
        return 1.0 if len(calls) % 2 == 0 else 0.5  # the first compiles, then in turn

    monkeypatch.setattr(compilation, "_seconds", compiled_wins)
    results = []
    for compiles in (False, True):
        torch.manual_seed(0)
        model = Model()
        if compiles:
            line = compile_parts(model, 2, (16, 12), "cpu")
            if "going on without" in line:
                pytest.skip(line)  # a machine without a C++ compiler
        torch.manual_seed(1)
        out = model.extract_feat(torch.randn(2, 3, 12, 16))[0]
        out.square().mean().backward()
        results.append((out.detach(), model.backbone[0].weight.grad, model.backbone[1].running_mean))
    for plain, compiled in zip(*results):
        assert torch.allclose(plain, compiled, atol=1e-5)
