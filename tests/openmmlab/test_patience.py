"""Ending a run when nothing gets better."""
import json
from types import SimpleNamespace

import pytest

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.patience import PatienceHook


def runner_in(folder, resume=False, epoch=0):
    said = []
    return SimpleNamespace(work_dir=str(folder), _resume=resume, epoch=epoch, hooks=[], said=said,
                           logger=SimpleNamespace(info=said.append), train_loop=SimpleNamespace(stop_training=False))


def validate(hook, runner, scores):
    """Validates once an epoch; returns the epoch that ended the run, None where none did."""
    for score in scores:
        runner.epoch += 1
        hook.after_val_epoch(runner, {} if score is None else {"coco/AP": score})
        if runner.train_loop.stop_training:
            return runner.epoch
    return None


@pytest.mark.parametrize(("scores", "ends"), [
    ([0.1, 0.2, 0.3, 0.4, 0.5], None),
    ([0.1, 0.3, 0.2, 0.25], 4),
    ([0.1, 0.3, 0.3, 0.3], 4),  # equal is not better
    ([0.1, 0.3, 0.2, 0.31, 0.2, 0.1], 6),
    ([0.0, 0.0, None, 0.0, 0.01, 0.0, 0.02], None),  # before the first point nothing is counted
    ([0.2, None, None], 3),
    ([0.2, float("nan"), float("nan")], 3),
])
def test_two_validations_without_a_better_score_end_a_run(tmp_path, scores, ends):
    hook, runner = PatienceHook(2, "coco/AP"), runner_in(tmp_path)
    hook.before_train(runner)
    assert validate(hook, runner, scores) == ends
    assert bool(runner.said) == (ends is not None)


def test_the_line_names_the_best_epoch(tmp_path):
    hook, runner = PatienceHook(2, "coco/AP"), runner_in(tmp_path)
    hook.before_train(runner)
    validate(hook, runner, [0.25, 0.5, 0.4, 0.3])
    assert runner.said == ["stopping: 2 validations brought nothing better than coco/AP 0.5000 of epoch 2"]


@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_a_resumed_run_keeps_counting(tmp_path, stopped_after):
    scores = [0.3, 0.2, 0.1, 0.2]
    hook, runner = PatienceHook(3, "coco/AP"), runner_in(tmp_path)
    hook.before_train(runner)
    assert validate(hook, runner, scores[:stopped_after]) is None
    again, runner = PatienceHook(3, "coco/AP"), runner_in(tmp_path, resume=True, epoch=stopped_after)
    again.before_train(runner)
    assert validate(again, runner, scores[stopped_after:]) == 4


def test_validations_after_the_checkpoint_are_forgotten_on_resume(tmp_path):
    hook, runner = PatienceHook(3, "coco/AP"), runner_in(tmp_path)
    hook.before_train(runner)
    validate(hook, runner, [0.1, 0.2, 0.3])
    again = PatienceHook(3, "coco/AP")
    again.before_train(runner_in(tmp_path, resume=True, epoch=2))
    assert again.scores == [(1, 0.1), (2, 0.2)]


def test_a_run_that_has_waited_enough_ends_before_it_begins(tmp_path):
    hook, runner = PatienceHook(2, "coco/AP"), runner_in(tmp_path)
    hook.before_train(runner)
    validate(hook, runner, [0.3, 0.2, 0.1])
    runner = runner_in(tmp_path, resume=True, epoch=3)
    PatienceHook(2, "coco/AP").before_train(runner)
    assert runner.train_loop.stop_training


def test_a_new_run_starts_afresh_and_a_broken_file_is_one_line(tmp_path):
    (tmp_path / "patience.json").write_text(json.dumps({"scores": [[1, 0.9]]}), encoding="utf-8")
    hook = PatienceHook(2, "coco/AP")
    hook.before_train(runner_in(tmp_path))
    assert hook.scores == []
    (tmp_path / "patience.json").write_text("[3", encoding="utf-8")
    with pytest.raises(UserError, match="patience.json: is not what --patience wrote"):
        hook.before_train(runner_in(tmp_path, resume=True))
