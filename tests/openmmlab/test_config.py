import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.dataset.scaffold import Facts, new_dataset
from pose_tools.formats.schema import KeypointSet
from pose_tools.openmmlab.config import default_work_dir, load_config, use_fold

CLOCK = KeypointSet(("clock", ), ("twelve", "three"), sigmas=(0.05, 0.05), mirror=False)


def flips(cfg):
    switch = next(hook for hook in cfg.custom_hooks if "switch_pipeline" in hook)
    pipelines = (cfg.train_dataloader.dataset.pipeline, switch.switch_pipeline)
    return [sum(step.type == "RandomFlip" for step in pipeline) for pipeline in pipelines]


def test_mirror_false_trains_and_tests_without_mirroring(tmp_path):
    new_dataset("clock", Facts(CLOCK), "data/clock", tmp_path)
    cfg = load_config(tmp_path / "rtmpose-s-clock.py")
    assert flips(cfg) == [0, 0] and cfg.model.test_cfg.flip_test is False
    # A mirrored clock is no clock, but a box around it is a box.
    assert flips(load_config(tmp_path / "rtmdet-tiny-clock.py"))[0] == 1


def test_mirroring_is_on_by_default(root):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    assert flips(cfg) == [1, 1] and cfg.model.test_cfg.flip_test is True


def test_the_decision_survives_being_written_down(tmp_path):
    new_dataset("clock", Facts(CLOCK), "data/clock", tmp_path)
    load_config(tmp_path / "rtmpose-s-clock.py").dump(tmp_path / "dumped.py")
    again = load_config(tmp_path / "dumped.py")
    assert flips(again) == [0, 0] and again.model.test_cfg.flip_test is False


def test_a_fold_takes_its_own_files_and_its_own_work_folder(root):
    cfg = load_config(root / "configs/rtmpose-s-carpose.py")
    use_fold(cfg, 2)
    assert cfg.train_dataloader.dataset.ann_file == "fold2/train_coco.json"
    for split in ("val", "test"):
        assert cfg[f"{split}_dataloader"].dataset.ann_file == "fold2/val_coco.json"
        assert cfg[f"{split}_evaluator"].ann_file == "data/carpose/fold2/val_coco.json"
    assert cfg.train_dataloader.dataset.data_root == "data/carpose/", "images stay where they are"


@pytest.mark.parametrize(("config", "fold", "folder"), [
    ("configs/rtmpose-s-a.py", None, "work_dirs/rtmpose-s-a"),
    ("configs/rtmpose-s-a.py", 3, "work_dirs/rtmpose-s-a-fold3"),
    ("work_dirs/rtmpose-s-a-fold3/rtmpose-s-a.py", None, "work_dirs/rtmpose-s-a-fold3"),
    ("work_dirs/rtmpose-s-a/rtmpose-s-a.py", None, "work_dirs/rtmpose-s-a"),
    ("work_dirs/rtmpose-s-a-folder/rtmpose-s-a.py", None, "work_dirs/rtmpose-s-a"),
])
def test_work_folders(tmp_path, monkeypatch, config, fold, folder):
    monkeypatch.chdir(tmp_path)
    found = default_work_dir(config, fold)
    assert found.resolve() == tmp_path / folder
