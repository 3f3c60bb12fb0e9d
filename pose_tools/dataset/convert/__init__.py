"""From and to labelme and YOLO, several sets into one, objects into crops."""
