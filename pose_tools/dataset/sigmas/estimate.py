"""OKS sigmas of one's own keypoints: how far annotators differ, as a share of the object's scale.

What sigma is. COCO's keypoint evaluation page defines ``OKS = mean exp(-d^2 / (2 s^2 k^2))`` with ``k = 2 sigma``,
``d`` the Euclidean distance of two points and ``s^2`` the object's area, and ``sigma^2 = E[d^2 / s^2]`` measured on
images annotated twice (Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV
2017, build on it). So sigma is *total*, not per axis: a root mean square length in the plane. The page does not say
what ``d`` is measured from. Here it is the distance *between two annotators*, which is what COCO's numbers fit: of
such distances it finds 75 %, 95 % and 98.7 % within 1, 2 and 3 sigma, and a median human OKS of 0.91; had sigma been
about the true position, the median OKS were about 0.8. With more than two annotators it is the mean over all pairs.

``between=False`` gives the distance of an annotator from the unknown true position instead, estimated without bias:
the sum of squared distances from the mean of n annotations over n - 1. It is smaller by sqrt(2), so that noise of
standard deviation t on either axis has sigma = 2 t between two annotators and sqrt(2) t about the truth. With normal
noise a second annotator then has a mean keypoint similarity of 8/9 against the first, or 8/10 about the truth, since
exp(-c x) has the mean 1 / (1 + c) where x is distributed exponentially with mean 1, as d^2 / (s^2 sigma^2) is.

Without repeated annotation the residuals of a model are taken: distances between its predictions and the labels. They
hold the annotator's noise AND the model's error, so that sigma is an upper bound, provided that the model was not
trained on these images. No correction is made.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pose_tools.console import UserError
from pose_tools.dataset.sigmas.core import CUT, interval, plain_mean, robust_mean
from pose_tools.dataset.sigmas.match import Comparison
from pose_tools.dataset.sigmas.outliers import Disagreement, disagreements
from pose_tools.formats.schema import KeypointSet

COCO_PERSON = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089,
}
_MUCH_OFFSET = 0.25
_MANY_COPIES = 0.2


@dataclass(frozen=True)
class SigmaOptions:
    """How to estimate.

    Attributes:
        min_pairs: A keypoint with fewer gets the sigma of all keypoints together; 1 or more.
        by_side: Estimate keypoints that swap on mirroring one by one, instead of one sigma for both.
        between: Give the distance between two annotators instead of that from the true position.
        floor: No sigma is smaller; below 1.
        seed: Of the bootstrap.
    """

    min_pairs: int = 30
    by_side: bool = False
    between: bool = True
    floor: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that make no sense, with a :class:`UserError`."""
        if self.min_pairs < 1 or self.seed < 0:
            raise UserError("--min-pairs must be 1 or more, --seed 0 or more")
        if not 0 <= self.floor < 1:
            raise UserError(f"--floor {self.floor:g}: sigmas are shares of the object's size; expected 0 to 1")


@dataclass(frozen=True)
class KeypointSigma:
    """What is known about one keypoint. Sigma and what goes with it are shares of sqrt(area).

    Attributes:
        name: Of the keypoint.
        pairs: Its own pairs of points.
        outliers: Those of them that lie too far apart for noise.
        sigma: The estimate, outliers left out.
        low: Lower end of its 95 % interval; ``None`` when there are fewer than two images.
        high: The upper end.
        rms: The same from all its own pairs, outliers and all, as COCO's formula has it; ``None`` without any.
        with_names: Other keypoints whose pairs were used, too.
        floored: Whether sigma was raised to the floor.
    """

    name: str
    pairs: int
    outliers: int
    sigma: float
    low: float | None
    high: float | None
    rms: float | None
    with_names: tuple[str, ...] = ()
    floored: bool = False


