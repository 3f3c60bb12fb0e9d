"""The compiled operators that ``mmcv-lite`` lacks and the supported detectors call.

``extension`` makes ``mmcv._ext`` importable, ``nms``, ``soft_nms`` and ``roi_align`` hold the operators. They
give what mmcv 2.1.0 gives when compiled: the same arithmetic in the same order where the result hangs on it
(which box is suppressed, where a sample falls), equal to float precision elsewhere. A compiled mmcv, where
there is one, is used and nothing of this is.
"""
from pose_tools.openmmlab.ops.extension import MissingOperatorError, install, operator_backend

__all__ = ["MissingOperatorError", "install", "operator_backend"]
