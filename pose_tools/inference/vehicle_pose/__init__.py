"""Heading and position of vehicles from their keypoints."""
from pose_tools.inference.vehicle_pose.camera import ASSUMED_FIELD_OF_VIEW, Camera, assumed_camera, read_camera
from pose_tools.inference.vehicle_pose.pose import VehiclePose, estimate_pose, heading_of, placer

__all__ = ["ASSUMED_FIELD_OF_VIEW", "Camera", "VehiclePose", "assumed_camera", "estimate_pose", "heading_of",
           "placer", "read_camera"]
