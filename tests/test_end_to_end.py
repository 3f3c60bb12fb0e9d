"""The main job, for real and small: train, test, resume, publish, predict, for both kinds of model."""
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
KINDS = {
    "detector": ("configs/rtmdet-tiny-carpose.py", ("96", "96"), "coco/bbox_mAP"),
    "pose": ("configs/rtmpose-s-carpose.py", ("64", "64"), "coco/AP"),
}


def run(*words, code=0, **more):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, **more)
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def training(kind, cars, work_dir, epochs, *more):
    """The words of a training on the small set."""
    config, size, _ = KINDS[kind]
    return ["tools/train.py", config, "--no-pretrained", "--work-dir", work_dir, "--epochs", epochs, "--batch-size", 4,
            "--input-size", *size, *more, "--cfg-options", f"train_dataloader.dataset.data_root={cars}/",
            f"val_dataloader.dataset.data_root={cars}/", f"test_dataloader.dataset.data_root={cars}/",
            f"val_evaluator.ann_file={cars}/val_coco.json", f"test_evaluator.ann_file={cars}/val_coco.json"]


def learning_rates(work_dir):
    """(step, learning rate, loss) of every log line, over all runs in a work folder."""
    rows = []
    for log in sorted(work_dir.glob("*/vis_data/scalars.json")):
        rows += [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [(row["step"], row["lr"], row["loss"]) for row in rows if "lr" in row]


@pytest.fixture(scope="module")
def trained(cars, tmp_path_factory):
    """Three epochs of each kind in one go; the runs below are compared with them."""
    folders = {}
    for kind in KINDS:
        folders[kind] = tmp_path_factory.mktemp(kind)
        said = run(*training(kind, cars, folders[kind], 3))
        assert re.search(r"Epoch\(train\) +\[3/3\].*eta:.*img_per_s", said)
        assert "starting from scratch" in said
    return folders


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_leaves_what_is_promised(trained, kind):
    folder, (config, _, metric) = trained[kind], KINDS[kind]
    assert (folder / Path(config).name).is_file(), "the complete config"
    assert list(folder.rglob("events.out.tfevents*")), "TensorBoard events"
    if kind == "pose":  # three epochs leave the detector without a single detection, and so without a score
        assert len(list(folder.glob(f"best_{metric.replace('/', '_')}*.pth"))) == 1
    assert (folder / "epoch_3.pth").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(trained, cars, tmp_path, kind):
    command = [sys.executable, *map(str, training(kind, cars, tmp_path, 3))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if re.search(r"Epoch\(train\) +\[1/3\]", line):
                process.send_signal(signal.SIGINT)  # what Ctrl-C sends
                break
        said += process.stdout.readlines()
    assert process.returncode == 130, "".join(said)[-3000:]
    assert not (tmp_path / "epoch_3.pth").exists()
    assert "--resume" in said[-1]
    # Without --no-pretrained: that the run began from scratch, which decides its augmentation, is in the checkpoint.
    again = [word for word in training(kind, cars, tmp_path, 3, "--resume") if word != "--no-pretrained"]
    assert "resuming" in run(*again)
    whole = learning_rates(trained[kind])
    parts = learning_rates(tmp_path)
    assert [row[:2] for row in parts] == [row[:2] for row in whole], "same steps, same learning rates"
    if kind == "pose":
        # The detector's mosaic mixes in what each worker happened to have seen before.
        assert [row[2] for row in parts] == pytest.approx([row[2] for row in whole], rel=1e-3)


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("checkpoint")
    files = {}
    for kind, (config, _, _) in KINDS.items():
        best = trained[kind] / "epoch_3.pth"
        said = run("tools/publish_model.py", best, out / Path(config).stem, "--date", "20260102")
        files[kind] = next(out.glob(f"{Path(config).stem}-*.pth"))
        assert files[kind].name in said
        assert files[kind].stat().st_size < best.stat().st_size
    return files


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_file_tests_like_its_source(trained, published, tmp_path, kind):
    config = trained[kind] / Path(KINDS[kind][0]).name
    scores = []
    for checkpoint in (trained[kind] / "epoch_3.pth", published[kind]):
        work_dir = tmp_path / checkpoint.stem
        run("tools/test.py", config, checkpoint, "--work-dir", work_dir)
        scores.append(json.loads((work_dir / "metrics.json").read_text(encoding="utf-8")))
        assert isinstance(json.loads((work_dir / "results.json").read_text(encoding="utf-8")), list)
    assert scores[0]["metrics"] == scores[1]["metrics"]
    assert KINDS[kind][2] in scores[0]["metrics"]
    if kind == "pose":
        assert [row["name"] for row in scores[0]["keypoints"]][-1] == "all"
        assert len(scores[0]["keypoints"]) == 9


def test_detected_boxes_of_any_category_id_are_tested(trained, published, cars, tmp_path):
    """Upstream drops every box whose category is not 1; here a car is category 7."""
    renumbered = tmp_path / "cars"
    renumbered.mkdir()
    os.symlink(cars / "images", renumbered / "images")
    for split in ("train", "val"):
        content = json.loads((cars / f"{split}_coco.json").read_text(encoding="utf-8"))
        for entry in content["annotations"]:
            entry["category_id"] = 7
        content["categories"][0]["id"] = 7
        (renumbered / f"{split}_coco.json").write_text(json.dumps(content), encoding="utf-8")
    truth = json.loads((renumbered / "val_coco.json").read_text(encoding="utf-8"))["annotations"]
    boxes = [{"image_id": a["image_id"], "category_id": 7, "bbox": a["bbox"], "score": 0.9} for a in truth]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes), encoding="utf-8")
    run("tools/test.py", trained["pose"] / "rtmpose-s-carpose.py", published["pose"], "--work-dir", tmp_path / "test",
        "--boxes", tmp_path / "boxes.json", "--cfg-options", f"test_dataloader.dataset.data_root={renumbered}/",
        f"test_evaluator.ann_file={renumbered}/val_coco.json")
    results = json.loads((tmp_path / "test/results.json").read_text(encoding="utf-8"))
    assert results
    assert {result["category_id"] for result in results} == {7}


