"""Measures models in turn, each in a process of its own."""
from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Callable, Optional

from pose_tools.benchmarking.child import Child
from pose_tools.benchmarking.inputs import make_picture
from pose_tools.benchmarking.machine import describe_machine
from pose_tools.benchmarking.planning import plan_cases, plan_pairs
from pose_tools.benchmarking.rounds import busy_note, summary_of
from pose_tools.benchmarking.subject import Subject
from pose_tools.benchmarking.workbench import Case, Workbench, open_case
from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.options.benchmarking import BenchmarkOptions

if TYPE_CHECKING:
    from pose_tools.inference.runtime import Backend

MOST_PICTURES = 20
Opener = Callable[[Case], "Backend"]


def measure(options: BenchmarkOptions, opener: Opener = open_case) -> dict[str, Any]:
    """Measures models.

    Args:
        options: What was asked for.
        opener: Loads a model, in its process.

    Returns:
        ``machine``, ``settings``, ``models``, ``pipelines`` and ``notes``, of what JSON can hold; see
        :mod:`pose_tools.benchmarking.tables` for what the keys mean.

    Raises:
        UserError: A model, a picture or an option is not what it should be.
    """
    cases = plan_cases(options)
    machine, notes = describe_machine(options.threads), []
    with contextlib.ExitStack() as stack:
        pictures = _pictures(options, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        start = partial(_start, stack, pictures, options, opener)
        subjects, more = _open_all(cases, start)
        notes += more
        for subject in subjects:
            notes += subject.warm_network(options.batch)
        singles = [subject.cases[0] for subject in subjects]
        pairs = [start(pair) for pair in plan_pairs(singles, [subject.tasks[0] for subject in subjects])]
        for subject in [*subjects, *pairs]:
            notes += subject.warm_stages(_box_counts(subject, options))
        _time_all([*subjects, *pairs], options)
        for subject in [*subjects, *pairs]:
            subject.finished = subject.child.ask("finish")
        notes += [f"{each.label}: {why}" for each in subjects if (why := each.finished["why_not"])]
    everything = [*subjects, *pairs]
    result = {"machine": machine, "settings": _settings(options), "models": [_model_row(each) for each in subjects],
              "pipelines": [_pipeline_row(each) for each in pairs], "notes": notes}
    care = busy_note(_spreads(result), [share for each in everything for share in each.others])
    result["notes"] += [care] if care else []
    return result


def _start(stack: contextlib.ExitStack, pictures: Sequence[Path], options: BenchmarkOptions, opener: Opener,
           cases: Sequence[Case]) -> Subject:
    make = partial(Workbench, cases, pictures, options.flip_test, max(32, *options.batch), opener)
    child = Child(make, " + ".join(case.label for case in cases))
    stack.callback(child.close)
    return Subject(cases, child)


def _open_all(cases: Sequence[Case], start: Callable[[Sequence[Case]], Subject]) -> tuple[list[Subject], list[str]]:
    """Loads all; a precision that one library lacks is left out where the model runs otherwise."""
    subjects, failed = [], []
    for case in progress(cases, "loading"):
        try:
            subjects.append(start([case]))
        except UserError as error:
            failed.append((case, error))
    run = {subject.cases[0].path for subject in subjects}
    faults = [error for case, error in failed if case.precision == "auto" or case.path not in run]
    if faults:
        raise FaultsError([fault for error in faults for fault in _faults_of(error)])
    return subjects, [f"left out: {error}" for _, error in failed]


def _faults_of(error: UserError) -> list[Fault]:
    if isinstance(error, FaultsError):
        return list(error.faults)
    file, colon, what = str(error).partition(": ")
    return [Fault(file, what) if colon else Fault("error", file)]


def _pictures(options: BenchmarkOptions, folder: Path) -> list[Path]:
    if options.images is None:
        return [make_picture(folder / "made.jpg")]
    from pose_tools.inference.sample import find_pictures

    return find_pictures([options.images])[:MOST_PICTURES]


def _time_all(subjects: Sequence[Subject], options: BenchmarkOptions) -> None:
    """Gives every figure of every subject its share of each round; another one begins each time."""
    share = options.seconds / options.rounds
    for number in progress(range(options.rounds), "measuring"):
        first = number % len(subjects)
        for subject in [*subjects[first:], *subjects[:first]]:
            for size in subject.network:
                subject.time_network(size, share)
            for boxes in subject.stages:
                subject.time_stages(boxes, share)


def _box_counts(subject: Subject, options: BenchmarkOptions) -> list[Optional[int]]:
    if subject.tasks == ["detector"]:
        return [None]
    found: list[Optional[int]] = [None] if len(subject.tasks) == 2 and options.images else []
    return [*sorted(set(options.batch)), *found]


def _model_row(subject: Subject) -> dict[str, Any]:
    opened, finished = subject.opened, subject.finished
    case, first = subject.cases[0], min(subject.warmed)
    network = [{"batch": size, **summary_of(rounds, size), "first_call_ms": subject.warmed[size]["first_call_ms"],
                "peak_mb": subject.warmed[size]["peak_mb"]} for size, rounds in subject.network.items()]
    return {"file": case.path.name, **opened["models"][0], "asked_precision": case.precision,
            "libraries_s": opened["libraries_s"], "load_s": opened["load_s"],
            "first_call_ms": subject.warmed[first]["first_call_ms"], "libraries_mb": opened["libraries_mb"],
            "model_mb": subject.warmed[first]["model_mb"], "peak_mb": finished["peak_mb"],
            "complexity": finished["complexity"], "network": network, "stages": _stage_rows(subject)}


def _pipeline_row(subject: Subject) -> dict[str, Any]:
    det, pose = subject.cases
    return {"detector": det.path.name, "pose": pose.path.name,
            "backend": " + ".join(dict.fromkeys(each["backend"] for each in subject.opened["models"])),
            "precision": " + ".join(dict.fromkeys(each["precision"] for each in subject.opened["models"])),
            "peak_mb": subject.finished["peak_mb"], "stages": _stage_rows(subject)}


def _stage_rows(subject: Subject) -> list[dict[str, Any]]:
    rows = []
    for boxes, by_stage in subject.stages.items():
        row: dict[str, Any] = {"boxes": boxes, "mean_boxes": sum(subject.boxes[boxes]) / len(subject.boxes[boxes])}
        for stage, rounds in by_stage.items():
            row[f"{stage}_ms"] = median(taken for each in rounds for taken in each) * 1000
        whole = summary_of(by_stage["total"])
        row.update(p90_ms=whole["p90_ms"], pictures_per_s=whole["items_per_s"], spread=whole["spread"])
        rows.append(row)
    return rows


def _settings(options: BenchmarkOptions) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(options).items() if key not in ("json", "markdown")}
    return {**kept, "images": options.images and str(options.images)}


def _spreads(result: dict[str, Any]) -> dict[str, float]:
    found = {}
    for model in result["models"]:
        name = f"{model['file']}, {model['backend']}, {model['precision']}"
        found.update({f"{name}, batch {row['batch']}": row["spread"] for row in model["network"]})
        found.update({f"{name}, stages{_with_boxes(row)}": row["spread"] for row in model["stages"]})
    for pair in result["pipelines"]:
        found.update({f"{pair['detector']} + {pair['pose']}{_with_boxes(row)}": row["spread"]
                      for row in pair["stages"]})
    return found


def _with_boxes(row: dict[str, Any]) -> str:
    count = row["boxes"]
    return "" if count is None else f", {count} box{'es' * (count != 1)}"
