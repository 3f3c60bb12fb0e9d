"""Which object of one annotator, or of a model, is which of another; and how far their keypoints lie apart.

Coordinates are image px.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.sigmas.read import Instance, Labels

MIN_IOU = 0.5


@dataclass(frozen=True)
class Match:
    """The same object seen twice.

    Attributes:
        image: File name.
        first: The reference: its area is the object's scale. The earlier named annotator, or the ground truth.
        second: The later named annotator, or the model.
        scale: Square root of the area of the first annotator who labelled the object, px.
        weight: One over the number of annotators who labelled the object: n annotators make n (n - 1) / 2 pairs, but
            are worth n - 1 independent ones.
    """

    image: str
    first: Instance
    second: Instance
    scale: float
    weight: float = 0.5


@dataclass(frozen=True)
class Comparison:
    """Everything that was seen twice.

    Attributes:
        matches: The same objects.
        images: How many images were compared.
        objects: How many labelled objects there are in them, in the first annotator's labels.
        repeated: Whether two annotations are compared; otherwise a model with an annotation.
        first: Labels of the first annotator, or the ground truth, in the images compared.
        second: Those of the second annotator, or what the model predicted, by file name.
        outlined: Share of the first one's objects whose area is not their box's.
        skipped: Images of the ground truth that have objects and no prediction.
    """

    matches: tuple[Match, ...]
    images: int
    objects: int
    repeated: bool
    first: Mapping[str, Sequence[Instance]]
    second: Mapping[str, Sequence[Instance]]
    outlined: float
    skipped: int = 0


def _overlap(first: Sequence[Instance], second: Sequence[Instance]) -> np.ndarray:
    """(N, M) box IoU; 0 between objects of different classes."""
    from xtcocotools import mask

    boxes = [np.array([instance.box for instance in side], float) for side in (first, second)]
    same = np.array([[a.category == b.category for b in second] for a in first])
    return np.where(same, mask.iou(boxes[0], boxes[1], [0] * len(second)), 0.0)


def _distance(a: Instance, b: Instance) -> float:
    """Median distance of the keypoints both label, as a share of the object's scale, 1 at most; 1 without any."""
    both = a.labelled & b.labelled
    if not both.any():
        return 1.0
    apart = np.linalg.norm(a.points[both, :2] - b.points[both, :2], axis=1)
    return float(min(1.0, np.median(apart) / np.sqrt(a.area)))


def match_labels(first: Sequence[Instance], second: Sequence[Instance]) -> list[tuple[int, int]]:
    """Pairs two annotators' objects in one image: the assignment of least cost.

    Args:
        first: Objects.
        second: Objects.

    Returns:
        Pairs of indices. The cost is 1 - IoU of the boxes plus the median keypoint distance over scale, which tells
        apart two people in one box; it does not notice a left and right that were confused in few points. Boxes must
        overlap by :data:`MIN_IOU`.
    """
    from scipy.optimize import linear_sum_assignment

    if not first or not second:
        return []
    overlap = _overlap(first, second)
    apart = np.array([[_distance(a, b) for b in second] for a in first])
    # What must not be matched costs more than any assignment without it.
    cost = np.where(overlap >= MIN_IOU, 1 - overlap + apart, 4.0 * min(overlap.shape))
    return [(int(i), int(j)) for i, j in zip(*linear_sum_assignment(cost)) if overlap[i, j] >= MIN_IOU]


def match_predictions(truth: Sequence[Instance], predicted: Sequence[Instance]) -> list[tuple[int, int]]:
    """Pairs predictions with ground truth in one image, the best score first, by box IoU of :data:`MIN_IOU`.

    Args:
        truth: Labelled objects.
        predicted: Predictions, each with a box and a score.

    Returns:
        (index into truth, index into predicted) pairs; keypoints have no say, lest good ones be chosen.
    """
    if not truth or not predicted:
        return []
    overlap, pairs = _overlap(truth, predicted), []
    for j in sorted(range(len(predicted)), key=lambda j: -predicted[j].score):
        i = int(overlap[:, j].argmax())
        if overlap[i, j] >= MIN_IOU:
            pairs.append((i, j))
            overlap[i, :] = 0.0
    return pairs


def _by_base_name(annotators: Sequence[Labels]) -> list[dict[str, str]] | None:
    """File names by their last part; ``None`` where that is not unique."""
    found = []
    for labels in annotators:
        short = {PurePosixPath(name).name: name for name in labels.sizes}
        if len(short) < len(labels.sizes):
            return None
        found.append(short)
    return found


