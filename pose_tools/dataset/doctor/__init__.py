"""Finding what is wrong or suspicious in a COCO keypoint data set, and mending what has one right answer."""
