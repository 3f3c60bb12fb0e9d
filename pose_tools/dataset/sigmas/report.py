"""From files to sigmas to text: what ``pose_tools/estimate_sigmas.py`` does, without pictures."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pose_tools.console import FaultsError, UserError, table
from pose_tools.dataset.data_set import find_keypoint_set, read_data_set
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.scaffold import guess_swaps
from pose_tools.dataset.sigmas.ap import OKS_LEVELS, Curve, allowed_px
from pose_tools.dataset.sigmas.estimate import COCO_PERSON, Estimate, KeypointSigma, coco_person_sigma
from pose_tools.dataset.sigmas.match import Comparison, compare_annotators, compare_predictions
from pose_tools.dataset.sigmas.read import Labels, join_labels, read_labels, read_predictions
from pose_tools.formats.schema import KeypointSet

_COCO_COUNT = 17
_SHOWN = 10


def read_comparison(sources: Sequence[Path], predictions: Sequence[Path],
                    meta: Path | None) -> tuple[Comparison, KeypointSet, Path | None]:
    """Reads what is to be compared.

    Args:
        sources: COCO files or data sets: two or more annotators of the same images; with predictions, the ground
            truth of all of them, or one for each of them.
        predictions: COCO keypoint results, one file a model.
        meta: A ``meta.py``; by default that of the config named like the first source's folder, if there is one.

    Returns:
        The comparison, the keypoint set with its present sigmas, and the ``meta.py`` these are from, if any.

    Raises:
        UserError: Something is missing, or there is nothing to compare.
        FaultsError: All faults of the files.
    """
    if not predictions and len(sources) < 2:
        raise UserError("name a second annotation of the same images, or a model's results with --predictions; one "
                        "annotation alone does not tell how far annotators differ")
    if predictions and len(sources) not in (1, len(predictions)):
        raise UserError(f"{len(sources)} data sets and {len(predictions)} results: name one data set for all results, "
                        "or one for each")
    data_sets = [read_data_set([source]) for source in sources]
    names, found = find_keypoint_set(data_sets[0], meta)
    if not names.keypoints:
        raise UserError(f"{sources[0]}: names no keypoints")
    if not names.swaps and not found:
        names = replace(names, swaps=guess_swaps(names.keypoints))  # COCO files need not say
    labels: list[Labels] = []
    faults = []
    for source, data_set in zip(sources, data_sets):
        try:
            labels.append(read_labels(data_set, names, str(source)))
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was estimated; mend these first")
    where = Path(found) if found else None
    if not predictions:
        return compare_annotators(labels), names, where
    truths = labels * len(predictions) if len(labels) == 1 else labels
    folds = [read_predictions(path, truth, names) for path, truth in zip(predictions, truths)]
    return compare_predictions(join_labels(labels), folds), names, where


def sets_to_mark(estimate: Estimate) -> dict[str, Sequence[float]]:
    """The sigmas an AP is worth knowing with, K each: the estimated, the present, those that Ultralytics would take.

    Ultralytics takes 1 / K for every keypoint, and COCO's person sigmas when K is 17, whatever the keypoints are. Its
    scale is sqrt(0.53 w h) of the box, so that its own AP is lower than the one here, where scale is sqrt(area).
    """
    count = len(estimate.rows)
    person = [value for name, value in COCO_PERSON.items() for _ in range(1 if name == "nose" else 2)]
    sets: dict[str, Sequence[float]] = {"estimated": estimate.sigmas}
    if estimate.names.sigmas:
        sets["now"] = estimate.names.sigmas
    if count == _COCO_COUNT:
        return {**sets, "COCO's persons": person}
    return {**sets, f"1/{count} (Ultralytics)": [1 / count] * count}


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _stars(row: KeypointSigma, count: int) -> str:
    return "**" if len(row.with_names) == count - 1 > 1 else "*" * bool(row.with_names)


def sigma_table(estimate: Estimate) -> str:
    """The table of sigmas; what a column would hold for no keypoint is left out."""
    now = estimate.names.sigmas
    person = any(coco_person_sigma(row.name) for row in estimate.rows)
    rows = []
    for i, row in enumerate(estimate.rows):
        line = [row.name, row.pairs, row.outliers, f"{row.sigma:.4f}{_stars(row, len(estimate.rows))}",
                f"{_number(row.low)} - {_number(row.high)}" if row.low is not None else "-", _number(row.rms),
                f"{row.sigma * estimate.scale:.1f}"]
        line += [f"{now[i]:.4g}"] if now else []
        line += [_number(coco_person_sigma(row.name), 3)] if person else []
        rows.append(line)
    header = ["keypoint", "pairs", "outliers", "sigma", "95 % interval", "with outliers", "px"]
    return table(rows, [*header, *(["now"] if now else []), *(["COCO"] if person else [])])


def ap_table(curve: Curve, estimate: Estimate) -> str:
    """What AP and what errors in px the marked sets of sigmas stand for."""
    rows = [[name, f"{sigma:.4f}", f"{ap:.3f}",
             *(f"{allowed_px(sigma, estimate.scale, oks):.1f}" for oks in OKS_LEVELS)]
            for name, (sigma, ap) in curve.marks.items()]
    return table(rows, ["sigmas", "geometric mean", "AP", *(f"px at OKS {oks:g}" for oks in OKS_LEVELS)])


def describe(comparison: Comparison, estimate: Estimate, curve: Curve) -> str:
    """Everything there is to say, as text."""
    objects = len({id(match.first) for match in comparison.matches})
    pairs = sum(row.pairs for row in estimate.rows)
    how = "annotated twice" if comparison.repeated else "annotated and predicted"
    lines = [f"{comparison.images} images, {objects} of {comparison.objects} objects {how}, {pairs} pairs of points",
             "", sigma_table(estimate), ""]
    stars = {_stars(row, len(estimate.rows)) for row in estimate.rows}
    lines += ["* measured together with the point it swaps with"] if "*" in stars else []
    lines += ["** measured together with all keypoints"] if "**" in stars else []
    if any(row.floored for row in estimate.rows):
        lines.append(f"raised to the floor: {', '.join(row.name for row in estimate.rows if row.floored)}")
    if any(coco_person_sigma(row.name) for row in estimate.rows):
        lines.append("COCO: what COCO takes for a person's keypoint of that name")
    lines.append(f"px: sigma at the median object, sqrt(area) = {estimate.scale:.1f} px")
    lines += estimate.notes
    if estimate.disagreements:
        what = "label errors" if comparison.repeated else "label errors or failures of the model"
        lines += ["", f"{len(estimate.disagreements)} objects have points too far apart for noise, probable {what}:"]
        lines += [f"  {found}" for found in estimate.disagreements[:_SHOWN]]
        if len(estimate.disagreements) > _SHOWN:
            lines.append(f"  and {len(estimate.disagreements) - _SHOWN} more; --json and --out list all")
    lines += ["", f"AP of {scored(comparison)}:", ap_table(curve, estimate)]
    return "\n".join(lines)


def scored(comparison: Comparison) -> str:
    """What is scored against what."""
    if comparison.repeated:
        return "the second annotator against the first (objects and points of both)"
    return "the predictions against the labels"


def as_json(comparison: Comparison, estimate: Estimate, curve: Curve) -> str:
    """Everything there is to say, as JSON."""
    return json.dumps({
        "from": "annotators" if comparison.repeated else "predictions", "images": comparison.images,
        "matches": len(comparison.matches), **estimate.as_json(), "ap": curve.as_json(),
    }, indent=1, ensure_ascii=False, allow_nan=False)
