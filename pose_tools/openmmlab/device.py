"""Which device a run uses."""
from __future__ import annotations

import torch

from pose_tools.console import UserError


def use_device(wanted: str = "auto") -> str:
    """Makes mmengine use a device, and says which.

    Args:
        wanted: ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns:
        ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UserError: There is no such device here.
    """
    import mmengine.device.utils as upstream

    kind, _, index = wanted.partition(":")
    if kind == "auto":
        # Operators of the detection heads are missing on Apple's GPU, so it has to be asked for.
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {wanted}: say cpu, cuda, cuda:0, cuda:1, ... or mps")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {wanted}: this PyTorch ({torch.__version__}) sees no GPU")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"--device {wanted}: this PyTorch sees no Apple GPU")
    if index:
        if not index.isdigit() or int(index) >= torch.cuda.device_count():
            raise UserError(f"--device {wanted}: there are {torch.cuda.device_count()} GPUs, counted from 0")
        torch.cuda.set_device(int(index))
    # mmengine settles this once, at import, and has no other way to be told.
    upstream.DEVICE = kind
    return f"{kind}:{index}" if index else kind
