"""Loading trained weights into a model whose last layers are for other classes or keypoints."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_tools.console import UserError
from pose_tools.weights.resolve import resolve_weights

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]
SHOWN = 12  # names listed of each kind


@dataclass(frozen=True)
class PretrainedReport:
    """What was loaded into a model and what was not.

    Attributes:
        name: File name.
        loaded: Number of the model's tensors that came from the file.
        total: Number of tensors the model has.
        other_shape: Name, shape in the file and shape in the model of those left out because they differ.
        missing: The model's tensors that the file does not have; they keep their initial values.
        unused: The file's tensors that the model does not have.
    """

    name: str
    loaded: int
    total: int
    other_shape: tuple[tuple[str, Shape, Shape], ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """A line for the log; of long lists, the beginning."""
        parts = [f"loaded {self.loaded} of {self.total} tensors from {self.name}"]
        shapes = [f"{name} {_shape(old)}->{_shape(new)}" for name, old, new in self.other_shape]
        for what, names in (("left out (other shape)", shapes), ("not in the file", self.missing),
                            ("in the file but not in the model", self.unused)):
            if names:
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                parts.append(f"{what}: {', '.join(names[:SHOWN])}{more}")
        return "; ".join(parts)


def _shape(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def load_pretrained(model: torch.nn.Module, path: str | Path, prefix: str = "") -> PretrainedReport:
    """Loads the tensors of a checkpoint that fit a model by name and shape.

    Args:
        model: Changed in place; what does not fit keeps its values.
        path: A local file or an http(s) address, as :func:`~pose_tools.weights.resolve.resolve_weights` takes.
        prefix: Use only the file's tensors under this name, without it: ``"backbone"`` for a backbone.

    Returns:
        An account whose text is a line for the log.

    Raises:
        UserError: The file cannot be had or read, holds no weights, or nothing of it fits.
    """
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    file = resolve_weights(path)
    weights = state_dict_of(load_checkpoint_file(file), file)
    if prefix:
        start = prefix.rstrip(".") + "."
        weights = {name[len(start):]: tensor for name, tensor in weights.items() if name.startswith(start)}
    own = model.state_dict()
    other = tuple((name, tuple(tensor.shape), tuple(own[name].shape)) for name, tensor in weights.items()
                  if name in own and tensor.shape != own[name].shape)
    left_out = {name for name, _, _ in other}
    # Names that the model does not know are passed on: modules may translate those of older versions.
    fitting = {name: tensor for name, tensor in weights.items() if name not in left_out}
    missing, unused = model.load_state_dict(fitting, strict=False)
    missing = tuple(name for name in missing if name not in left_out)
    loaded = len(own) - len(missing) - len(other)
    if loaded == 0:
        raise UserError(f"{file}: none of its {len(weights)} tensors fits this model by name and shape")
    return PretrainedReport(file.name, loaded, len(own), other, missing, tuple(unused))


def state_dict_of(checkpoint: Any, file: str | Path) -> dict[str, torch.Tensor]:
    """Finds the weights in what a checkpoint file holds: under ``state_dict``, ``model``, or the whole of it.

    Where a run kept averaged weights (EMA), mmengine stores those under ``state_dict``.

    Args:
        checkpoint: What was read.
        file: Named in errors.

    Returns:
        Names, without the ``module.`` of a distributed wrapper, and tensors.

    Raises:
        UserError: There are no weights.
    """
    import torch

    found = checkpoint
    for key in ("state_dict", "model"):
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(key), Mapping):
            found = checkpoint[key]
            break
    if not isinstance(found, Mapping) or not found or not all(
            isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in found.items()):
        raise UserError(f"{file}: holds no weights: there is no state_dict of named tensors in it")
    wrapped = all(name.startswith("module.") for name in found)
    return {name[7:] if wrapped else name: tensor for name, tensor in found.items()}
