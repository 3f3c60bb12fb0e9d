"""Whether an exported file says of itself what its checkpoint says."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pose_tools.inference.runtime.facts import ModelFacts

# A wrong one of these changes nothing in the differences of the gate, or only on some pictures.
_OF_ALL = ("task", "classes", "input_size", "mean", "std", "to_rgb")
_OF_TASK = {
    "pose": ("bbox_padding", "simcc_split_ratio", "flip_test", "use_udp"),
    "detector": ("pad_value", "score_threshold", "nms_threshold", "nms_pre", "max_per_image"),
}
_OF_KEYPOINTS = ("keypoints", "swaps", "links", "sigmas", "mirror", "model_points")


def false_claims(facts: ModelFacts, exported: ModelFacts, checkpoint: Path) -> list[str]:
    """Lists where an exported file's facts differ from those of its checkpoint.

    Args:
        facts: About the checkpoint.
        exported: What the file says.
        checkpoint: The file of the former; the hash the file names must be its.

    Returns:
        A line each; empty where all agree. Name, licence, versions and whatever a file is free to choose is not looked
        at.
    """
    pairs = [(name, getattr(facts, name), getattr(exported, name))
             for name in (*_OF_ALL, *_OF_TASK.get(facts.task, ()))]
    ours, theirs = facts.keypoint_set, exported.keypoint_set
    if facts.task == "pose" or (ours and theirs):
        pairs += [(name, getattr(ours, name, None), getattr(theirs, name, None)) for name in _OF_KEYPOINTS]
    found = [f"its metadata say {name} = {_shown(theirs)}, and the checkpoint {_shown(ours)}"
             for name, ours, theirs in pairs if not _equal(ours, theirs)]
    if exported.source_sha256:
        from pose_tools.weights.hashes import sha256_of

        actual = sha256_of(checkpoint)
        if actual != exported.source_sha256:
            found.append(f"its metadata name a checkpoint with SHA-256 {exported.source_sha256[:16]}..., and this one "
                         f"has {actual[:16]}...")
    return found


def _equal(a: Any, b: Any) -> bool:
    """Whether two values are the same; numbers but for what is lost where they are written as text."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
    return a == b


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