@pytest.mark.parametrize("kind", KINDS)
def test_show_dir_holds_a_drawn_picture_of_every_image(trained, published, cars, tmp_path, kind):
    run("tools/test.py", trained[kind] / Path(KINDS[kind][0]).name, published[kind], "--work-dir", tmp_path / "test",
        "--show-dir", tmp_path / "drawn")
    images = json.loads((cars / "val_coco.json").read_text(encoding="utf-8"))["images"]
    drawn = [path for path in tmp_path.rglob("*.jpg") if path.stat().st_size > 5000]
    assert len(drawn) >= len(images)
    assert all(any(Path(image["file_name"]).stem in path.name for path in drawn) for image in images)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_validation_needs_no_validation_set(cars, tmp_path, kind):
    words = training(kind, cars, tmp_path / "run", 1, "--no-validate")
    run(*words, f"val_dataloader.dataset.ann_file={tmp_path}/missing.json")
    assert [path.name for path in (tmp_path / "run").glob("*.pth")] == ["epoch_1.pth"]


@pytest.mark.parametrize(("kind", "base_batch"), [("detector", 256), ("pose", 1024)])
def test_auto_scale_lr_is_linear_in_the_batch(cars, tmp_path, kind, base_batch):
    run(*training(kind, cars, tmp_path, 2, "--no-validate", "--auto-scale-lr"))
    # Reached at the end of warm-up; upstream's 0.004 is for the base batch.
    assert max(lr for _, lr, _ in learning_rates(tmp_path)) == pytest.approx(0.004 * 4 / base_batch, rel=1e-3)


def test_the_config_of_a_run_keeps_its_schedule(trained, cars, tmp_path):
    work_dir = tmp_path / "again"
    dumped = trained["pose"] / "rtmpose-s-carpose.py"
    said = run("tools/train.py", dumped, "--no-pretrained", "--work-dir", work_dir)
    assert "schedule as the run that wrote this config derived it" in said
    assert [row[:2] for row in learning_rates(work_dir)] == [row[:2] for row in learning_rates(trained["pose"])]
    said = run("tools/train.py", dumped, "--no-pretrained", "--work-dir", work_dir, "--epochs", 9, code=1)
    assert "give the config in configs/" in said


def test_prediction_draws_and_lists(published, cars, tmp_path):
    pictures = sorted((cars / "images").glob("*.jpg"))[:2]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures[0].read_bytes()[:200])
    said = run("pose_tools/predict.py", *pictures, broken, "--pose", published["pose"], "--out", tmp_path / "out",
               "--sheet", code=1)
    assert "2 images" in said and "broken.jpg" in said
    results = json.loads((tmp_path / "out/predictions.json").read_text(encoding="utf-8"))
    assert [len(result["keypoints"]) for result in results] == [24, 24], "the whole image is the box"
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 3  # two drawn, one sheet
    run("pose_tools/predict.py", pictures[0], "--det", published["detector"], "--pose", published["pose"],
        "--out", tmp_path / "detected", "--bbox-thr", "0.99")
    assert json.loads((tmp_path / "detected/predictions.json").read_text(encoding="utf-8")) == []


def test_models_given_the_wrong_way_round_are_refused(published, cars, tmp_path):
    said = run("pose_tools/predict.py", cars / "images", "--det", published["pose"], "--pose", published["detector"],
               "--out", tmp_path / "out", code=1)
    assert "is a detector model, not a pose model" in said and not (tmp_path / "out").exists()
    assert "holds no picture" in run("pose_tools/predict.py", tmp_path, "--pose", published["pose"], code=1)


def test_two_processes_train_on_the_cpu(cars, tmp_path):
    port = 20000 + os.getpid() % 20000
    words = training("pose", cars, tmp_path, 1)[1:]
    run("-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}", "tools/train.py", *words[:1],
        "--launcher", "pytorch", "--device", "cpu", *words[1:], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (tmp_path / "epoch_1.pth").is_file()
