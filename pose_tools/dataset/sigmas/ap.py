"""COCO's keypoint AP as a function of the sigmas, and what a value of OKS means in pixels.

The AP itself is that of xtcocotools, which mmpose, and so ``tools/test.py``, takes. Coordinates are image px.
"""
from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pose_tools.console import progress
from pose_tools.dataset.sigmas.match import Comparison
from pose_tools.dataset.sigmas.read import Instance

OKS_LEVELS = (0.5, 0.75, 0.95)


def allowed_px(sigma: float | np.ndarray, scale: float, oks: float) -> float | np.ndarray:
    """How far a keypoint may be off for a given OKS: the definition of OKS, solved for d.

    Args:
        sigma: One or many.
        scale: sqrt(area) of the object, px.
        oks: Between 0 and 1.

    Returns:
        The distance in image px, when all keypoints are as far off.
    """
    return scale * 2 * sigma * np.sqrt(-2 * np.log(oks))


@dataclass(frozen=True)
class Curve:
    """AP for sigmas of the same proportions and many sizes.

    Attributes:
        sigmas: (N,) geometric means of the sigmas.
        ap: (N,) AP, 0 to 1; NaN when there is nothing to score.
        marks: For each name of a set of sigmas: their geometric mean, and the AP with exactly these.
    """

    sigmas: np.ndarray
    ap: np.ndarray
    marks: Mapping[str, tuple[float, float]]

    def as_json(self) -> dict[str, Any]:
        """The curve as plain values."""
        def pair(sigma: float, ap: float) -> dict[str, float | None]:
            return {"sigma": float(sigma), "ap": None if np.isnan(ap) else float(ap)}

        return {"curve": [pair(*point) for point in zip(self.sigmas, self.ap)],
                "marks": {name: pair(*point) for name, point in self.marks.items()}}


def geometric_mean(sigmas: Sequence[float]) -> float:
    """The middle of sigmas that are compared by their ratios."""
    return float(np.exp(np.mean(np.log(sigmas))))


class Scorer:
    """Scores the second side of a comparison against the first with any sigmas."""

    def __init__(self, comparison: Comparison) -> None:
        """Prepares a comparison.

        Args:
            comparison: With predictions, all of them are scored against all objects of their images, as
                ``tools/test.py`` does. With annotators, only the objects of both are scored, on the points that both
                labelled, all with the same score: how well people would do who miss nothing.
        """
        from xtcocotools.coco import COCO

        first, second = _matched(comparison) if comparison.repeated else (comparison.first, comparison.second)
        images = {name: number for number, name in enumerate(first, 1)}
        classes = sorted({i.category for side in (first, second) for listed in side.values() for i in listed})
        self._categories = {name: number for number, name in enumerate(classes, 1)}
        truth, found = ([self._entry(instance, images[name], scored) for name, listed in side.items()
                         for instance in listed] for side, scored in ((first, False), (second, True)))
        for number, entry in enumerate(truth, 1):
            entry["id"] = number
        self._truth = COCO()
        self._truth.dataset = {"images": [{"id": number} for number in images.values()], "annotations": truth,
                               "categories": [{"id": n, "name": name} for name, n in self._categories.items()]}
        with contextlib.redirect_stdout(io.StringIO()):
            self._truth.createIndex()
            self._found = self._truth.loadRes(found) if found else None

    def _entry(self, instance: Instance, image: int, scored: bool) -> dict[str, Any]:
        entry: dict[str, Any] = {"image_id": image, "category_id": self._categories[instance.category],
                                 "bbox": list(instance.box), "keypoints": instance.points.ravel().tolist()}
        if scored:
            return {**entry, "score": instance.score}
        return {**entry, "area": instance.area, "iscrowd": int(instance.crowd),
                "num_keypoints": int((instance.points[:, 2] > 0).sum())}

    def ap(self, sigmas: Sequence[float]) -> float:
        """COCO's AP: the mean over OKS 0.50, 0.55 ... 0.95, objects of all sizes, 20 results an image.

        Args:
            sigmas: K, in the order of the keypoint set.

        Returns:
            0 to 1; NaN when there is nothing to score.
        """
        from xtcocotools.cocoeval import COCOeval

        if self._found is None:
            return float("nan")
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._truth, self._found, "keypoints", np.array(sigmas, float), use_area=True)
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"]
        return float(precision[precision > -1].mean()) if (precision > -1).any() else float("nan")


def _matched(comparison: Comparison) -> tuple[dict[str, list[Instance]], dict[str, list[Instance]]]:
    """Objects that the first two annotators both labelled, with the points that both labelled."""
    first: dict[str, list[Instance]] = {name: [] for name in comparison.first}
    second: dict[str, list[Instance]] = {name: [] for name in comparison.first}
    sides = {id(instance) for side in (comparison.first, comparison.second) for listed in side.values()
             for instance in listed}
    for match in comparison.matches:
        both = match.first.labelled & match.second.labelled
        if both.any() and {id(match.first), id(match.second)} <= sides:
            points = np.where(both[:, None], match.first.points, 0.0)
            first[match.image].append(replace(match.first, points=points))
            second[match.image].append(match.second)
    return first, second


def ap_curve(scorer: Scorer, sets: Mapping[str, Sequence[float]], points: int) -> Curve:
    """AP over a common factor on sigmas, from a quarter to four times and wide enough to hold all sets.

    Args:
        scorer: Of the comparison.
        sets: Sigmas by name, K each. The curve has the proportions of the first.
        points: How many points the curve has; 0 for the marks alone.
    """
    main = np.array(next(iter(sets.values())), float)
    centre = geometric_mean(main)
    marks = {name: (geometric_mean(sigmas), scorer.ap(sigmas)) for name, sigmas in sets.items()}
    low = min(0.25, *(sigma / centre / 1.2 for sigma, _ in marks.values()))
    high = max(4.0, *(sigma / centre * 1.2 for sigma, _ in marks.values()))
    factors = np.geomspace(low, high, points)
    ap = [scorer.ap(main * factor) for factor in progress(factors.tolist(), "AP by sigma")]
    return Curve(centre * factors, np.array(ap), marks)
