"""Comparing two keypoint models on the same boxes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_tools.console import progress
from pose_tools.export.parity.accuracy import keypoint_ap
from pose_tools.export.parity.differences import CropSpace, Spread, curve_differences, shortfalls
from pose_tools.export.parity.pictures import Pictures
from pose_tools.export.parity.recording import Recorder
from pose_tools.export.parity.report import Accuracy, Report, Row
from pose_tools.export.parity.tolerance import Tolerance
from pose_tools.inference.runtime import Backend, PoseModel

# Raw SimCC score from which the reference is sure of a keypoint; what predict.py draws.
CONFIDENT = 0.3
MOST_BOXES = 400  # whose curves are kept in memory
BATCH = 8
# Of fewer crops than one run takes, an odd number, and one that no other part of the check uses.
OTHER_BATCHES = (1, 3, 16)


@dataclass(frozen=True)
class Poses:
    """What a keypoint model found in all boxes of some pictures, N of them together.

    Attributes:
        keypoints: (N, K, 2), image px.
        scores: (N, K), raw.
    """

    keypoints: np.ndarray
    scores: np.ndarray


def run_pose(backend: Backend, pictures: Pictures, batch_size: int, what: str = "") -> Poses:
    """Runs a keypoint model on pictures, without a flip test.

    Args:
        backend: Of the model.
        pictures: What to run it on.
        batch_size: Crops a run.
        what: For the progress bar; none without.
    """
    model = PoseModel(backend, batch_size=batch_size)
    found = []
    chunk: list[tuple[np.ndarray, np.ndarray]] = []
    for picture in progress(pictures.each, what) if what else pictures:
        chunk.append((picture.read(), picture.boxes))
        if sum(len(boxes) for _, boxes in chunk) >= batch_size:
            found += model.many(*zip(*chunk))
            chunk = []
    if chunk:
        found += model.many(*zip(*chunk))
    return Poses(*(np.concatenate(parts) for parts in zip(*found)))


def compare_poses(reference: Backend, exported: Backend, pictures: Pictures, tolerance: Tolerance,
                  report: Report) -> None:
    """Adds to a report how far an exported keypoint model is from its checkpoint.

    Args:
        reference: The checkpoint.
        exported: The exported file; its own facts say how crops are made for it.
        pictures: What to compare them on.
        tolerance: The limits.
        report: Gets rows, and the accuracy where something is labelled.
    """
    pictures = pictures.up_to(MOST_BOXES)
    recorder = Recorder(reference, most_inputs=max(OTHER_BATCHES))
    expected = run_pose(recorder, pictures, BATCH, "running the checkpoint")
    found = run_pose(exported, pictures, BATCH, "running the export")
    curves = [np.concatenate(parts) for parts in zip(*recorder.outputs)]
    labelled = pictures.labelled if reference.facts.keypoint_set.sigmas else 0
    main = tolerance.for_labelled(labelled)
    report.rows += _Judge(reference, pictures, expected, curves, main).rows(found)
    if not exported.facts.end_to_end and exported.facts.input_size == reference.facts.input_size:
        report.rows.append(_curve_row(exported, recorder.inputs, curves, main))
    if exported.facts.batch is None:
        # Against what it gave before, so that this is held to whatever the precision costs.
        judge = _Judge(reference, pictures, found, curves, tolerance)
        for size in OTHER_BATCHES:
            again = run_pose(exported, pictures.first(size), size)
            report.rows += judge.rows(again, f", {size} crop{'s' * (size > 1)} a run against {BATCH}")[:1]
    _add_accuracy(reference, pictures, expected, found, report)


class _Judge:
    """Distances of poses from the reference's, with ties told apart."""

    def __init__(self, reference: Backend, pictures: Pictures, expected: Poses, curves: list[np.ndarray],
                 tolerance: Tolerance) -> None:
        self.facts, self.expected, self.curves, self.tolerance = reference.facts, expected, curves, tolerance
        self.boxes = np.concatenate([picture.boxes for picture in pictures])
        sure = expected.scores >= CONFIDENT
        # In fp32 all must be equal; a model that is sure of nothing is judged by all it has.
        self.sure = np.ones_like(sure) if tolerance.statistic == "max" or not sure.any() else sure
        self.of = f" it is sure of (score >= {CONFIDENT:g})" if not self.sure.all() else ""

    def rows(self, found: Poses, suffix: str = "") -> list[Row]:
        """Rows for poses in the first boxes: distance in input px first, which is judged."""
        count, tolerance = len(found.keypoints), self.tolerance
        sure, expected = self.sure[:count], Poses(self.expected.keypoints[:count], self.expected.scores[:count])
        sure = sure if sure.any() else np.ones_like(sure)  # few crops may hold none; a row must compare something
        space = CropSpace(self.boxes[:count], self.facts.input_size, self.facts.bbox_padding,
                          self.facts.simcc_split_ratio)
        in_image, in_input = space.distances(found.keypoints, expected.keypoints)
        tied = self._tied(space, found, in_input) & sure
        apart = np.abs(found.scores - expected.scores)
        rows = [Row(f"keypoints{self.of}{suffix}", "input px", Spread.of(in_input[sure & ~tied]), tolerance.statistic,
                    tolerance.px),
                Row(f"keypoints{self.of}{suffix}", "image px", Spread.of(in_image[sure & ~tied])),
                Row(f"scores{suffix}", "", Spread.of(apart[sure]), tolerance.statistic, tolerance.score)]
        if tied.any():
            rows.append(Row(f"keypoints at ties{suffix}", "input px", Spread.of(in_input[tied])))
        if not sure.all():
            rows.append(Row(f"all other keypoints{suffix}", "input px", Spread.of(in_input[~sure])))
        return rows

    def _tied(self, space: CropSpace, found: Poses, distances: np.ndarray) -> np.ndarray:
        """Whether keypoints moved to bins that the reference itself holds to be as good."""
        if not self.tolerance.tie:
            return np.zeros(distances.shape, bool)
        bins = space.image_to_bins(found.keypoints)
        lost = [shortfalls(axis[:len(bins)], bins[..., i]) for i, axis in enumerate(self.curves)]
        return (distances > self.tolerance.px) & (np.maximum(*lost) <= self.tolerance.tie)


def _curve_row(exported: Backend, inputs: np.ndarray, curves: list[np.ndarray], tolerance: Tolerance) -> Row:
    """What the network alone makes of the reference's own inputs."""
    size = exported.facts.batch or len(inputs)
    apart = []
    for start in range(0, len(inputs) - size + 1, size):
        outputs = exported.run(inputs[start:start + size])
        apart += [curve_differences(axis[start:start + size], other) for axis, other in zip(curves, outputs)]
    values = np.concatenate([each.ravel() for each in apart]) if apart else np.zeros(0)
    return Row("SimCC curves, from the same crops", "of height", Spread.of(values), tolerance.statistic,
               tolerance.curve)


def _add_accuracy(reference: Backend, pictures: Pictures, expected: Poses, found: Poses, report: Report) -> None:
    keypoint_set = reference.facts.keypoint_set
    if pictures.truth is None or keypoint_set is None:
        return
    if not keypoint_set.sigmas:
        report.notes.append("no AP: the model's keypoint set has no sigmas")
        return
    ends = np.cumsum([len(picture.boxes) for picture in pictures])[:-1]
    values = [keypoint_ap(pictures, np.split(each.keypoints, ends), np.split(each.scores, ends), reference.facts)
              for each in (expected, found)]
    report.accuracy = Accuracy("keypoint AP", *values, len(expected.scores))
