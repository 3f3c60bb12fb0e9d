"""Calibrated confidence: fitting what raw keypoint scores are worth, and saying how sure that is.

    calibration = Calibration.of_model(facts.calibration, facts.keypoint_set, path)     # None where there is none
    probabilities = calibration(raw_scores)                                             # (N, K)
"""
from pose_tools.formats.calibration import Calibration, Curve, read_calibration

__all__ = ["Calibration", "Curve", "read_calibration"]
