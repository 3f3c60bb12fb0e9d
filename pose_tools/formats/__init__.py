"""Annotation formats: the keypoint set, labelme and COCO. numpy and the standard library only."""
