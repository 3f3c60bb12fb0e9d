"""Pictures and tables of results. numpy and cv2."""
