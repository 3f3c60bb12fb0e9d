"""The whole of tools/export.py, from the command line to the files."""
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from export_models import images, normalised, pixels_of, save_small

from pose_tools.console import FaultsError, run
from pose_tools.export.exporting import check_options, export_model
from pose_tools.export.naming import name_of, targets
from pose_tools.inference.runtime import open_backend
from pose_tools.options.exporting import FORMATS, PRECISIONS, ExportOptions, exporting_parser

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = Path("checkpoint/rtmpose-s-carpose-1a2b3c4d_20261121.pth")


@pytest.fixture(scope="module")
def command():
    sys.path.insert(0, str(ROOT / "tools"))
    import export

    return export.main


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    return save_small(tmp_path_factory.mktemp("pose"), "pose")


def parse(*words):
    return exporting_parser("").parse_args(["m.pth", *words])


def test_options():
    args = parse()
    assert (args.formats, args.precision, args.batch, args.opset, args.check) == (("onnx", ), "fp32", None, 17, True)
    args = parse("--format", "onnx, openvino,onnx", "--batch", "4", "--license", "MIT", "--end2end", "--no-check")
    assert (args.formats, args.batch, args.licence, args.end_to_end, args.check) == \
        (("onnx", "openvino"), 4, "MIT", True, False)
    assert set(vars(args)) == {field.name for field in dataclasses.fields(ExportOptions)}


@pytest.mark.parametrize("words, said", [
    (("--format", "onnx,tflite"), "is not one or several of onnx, openvino"), (("--format", ","), "is not one or"),
    (("--batch", "0"), "is neither dynamic nor a number from 1"), (("--batch", "-1"), "neither dynamic"),
    (("--opset", "11"), "is not a number from 14 to 20"), (("--tolerance", "nan"), "is not a number from 0"),
    (("--max-ap-drop", "-0.1"), "is not a number from 0"), (("--precision", "int4"), "invalid choice")])
