"""Points that lie too far apart for noise: confused left and right, slips of the mouse, failures of a model."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_tools.console import Fault
from pose_tools.dataset.sigmas.core import CUT
from pose_tools.dataset.sigmas.match import Comparison, Match
from pose_tools.formats.schema import KeypointSet

_NAMED = 4


@dataclass(frozen=True)
class Disagreement(Fault):
    """An object with points that two annotators, or a label and a model, put far apart.

    Attributes:
        image: File name.
        keypoints: Names of the points.
        px: Their distances, image px.
        times: How far the worst lies apart, in root mean square distances of honest pairs.
    """

    image: str = ""
    keypoints: tuple[str, ...] = ()
    px: tuple[float, ...] = ()
    times: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The disagreement as plain values."""
        return {"file": str(self.file), "where": self.where, "what": self.what, "image": self.image,
                "keypoints": list(self.keypoints), "px": [round(p, 2) for p in self.px], "times": round(self.times, 2)}


def disagreements(comparison: Comparison, names: KeypointSet, match: np.ndarray, keypoint: np.ndarray,
                  outlying: np.ndarray, mean: np.ndarray) -> tuple[Disagreement, ...]:
    """Says which objects have points too far apart.

    Args:
        comparison: The same objects, seen twice.
        names: Their K keypoints.
        match: (P,) index into the comparison's matches of each pair of points.
        keypoint: (P,) index of each pair's keypoint.
        outlying: (P,) whether it is too far apart.
        mean: (K,) mean squared distance over area of honest pairs.

    Returns:
        One an object, the worst first. With a model the place named is the label's.
    """
    found = []
    for index in np.unique(match[outlying]):
        mine = keypoint[outlying & (match == index)]
        found.append(_disagreement(comparison.matches[index], mine, names, mean, comparison.repeated))
    return tuple(sorted(found, key=lambda d: -d.times))


def _disagreement(match: Match, keypoints: np.ndarray, names: KeypointSet, mean: np.ndarray,
                  repeated: bool) -> Disagreement:
    px = np.linalg.norm(match.second.points[keypoints, :2] - match.first.points[keypoints, :2], axis=1)
    times = px / match.scale / np.sqrt(mean[keypoints])
    order = np.argsort(-times)
    said = [f"{names.keypoints[keypoints[i]]} {px[i]:.3g} px{_taken_for(match, keypoints[i], names, mean)}"
            for i in order[:_NAMED]]
    more = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
    other = f"{match.first.where} of {match.first.file}" if repeated else f"what the model found ({match.second.where})"
    own = match.second if repeated else match.first
    return Disagreement(own.file, f"is far from {other}: {', '.join(said)}{more}", own.where, match.image,
                        tuple(names.keypoints[keypoints[i]] for i in order), tuple(px[order].tolist()),
                        float(times.max()))


def _taken_for(match: Match, keypoint: int, names: KeypointSet, mean: np.ndarray) -> str:
    """Which other point of the first one lies where the second has this."""
    apart = ((match.second.points[keypoint, :2] - match.first.points[:, :2]) ** 2).sum(1) / match.scale ** 2
    apart = np.where(match.first.labelled, apart / mean, np.inf)
    nearest = int(apart.argmin())
    return f" (there is its {names.keypoints[nearest]})" if nearest != keypoint and apart[nearest] <= CUT else ""
