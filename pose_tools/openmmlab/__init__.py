"""OpenMMLab on today's PyTorch. Importing anything from this room installs the compatibility layer first.

Import it before anything of mmengine, mmcv, mmdet or mmpose.
"""
from pose_tools.openmmlab import compat

compat.install()