def test_options_that_make_no_sense(words, said, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("checkpoint, options, name", [
    (PUBLISHED, {}, "rtmpose-s-carpose-1a2b3c4d_20261121"),
    (PUBLISHED, {"end_to_end": True, "precision": "int8", "batch": 4},
     "rtmpose-s-carpose-1a2b3c4d_20261121-end2end-int8-b4"),
    (Path("work_dirs/rtmpose-s-carpose/best_coco_AP_epoch_90.pth"), {"precision": "fp16"},
     "rtmpose-s-carpose-best_coco_AP_epoch_90-fp16"),
    (Path("work_dirs/mine/epoch_3.pth"), {}, "mine-epoch_3")])
def test_names(checkpoint, options, name):
    assert name_of(checkpoint, ExportOptions(checkpoint, **options)) == name


def test_files_go_beside_the_checkpoint_and_replace_none(tmp_path):
    checkpoint = tmp_path / "m.pth"
    options = ExportOptions(checkpoint, ("onnx", "openvino"))
    assert targets(checkpoint, options) == {"onnx": [tmp_path / "m.onnx"],
                                            "openvino": [tmp_path / "m.bin", tmp_path / "m.xml"]}
    for name in ("m.onnx", "m.xml"):
        (tmp_path / name).touch()
    with pytest.raises(FaultsError) as error:
        targets(checkpoint, options)
    assert [fault.file.name for fault in error.value.faults] == ["m.onnx", "m.xml"]
    assert targets(checkpoint, dataclasses.replace(options, overwrite=True))
    assert targets(checkpoint, dataclasses.replace(options, out=tmp_path / "new"))
    with pytest.raises(FaultsError, match="is a file; name a folder"):
        targets(checkpoint, dataclasses.replace(options, out=tmp_path / "m.onnx"))


def test_all_that_cannot_be_had_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    options = ExportOptions(tmp_path / "m.pth", FORMATS, "bf16", images=tmp_path / "no", calibration=tmp_path)
    with pytest.raises(FaultsError) as error:
        check_options(options)
    said = [str(fault) for fault in error.value.faults]
    assert [line.split(":")[0] for line in said] == \
        ["--format onnx", "--format torchscript", "--format tensorrt", "--calibration", "--images", "--format tensorrt"]
    assert "ONNX Runtime computes no bf16 on a CPU" in said[0] and "pip install tensorrt" in said[-1]


@pytest.mark.parametrize("kind", FORMATS[:-1])
def test_every_precision_of_a_format_can_be_asked_for(kind, tmp_path):
    for precision in PRECISIONS[kind]:
        check_options(ExportOptions(tmp_path / "m.pth", (kind, ), precision))


def test_onnx_and_openvino_say_what_they_are(command, pose, tmp_path, capsys):
    assert run(command, [str(pose), "--format", "onnx,openvino", "--out", str(tmp_path / "out"), "--no-check",
                         "--licence", "MIT"]) == 0
    name = "rtmpose-small-epoch_1"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.bin", f"{name}.onnx", f"{name}.xml"]
    assert "input (N, 3, 64, 64) float32" in capsys.readouterr().out
    torch_backend = open_backend(pose, device="cpu", threads=1)
    batch = normalised(images(3), pixels_of(pose))
    for suffix in (".onnx", ".xml"):
        backend = open_backend(tmp_path / "out" / f"{name}{suffix}", threads=1)
        facts = backend.facts
        assert (facts.licence, facts.source, facts.opset, facts.batch, facts.precision) == \
            ("MIT", "epoch_1.pth", 17, None, "fp32")
        assert facts.keypoint_set == torch_backend.facts.keypoint_set and len(facts.source_sha256) == 64
        for ours, theirs in zip(backend.run(batch), torch_backend.run(batch)):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.slow
def test_what_passes_the_check_gets_its_name(command, pose, tmp_path, capsys):
    assert run(command, [str(pose), "--end2end", "--batch", "2", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rtmpose-small-epoch_1-end2end-b2.onnx"]
    assert "against its checkpoint" in capsys.readouterr().out


@pytest.mark.slow
def test_what_fails_the_check_leaves_nothing(command, pose, tmp_path, capsys, monkeypatch):
    """An export that forgets the mean is caught, and no folder, no part of a file stays."""
    from pose_tools.openmmlab.graphs import trace

    def forgetful(graph, network, pixels, checkpoint):
        return export_graphs_pixels(graph, network, dataclasses.replace(pixels, mean=(0.0, 0.0, 0.0)), checkpoint)

    export_graphs_pixels = trace.FromPixels
    monkeypatch.setattr(trace, "FromPixels", forgetful)
    assert run(command, [str(pose), "--end2end", "--format", "onnx,torchscript", "--out", str(tmp_path / "new" / "out")
                         ]) == 1
    said = capsys.readouterr()
    assert "FAILS" in said.out and "nothing was written" in said.err and "Traceback" not in said.err
    assert not (tmp_path / "new").exists()


def test_an_existing_file_is_not_replaced(command, pose, tmp_path, capsys):
    (tmp_path / "rtmpose-small-epoch_1.onnx").write_text("mine", encoding="utf-8")
    assert run(command, [str(pose), "--out", str(tmp_path), "--no-check"]) == 1
    assert "rtmpose-small-epoch_1.onnx: exists\nreplace with --overwrite" in capsys.readouterr().err
    assert run(command, [str(pose), "--out", str(tmp_path), "--no-check", "--overwrite"]) == 0
    assert (tmp_path / "rtmpose-small-epoch_1.onnx").stat().st_size > 10_000


@pytest.mark.parametrize("make, said", [
    (lambda path: path, "no such file"), (lambda path: path.write_bytes(b"no checkpoint") and path, "m.pth: "),
], ids=["missing", "broken"])
def test_what_is_no_checkpoint_is_one_line(make, said, command, tmp_path, capsys):
    assert run(command, [str(make(tmp_path / "m.pth")), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_interrupted_export_leaves_nothing(pose, tmp_path, monkeypatch):
    from pose_tools.export import exporting

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "write_onnx", stop)
    with pytest.raises(KeyboardInterrupt):
        export_model(pose, ExportOptions(pose, out=tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_int8_from_pictures(command, pose, tmp_path, cars):
    """Random weights need not pass a check; the file is there, smaller, and says what it is."""
    words = [str(pose), "--precision", "int8", "--calibration", str(cars / "train_coco.json"), "--no-check"]
    assert run(command, [*words, "--out", str(tmp_path)]) == 0
    assert open_backend(tmp_path / "rtmpose-small-epoch_1-int8.onnx", threads=1).facts.precision == "int8"
