"""Labels that the shape of the other objects speaks against: exchanged sides and misplaced points."""
from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from pose_tools.console import progress
from pose_tools.dataset.doctor.instance_table import InstanceTable
from pose_tools.dataset.doctor.shape_model import ShapeModel, fit_shape_model
from pose_tools.dataset.findings import Finding
from pose_tools.dataset.scaffold import guess_swaps
from pose_tools.formats.schema import KeypointSet

# Exchanged labels must be e^6 = 400 times as likely; see benchmarks/label_errors.py for what that finds.
SWAP_GAIN = 6.0
# A sound label is so far off once in a hundred thousand times ...
POINT_CHANCE = 1e-5
# ... and at least this far, in box units: less is no mistake but sloppiness.
POINT_DISTANCE = 0.1
LEAST_POSES = 20
_FOLDS, _FEW_FOLDS = 5, 2
# More poses than this make a model no better; with many keypoints, numbers that are reckoned with instead.
_MOST_POSES, _LEAST_POSES, _MOST_NUMBERS = 1000, 300, 20_000_000


def shape_warnings(tables: Sequence[InstanceTable], names: KeypointSet) -> Iterator[Finding]:
    """Looks for left and right exchanged, and for points that are not where the others put them.

    Poses are judged by models that have not seen them or others of their image: five models, each fitted to four
    fifths of the images (large sets: two models of 1000 poses) and, where the object may be mirrored, to their mirror
    images. Classes are judged apart.

    Args:
        tables: One a split; together they are one set.
        names: Their keypoint set.

    Yields:
        Findings, none for classes of fewer than 20 poses.
    """
    swaps = names.swaps or guess_swaps(names.keypoints)
    pairs = [(names.keypoints.index(a), names.keypoints.index(b)) for a, b in swaps]
    for number in range(len(names.classes)):
        rows = [(table, row) for table in tables for row in np.flatnonzero(
            (table.classes == number) & (table.labelled.sum(1) >= 2))]
        if len(rows) >= LEAST_POSES:
            yield from _class_warnings(rows, names, pairs)


def _class_warnings(rows: list[tuple[InstanceTable, int]], names: KeypointSet,
                    pairs: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    poses = _stack(rows)
    labelled = ~np.isnan(poses[..., 0])
    poses = np.nan_to_num(poses)
    most = int(np.clip(_MOST_NUMBERS / (2 * poses.shape[1]) ** 2, _LEAST_POSES, _MOST_POSES))
    count = _FOLDS if len(rows) < _FOLDS * most else _FEW_FOLDS
    # By the image, so that findings depend neither on where the data lies nor on the order of its objects.
    images = [str(table.images[row].get("file_name")).encode("utf-8", "replace") for table, row in rows]
    folds = np.array([zlib.crc32(name) % count for name in images])
    for fold in progress(range(count), "comparing shapes"):
        judged = np.flatnonzero(folds == fold)
        others = np.flatnonzero(folds != fold)
        if not len(judged) or len(others) < LEAST_POSES // 2:
            continue
        others = others[::-(-len(others) // most)]
        model = fit_shape_model(*_with_mirrored(poses[others], labelled[others], pairs if names.mirror else ()))
        exchanged = _exchanged(model, poses[judged], labelled[judged], pairs)
        yield from _swap_findings([rows[i] for i in judged], exchanged, names, pairs)
        wrong = {i for i, (which, _) in enumerate(exchanged) if which}
        yield from _point_findings([rows[i] for i in judged], model, poses[judged], labelled[judged], names, wrong)


def _stack(rows: list[tuple[InstanceTable, int]]) -> np.ndarray:
    parts, start = [], 0
    while start < len(rows):
        table = rows[start][0]
        end = next((i for i in range(start, len(rows)) if rows[i][0] is not table), len(rows))
        parts.append(table.poses[[row for _, row in rows[start:end]]])
        start = end
    return np.concatenate(parts)


def _exchange(array: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    order = list(range(array.shape[1]))
    for a, b in pairs:
        order[a], order[b] = b, a
    return array[:, order]


def _with_mirrored(poses: np.ndarray, labelled: np.ndarray,
                   pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    if not pairs:
        return poses, labelled
    return (np.concatenate([poses, _exchange(poses * (-1, 1), pairs)]),
            np.concatenate([labelled, _exchange(labelled, pairs)]))


def _exchanged(model: ShapeModel, poses: np.ndarray, labelled: np.ndarray,
               pairs: Sequence[tuple[int, int]]) -> list[tuple[tuple[tuple[int, int], ...], float]]:
    """For each pose the pairs that are to be exchanged, one of them or all, and the gain in log likelihood."""
    if not pairs:
        return [((), 0.0)] * len(poses)
    now = model.log_likelihood(poses, labelled)
    ways = [(pair, ) for pair in pairs] + ([tuple(pairs)] if len(pairs) > 1 else [])
    gains = np.stack([_gain(model, poses, labelled, way, now) for way in ways], 1)
    best = gains.argmax(1)
    return [(ways[way], float(gains[i, way])) if gains[i, way] > SWAP_GAIN else ((), 0.0)
            for i, way in enumerate(best)]


def _gain(model: ShapeModel, poses: np.ndarray, labelled: np.ndarray, way: Sequence[tuple[int, int]],
          now: np.ndarray) -> np.ndarray:
    gain = np.zeros(len(poses))
    rows = np.flatnonzero(labelled[:, [k for pair in way for k in pair]].any(axis=1))
    gain[rows] = model.log_likelihood(_exchange(poses[rows], way), _exchange(labelled[rows], way)) - now[rows]
    return gain


def _swap_findings(rows: list[tuple[InstanceTable, int]], exchanged: list[tuple[tuple[tuple[int, int], ...], float]],
                   names: KeypointSet, pairs: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    for (table, row), (way, gain) in zip(rows, exchanged):
        seen = [pair for pair in way if table.labelled[row, list(pair)].any()]
        if not seen:
            continue
        listed = tuple(names.keypoints[k] for pair in seen for k in pair)
        whole = len(way) == len(pairs) > 1
        what = "the whole left and right side" if whole else " and ".join(listed)
        yield table.warn(row, "swapped", f"{what} are probably exchanged; exchanged they are e^{gain:.0f} times as "
                         "likely, going by the other objects", gain, listed)


def _point_findings(rows: list[tuple[InstanceTable, int]], model: ShapeModel, poses: np.ndarray, labelled: np.ndarray,
                    names: KeypointSet, left_out: set[int]) -> Iterator[Finding]:
    expected, chance = model.residuals(poses, labelled)
    distance = np.linalg.norm(np.nan_to_num(expected - poses), axis=2)
    odd = (chance < POINT_CHANCE) & (distance > POINT_DISTANCE)
    for i in np.flatnonzero(odd.any(axis=1)):
        if i in left_out:
            continue
        # One misplaced point makes others look wrong as well: the worst is the likeliest.
        k = int(np.where(odd[i], chance[i], 1).argmin())
        table, row = rows[i]
        off = distance[i, k] * table.scales[row]
        yield table.warn(row, "odd-point", f"{names.keypoints[k]} is {off:.0f} px from where the other points put it",
                         float(-np.log10(max(chance[i, k], 1e-300))), (names.keypoints[k], ))
