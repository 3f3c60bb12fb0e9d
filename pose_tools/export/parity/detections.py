"""Comparing two detectors on the same pictures."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.console import progress
from pose_tools.export.parity.accuracy import bbox_ap
from pose_tools.export.parity.differences import Spread
from pose_tools.export.parity.matching import Detections, Matching, match
from pose_tools.export.parity.pictures import Pictures
from pose_tools.export.parity.recording import Recorder
from pose_tools.export.parity.report import Accuracy, Report, Row
from pose_tools.export.parity.tolerance import Tolerance
from pose_tools.inference.runtime import Backend, DetectorModel

OTHER_BATCHES = (2, 5)


def run_detector(backend: Backend, pictures: Pictures, what: str = "") -> list[Detections]:
    """Runs a detector on pictures, with the least score that its facts say.

    Args:
        backend: Of the model.
        pictures: What to run it on.
        what: For the progress bar; none without.
    """
    model = DetectorModel(backend)
    return [Detections(*model(picture.read())) for picture in (progress(pictures.each, what) if what else pictures)]


def compare_detections(reference: Backend, exported: Backend, pictures: Pictures, tolerance: Tolerance,
                       report: Report) -> None:
    """Adds to a report how far an exported detector is from its checkpoint.

    Args:
        reference: The checkpoint.
        exported: The exported file; its own facts say how pictures are made into inputs.
        pictures: What to compare them on.
        tolerance: The limits.
        report: Gets rows, faults, and the accuracy where something is labelled.
    """
    recorder = Recorder(exported, most_inputs=max(OTHER_BATCHES), keep_outputs=False)
    expected = run_detector(reference, pictures, "running the checkpoint")
    found = run_detector(recorder, pictures, "running the export")
    width, height = reference.facts.input_size
    scales = [min(width / image.shape[1], height / image.shape[0]) for image in (each.read() for each in pictures)]
    _add_rows(expected, found, scales, reference, tolerance.for_labelled(pictures.labelled), report)
    if exported.facts.batch is None:
        _compare_batches(exported, recorder.inputs, reference, tolerance, report)
    if pictures.truth is not None:
        values = [bbox_ap(pictures, each, reference.facts) for each in (expected, found)]
        report.accuracy = Accuracy("bbox AP", *values, pictures.labelled)


@dataclass
class _Found:
    """Differences of all images together, and what had no partner."""

    image_px: list[np.ndarray]
    input_px: list[np.ndarray]
    scores: list[np.ndarray]
    alone: list[float]
    ties: int = 0
    strong: int = 0


def _collect(expected: Sequence[Detections], found: Sequence[Detections], scales: Sequence[float], nms_threshold: float,
             tolerance: Tolerance) -> _Found:
    all_found = _Found([], [], [], [])
    for one, other, scale in zip(expected, found, scales):
        matching = match(one, other, tolerance.strong, nms_threshold, 2 * tolerance.score,
                         tolerance.px / scale)
        first, second = matching.pairs[~matching.tied_pairs].T
        apart = np.abs(one.boxes[first].astype(np.float64) - other.boxes[second]).max(axis=1, initial=0)
        all_found.image_px.append(apart)
        all_found.input_px.append(apart * scale)
        all_found.scores.append(one.scores[first] - other.scores[second])
        all_found.alone += [*one.scores[matching.missing[~matching.tied_missing]].tolist(),
                            *other.scores[matching.added[~matching.tied_added]].tolist()]
        all_found.ties += _ties(matching)
        all_found.strong += len(matching.pairs) + len(matching.missing) + len(matching.added)
        if not all(np.isfinite(values).all() for values in (other.boxes, other.scores)):
            all_found.input_px.append(np.array([math.nan]))
    return all_found


def _ties(matching: Matching) -> int:
    return int(matching.tied_pairs.sum() + matching.tied_missing.sum() + matching.tied_added.sum())


def _add_rows(expected: Sequence[Detections], found: Sequence[Detections], scales: Sequence[float], reference: Backend,
              tolerance: Tolerance, report: Report, suffix: str = "") -> None:
    together = _collect(expected, found, scales, reference.facts.nms_threshold, tolerance)
    spreads = [Spread.of(np.concatenate(values)) for values in (together.input_px, together.image_px, together.scores)]
    of = f"of score >= {tolerance.strong:g}"
    report.rows.append(Row(f"box corners {of}{suffix}", "input px", spreads[0], tolerance.statistic, tolerance.px))
    if not suffix:
        report.rows.append(Row(f"box corners {of}", "image px", spreads[1]))
        report.rows.append(Row(f"scores >= {tolerance.strong:g}", "", spreads[2], tolerance.statistic, tolerance.score))
    allowed = tolerance.unmatched * together.strong
    if together.alone:
        line = (f"{len(together.alone)} of {together.strong} detections {of}{suffix} are found by one of the two "
                f"alone, the strongest with a score of {max(together.alone):.3f}")
        (report.faults if len(together.alone) > allowed else report.notes).append(line)
    if together.ties:
        line = f"{together.ties} of {together.strong} detections{suffix} differ at ties of NMS"
        (report.faults if together.ties > max(2, tolerance.nms_ties * together.strong) else report.notes).append(line)
    if not together.strong and not suffix:
        report.notes.append(f"nothing {of} was found by either: these pictures say little about this model")


def _compare_batches(exported: Backend, inputs: np.ndarray, reference: Backend, tolerance: Tolerance,
                     report: Report) -> None:
    """Holds what the exported graph gives in batches against what it gives one by one."""
    alone = [detections for row in inputs for detections in _of_graph(exported, row[None])]
    for size in OTHER_BATCHES:
        if len(inputs) >= size:
            together = _of_graph(exported, inputs[:size])
            _add_rows(alone[:size], together, [1.0] * size, reference, tolerance, report, f", {size} pictures a run")


def _of_graph(backend: Backend, batch: np.ndarray) -> list[Detections]:
    """Detections of each image of a batch, in input px."""
    dets, labels = backend.run(batch)
    return [Detections(rows[keep, :4], rows[keep, 4], each[keep])
            for rows, each, keep in zip(dets, labels, labels >= 0)]