@dataclass(frozen=True)
class Estimate:
    """The sigmas of a keypoint set.

    Attributes:
        names: The keypoint set, with its present sigmas.
        rows: One a keypoint.
        enough: Whether there are pairs enough to go by it at all.
        scale: Median sqrt(area) of the objects, px.
        disagreements: Probable label errors, or failures of the model; the worst first.
        notes: What the user should know.
    """

    names: KeypointSet
    rows: tuple[KeypointSigma, ...]
    enough: bool
    scale: float
    disagreements: tuple[Disagreement, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sigmas(self) -> tuple[float, ...]:
        """K sigmas, with the three digits that are worth writing down."""
        return tuple(float(f"{row.sigma:.3g}") for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """The estimate as plain values; ``now`` holds the present sigmas."""
        now = self.names.sigmas or (None, ) * len(self.rows)
        return {
            "keypoints": [{**asdict(row), "with_names": list(row.with_names), "now": present}
                          for row, present in zip(self.rows, now)],
            "enough": self.enough, "median_scale_px": self.scale, "notes": list(self.notes),
            "disagreements": [found.as_json() for found in self.disagreements],
        }


@dataclass
class _Pairs:
    """P pairs of points.

    Attributes:
        keypoint: (P,) index of the keypoint.
        match: (P,) index of the match.
        image: (P,) number of the image.
        offset: (P, 2) second minus first over the object's scale.
        weight: (P,) what a pair is worth.
        mean: (K,) robust mean of the squared offsets, by keypoint.
    """

    keypoint: np.ndarray
    match: np.ndarray
    image: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def squared(self) -> np.ndarray:
        return (self.offset ** 2).sum(1)

    @property
    def outlying(self) -> np.ndarray:
        """(P,) whether a pair lies so far apart that, if all were honest, there were one in 20 such data sets."""
        return self.squared > max(CUT, np.log(20 * len(self.keypoint))) * self.mean[self.keypoint]


def _collect(comparison: Comparison) -> _Pairs:
    numbers: dict[str, int] = {}
    keypoints, matches, images, offsets, weights = [], [], [], [], []
    for index, match in enumerate(comparison.matches):
        # A model puts every point somewhere; its third number is a score.
        both = match.first.labelled & (match.second.labelled | (not comparison.repeated))
        found = np.flatnonzero(both)
        keypoints.append(found)
        matches.append(np.full(len(found), index))
        images.append(np.full(len(found), numbers.setdefault(match.image, len(numbers))))
        offsets.append((match.second.points[found, :2] - match.first.points[found, :2]) / match.scale)
        weights.append(np.full(len(found), match.weight))
    return _Pairs(*map(np.concatenate, (keypoints, matches, images, offsets, weights)))


def _shared(names: KeypointSet, by_side: bool) -> list[tuple[int, ...]]:
    """Keypoints that have a sigma in common, by index."""
    partners = names.flip_indices if not by_side else range(len(names.keypoints))
    return [tuple(sorted({i, partner})) for i, partner in enumerate(partners)]


def estimate_sigmas(comparison: Comparison, names: KeypointSet, options: SigmaOptions | None = None) -> Estimate:
    """Estimates the sigma of every keypoint.

    Args:
        comparison: The same objects, seen twice.
        names: Their K keypoints.
        options: See there; by default its defaults.

    Returns:
        The estimate. A keypoint that has fewer than ``min_pairs`` pairs, together with the one it swaps with, gets the
        sigma of all keypoints together.

    Raises:
        UserError: Not one point is labelled twice, or half of those of a keypoint are copies.
    """
    options = options or SigmaOptions()
    pairs = _collect(comparison)
    if not len(pairs.keypoint):
        raise UserError(f"{len(comparison.matches)} objects are there twice, but no keypoint of them is labelled twice")
    everything = tuple(range(len(names.keypoints)))
    own = np.bincount(pairs.keypoint, minlength=len(everything))
    used = [group if own[list(group)].sum() >= options.min_pairs else everything
            for group in _shared(names, options.by_side)]
    factor = 0.5 if comparison.repeated and not options.between else 1.0
    measured = {group: _measure(pairs, group, options.seed) for group in dict.fromkeys(used)}
    pairs.mean = np.array([measured[group][0] for group in used])
    if not (pairs.mean > 0).all():
        copied = ", ".join(name for name, mean in zip(names.keypoints, pairs.mean) if mean == 0)
        raise UserError(f"half of the points of {copied} are in exactly the same place both times: copies of an "
                        "annotation tell nothing; annotate again without looking at the first")
    rows = tuple(_row(pairs, names, i, group, measured[group], factor, options.floor) for i, group in enumerate(used))
    scale = float(np.median([match.scale for match in comparison.matches]))
    found = disagreements(comparison, names, pairs.match, pairs.keypoint, pairs.outlying, pairs.mean)
    return Estimate(names, rows, len(pairs.keypoint) >= options.min_pairs, scale, found,
                    tuple(_notes(comparison, pairs, rows, options)))


def _measure(pairs: _Pairs, group: tuple[int, ...], seed: int) -> tuple[float, tuple[float, float] | None]:
    """Robust mean of the squared distances over area of some keypoints, and its interval."""
    chosen = np.isin(pairs.keypoint, group)
    squared, weights = pairs.squared[chosen], pairs.weight[chosen]
    return float(robust_mean(squared, weights[None])[0]), interval(squared, weights, pairs.image[chosen], seed)


def _row(pairs: _Pairs, names: KeypointSet, index: int, group: tuple[int, ...],
         measured: tuple[float, tuple[float, float] | None], factor: float, floor: float) -> KeypointSigma:
    mine = pairs.keypoint == index
    sigma = float(np.sqrt(factor * measured[0]))
    low, high = np.sqrt(factor * np.array(measured[1])).tolist() if measured[1] else (None, None)
    rms = float(np.sqrt(factor * plain_mean(pairs.squared[mine], pairs.weight[mine]))) if mine.any() else None
    return KeypointSigma(names.keypoints[index], int(mine.sum()), int(pairs.outlying[mine].sum()), max(sigma, floor),
                         low, high, rms, tuple(names.keypoints[i] for i in group if i != index), sigma < floor)


def _notes(comparison: Comparison, pairs: _Pairs, rows: tuple[KeypointSigma, ...],
           options: SigmaOptions) -> Iterator[str]:
    total = len(pairs.keypoint)
    if comparison.repeated:
        where = "between two annotators" if options.between else "of an annotator from the true position"
        yield f"sigma: root mean square distance {where}, over sqrt(area)"
    else:
        yield ("sigma: root mean square distance between prediction and label, over sqrt(area): annotation noise AND "
               "model error, so an upper bound; it holds only for images that the model was not trained on")
    if comparison.outlined < 0.5 and any(coco_person_sigma(row.name) for row in rows):
        yield ("area is the box's w * h here; COCO's sigmas go with the area of the person's outline, which is about "
               "half of that, and are larger for it")
    few = [row.name for row in rows if len(row.with_names) == len(rows) - 1 and row.pairs < options.min_pairs]
    if total < options.min_pairs:
        yield (f"only {total} pairs of points in all: too few to go by; have at least {options.min_pairs} of each "
               "keypoint labelled twice")
    elif few and len(rows) > 1:
        yield (f"fewer than {options.min_pairs} pairs, so they have the sigma of all keypoints together: "
               f"{', '.join(few) if len(few) < len(rows) else 'every one'}")
    images = len(np.unique(pairs.image))
    if images < 10:
        yield f"the points are from {images} image{'s' * (images > 1)}: the intervals may be too narrow"
    copies = float((pairs.squared == 0).mean())
    if comparison.repeated and copies > _MANY_COPIES:
        yield (f"{copies:.0%} of the points are in exactly the same place both times: was one annotation made from "
               "another?")
    if comparison.skipped:
        yield f"{comparison.skipped} images with labelled objects have no prediction and are left out"
    yield from _offset_notes(comparison, pairs, rows, options.min_pairs)


def _offset_notes(comparison: Comparison, pairs: _Pairs, rows: tuple[KeypointSigma, ...],
                  min_pairs: int) -> Iterator[str]:
    """Points that one side puts elsewhere than the other on average: a misunderstanding, not noise."""
    if min(match.weight for match in comparison.matches) < 0.5:
        return  # among three annotators there is no first and second
    for index, row in enumerate(rows):
        chosen = (pairs.keypoint == index) & ~pairs.outlying
        if chosen.sum() < max(2, min_pairs):
            continue
        offset = pairs.offset[chosen].mean(0)
        share = (offset ** 2).sum() / pairs.squared[chosen].mean()
        if share > _MUCH_OFFSET:
            who = "the second annotator" if comparison.repeated else "the model"
            yield (f"{who} puts {row.name} elsewhere: {offset[0]:+.3f} sqrt(area) right and {offset[1]:+.3f} down on "
                   f"average, which is {share:.0%} of the mean square; agree on where it is before measuring noise")


def coco_person_sigma(name: str) -> float | None:
    """COCO's sigma for a keypoint of that name (``left_ear``, ``Right-Knee``), if it has one."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    for side in ("left_", "right_"):
        if plain.startswith(side):
            found = plain[len(side):]
            return COCO_PERSON.get(found) if found != "nose" else None
    return COCO_PERSON["nose"] if plain == "nose" else None
