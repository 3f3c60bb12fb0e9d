"""Model files: what runs them, what is wrong with them; and prediction where neither torch nor OpenMMLab exist."""
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_graphs import COLOURS, DETECTOR, POSE, save_detector, save_pose

from pose_tools.console import FaultsError, UserError
from pose_tools.inference.runtime import DetectorModel, PoseModel, open_backend
from pose_tools.inference.runtime.quiet_openvino import import_openvino, openvino_core

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "mmengine", "mmcv", "mmdet", "mmpose", "onnx", "scipy", "matplotlib")
META = "classes = ('thing',)\nkeypoints = ('red', 'green', 'blue')\nswaps = (('red', 'blue'),)\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """pose and det as .onnx and as .xml."""
    openvino, folder = import_openvino(), tmp_path_factory.mktemp("models")
    for path, facts in ((save_pose(folder / "pose.onnx"), POSE), (save_detector(folder / "det.onnx"), DETECTOR)):
        model = openvino_core().read_model(path)
        for key, value in facts.to_metadata().items():
            model.set_rt_info(value, ["model_info", key])
        openvino.save_model(model, path.with_suffix(".xml"), compress_to_fp16=False)
    return folder


@pytest.fixture
def spots(tmp_path):
    """A dark picture with a red, a green and a blue spot."""
    import cv2

    image = np.zeros((64, 128, 3), np.uint8)
    for channel, (x, y) in enumerate(((100, 40), (30, 20), (60, 50))):
        image[y - 2:y + 3, x - 2:x + 3, channel] = 255
    cv2.imwrite(str(tmp_path / "spots.png"), image)
    return image


def test_runs_of_several_streams_are_not_pinned(files):
    """Two networks that pin their streams pin them to the same cores: detector and keypoints waited for each other."""
    compiled = open_backend(files / "pose.xml", threads=1, streams=2)._compiled
    assert compiled.get_property("NUM_STREAMS") == 2
    assert not compiled.get_property("ENABLE_CPU_PINNING")


@pytest.mark.parametrize(("name", "backend", "runs_on"), [
    ("pose.onnx", "auto", "onnxruntime"), ("pose.onnx", "onnxruntime", "onnxruntime"),
    ("pose.onnx", "openvino", "openvino"), ("pose.xml", "auto", "openvino")])
def test_a_keypoint_model_runs(files, spots, name, backend, runs_on):
    opened = open_backend(files / name, backend, threads=1)
    assert (opened.name, opened.precision, opened.facts) == (runs_on, "fp32", POSE)
    for batch_size in (1, 3):
        keypoints, scores = PoseModel(opened, batch_size=batch_size)(spots, [[0, 0, 128, 64], [0, 0, 64, 32]])
        # Of the whole picture a crop px is four image px.
        assert abs(keypoints[0] - [[60, 50], [30, 20], [100, 40]]).max() <= 4
        assert abs(keypoints[1, 1] - [30, 20]).max() <= 2
        assert scores.min() >= 0


@pytest.mark.parametrize("name", ["det.onnx", "det.xml"])
def test_a_detector_runs(files, spots, name):
    boxes, scores, labels = DetectorModel(open_backend(files / name), 0.5)(spots)
    np.testing.assert_allclose(boxes, [[32, 32, 96, 64]])
    assert scores.tolist() == [np.float32(0.9)]
    assert labels.tolist() == [0]


def refusal(*words, kind=UserError, **more):
    with pytest.raises(kind) as error:
        open_backend(*words, **more)
    return str(error.value)


def test_files_that_nothing_runs(files, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert refusal(tmp_path / "none.onnx").endswith("none.onnx: no such file")
    assert "is neither a checkpoint (.pth), an ONNX file (.onnx) nor one of OpenVINO (.xml)" in \
        refusal(tmp_path / "notes.txt")
    assert "is not run by torch but by onnxruntime or openvino" in refusal(files / "pose.onnx", "torch")
    assert "at least one thread" in refusal(files / "pose.onnx", threads=0)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_a_truncated_file_is_one_line(files, tmp_path, backend, share):
    content = (files / "pose.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[:int(len(content) * share)])
    said = refusal(tmp_path / "cut.onnx", backend)
    assert said.startswith(f"{tmp_path / 'cut.onnx'}: ")
    assert "\n" not in said


def test_openvino_files_belong_together(files, tmp_path):
    xml = (files / "pose.xml").read_text(encoding="utf-8")
    (tmp_path / "pose.xml").write_text(xml, encoding="utf-8")
    assert "pose.bin, must lie beside it" in refusal(tmp_path / "pose.xml")
    (tmp_path / "pose.bin").write_bytes(b"")
    assert "OpenVINO cannot" in refusal(tmp_path / "pose.xml")
    (tmp_path / "pose.bin").write_bytes((files / "pose.bin").read_bytes())
    (tmp_path / "pose.xml").write_text(xml[:400], encoding="utf-8")
    assert "OpenVINO cannot" in refusal(tmp_path / "pose.xml")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_metadata_that_contradict_the_graph_are_listed(tmp_path, backend):
    more = replace(COLOURS, keypoints=("red", "green", "blue", "white"))
    lies = replace(POSE, input_size=(64, 16), keypoint_set=more)
    path = save_pose(tmp_path / "lies.onnx", metadata=lies.to_metadata())
    said = refusal(path, backend, kind=FaultsError).splitlines()
    assert [line.split(": ")[1] for line in said] == ["input input", "output simcc_x", "output simcc_y"]
    assert "is (any, 3, 16, 32), and the facts about the model say (any, 3, 16, 64)" in said[0]
    fixed = save_pose(tmp_path / "fixed.onnx", batch=2)
    assert "is (2, 3, 16, 32)" in refusal(fixed, backend, kind=FaultsError)
    not_a_detector = save_pose(tmp_path / "not.onnx", metadata=replace(DETECTOR, input_size=(32, 16)).to_metadata())
    assert "output dets: is missing; a detector model here has it, this one has: simcc_x, simcc_y" in \
        refusal(not_a_detector, backend, kind=FaultsError)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_file_of_others_needs_the_names_of_its_keypoints(tmp_path, spots, backend):
    path = save_pose(tmp_path / "theirs.onnx", metadata={"author": "someone"})
    assert "--meta configs/_base_/NAME/meta.py gives them" in refusal(path, backend)
    (tmp_path / "meta.py").write_text(META, encoding="utf-8")
    facts = open_backend(path, backend, meta=tmp_path / "meta.py").facts
    assert (facts.input_size, facts.simcc_split_ratio, facts.to_rgb, facts.task) == ((32, 16), 2.0, True, "pose")
    assert facts.keypoint_set.flip_indices == (2, 1, 0)
    (tmp_path / "meta.py").write_text(META.replace("'red', 'green', ", "'red', "), encoding="utf-8")
    assert "is (any, 3, 64), and the facts about the model say (any, 2, 64)" in \
        refusal(path, backend, meta=tmp_path / "meta.py")


def test_devices_and_precisions_that_are_not_there(files):
    assert "ONNX Runtime has here: " in refusal(files / "pose.onnx", device="tpu")
    assert "OpenVINO has here: " in refusal(files / "pose.xml", device="cuda:x")
    assert "ONNX Runtime does not compute in bf16 here" in refusal(files / "pose.onnx", precision="bf16")


def test_bf16_is_asked_for_and_said(files, spots):
    if "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert "does not compute in bf16 here" in refusal(files / "pose.xml", precision="bf16")
        return
    opened = open_backend(files / "pose.xml", precision="bf16")
    assert opened.precision == "bf16"
    keypoints, _ = PoseModel(opened)(spots, [[0, 0, 128, 64]])
    assert abs(keypoints[0] - [[60, 50], [30, 20], [100, 40]]).max() <= 4


def predict(root, folder, *words):
    """Runs predict.py in a process of its own, in which the heavy libraries raise when they are imported."""
    for name in HEAVY:
        text = f"raise ModuleNotFoundError('predict imported {name}', name='{name}')\n"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return subprocess.run([sys.executable, str(root / "pose_tools/predict.py"), *map(str, words)], cwd=folder,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(folder)})


@pytest.mark.slow
@pytest.mark.parametrize(("det", "pose"), [
    ("det.onnx", "pose.onnx"), ("det.xml", "pose.xml"), ("det.xml", "pose.onnx")])
def test_exported_models_predict_without_torch_and_openmmlab(root, files, spots, tmp_path, det, pose):
    answer = predict(root, tmp_path, "spots.png", "--det", files / det, "--pose", files / pose, "--out", "out",
                     "--flip-test", "--batch-size", 1, "--threads", 1)
    assert answer.returncode == 0, answer.stderr
    assert "1 images, 1 instances: out" in answer.stdout
    found, = json.loads((tmp_path / "out/predictions.json").read_text(encoding="utf-8"))
    assert found["bbox"] == [32, 32, 64, 32]
    assert found["score"] == 0.9
    assert abs(np.array(found["keypoints"][:2]) - [60, 50]).max() <= 2, "red is in the box"
    assert (tmp_path / "out/spots.jpg").stat().st_size > 1000


@pytest.mark.slow
def test_a_checkpoint_without_torch_is_one_line(root, tmp_path, spots):
    (tmp_path / "model.pth").write_bytes(b"PK")
    answer = predict(root, tmp_path, "spots.png", "--pose", "model.pth")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        "error: model.pth: a checkpoint needs PyTorch and OpenMMLab, and torch is not installed; files of "
        "tools/export.py need neither"]


def test_models_that_do_not_go_together(root, files, spots, tmp_path, monkeypatch, capsys):
    from pose_tools import predict as script
    from pose_tools.console import run

    monkeypatch.chdir(tmp_path)
    other = save_detector(tmp_path / "other.onnx", replace(
        DETECTOR, classes=("fish",), keypoint_set=replace(COLOURS, classes=("fish",))))
    for words, said in (
            (("--pose", str(files / "det.onnx")), "is a detector model, not a pose model"),
            (("--pose", str(files / "pose.onnx"), "--det", str(files / "pose.xml")), "is a pose model, not a detector"),
            (("--pose", str(files / "pose.onnx"), "--det", str(other)), "finds fish, but"),
            (("--pose", str(files / "pose.onnx"), "--backend", "torch"), "--backend torch: does not run pose.onnx")):
        assert run(script.main, ["spots.png", *words]) == 1
        assert said in capsys.readouterr().err


def test_a_signal_finds_its_stack_after_models_have_gone(files):
    """Each OpenVINO core sets the stack for signals, and two that went in the wrong order left one that was gone."""
    code = """
import gc, signal, sys
from pathlib import Path
from pose_tools.inference.runtime import open_backend

seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
first, second = (open_backend(Path(sys.argv[1]), backend="openvino") for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.raise_signal(signal.SIGUSR1)
print(len(seen))
"""
    if not hasattr(signal, "SIGUSR1"):
        pytest.skip("no such signals on this system")
    done = subprocess.run([sys.executable, "-c", code, str(files / "pose.onnx")], cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
