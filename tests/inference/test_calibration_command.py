"""From a validation set to a checkpoint whose scores are probabilities."""
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.calibration import Calibration, read_calibration

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "export"))


@pytest.fixture(scope="module")
def commands(root):
    sys.path.insert(0, str(root / "tools"))
    import calibrate
    import publish_model

    return calibrate.main, publish_model.main


@pytest.fixture(scope="module")
def config(root, cars, tmp_path_factory):
    """The config of the cars, its validation set being the nine pictures to train on."""
    path = tmp_path_factory.mktemp("configs") / "small.py"
    dataset = f"dict(data_root={str(cars) + '/'!r}, ann_file='train_coco.json')"
    path.write_text(f"_base_ = {str(root / 'configs/rtmpose-s-carpose.py')!r}\n"
                    f"val_dataloader = dict(dataset={dataset})\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def checkpoint(openmmlab, tmp_path_factory):
    from export_models import save_small

    return save_small(tmp_path_factory.mktemp("runs"), "pose")


@pytest.fixture(scope="module")
def fitted(commands, config, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("calibration")
    assert commands[0]([str(config), str(checkpoint), "--folds", "3", "--distance", "0.3", "--out", str(out)]) == 0
    return out


def test_the_files_say_what_was_done(fitted, cars):
    found = read_calibration(fitted / "calibration.json")
    data = json.loads((cars / "train_coco.json").read_text())
    assert found.keypoints == tuple(data["categories"][0]["keypoints"])
    labels = sum(value > 0 for each in data["annotations"] for value in each["keypoints"][2::3])
    assert sum(curve.labels for curve in found.curves) == labels
    assert (found.distance, found.boxes, found.flip_test, found.annotations) == (0.3, "ground truth", True,
                                                                                 "train_coco.json")
    assert found.pictures == len({each["image_id"] for each in data["annotations"] if any(each["keypoints"])})
    assert len(Image.open(fitted / "reliability.png").convert("RGB").getcolors(100_000)) > 20


@pytest.mark.slow
def test_it_prints_what_it_found(commands, config, checkpoint, tmp_path, capsys):
    assert commands[0]([str(config), str(checkpoint), "--folds", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert re.search(r"^all +\d+ +0\.\d{3} ", said.out, re.MULTILINE)
    assert re.search(r"log loss: logistic \d\.\d{4}, isotonic \d\.\d{4}; (logistic|isotonic) is taken", said.out)
    assert "to within 5 % of the longer side of the labelled box" in said.out
    assert "fewer than 30 labels" in said.err and "note: fitted in the labelled boxes; in a detector's" in said.err


@pytest.mark.slow
def test_a_published_checkpoint_carries_it_and_is_published_on_with_it(fitted, commands, checkpoint, tmp_path, capsys):
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint

    wanted = read_calibration(fitted / "calibration.json")
    words = ["--calibration", str(fitted / "calibration.json")]
    assert commands[1]([str(checkpoint), f"{tmp_path}/cal", *words]) == 0
    [published] = tmp_path.glob("cal-*.pth")
    assert Calibration.from_json(facts_of_checkpoint(published).calibration) == wanted
    assert commands[1]([str(published), f"{tmp_path}/renamed", "--precision", "fp16"]) == 0
    [renamed] = tmp_path.glob("renamed-*.pth")
    assert Calibration.from_json(facts_of_checkpoint(renamed).calibration) == wanted
    assert commands[1]([str(published), "--local-dir", str(tmp_path / "release"), "--safetensors"]) == 0
    assert "to within 30 % of the longer side" in (tmp_path / "release" / "README.md").read_text(encoding="utf-8")
    [tensors] = (tmp_path / "release").glob("*.safetensors")
    assert Calibration.from_json(facts_of_checkpoint(tensors).calibration) == wanted


@pytest.mark.slow
def test_write_makes_a_checkpoint_beside_the_one_it_was_given(fitted, commands, config, checkpoint, tmp_path):
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint

    assert commands[1]([str(checkpoint), f"{tmp_path}/m"]) == 0
    [before] = tmp_path.glob("m-*.pth")
    data = before.read_bytes()
    assert commands[0]([str(config), str(before), "--folds", "3", "--distance", "0.3", "--write",
                        "--out", str(tmp_path / "out")]) == 0
    assert before.read_bytes() == data
    [after] = set(tmp_path.glob("m-*.pth")) - {before}
    found = Calibration.from_json(facts_of_checkpoint(after).calibration)
    assert found == read_calibration(tmp_path / "out" / "calibration.json")
    # Weights are hashed, not files: the run's own checkpoint and the published one have the same.
    assert found == read_calibration(fitted / "calibration.json")


@pytest.mark.slow
def test_exports_carry_it_and_give_the_scores_it_was_fitted_to(fitted, checkpoint, commands, cars, tmp_path):
    import cv2

    from pose_tools.export.exporting import export_model
    from pose_tools.inference.runtime import PoseModel, open_backend
    from pose_tools.options.exporting import ExportOptions

    assert commands[1]([str(checkpoint), f"{tmp_path}/m", "--calibration", str(fitted / "calibration.json")]) == 0
    [published] = tmp_path.glob("m-*.pth")
    made = export_model(published, ExportOptions(published, ("onnx", "openvino"), check=False))
    made += export_model(published, ExportOptions(published, ("onnx",), check=False, end_to_end=True))
    image = cv2.imread(str(sorted((cars / "images").iterdir())[0]))
    wanted, seen = read_calibration(fitted / "calibration.json"), []
    for path in [published, *(each for each in made if each.suffix != ".bin")]:
        backend = open_backend(path, device="cpu")
        facts = backend.facts
        calibration = Calibration.of_model(facts.calibration, facts.keypoint_set, path)
        assert calibration == wanted
        seen.append(calibration(PoseModel(backend)(image, [[10, 10, 200, 150]])[1]))
    assert len(seen) == 4
    for each in seen[1:]:
        np.testing.assert_allclose(each, seen[0], atol=2e-3)


def test_a_calibration_of_other_weights_is_refused(fitted, commands, openmmlab, checkpoint, tmp_path):
    import torch

    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    other = load_checkpoint_file(checkpoint)
    other["state_dict"]["head.final_layer.bias"] += 1e-3
    path = tmp_path / "other.pth"
    torch.save(other, path)
    with pytest.raises(UserError, match="was fitted to other weights than those of"):
        commands[1]([str(path), str(tmp_path / "out") + "/", "--calibration", str(fitted / "calibration.json")])
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_with_a_calibration_of_other_keypoints_is_not_opened(fitted, openmmlab, checkpoint, tmp_path):
    import torch

    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    content = load_checkpoint_file(checkpoint)
    content["meta"]["calibration"] = (fitted / "calibration.json").read_text().replace("left-front-bumper", "nose")
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(UserError, match="its calibration: is of the keypoints nose, "):
        facts_of_checkpoint(tmp_path / "odd.pth")


def results(path, cars, score):
    data = json.loads((cars / "train_coco.json").read_text())
    rows = [{"image_id": each["image_id"], "category_id": 1, "bbox": each["bbox"], "score": score}
            for each in data["annotations"]]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_detector_s_boxes(fitted, commands, config, checkpoint, cars, tmp_path, capsys):
    boxes = results(tmp_path / "boxes.json", cars, 0.9)
    words = [str(config), str(checkpoint), "--folds", "3", "--distance", "0.3", "--out", str(tmp_path / "out")]
    assert commands[0]([*words, "--boxes", str(boxes)]) == 0
    assert "fitted in the labelled boxes" not in capsys.readouterr().err
    found = read_calibration(tmp_path / "out" / "calibration.json")
    assert found.boxes == "a detector's"
    assert found.curves == read_calibration(fitted / "calibration.json").curves, "they are the labelled boxes"
    with pytest.raises(UserError, match="of its .* detections none has a score of 0.95"):
        commands[0]([*words, "--boxes", str(boxes), "--bbox-thr", "0.95"])
    (tmp_path / "bad.json").write_text('[{"image_id": 99999}]')
    with pytest.raises(FaultsError, match="result 0: has no category_id"):
        commands[0]([*words, "--boxes", str(tmp_path / "bad.json")])


def test_what_cannot_be_calibrated_is_said_in_a_line(commands, config, checkpoint, root, tmp_path):
    main, given = commands[0], str(checkpoint)
    with pytest.raises(UserError, match="are too few for 50 folds; lower --folds"):
        main([str(config), given, "--folds", "50", "--out", str(tmp_path / "o")])
    with pytest.raises(UserError, match="--write is for published files; leave it out"):
        main([str(config), given, "--write"])
    with pytest.raises(UserError, match="is the config of a detector"):
        main([str(root / "configs/rtmdet-tiny-carpose.py"), given])
    with pytest.raises(UserError, match="no such file"):
        main([str(config), given, "--boxes", str(tmp_path / "none.json")])
    (tmp_path / "m.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"calibrate the checkpoint \(.pth\), and export it afterwards"):
        main([str(config), str(tmp_path / "m.onnx")])
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("words", [("--folds", "1"), ("--folds", "2.5"), ("--distance", "0"), ("--distance", "nan")])
def test_options_out_of_range_are_refused(commands, words, capsys):
    with pytest.raises(SystemExit):
        commands[0](["c.py", "m.pth", *words])
    assert words[0] in capsys.readouterr().err
