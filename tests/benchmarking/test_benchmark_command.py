"""tools/benchmark.py on real files of a few numbers, and on the models of a run."""
import importlib.util
import json
import sys

import pytest
from bench_models import POSE_MACS, detector_file, open_narrow, pose_file

from pose_tools.benchmarking import planning
from pose_tools.benchmarking.measuring import measure
from pose_tools.benchmarking.planning import backends_of, plan_pairs
from pose_tools.benchmarking.workbench import Case, Workbench
from pose_tools.console import FaultsError, UserError
from pose_tools.options.benchmarking import BenchmarkOptions

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def main(root):
    spec = importlib.util.spec_from_file_location("benchmark_script", root / "tools/benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"det": detector_file(folder / "det.onnx"), "pose": pose_file(folder / "pose.onnx"),
            "four": pose_file(folder / "four.onnx", batch=4)}


QUICK = ["--seconds", "0.02", "--rounds", "2", "--threads", "1"]


@pytest.mark.slow
def test_a_detector_and_a_keypoint_model_by_two_libraries(main, files, tmp_path, capfd):
    out = tmp_path / "new" / "found.json"
    code = main([str(files["det"]), str(files["pose"]), "--batch", "1", "3", *QUICK, "--json", str(out)])
    assert code == 0
    found = json.loads(out.read_text())
    assert [(each["file"], each["backend"]) for each in found["models"]] == [
        ("det.onnx", "onnxruntime"), ("det.onnx", "openvino"), ("pose.onnx", "onnxruntime"), ("pose.onnx", "openvino")]
    for model in found["models"]:
        assert [row["batch"] for row in model["network"]] == [1, 3]
        for row in model["network"]:
            assert row["calls"] >= 6, "three a round at least"
            assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
            # Throughput is batch by mean time, and the mean is not below the fastest of p50 by much.
            assert row["items_per_s"] > 0
        assert model["file_mb"] == pytest.approx(files[model["name"][5:].replace("detector", "det")].stat().st_size
                                                 / 1e6)
    pose, detector = found["models"][2], found["models"][0]
    assert pose["complexity"]["gmacs"] == pytest.approx(sum(POSE_MACS.values()) / 1e9)
    assert [row["boxes"] for row in pose["stages"]] == [1, 3]
    assert [(row["boxes"], row["mean_boxes"]) for row in detector["stages"]] == [(None, 1)], "one is above 0.3"
    for row in pose["stages"]:
        parts = [row[f"pose_{stage}_ms"] for stage in ("preprocess", "network", "postprocess")]
        assert all(part > 0 for part in parts)
        assert row["total_ms"] > row["decode_ms"] > 0
    assert [(pair["detector"], pair["pose"], pair["backend"]) for pair in found["pipelines"]] == [
        ("det.onnx", "pose.onnx", "onnxruntime"), ("det.onnx", "pose.onnx", "openvino")]
    assert [row["boxes"] for row in found["pipelines"][0]["stages"]] == [1, 3]
    assert found["settings"]["threads"] == 1
    told = capfd.readouterr().out
    for title in ("start and memory", "network alone", "detectors, from", "keypoint models, from", "detector and key"):
        assert title in told


@pytest.mark.slow
def test_real_pictures_a_fixed_batch_and_markdown(main, files, real_data, capfd):
    code = main([str(files["det"]), str(files["four"]), "--backend", "onnxruntime", "--batch", "1", *QUICK,
                 "--images", str(real_data / "coco_small"), "--markdown"])
    assert code == 0
    told = capfd.readouterr().out
    assert "four.onnx, onnxruntime: was exported for batches of 4, so it is measured with no other" in told
    assert "| four.onnx | onnxruntime | fp32 | 4 |" in told
    assert "| det.onnx + four.onnx | onnxruntime | fp32 | 1.0 found |" in told, "as many boxes as the detector finds"


@pytest.mark.slow
def test_a_checkpoint_is_measured_as_well(main, root, tmp_path, capfd):
    checkpoints = sorted((root / "checkpoint").glob("rtmpose-s-carpose-*.pth"))
    if not checkpoints:
        pytest.skip("no published model on this machine")
    out = tmp_path / "found.json"
    assert main([str(checkpoints[0]), "--batch", "1", *QUICK, "--json", str(out)]) == 0
    model = json.loads(out.read_text())["models"][0]
    assert (model["backend"], model["task"], model["precision"]) == ("torch", "pose", "fp32")
    assert 5 < model["complexity"]["parameters_m"] < 5.5
    assert model["libraries_mb"] + model["model_mb"] <= model["peak_mb"] + 1
    assert "Loads checkpoint" not in capfd.readouterr().out


