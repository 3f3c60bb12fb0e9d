"""Datasets: splitting, checking and rendering them. numpy and cv2."""
