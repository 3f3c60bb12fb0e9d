"""Weights at half their size: fp16 in the file, fp32 again in whatever loads them."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FP16 = "fp16"
SUFFIX = "-fp16"  # of the name
MOST = 65504.0  # the greatest number of IEEE 754 binary16
# Normalisation divides by the root of a variance: near 0 its rounding would be magnified. They are few numbers.
KEPT = ("running_mean", "running_var")


@dataclass(frozen=True)
class Rounding:
    """What rounding did to a model.

    Attributes:
        halved: Number of values stored in fp16.
        values: Number of all floating-point values.
        largest: Greatest change of a value.
        where: The tensor it is in.
    """

    halved: int
    values: int
    largest: float
    where: str

    def __str__(self) -> str:
        """A line for the terminal."""
        share = 100 * self.halved / max(self.values, 1)
        return (f"fp16: {share:.1f} % of {self.values:,} values; the greatest change is {self.largest:.2g}, in "
                f"{self.where or 'none'}")


def to_half(weights: Mapping[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
    """Rounds weights to fp16, to nearest.

    Integers, the statistics of normalisation (:data:`KEPT`) and tensors with a value beyond :data:`MOST` stay as
    they are; a tensor under several names stays one.

    Args:
        weights: Names and tensors.
    """
    import torch

    made: dict[int, torch.Tensor] = {}
    halved: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, tensor in weights.items():
        if id(tensor) not in made:
            fits = tensor.is_floating_point() and not name.endswith(KEPT) \
                and (not tensor.numel() or float(tensor.abs().max()) <= MOST)
            made[id(tensor)] = tensor.to(torch.float16) if fits else tensor
        halved[name] = made[id(tensor)]
    if hasattr(weights, "_metadata"):
        halved._metadata = weights._metadata  # type: ignore[attr-defined]
    return halved


def is_half(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a file's weights are stored in fp16: most of their values are."""
    import torch

    floats = [tensor for tensor in weights.values() if tensor.is_floating_point()]
    half = sum(tensor.numel() for tensor in floats if tensor.dtype == torch.float16)
    return half * 2 > sum(tensor.numel() for tensor in floats)


def rounding_of(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> Rounding:
    """Compares weights with what :func:`to_half` made of them.

    Args:
        before: Names and tensors.
        after: The same names.
    """
    import torch

    halved, values, largest, where = 0, 0, 0.0, ""
    seen: set[int] = set()
    for name, tensor in before.items():
        if id(tensor) in seen or not tensor.is_floating_point() or not tensor.numel():
            continue
        seen.add(id(tensor))
        values += tensor.numel()
        if after[name].dtype == torch.float16:
            halved += tensor.numel()
            change = float((tensor.double() - after[name].double()).abs().max())
            largest, where = max((largest, where), (change, name))
    return Rounding(halved, values, largest, where)


def largest_difference(before: list[torch.Tensor], after: list[torch.Tensor]) -> tuple[float, float]:
    """Says how far outputs are apart.

    Args:
        before: A model's outputs.
        after: Another's, of the same shapes.

    Returns:
        The greatest difference, and the greatest magnitude of the first.
    """
    pairs: list[Any] = [(float((one - other).abs().max()), float(one.abs().max()))
                        for one, other in zip(before, after) if one.numel()]
    return max((pair[0] for pair in pairs), default=0.0), max((pair[1] for pair in pairs), default=0.0)
