"""Models of mmpose and mmdet that :mod:`pose_tools.inference.runtime` does not know, run by their own code.

The network and the decoding of its outputs are upstream's; crops, batches and coordinates are ours, or are prepared
once instead of at every call.
"""
from __future__ import annotations

from pose_tools.inference.upstream.detector import UpstreamDetector
from pose_tools.inference.upstream.pose import UpstreamPose

__all__ = ["UpstreamDetector", "UpstreamPose"]
