from pathlib import Path

import numpy as np
import pytest
import torch
from reference.make_reference import load

from pose_tools.openmmlab.ops import install, operator_backend

install()
from mmcv.ops import RoIAlign, roi_align  # noqa: E402

from pose_tools.openmmlab.ops import roi_align as ours  # noqa: E402

CASES = load(Path(__file__).parent / "reference" / "rois.npz.gz")


beyond_compiled = pytest.mark.skipif(
    operator_backend()["nms"] == "compiled", reason="a compiled mmcv raises, crashes or rounds more here"
)


def pool(features, rois, case):
    size, scale, ratio = tuple(case["size"].tolist()), float(case["scale"]), int(case["ratio"])
    return RoIAlign(size, scale, ratio, str(case["mode"]), bool(case["aligned"]))(features, rois)


@pytest.mark.parametrize("piece", [1, 1 << 18])
@pytest.mark.parametrize("index", range(len(CASES)))
def test_as_compiled(index, piece, monkeypatch):
    monkeypatch.setattr(ours, "_PIECE", piece)
    case = CASES[index]
    features = torch.from_numpy(case["features"]).requires_grad_()
    pooled = pool(features, torch.from_numpy(case["rois"]), case)
    pooled.backward(torch.from_numpy(case["gradient"]))
    for found, name in ((pooled.detach(), "pooled"), (features.grad, "features_gradient")):
        largest = max(1, np.abs(case[name]).max(initial=0))
        tolerance = 8 * np.finfo(case[name].dtype).eps * largest
        np.testing.assert_allclose(found.numpy(), case[name], rtol=0, atol=tolerance, err_msg=name)


