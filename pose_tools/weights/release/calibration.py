"""The calibration that a published checkpoint carries: of its own weights and keypoints, or none."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from pose_tools.console import UserError
from pose_tools.formats.calibration import Calibration, read_calibration

if TYPE_CHECKING:
    import torch


def sha256_of_weights(weights: Mapping[str, torch.Tensor]) -> str:
    """Hashes names, kinds, shapes and values of tensors, whatever file they are in and in whatever order.

    Args:
        weights: As :func:`pose_tools.weights.pretrained.state_dict_of` gives them.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def stored_calibration(meta: Mapping[str, Any], given: Optional[Union[str, Path]], weights: Mapping[str, torch.Tensor],
                       config: Mapping[str, Any], source: Path) -> str:
    """Decides what a checkpoint to publish says of its scores.

    Args:
        meta: Of the source.
        given: The file of a calibration.
        weights: Of the source.
        config: Values of the config to publish.
        source: Named in errors.

    Returns:
        JSON: the given calibration, else that of the source; ``""`` where there is neither.

    Raises:
        UserError: It is of other weights or keypoints, or the source is no keypoint model.
    """
    own = meta.get("calibration")
    if given is None and not isinstance(own, str):
        return ""
    file = f"{source}: its calibration" if given is None else given
    found = Calibration.from_json(own, file) if given is None else read_calibration(given)
    if given is not None and found.weights_sha256 != sha256_of_weights(weights):
        raise UserError(f"{given}: was fitted to other weights than those of {source}; run tools/calibrate.py on it")
    keypoints = tuple(config.get("keypoints") or found.keypoints)
    if found.keypoints != keypoints:
        raise UserError(f"{file}: is of the keypoints {', '.join(found.keypoints)}, and the config of "
                        f"{', '.join(map(str, keypoints))}")
    return found.to_json()


def told_calibration(text: str) -> str:
    """Says in a sentence what calibrated scores mean; for a model card.

    Args:
        text: The JSON that a checkpoint carries.
    """
    found = Calibration.from_json(text)
    return (f"calibrated on {found.pictures} pictures of {found.annotations}, in the boxes of "
            f"{'the labels' if found.boxes == 'ground truth' else 'a detector'}: {found.meaning}")
