"""Official weights that our configs start from.

The addresses are those of mmdet's ``rtmdet/metafile.yml``, mmpose's ``rtmpose_coco.yml`` and, for the size
x, the table in mmpose's ``projects/rtmpose/README.md``; each name carries the start of the file's SHA-256.
"""
from __future__ import annotations

from pose_tools.console import UserError

_DET = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet"
_POSE = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1"

# Detectors: COCO, 300 epochs. Pose: AIC + COCO, 420 epochs at 256x192; of the size x there is no such file,
# so that one was trained on seven body sets with the same 17 keypoints, 700 epochs at 384x288.
OFFICIAL = {
    "rtmdet-tiny": f"{_DET}_tiny_8xb32-300e_coco/rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth",
    "rtmdet-s": f"{_DET}_s_8xb32-300e_coco/rtmdet_s_8xb32-300e_coco_20220905_161602-387a891e.pth",
    "rtmdet-m": f"{_DET}_m_8xb32-300e_coco/rtmdet_m_8xb32-300e_coco_20220719_112220-229f527c.pth",
    "rtmdet-l": f"{_DET}_l_8xb32-300e_coco/rtmdet_l_8xb32-300e_coco_20220719_112030-5a0be7c4.pth",
    "rtmpose-s": f"{_POSE}/rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth",
    "rtmpose-m": f"{_POSE}/rtmpose-m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7_20230126.pth",
    "rtmpose-l": f"{_POSE}/rtmpose-l_simcc-aic-coco_pt-aic-coco_420e-256x192-f016ffe0_20230126.pth",
    "rtmpose-x": f"{_POSE}/rtmpose-x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629.pth",
}


def official_weights(name: str) -> str:
    """Gives the address of official weights.

    Args:
        name: Such as ``"rtmdet-tiny"`` or ``"rtmpose-s"``.

    Raises:
        UserError: There are none of that name; the message lists those there are.
    """
    if name not in OFFICIAL:
        raise UserError(f"no official weights called {name!r}; there are: {', '.join(OFFICIAL)}")
    return OFFICIAL[name]
