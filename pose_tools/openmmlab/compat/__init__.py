"""Stands in for the places where mmengine 0.10, mmcv 2.1, mmdet 3.3 and mmpose 1.3 fail on a current PyTorch.

Nothing in site-packages is edited. Each module here stands in for one upstream fault, says which line it
is, does nothing where upstream is sound, and may be installed more than once.
"""
from __future__ import annotations

import warnings


def install() -> None:
    """Installs every stand-in. Cheap: mmdet and mmpose are not imported, only prepared for."""
    warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*")
    # mmengine still calls these under their old names; nothing a user can do about it.
    warnings.filterwarnings("ignore", message=".*torch.cuda.amp.*deprecated.*")
    warnings.filterwarnings("ignore", message=".*torch.meshgrid.*indexing.*")

    # Before anything of mmengine or torch is imported: what need not be, is not.
    from pose_tools.openmmlab.compat import late_classes, late_names

    late_names.install()
    late_classes.install()
    from pose_tools.openmmlab.compat import (
        amp,
        annotation_loading,
        coco_evaluation,
        config_text,
        distributed,
        keypoint_order,
        late_compiler,
        mmpretrain_parts,
        safe_load,
        torchvision_absent,
    )
    from pose_tools.openmmlab.ops import extension

    torchvision_absent.install()
    extension.install()
    safe_load.install()
    distributed.install()
    amp.install()
    keypoint_order.install()
    config_text.install()
    late_compiler.install()
    coco_evaluation.install()
    annotation_loading.install()
    mmpretrain_parts.keep_out()


__all__ = ["install"]
