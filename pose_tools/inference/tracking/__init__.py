"""From detections, frame by frame, to objects that keep their id, and to keypoints that do not tremble.

:class:`Tracker` gives ids and says where to look in frames without a detector; :class:`Smoother` steadies keypoints
and boxes of the objects it found. One of each per video or camera. numpy, and scipy for the assignment.
"""
from pose_tools.inference.tracking.smoothing import Smoother, SmoothOptions
from pose_tools.inference.tracking.tracker import Ahead, Tracked, Tracker, TrackOptions

__all__ = ["Ahead", "SmoothOptions", "Smoother", "TrackOptions", "Tracked", "Tracker"]
