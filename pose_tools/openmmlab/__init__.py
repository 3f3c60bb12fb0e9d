"""OpenMMLab on today's PyTorch. Importing anything from this room installs the compatibility layer first.

Import it before anything of mmengine, mmcv, mmdet or mmpose.
"""
from pose_tools.openmmlab import compat
from pose_tools.openmmlab.compat.collection import collection_paused

with collection_paused():
    compat.install()