def test_all_that_is_wrong_is_listed_before_anything_is_loaded(main, files, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(FaultsError) as caught:
        main([str(tmp_path / "none.onnx"), str(files["det"]), str(tmp_path / "notes.txt"), "--backend", "torch"])
    said = [str(fault) for fault in caught.value.faults]
    assert said == [f"{tmp_path}/none.onnx: no such file",
                    f"{files['det']}: is run by onnxruntime or openvino, not by torch",
                    f"{tmp_path}/notes.txt: is neither a checkpoint (.pth) nor a model file (.onnx, .xml)"]


@pytest.mark.slow
def test_models_that_do_not_load_are_told_without_a_traceback(main, files, tmp_path):
    (tmp_path / "cut.onnx").write_bytes(files["pose"].read_bytes()[:500])
    with pytest.raises(UserError, match=r"cut.onnx: ONNX Runtime cannot load it"):
        main([str(tmp_path / "cut.onnx"), "--backend", "onnxruntime", *QUICK])
    with pytest.raises(UserError, match="no such file"):
        main([str(files["pose"]), "--images", str(tmp_path / "nowhere"), *QUICK])


@pytest.mark.slow
def test_a_precision_that_one_library_lacks_is_left_out_of_several(main, files, capfd):
    words = [str(files["pose"]), "--backend", "onnxruntime", "--batch", "1", *QUICK]
    assert main([*words, "--precision", "fp32", "bf16"]) == 0
    told = capfd.readouterr().out
    assert "note: left out: " in told and "does not compute in bf16" in told
    with pytest.raises(UserError, match="does not compute in bf16"):
        main([*words, "--precision", "bf16"])


@pytest.mark.slow
def test_a_batch_that_does_not_run_is_left_out_and_told(files):
    """As where memory is short."""
    options = BenchmarkOptions((str(files["pose"]), ), batch=(4, 2), seconds=0.02, rounds=1, backend=("onnxruntime", ))
    found = measure(options, open_narrow)
    assert [row["batch"] for row in found["models"][0]["network"]] == [2]
    assert [row["boxes"] for row in found["models"][0]["stages"]] == [2]
    assert found["notes"][:2] == [
        "pose.onnx, onnxruntime: does not run with batches of 4: MemoryError: no room for 4",
        "pose.onnx, onnxruntime: does not predict 4 boxes: MemoryError: no room for 4"]
    with pytest.raises(UserError, match="does not run with batches of 9: MemoryError"):
        measure(BenchmarkOptions((str(files["pose"]), ), batch=(9, ), backend=("onnxruntime", )), open_narrow)


def test_operations_are_left_out_where_their_library_is(files, monkeypatch):
    bench = Workbench([Case(files["pose"], "onnxruntime", threads=1)], [])
    told = bench.open()
    assert told["models"][0]["name"] == "tiny-pose" and told["load_s"] > 0
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = bench.finish()
    assert found["complexity"] is None
    assert found["why_not"].startswith("operations are not counted: ") and "onnx" in found["why_not"]


@pytest.mark.parametrize("words", [["--batch", "0"], ["--batch", "x"], ["--seconds", "-1"], ["--seconds", "inf"],
                                   ["--threads", "0"], ["--backend", "tflite"]], ids=" ".join)
def test_the_command_line_is_checked(main, words, capsys):
    with pytest.raises(SystemExit):
        main(["model.onnx", *words])
    assert f"argument {words[0]}" in capsys.readouterr().err


def test_files_go_to_the_libraries_that_run_them(tmp_path, monkeypatch):
    assert backends_of(tmp_path / "a.onnx", ["auto"]) == ["onnxruntime", "openvino"]
    assert backends_of(tmp_path / "a.onnx", ["openvino", "torch"]) == ["openvino"]
    assert backends_of(tmp_path / "a.XML", ["auto"]) == ["openvino"]
    monkeypatch.setattr(planning, "find_spec", lambda name: None if name == "onnxruntime" else "there")
    assert backends_of(tmp_path / "a.onnx", ["auto"]) == ["openvino"]
    assert backends_of(tmp_path / "a.onnx", ["auto", "onnxruntime"]) == ["onnxruntime", "openvino"]
    monkeypatch.setattr(planning, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs torch, not installed here"):
        backends_of(tmp_path / "a.pth", ["auto"])


def test_pairs_are_of_one_library_where_there_are_such(tmp_path):
    det = Case(tmp_path / "det.onnx", "onnxruntime")
    pose, other = Case(tmp_path / "pose.onnx", "onnxruntime"), Case(tmp_path / "pose.xml", "openvino")
    assert plan_pairs([det, pose, other], ["detector", "pose", "pose"]) == [(det, pose)]
    assert plan_pairs([det, other], ["detector", "pose"]) == [(det, other)]
    assert plan_pairs([pose, other], ["pose", "pose"]) == []
