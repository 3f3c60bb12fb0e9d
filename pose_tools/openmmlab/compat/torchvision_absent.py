"""torchvision may be absent, or installed and broken beside this torch.

Stands in for ``mmpose/visualization/simcc_vis.py:7``, which imports ``torchvision.transforms.ToPILImage`` at
module level so that nothing of mmpose can be imported without torchvision, and for
``mmengine/utils/dl_utils/collect_env.py:156``, which survives a missing torchvision but not a broken one.
"""
from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Optional

from pose_tools.openmmlab.compat.import_hook import on_import


@cache
def torchvision_works() -> bool:
    """Whether torchvision is installed and its compiled operators fit this torch."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        import torch
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        return torchvision.ops.nms(boxes, torch.ones(1), 0.5).tolist() == [0]
    except Exception:  # RuntimeError, OSError, ImportError, AttributeError: each was seen with some pairing
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        return False


class ToPILImage:
    """The one class mmpose wants of torchvision: a float image in [0, 1] or a uint8 image to PIL."""

    def __call__(self, picture: Any) -> Any:
        """Converts a tensor of shape (C, H, W) or (H, W), or an array of shape (H, W, C) or (H, W)."""
        import numpy as np
        import torch
        from PIL import Image

        if isinstance(picture, torch.Tensor):
            if picture.is_floating_point():
                picture = picture.mul(255).byte()
            array = picture.cpu().numpy()
            array = array.transpose(1, 2, 0) if array.ndim == 3 else array
        else:
            array = np.asarray(picture)
        return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


@contextmanager
def _stand_in() -> Iterator[None]:
    package, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
    transforms.ToPILImage = ToPILImage  # type: ignore[attr-defined]
    package.transforms = transforms  # type: ignore[attr-defined]
    modules = {"torchvision": package, "torchvision.transforms": transforms}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


class _Absent(importlib.abc.MetaPathFinder):
    """Makes a broken torchvision look like an absent one, which everything upstream survives."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Optional[Any]:
        if fullname.split(".")[0] == "torchvision":
            raise ModuleNotFoundError("torchvision does not work beside this torch", name=fullname)
        return None


def install() -> None:
    """Lets mmpose import without torchvision, and hides a broken one. Nothing to do where it works."""
    if torchvision_works():
        return
    if (importlib.util.find_spec("torchvision") is not None
            and not any(isinstance(finder, _Absent) for finder in sys.meta_path)):
        sys.meta_path.insert(0, _Absent())
    on_import("mmpose.visualization.simcc_vis", around=_stand_in)
