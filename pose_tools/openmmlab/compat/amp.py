"""Upstream's mixed-precision optimiser wrapper, where there is no GPU.

Stands in for ``mmengine/optim/optimizer/amp_optimizer_wrapper.py:77``, which asserts that there is one. On a
CPU autocast exists (bfloat16) and loss scaling is not needed, so the wrapper is built with scaling switched off.
"""
from __future__ import annotations

from typing import Any


def install() -> None:
    """Lets ``AmpOptimWrapper`` be built without a GPU; with one, nothing changes."""
    import torch
    from mmengine.optim import AmpOptimWrapper, OptimWrapper

    if torch.cuda.is_available() or getattr(AmpOptimWrapper.__init__, "on_cpu", False):
        return
    upstream = AmpOptimWrapper.__init__

    def __init__(self: AmpOptimWrapper, loss_scale: Any = "dynamic", dtype: Any = None,
                 use_fsdp: bool = False, **kwargs: Any) -> None:
        from mmengine.device import get_device

        if get_device() != "cpu" or use_fsdp:
            upstream(self, loss_scale, dtype, use_fsdp, **kwargs)
            return
        if isinstance(dtype, str):
            if dtype not in self.valid_dtypes:
                raise ValueError(f"dtype should be one of {self.valid_dtypes}, got {dtype!r}")
            dtype = getattr(torch, dtype)
        OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler("cpu", enabled=False)
        self.cast_dtype = dtype or torch.bfloat16

    __init__.on_cpu = True  # type: ignore[attr-defined]
    AmpOptimWrapper.__init__ = __init__
