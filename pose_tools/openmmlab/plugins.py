"""What our configs name and upstream does not have; ``custom_imports`` in ``configs/_base_/runtime.py``.

Importing this module registers the transforms, the dataset and the hooks with mmengine, mmdet and mmpose.
"""
from pose_tools.openmmlab import (
    augment,
    detected_boxes,
    hooks,
    log_lines,
    patience,
    pretrained_hook,
    sample_seed,
)
from pose_tools.openmmlab.image_cache import hook as image_cache_hook
from pose_tools.openmmlab.step import precision

__all__ = ["augment", "detected_boxes", "hooks", "image_cache_hook", "log_lines", "patience", "precision",
           "pretrained_hook", "sample_seed"]