def _shared_names(annotators: Sequence[Labels]) -> list[dict[str, str]]:
    """For each annotator its file names by a name that all use: the whole one, or else the last part."""
    whole = [{name: name for name in labels.sizes} for labels in annotators]
    short = _by_base_name(annotators)
    for named in (whole, short):
        if named and any(set(a) & set(b) for a, b in combinations(named, 2)):
            return named
    listed = "; ".join(f"{labels.label} has {', '.join(sorted(labels.sizes)[:3])}" for labels in annotators)
    raise UserError(f"no image is in two of the data sets; they are matched by file name: {listed}")


def _size_faults(annotators: Sequence[Labels], named: Sequence[Mapping[str, str]]) -> list[Fault]:
    faults = []
    for (one, names), (two, others) in combinations(zip(annotators, named), 2):
        for key in names.keys() & others.keys():
            a, b = one.sizes[names[key]], two.sizes[others[key]]
            if a and b and a != b:
                what = f"is {b[0]:g}x{b[1]:g} px; in {one.label} it is {a[0]:g}x{a[1]:g}"
                faults.append(Fault(two.label, what, f"image {key}"))
    return sorted(faults, key=str)


def _group(sides: Sequence[Sequence[Instance]]) -> list[list[Instance]]:
    """Collects the objects of one image that several annotators labelled; those of one alone are left out."""
    groups: list[list[Instance]] = []
    for side in sides:
        taken = set()
        for i, j in match_labels([group[0] for group in groups], side):
            groups[i].append(side[j])
            taken.add(j)
        groups += [[instance] for j, instance in enumerate(side) if j not in taken]
    return [group for group in groups if len(group) > 1]


def _pairs_of(image: str, group: Sequence[Instance]) -> Iterator[Match]:
    for first, second in combinations(group, 2):
        yield Match(image, first, second, float(np.sqrt(group[0].area)), 1 / len(group))


def compare_annotators(annotators: Sequence[Labels]) -> Comparison:
    """Matches the objects that two or more annotators labelled in the same images.

    Args:
        annotators: Two or more. The first is the reference for areas, as it is what a model is scored against.

    Raises:
        UserError: No image, or no object, is in two of them.
        FaultsError: Images of one name and two sizes.
    """
    named = _shared_names(annotators)
    if faults := _size_faults(annotators, named):
        raise FaultsError(fold_faults(faults), "nothing was estimated: these cannot be the same pictures")
    matches: list[Match] = []
    first: dict[str, list[Instance]] = {}
    second: dict[str, list[Instance]] = {}
    count = 0
    for key in progress(sorted(set().union(*named)), "matching"):
        sides = [[instance for instance in labels.instances.get(names[key], ()) if instance.labelled.any()]
                 for labels, names in zip(annotators, named) if key in names]
        if len(sides) < 2:
            continue
        count += 1
        matches += [match for group in _group(sides) for match in _pairs_of(key, group)]
        first[key], second[key] = sides[:2]
    if not matches:
        raise UserError(f"no object is labelled twice: in {count} common images no two boxes of one class overlap by "
                        f"an IoU of {MIN_IOU}")
    return Comparison(tuple(matches), count, sum(map(len, first.values())), True, first, second,
                      _share_outlined(annotators[0]))


def _share_outlined(labels: Labels) -> float:
    total = sum(instance.labelled.any() for listed in labels.instances.values() for instance in listed)
    return labels.outlined / max(1, total)


def compare_predictions(truth: Labels, folds: Sequence[Mapping[str, Sequence[Instance]]]) -> Comparison:
    """Matches predictions with what was labelled.

    Args:
        truth: Ground truth.
        folds: Predictions by file name; one mapping a model, each of images that it was not trained on.

    Raises:
        UserError: No prediction overlaps an object.
        FaultsError: Images that two of them predicted: one of these models was trained on them.
    """
    predicted: dict[str, Sequence[Instance]] = {}
    faults = []
    for fold in folds:
        for name, listed in fold.items():
            if name in predicted:
                other = predicted[name][0].file
                what = f"has results in {other}, too; one of the models was trained on it"
                faults.append(Fault(listed[0].file, what, f"image {name}"))
            predicted[name] = listed
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was estimated: each image may be predicted by the model that "
                          "was not trained on it only")
    matches, objects = [], 0
    for name, listed in predicted.items():
        real = [instance for instance in truth.instances.get(name, ()) if instance.labelled.any()]
        objects += len(real)
        matches += [Match(name, real[i], listed[j], float(np.sqrt(real[i].area)), 1.0)
                    for i, j in match_predictions(real, listed)]
    if not matches:
        raise UserError(f"no prediction overlaps a labelled object of its class by an IoU of {MIN_IOU}")
    left = sum(name not in predicted and any(instance.labelled.any() for instance in listed)
               for name, listed in truth.instances.items())
    return Comparison(tuple(matches), len(predicted), objects, False,
                      {name: truth.instances.get(name, ()) for name in predicted}, predicted,
                      _share_outlined(truth), left)
