"""Whether a data set holds objects that look like mirrored ones; if not, mirroring teaches what never occurs."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pose_tools.formats.schema import KeypointSet

# Mean distance of two poses' keypoints, as shares of the box's sides, up to which they count as alike.
ALIKE = 0.12
# Below this many poses chance decides.
LEAST_POSES = 10
_MOST_POSES = 2000


def _poses(coco: dict[str, Any]) -> Iterator[np.ndarray]:
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        points = np.asarray(annotation.get("keypoints", ()), float).reshape(-1, 3)
        if annotation.get("iscrowd") or width <= 0 or height <= 0 or not (points[:, 2] > 0).any():
            continue
        pose = (points[:, :2] - (x, y)) / (width, height)
        pose[points[:, 2] == 0] = np.nan
        yield pose


def mirrored_poses_occur(coco: dict[str, Any], names: KeypointSet) -> bool:
    """Whether mirrored objects are among the labelled ones.

    A pose is its keypoints in shares of its box. It occurs mirrored when, its swap pairs exchanged, the
    mirror image lies within :data:`ALIKE` of some labelled pose.

    Args:
        coco: A COCO keypoint data set.
        names: Its keypoint set.

    Returns:
        ``False`` when fewer than one pose in ten occurs mirrored; ``True`` otherwise, and for fewer than
        :data:`LEAST_POSES` poses, which tell nothing.
    """
    poses = [pose for pose in _poses(coco) if pose.shape == (len(names.keypoints), 2)]
    if len(poses) < LEAST_POSES:
        return True
    poses = poses[::-(-len(poses) // _MOST_POSES)]
    known = np.stack(poses)
    mirrored = (known * (-1, 1) + (1, 0))[:, list(names.flip_indices)]
    return bool(np.mean([_occurs(pose, known) for pose in mirrored]) >= 0.1)


def _occurs(pose: np.ndarray, known: np.ndarray) -> bool:
    distances = np.linalg.norm(known - pose, axis=2)
    common = ~np.isnan(distances)
    sums, counts = np.nansum(distances, axis=1), common.sum(axis=1)
    return bool(np.any(sums[counts > 0] <= ALIKE * counts[counts > 0]))
