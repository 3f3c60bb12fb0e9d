"""What fits is loaded, what does not is named."""
import pytest
import torch

from pose_tools.console import UserError
from pose_tools.weights.pretrained import load_pretrained, state_dict_of


class Net(torch.nn.Module):
    def __init__(self, keypoints, extra=False):
        super().__init__()
        self.backbone = torch.nn.Linear(2, 3)
        self.head = torch.nn.Linear(3, keypoints)
        if extra:
            self.neck = torch.nn.Linear(1, 1, bias=False)


@pytest.fixture
def coco(tmp_path):
    model = Net(17)
    path = tmp_path / "coco.pth"
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)
    return model, path


def test_other_shapes_are_left_out_and_named(coco):
    trained, path = coco
    model = Net(8, extra=True)
    before = model.head.weight.detach().clone()
    report = load_pretrained(model, path)
    assert torch.equal(model.backbone.weight, trained.backbone.weight)
    assert torch.equal(model.head.weight, before)
    assert (report.loaded, report.total) == (2, 5)
    assert report.other_shape == (("head.weight", (17, 3), (8, 3)), ("head.bias", (17, ), (8, )))
    assert report.missing == ("neck.weight", ) and report.unused == ()
    assert str(report) == (
        "loaded 2 of 5 tensors from coco.pth; left out (other shape): head.weight (17, 3)->(8, 3), "
        "head.bias (17)->(8); not in the file: neck.weight")


def test_unused_tensors_are_named(tmp_path):
    torch.save(Net(4, extra=True).state_dict(), tmp_path / "bare.pth")
    report = load_pretrained(Net(4), tmp_path / "bare.pth")
    assert (report.loaded, report.unused) == (4, ("neck.weight", ))
    assert "in the file but not in the model: neck.weight" in str(report)


def test_a_prefix_takes_a_part(coco):
    trained, path = coco
    backbone = torch.nn.Linear(2, 3)
    report = load_pretrained(backbone, path, prefix="backbone")
    assert report.loaded == report.total == 2 and report.unused == ()
    assert torch.equal(backbone.weight, trained.backbone.weight)


def test_nothing_that_fits_is_an_error(coco):
    with pytest.raises(UserError, match="none of its 4 tensors"):
        load_pretrained(torch.nn.Conv2d(1, 1, 1), coco[1])


def test_long_lists_are_cut(tmp_path):
    weights = {f"w{i}": torch.zeros(1) for i in range(20)} | Net(4).state_dict()
    torch.save(weights, tmp_path / "many.pth")
    assert "w11 and 8 more" in str(load_pretrained(Net(4), tmp_path / "many.pth"))


def test_where_weights_are_found():
    weights = {"w": torch.ones(1)}
    assert state_dict_of({"state_dict": weights, "ema_state_dict": {}}, "f") == weights
    assert state_dict_of({"model": weights}, "f") == weights
    assert state_dict_of(weights, "f") == weights
    assert list(state_dict_of({"module.w": torch.ones(1)}, "f")) == ["w"]
    for nothing in ({}, [], None, {"meta": {}}, {"state_dict": {"w": 1}}, {"state_dict": {}}):
        with pytest.raises(UserError, match="holds no weights"):
            state_dict_of(nothing, "f")
