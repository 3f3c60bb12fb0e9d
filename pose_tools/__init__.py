"""Training RTMDet and RTMPose on your own keypoints, and predicting with them.

    from pose_tools import PosePredictor
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose_tools.inference.predictor import PosePredictor

__all__ = ["PosePredictor"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, so that importing the package stays quick."""
    if name == "PosePredictor":
        from pose_tools.inference.predictor import PosePredictor

        return PosePredictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
