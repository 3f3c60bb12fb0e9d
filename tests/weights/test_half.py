"""Published at half its size: what is rounded, what is not, and that everything loads it."""
import hashlib
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from release_models import save_run

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
from pose_tools.weights.release.half import is_half, rounding_of, to_half
from tools import publish_model


def test_what_is_rounded_and_what_is_not():
    shared = torch.tensor([1.0, 1.0 + 2**-11 + 2**-13])  # between 1 and the next number of fp16, nearer to that one
    weights = {"a.weight": shared, "b.weight": shared, "bn.running_var": torch.tensor([1e-7]),
               "bn.running_mean": torch.tensor([0.3]), "bn.num_batches_tracked": torch.tensor(70000),
               "far": torch.tensor([65504.0, 65505.0]), "nearly": torch.tensor([-65504.0]), "empty": torch.zeros(0)}
    half = to_half(weights)
    assert {name for name, tensor in half.items() if tensor.dtype == torch.float16} \
        == {"a.weight", "b.weight", "nearly", "empty"}
    assert half["a.weight"].tolist() == [1.0, 1.0 + 2**-10]
    assert half["a.weight"] is half["b.weight"]
    assert int(half["bn.num_batches_tracked"]) == 70000
    told = rounding_of(weights, half)
    assert (told.halved, told.values, told.where) == (3, 7, "a.weight")  # a shared tensor counts once
    assert told.largest == 2**-11 - 2**-13
    assert is_half(to_half({"x": torch.zeros(3)}))
    assert not is_half(weights)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-60000, 60000, width=32), min_size=1, max_size=30))
def test_no_value_moves_further_than_half_a_step_of_fp16(values):
    """A step is 2^-10 of the power of two below, and 2^-24 near 0 (IEEE 754 binary16)."""
    tensor = torch.tensor(values)
    after = to_half({"w": tensor})["w"].double().numpy()
    exact = tensor.double().numpy()
    step = np.exp2(np.maximum(np.floor(np.log2(np.maximum(np.abs(exact), 2.0**-30))), -14) - 10)
    assert (np.abs(after - exact) <= step / 2).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_half_a_model_is_published_and_loaded_everywhere(tmp_path, capsys, kind):
    source = save_run(tmp_path, kind)
    words = [str(source), str(tmp_path / "out") + "/", "--local-dir", str(tmp_path / "release"), "--safetensors",
             "--precision", "fp16"]
    assert publish_model.main(words) == 0
    said = capsys.readouterr().out
    (path, ) = (tmp_path / "out").iterdir()
    name = "rtmpose-s-carpose" if kind == "pose" else "rtmdet-tiny-carpose"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f"{name}-fp16-{digest[:8]}_20250314.pth"
    assert re.search(r"^fp16: 9\d\.\d % of [\d,]+ values; the greatest change is \S+, in \S+$", said, re.M)
    assert re.search("its weights rounded to fp16; on a fixed input they differ by at most", said)
    published, before = load_checkpoint_file(path), load_checkpoint_file(source)
    assert published["meta"]["precision"] == "fp16"
    bytes_of = [sum({t.data_ptr(): t.numel() * t.element_size() for t in each["state_dict"].values()}.values())
                for each in (published, before)]
    assert bytes_of[0] < 0.56 * bytes_of[1]  # the small model has many statistics
    for key, tensor in published["state_dict"].items():
        wanted = before["state_dict"][key]
        kept = not tensor.is_floating_point() or key.endswith(("running_mean", "running_var"))
        assert torch.equal(tensor, wanted if kept else wanted.half())
    assert "stored as | fp16" in (tmp_path / "release" / "README.md").read_text(encoding="utf-8")

    if kind == "pose":
        from mmpose.apis import init_model as load
    else:
        from mmdet.apis import init_detector as load
    model = load(str(tmp_path / "release" / f"{name}-fp16.py"), str(path), device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    key = "backbone.stem.0.conv.weight"
    assert torch.equal(model.state_dict()[key], before["state_dict"][key].half().float())

    # Published again it is the same file, and rounding it once more changes nothing.
    assert publish_model.main([str(path), str(tmp_path / "again") + "/", "--precision", "fp16"]) == 0
    (again, ) = (tmp_path / "again").iterdir()
    assert again.read_bytes() == path.read_bytes()
    assert again.name == path.name


def test_another_precision_is_refused(capsys):
    with pytest.raises(SystemExit):
        publish_model.parse_args(["in.pth", "out/", "--precision", "fp8"])
    assert "fp8" in capsys.readouterr().err
