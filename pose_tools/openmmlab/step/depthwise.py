"""Depthwise convolutions in reduced precision on a CPU: the gradient of their weights in fp32.

oneDNN, which PyTorch's CPU convolutions run on, is three to four times slower at this one gradient in bf16 than in
fp32 (RTMPose-S, 32 crops of 256x256, first stage: 186 against 42 ms), so that it took a tenth of a training step. The
gradient of the input and the convolution itself stay as they are. In fp32 the gradient is also the more exact one.
"""
from __future__ import annotations

import functools
from typing import Any, Optional

import torch
from torch import nn


class _Depthwise(torch.autograd.Function):
    """A convolution with as many groups as channels; see the module's text."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, geometry: tuple[Any, ...]) -> torch.Tensor:
        """Convolves ``x`` (N, C, H, W) in its own type with ``weight`` (C, 1, kh, kw)."""
        stride, padding, dilation = geometry
        low = weight.to(x.dtype)
        ctx.save_for_backward(x, low)
        ctx.geometry, ctx.weight_type = geometry, weight.dtype
        return torch.conv2d(x, low, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Optional[torch.Tensor], Optional[torch.Tensor], None]:
        """Gives the gradients of ``x``, in its type, and of ``weight``, from products in fp32."""
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry

        def gradients(of: torch.dtype, mask: list[bool]) -> tuple[Any, ...]:
            return torch.ops.aten.convolution_backward(
                grad.to(of), x.to(of), weight.to(of), None, stride, padding, dilation, False, [0, 0], x.shape[1], mask)

        of_x = gradients(x.dtype, [True, False, False])[0] if ctx.needs_input_grad[0] else None
        of_weight = gradients(torch.float32, [False, True, False])[1] if ctx.needs_input_grad[1] else None
        return of_x, None if of_weight is None else of_weight.to(ctx.weight_type), None


def _is_depthwise(module: nn.Module) -> bool:
    return (type(module) is nn.Conv2d and module.groups == module.in_channels == module.out_channels > 1
            and module.bias is None and module.padding_mode == "zeros" and not isinstance(module.padding, str))


def use_exact_depthwise_gradients(model: nn.Module) -> int:
    """Lets the depthwise convolutions of a model compute the gradient of their weights in fp32, under autocast.

    Args:
        model: To be trained on a CPU; where no autocast is on, nothing changes.

    Returns:
        How many convolutions there are.
    """
    found = [module for module in model.modules() if _is_depthwise(module)]
    for module in found:
        module.forward = _under_autocast(module)
    return len(found)


def _under_autocast(module: nn.Conv2d) -> Any:
    forward = module.forward

    @functools.wraps(forward)
    def wrapped(x: torch.Tensor) -> torch.Tensor:
        if not (torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
            return forward(x)
        low = x.to(torch.get_autocast_dtype("cpu"))
        return _Depthwise.apply(low, module.weight, (module.stride, module.padding, module.dilation))

    return wrapped