def ramp(height=6, width=8):
    """A feature whose value is 10 y + x."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (10.0 * y + x)[None, None]


def test_hand_computed_average_and_maximum():
    rois = torch.tensor([[0.0, 1, 1, 5, 3]])
    # Bins of 2 x 1 px, two samples each along x: aligned they lie at x = 1, 2 | 3, 4 and y = 1 | 2.
    average = roi_align(ramp(), rois, (2, 2), 1.0, 0, "avg", True)
    assert average.flatten().tolist() == pytest.approx([11.5, 13.5, 21.5, 23.5])
    maximum = roi_align(ramp(), rois, (2, 2), 1.0, 0, "max", True)
    assert maximum.flatten().tolist() == pytest.approx([12, 14, 22, 24])
    # Not aligned everything lies half a pixel further right and down: 10 * 0.5 + 0.5 more.
    shifted = roi_align(ramp(), rois, (2, 2), 1.0, 0, "avg", False)
    assert shifted.flatten().tolist() == pytest.approx([17.0, 19.0, 27.0, 29.0])


def test_roi_outside_of_the_image_is_zero():
    rois = torch.tensor([[0.0, 100, 100, 120, 120], [0, -50, -50, -20, -20]])
    for mode in ("avg", "max"):
        assert roi_align(ramp(), rois, 2, 1.0, 2, mode, True).abs().sum() == 0


@beyond_compiled
def test_no_channels():
    rois = torch.tensor([[0.0, 2, 2, 3, 3]])
    assert roi_align(torch.zeros(1, 0, 4, 4), rois, 2, 1.0, 0, "avg", True).shape == (1, 0, 2, 2)


def test_no_rois_no_area():
    empty = roi_align(ramp(), torch.zeros(0, 5), (3, 2), 1.0, 0, "avg", True)
    assert empty.shape == (0, 1, 3, 2)
    point = torch.tensor([[0.0, 2, 2, 2, 2]])
    assert roi_align(ramp(), point, 2, 1.0, 0, "avg", True).tolist() == [[[[0, 0], [0, 0]]]]
    assert roi_align(ramp(), point, 1, 1.0, 0, "max", True).item() == -10000  # as compiled
    features = ramp().requires_grad_()
    roi_align(features, torch.zeros(0, 5), 2, 1.0, 0, "avg", True).sum().backward()
    assert features.grad.abs().sum() == 0


def test_equal_maxima_pass_the_gradient_to_the_first():
    features = torch.zeros(1, 1, 4, 4, requires_grad=True)
    roi_align(features, torch.tensor([[0.0, 0.5, 0.5, 2.5, 2.5]]), 1, 1.0, 2, "max", True).sum().backward()
    assert features.grad[0, 0].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert features.grad.sum() == 1


@beyond_compiled
@pytest.mark.parametrize("rois, fault", [
    ([[0.0, 5, 5, 2, 6]], "negative width"),
    ([[0.0, 5, 5, float("nan"), 6]], "finite"),
    ([[2.0, 1, 1, 2, 2]], "outside of the batch"),
    ([[-1.0, 1, 1, 2, 2]], "outside of the batch"),
])
def test_what_cannot_be_pooled_is_refused(rois, fault):
    with pytest.raises(RuntimeError, match=fault):
        roi_align(ramp(), torch.tensor(rois), 2, 1.0, 0, "avg", True)


@beyond_compiled  # which reads a tensor that is not contiguous as if it were
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("layout", ["channels_last", "strided", "expanded"])
def test_layout_of_the_input_does_not_matter(mode, layout):
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(2, 3, 9, 7, generator=generator)
    rois = torch.tensor([[0.0, 1, 1, 6, 7], [1, 0.3, 2.2, 3, 8], [1, -2, -2, 20, 20]])
    if layout == "channels_last":
        other = plain.contiguous(memory_format=torch.channels_last)
    elif layout == "strided":
        other = torch.zeros(2, 6, 9, 14)[:, ::2, :, ::2].copy_(plain)
        rois = torch.cat([rois, rois], 1)[:, 5:]
    else:
        plain = plain[:1].repeat(2, 1, 1, 1)
        other = plain[:1].expand(2, -1, -1, -1)
    other, plain = other.detach().requires_grad_(), plain.requires_grad_()
    outputs = [roi_align(each, rois, (3, 2), 0.8, 0, mode, True) for each in (plain, other)]
    assert torch.equal(*outputs)
    weight = torch.randn(outputs[0].shape, generator=generator)
    for output in outputs:
        (output * weight).transpose(2, 3).sum().backward()
    assert torch.allclose(plain.grad, other.grad, atol=1e-6)


@beyond_compiled
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_half_precision_rounds_only_the_result(dtype, mode):
    features = torch.randn(1, 4, 12, 12, generator=torch.Generator().manual_seed(1)).to(dtype)
    rois = torch.tensor([[0.0, 1.5, 2.25, 9, 10.5]])
    exact = roi_align(features.float(), rois, 3, 1.0, 0, mode, True)
    features.requires_grad_()
    half = roi_align(features, rois.to(dtype), 3, 1.0, 0, mode, True)
    assert half.dtype == dtype and torch.equal(half, exact.to(dtype))
    half.sum().backward()
    assert features.grad.dtype == dtype and features.grad.abs().sum() > 0


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_gradient_is_the_derivative(mode, ratio, aligned):
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(2, 2, 6, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    rois = torch.tensor([[0, 0.3, 0.7, 4.1, 5.2], [1, -1, -1, 7, 7], [1, 2, 2, 3, 3]], dtype=torch.float64)
    layer = RoIAlign((2, 3), 0.9, ratio, mode, aligned)
    assert torch.autograd.gradcheck(lambda each: layer(each, rois), (features,))


def test_large_rois_take_bounded_memory():
    features = torch.ones(1, 1, 300, 400)
    rois = torch.tensor([[0.0, 0, 0, 400, 300]]).repeat(60, 1)
    pieces = list(ours._groups(rois, 1, (7, 7), 1.0, 0, True))
    assert max(piece.y.shape[0] * 49 * piece.samples for piece in pieces) <= ours._PIECE
    assert sum(len(piece.rows) for piece in pieces) == 60
    assert torch.allclose(roi_align(features, rois, 7, 1.0, 0, "avg", True), torch.ones(1), atol=1e-5)
