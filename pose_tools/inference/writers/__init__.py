"""Results into files: drawn pictures and videos, COCO results, JSON lines, labelme files.

All writers are alike: ``add`` a result, ``close`` in the end, or ``abort`` to leave nothing half-written. As a context
manager each closes itself, after Ctrl-C as well, which keeps what was done so far; after other errors it aborts.
``notes`` holds lines for the user when it is closed.
"""
from pose_tools.inference.writers.coco import CocoResults, coco_results
from pose_tools.inference.writers.drawn import DrawnImages, DrawnVideo
from pose_tools.inference.writers.json_lines import JsonLines
from pose_tools.inference.writers.labelme import Labelme, labelme_content_of

__all__ = ["CocoResults", "DrawnImages", "DrawnVideo", "JsonLines", "Labelme", "coco_results", "labelme_content_of"]
