"""Whether torchvision's compiled operators can be used here."""
from __future__ import annotations


def torchvision_works() -> bool:
    """Whether torchvision is installed and its operators run; found out once, at the first call."""
    from pose_tools.openmmlab.compat import torchvision_absent

    return torchvision_absent.torchvision_works()
