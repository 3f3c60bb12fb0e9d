"""How well objects were followed through a video: MOTA, MOTP, IDF1, id switches; and how keypoints tremble.

MOTA and MOTP: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics",
2008. IDF1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016. Where
the papers leave something open (what is matched first, what is a fragmentation) it is done as TrackEval does it, the
code behind MOTChallenge's tables.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_tools.formats.boxes import areas_xyxy, iou_xyxy

MIN_IOU = 0.5


@dataclass(frozen=True)
class TrackFrame:
    """Truth and prediction of one frame, image px.

    Attributes:
        truth_ids: (G,) unique within the frame.
        truth_boxes: (G, 4) xyxy.
        ids: (N,) of the predicted objects, unique within the frame.
        boxes: (N, 4) xyxy.
        ignore: (G,) bool: objects that need not be found, hidden too far for instance; with what is found of them they
            are left out. Empty for none.
        truth_keypoints: (G, K, 3) x, y, v; only for :func:`keypoint_motion`.
        keypoints: (N, K, 2); only for :func:`keypoint_motion`.
    """

    truth_ids: np.ndarray
    truth_boxes: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    truth_keypoints: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))
    keypoints: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 2)))


@dataclass(frozen=True)
class TrackingScore:
    """Counts over all frames, and what follows from them; NaN where there is nothing to divide by.

    Attributes:
        truths: True boxes.
        matches: Of them, those that were found.
        false_positives: Predicted boxes that match none.
        switches: Times a true object was found under another id than the time before.
        fragmentations: Times a true object was found again after frames in which it was not; frames without any
            prediction do not count as such, as in TrackEval.
        overlap: Sum of the IoU of all matches.
        id_matches: Matches under the one id that each true object is given over the whole video.
        predictions: Predicted boxes.
    """

    truths: int
    matches: int
    false_positives: int
    switches: int
    fragmentations: int
    overlap: float
    id_matches: int
    predictions: int

    @property
    def misses(self) -> int:
        """True boxes that were not found."""
        return self.truths - self.matches

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / true boxes; can be below 0."""
        return 1 - _ratio(self.misses + self.false_positives + self.switches, self.truths)

    @property
    def motp(self) -> float:
        """Mean IoU of matches."""
        return _ratio(self.overlap, self.matches)

    @property
    def idf1(self) -> float:
        """Harmonic mean of the shares of predicted and of true boxes that have the right id."""
        return _ratio(2 * self.id_matches, self.truths + self.predictions)

    def __add__(self, other: TrackingScore) -> TrackingScore:
        """The score of two videos: counts are added, as TrackEval combines sequences."""
        return TrackingScore(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _best(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(values, maximize=True)


@dataclass
class _Overlap:
    """A frame without what is ignored: IoU (G, N) of true and predicted objects, their ids, where they come from."""

    iou: np.ndarray
    truth_ids: list[int]
    ids: list[int]
    truth_rows: np.ndarray
    rows: np.ndarray


def _overlap(frame: TrackFrame) -> _Overlap:
    """Leaves out ignored objects and what matches them best, as MOTChallenge does with its distractors."""
    iou = iou_xyxy(frame.truth_boxes, frame.boxes)
    iou = np.where(iou >= MIN_IOU - np.finfo(float).eps, iou, 0.0)
    ignored = np.zeros(iou.shape[0], bool)
    ignored[:len(frame.ignore)] = frame.ignore
    taken = np.zeros(iou.shape[1], bool)
    for i, j in zip(*_best(iou)):
        taken[j] = ignored[i] and iou[i, j] > 0
    rows, columns = np.flatnonzero(~ignored), np.flatnonzero(~taken)
    return _Overlap(iou[np.ix_(rows, columns)], [int(i) for i in np.asarray(frame.truth_ids)[rows]],
                    [int(i) for i in np.asarray(frame.ids)[columns]], rows, columns)


def _matches(overlaps: Iterable[_Overlap]) -> list[list[tuple[int, int]]]:
    """(truth, prediction) pairs of indices, frame by frame: what was matched in the frame before stays matched.

    The frame before is the last one with both true and predicted objects: TrackEval skips the others.
    """
    found: list[list[tuple[int, int]]] = []
    before: dict[int, int] = {}
    for each in overlaps:
        if not each.iou.size:
            found.append([])
            continue
        kept = np.array([[before.get(truth) == guess for guess in each.ids] for truth in each.truth_ids], bool)
        value = np.where(each.iou > 0, each.iou + 1000.0 * kept.reshape(each.iou.shape), 0.0)
        pairs = [(int(i), int(j)) for i, j in zip(*_best(value)) if value[i, j] > 0]
        before = {each.truth_ids[i]: each.ids[j] for i, j in pairs}
        found.append(pairs)
    return found


def _switches_and_fragments(overlaps: Sequence[_Overlap], matches: Sequence[list[tuple[int, int]]]) -> tuple[int, int]:
    last: dict[int, int] = {}
    runs: Counter[int] = Counter()
    before: set[int] = set()
    switches = 0
    for each, pairs in zip(overlaps, matches):
        if not each.iou.size:
            continue
        now = {each.truth_ids[i]: each.ids[j] for i, j in pairs}
        switches += sum(last.get(truth, guess) != guess for truth, guess in now.items())
        runs.update(set(now) - before)
        last.update(now)
        before = set(now)
    return switches, sum(count - 1 for count in runs.values())


def _id_matches(overlaps: Iterable[_Overlap]) -> int:
    """The most matches that one prediction a true object, and the other way round, can have over all frames."""
    together: Counter[tuple[int, int]] = Counter()
    for each in overlaps:
        together.update((each.truth_ids[i], each.ids[j]) for i, j in zip(*np.nonzero(each.iou)))
    if not together:
        return 0
    truths, guesses = ({name: n for n, name in enumerate(sorted({pair[k] for pair in together}))} for k in (0, 1))
    counts = np.zeros((len(truths), len(guesses)))
    for (truth, guess), count in together.items():
        counts[truths[truth], guesses[guess]] = count
    return int(counts[_best(counts)].sum())


def tracking_score(frames: Sequence[TrackFrame]) -> TrackingScore:
    """Scores the objects of one video.

    Args:
        frames: All of them, in order, also those without objects.
    """
    overlaps = [_overlap(frame) for frame in frames]
    matches = _matches(overlaps)
    switches, fragments = _switches_and_fragments(overlaps, matches)
    matched, predicted = sum(map(len, matches)), sum(len(each.ids) for each in overlaps)
    return TrackingScore(
        truths=sum(len(each.truth_ids) for each in overlaps), matches=matched, false_positives=predicted - matched,
        switches=switches, fragmentations=fragments,
        overlap=float(sum(each.iou[i, j] for each, pairs in zip(overlaps, matches) for i, j in pairs)),
        id_matches=_id_matches(overlaps), predictions=predicted)


@dataclass(frozen=True)
class KeypointMotion:
    """How predicted keypoints move about the true ones, in sizes: square roots of the true box's area.

    Attributes:
        error: Mean distance.
        jitter: Mean length of the second difference of the error over three frames in a row. A constant offset and
            one that grows steadily count nothing, nor does the motion of the object itself; independent noise of a
            standard deviation s along each axis gives 3.07 s.
        points: Distances in ``error``.
        triples: Differences in ``jitter``.
    """

    error: float
    jitter: float
    points: int
    triples: int


def keypoint_motion(frames: Sequence[TrackFrame]) -> KeypointMotion:
    """Measures keypoints of matched objects that are labelled (v > 0), whatever ids they were given.

    Args:
        frames: All of them, in order, with keypoints.
    """
    overlaps = [_overlap(frame) for frame in frames]
    errors: list[dict[int, np.ndarray]] = []
    for frame, each, pairs in zip(frames, overlaps, _matches(overlaps)):
        found = {}
        sizes = np.sqrt(areas_xyxy(np.asarray(frame.truth_boxes, float).reshape(-1, 4)))
        for i, j in pairs:
            truth = np.asarray(frame.truth_keypoints, float)[each.truth_rows[i]]
            off = (np.asarray(frame.keypoints, float)[each.rows[j]] - truth[:, :2]) / sizes[each.truth_rows[i]]
            found[each.truth_ids[i]] = np.where(truth[:, 2:] > 0, off, np.nan)
        errors.append(found)
    distances = [np.linalg.norm(off, axis=1) for found in errors for off in found.values()]
    bends = [np.linalg.norm(a[i] - 2 * b[i] + c[i], axis=1)
             for a, b, c in zip(errors, errors[1:], errors[2:]) for i in set(a) & set(b) & set(c)]
    return KeypointMotion(*map(_mean, (distances, bends)), *map(_count, (distances, bends)))


def _mean(arrays: Sequence[np.ndarray]) -> float:
    return float(np.nanmean(np.concatenate(arrays))) if _count(arrays) else float("nan")


def _count(arrays: Sequence[np.ndarray]) -> int:
    return int(sum(np.isfinite(array).sum() for array in arrays))
