"""Data-side tools for training RTMDet and RTMPose on your own keypoints."""
