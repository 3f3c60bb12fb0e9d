"""Scores for people: which they are, of what, on what data, and by which rules they were counted."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pose_tools.weights.release.facts import POSE, Facts
from pose_tools.weights.release.markdown import code, table, text
from pose_tools.weights.release.metrics import DETECTED, GROUND_TRUTH, OWN

NOTHING = -1.0  # what COCO's evaluation gives as the mean of nothing
_BOXES = {GROUND_TRUTH: "The boxes were those of the annotations; on boxes that a detector finds, scores are lower.",
          DETECTED: "The boxes were found by a detector."}
_OKS = ("AP is COCO's keypoint AP: the average precision, averaged over ten thresholds of OKS (object keypoint "
        "similarity) from .50 to .95 in steps of .05; `AP .5` and `AP .75` are at one of them. `(M)` and `(L)` count "
        "objects of 32² to 96² px and of more. AR is the recall. OKS takes the sigmas in the table above, and an "
        "object's area; at most 20 predictions an image count.")
_IOU = ("mAP is COCO's box AP: the average precision, averaged over classes and over ten thresholds of IoU from .50 "
        "to .95 in steps of .05; `50` and `75` are at one of them. `s`, `m` and `l` count objects of less than 32² px, "
        "of 32² to 96² px and of more. At most 100 boxes an image count.")


def scores_section(meta: Mapping[str, Any], config: Mapping[str, Any], facts: Facts) -> str:
    """Writes the scores of a checkpoint in Markdown.

    Args:
        meta: Its meta, with the scores as :func:`~.metrics.normal_metrics` gives them.
        config: Values of its config.
        facts: Of its model.
    """
    if not isinstance(meta.get("metrics"), dict) or not meta["metrics"]:
        return "Not recorded."
    rows = [[code(name), _shown(value)] for name, value in meta["metrics"].items()]
    of = str(meta.get("metrics_of") or "")
    whose = {OWN: "Scores of these weights", "": "Of which weights is not recorded"}.get(of, f"Scores of {text(of)}")
    on = f"on {code(meta['metrics_on'])}" if "metrics_on" in meta else "on which data is not recorded"
    parts = [f"{whose}, {on}.", table(["score", "value"], rows), *_rules(meta, config, facts)]
    if isinstance(meta.get("keypoint_metrics"), list):
        parts.append(_per_keypoint(meta["keypoint_metrics"]))
    return "\n\n".join(filter(None, parts))


def own_scores(meta: Mapping[str, Any]) -> dict[str, float]:
    """Gives the scores that are numbers and of these very weights, as they are indexed.

    Args:
        meta: As for :func:`scores_section`.
    """
    if not isinstance(meta.get("metrics"), dict) or meta.get("metrics_of") != OWN:
        return {}
    return {str(name): round(float(value), 4) for name, value in meta["metrics"].items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            and value != NOTHING}


def _shown(value: Any) -> str:
    if isinstance(value, float):
        if value == NOTHING or not math.isfinite(value):
            return "nothing to count"
        return f"{value:.4g}" if abs(value) > 1 else f"{value:.3f}"
    return text(value)


def _rules(meta: Mapping[str, Any], config: Mapping[str, Any], facts: Facts) -> list[str]:
    if ("coco/AP" if facts.task == POSE else "coco/bbox_mAP") not in meta["metrics"]:
        return ["By which rules they were counted is not recorded."]
    if facts.task != POSE:
        return [_IOU]
    boxes = _BOXES.get(str(meta.get("metrics_boxes")), "Whose boxes were used is not recorded.")
    test = (config.get("model") or {}).get("test_cfg")
    flips = isinstance(test, dict) and test.get("flip_test")
    return [_OKS, boxes + (" Each picture was predicted mirrored as well, and the mean taken (flip test)."
                           if flips else " Without flip test.")]


def _per_keypoint(rows: list[Any]) -> str:
    """Distances of each point; PCK is left out, whose thresholds the report of a test does not tell."""
    known = [row for row in rows if isinstance(row, dict) and "name" in row]
    cells = [[text(row["name"]), *(_pixels(row.get(key)) for key in ("labelled", "found", "mean_px", "median_px"))]
             for row in known]
    return "Distance of each point from where it was annotated, in px of the picture, over the objects found:\n\n" \
        + table(["keypoint", "labelled", "found", "mean", "median"], cells)


def _pixels(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) and math.isfinite(value) else text("" if value is None else value)
