"""Contents of a checkpoint in plain types and tensors, so that its bytes depend on nothing else."""
from __future__ import annotations

import io
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

from pose_tools.console import UserError


def plain_weights(weights: dict[str, Any], checkpoint: Any, source: Path) -> OrderedDict[str, Any]:
    """Copies tensors out of larger storages and keeps one copy of shared ones.

    Args:
        weights: Names and tensors.
        checkpoint: What they were read from.
        source: The file, named in errors.

    Raises:
        UserError: A value is not finite.
    """
    plain: OrderedDict[str, Any] = OrderedDict()
    copies: dict[tuple, Any] = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UserError(f"{source}: {name} holds values that are not finite; the training has diverged")
        # RTMDet's head uses the same convolutions on every level: one tensor under three names.
        same = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if same not in copies or not tensor.numel():
            copies[same] = tensor.detach().cpu().contiguous().clone()
        plain[sys.intern(name)] = copies[same]
    versions = getattr(checkpoint.get("state_dict"), "_metadata", None)
    if isinstance(versions, dict):
        # Modules tell by it which version of theirs wrote the weights.
        plain._metadata = OrderedDict(to_plain(versions))  # type: ignore[attr-defined]
    return plain


def to_plain(value: Any) -> Any:
    """Turns numpy values, sets and subclasses into plain Python types.

    Args:
        value: Dicts, sequences, sets, numpy arrays and scalars, strings, numbers.

    Returns:
        The same with lists for arrays, sorted lists for sets, and equal strings made one object, so that the
        pickle's bytes depend on nothing but the contents. Anything else becomes its text.
    """
    import numpy as np

    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, tuple):
        return tuple(map(to_plain, value))
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(to_plain, value), key=repr)
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return sys.intern(str.__str__(value) if isinstance(value, str) else str(value))


def to_bytes(content: Any) -> bytes:
    """Writes plain contents as PyTorch does; the same contents give the same bytes."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
