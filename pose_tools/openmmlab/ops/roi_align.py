"""RoIAlign as ``mmcv/ops/csrc/pytorch/cpu/roi_align.cpp`` does it (He et al., 2017, arXiv:1703.06870).

Every output value is a weighted sum of feature pixels, four for each sample of its bin, with weights that do
not depend on the channel. With the features as a table of pixels (B * H * W, C) that is what
``torch.nn.functional.embedding_bag`` computes, compiled, in parallel, on every device, without writing the
samples to memory. The gradient is the same sum with pixels and bins swapped.

Coordinates: RoIs are in image px, ``spatial_scale`` takes them to feature px; samples are in feature px. They
are computed with the roundings of the compiled operator, so that both take the same pixels. In half
precision the compiled operator rounds coordinates, weights and sums to half; here all of it is float32 and
only the result is rounded. And the compiled operator reads features that are not contiguous, channels-last
for one, as if they were, without a word; here every layout gives the same.

RoIs are handled in groups that have the same number of samples in a bin, and in pieces of bounded memory.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pose_tools.openmmlab.ops.backend import torchvision_works

MAX, AVG = 0, 1
# Samples handled at a time: about 20 MB of indices and weights.
_PIECE = 1 << 18
# What the compiled operator starts the maximum of a bin from.
_LOWEST = -10000


@dataclass(frozen=True)
class _Bins:
    """Some RoIs with equally many samples in each bin.

    Attributes:
        rows: (M,) which RoIs they are.
        images: (M,) index of the image each lies in.
        y, x: (M, PH, GH) and (M, PW, GW) sample coordinates, feature px.
    """

    rows: Tensor
    images: Tensor
    y: Tensor
    x: Tensor

    @property
    def samples(self) -> int:
        """Samples in each bin."""
        return self.y.shape[2] * self.x.shape[2]

    def part(self, start: int, stop: int) -> _Bins:
        """The RoIs from ``start`` to ``stop``."""
        return _Bins(self.rows[start:stop], self.images[start:stop], self.y[start:stop], self.x[start:stop])


def _working_type(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _check(rois: Tensor, ends: Tensor, images: int, aligned: bool) -> None:
    if not bool(torch.isfinite(ends).all()):
        raise RuntimeError("roi_align: RoIs must be finite numbers")
    if aligned and bool((ends[:, 2:] < ends[:, :2]).any()):
        raise RuntimeError("roi_align: RoIs must not have a negative width or height")
    inside = (rois[:, 0] > -1) & (rois[:, 0] < images)
    if not bool(inside.all()):
        raise RuntimeError(f"roi_align: a RoI names an image outside of the batch of {images}")


def _axis(start: Tensor, size: Tensor, bins: int, samples: int) -> Tensor:
    """Sample coordinates along one axis, (M, bins, samples): in the middle of equal parts of every bin."""
    start, size = start[:, None, None], size[:, None, None]
    bin_index = torch.arange(bins, device=start.device, dtype=start.dtype)[:, None]
    sample = torch.arange(samples, device=start.device, dtype=start.dtype) + 0.5
    return start + bin_index * size + sample * size / samples


def _groups(
    rois: Tensor, images: int, size: tuple[int, int], scale: float, sampling_ratio: int, aligned: bool
) -> Iterator[_Bins]:
    """Lays out the samples of all RoIs.

    Args:
        rois: (N, 5) image index, x1, y1, x2, y2 in image px.
        images: Number of images in the batch.
        size: Bins along (y, x).
        scale: Feature px for an image px.
        sampling_ratio: Samples along one axis of a bin; 0 for about one a feature px.
        aligned: Whether to move RoIs by half a feature px.

    Yields:
        Groups of RoIs. RoIs without a sample are left out.

    Raises:
        RuntimeError: If a RoI is not finite, lies in no image, or is inside out and ``aligned`` is set.
    """
    # mmcv takes the scale as a C float.
    ends = rois[:, 1:] * float(np.float32(scale)) - (0.5 if aligned else 0.0)
    _check(rois, ends, images, aligned)
    extent = ends[:, 2:] - ends[:, :2]
    if not aligned:
        extent = extent.clamp(min=1.0)
    bins = extent / extent.new_tensor([size[1], size[0]])
    if sampling_ratio > 0:
        grid = torch.full_like(bins, sampling_ratio, dtype=torch.long)
    else:
        grid = bins.float().ceil().long()
    pairs, group = grid.unique(dim=0, return_inverse=True)
    for index, (across, down) in enumerate(pairs.tolist()):
        if across == 0 or down == 0:
            continue
        rows = (group == index).nonzero().flatten()
        whole = _Bins(
            rows,
            rois[rows, 0].long(),
            _axis(ends[rows, 1], bins[rows, 1], size[0], down),
            _axis(ends[rows, 0], bins[rows, 0], size[1], across),
        )
        step = max(1, _PIECE // (size[0] * size[1] * down * across))
        for start in range(0, len(rows), step):
            yield whole.part(start, start + step)


def _neighbours(at: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two pixels around each coordinate, clamped to the border, and their weights.

    Args:
        at: Coordinates of any shape, feature px.
        length: Pixels along the axis.

    Returns:
        Pixels (..., 2), int64, and weights (..., 2): (0, 0) for a coordinate below -1 or above ``length``.
    """
    clamped = at.clamp(0, length - 1)
    low = clamped.long()
    weight = clamped - low
    pixels = torch.stack([low, (low + 1).clamp(max=length - 1)], -1)
    outside = ((at < -1) | (at > length)).unsqueeze(-1)
    return pixels, torch.stack([1 - weight, weight], -1).masked_fill(outside, 0)


def _merged(pixels: Tensor, weights: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Joins the pixels that neighbouring samples of a bin share.

    Args:
        pixels: (M, bins, G, 2), ascending within a bin.
        weights: The same shape.
        length: Pixels along the axis.

    Returns:
        Pixels and weights (M, bins, R), R being at most 2 G.
    """
    pixels, weights = pixels.flatten(2), weights.flatten(2)
    first = pixels[..., :1]
    reach = int((pixels[..., -1:] - first).max()) + 1
    if reach >= pixels.shape[2]:
        return pixels, weights
    window = first + torch.arange(reach, device=first.device)
    # As a mask: scatter_add_ takes ten times as long on the CPU.
    joined = torch.where(pixels.unsqueeze(3) == window.unsqueeze(2), weights.unsqueeze(3), 0.0).sum(2)
    return window.clamp(max=length - 1), joined


def _sums(bins: _Bins, height: int, width: int, each: bool) -> tuple[Tensor, Tensor]:
    """Which pixels make up each sample, or each bin, and with which weights.

    Args:
        bins: Some RoIs.
        height: Feature px along y.
        width: Feature px along x.
        each: Whether to keep the samples of a bin apart.

    Returns:
        Rows of the pixel table, and weights: (M, PH, PW, GH, GW, 4) with ``each``, else (M, PH, PW, K).
    """
    rows, row_weights = _neighbours(bins.y, height)
    columns, column_weights = _neighbours(bins.x, width)
    if not each:
        rows, row_weights = (part.unsqueeze(2) for part in _merged(rows, row_weights, height))
        columns, column_weights = (part.unsqueeze(2) for part in _merged(columns, column_weights, width))
    rows = rows * width + (bins.images * (height * width))[:, None, None, None]
    pixels = rows[:, :, None, :, None, :, None] + columns[:, None, :, None, :, None, :]
    weights = row_weights[:, :, None, :, None, :, None] * column_weights[:, None, :, None, :, None, :]
    kept = 5 if each else 3
    return pixels.flatten(kept), weights.flatten(kept)


def _pixel_table(features: Tensor) -> Tensor:
    """Features (B, C, H, W) as (B * H * W, C) in the type to compute in; a view if channels-last."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).to(_working_type(features.dtype))


def _weighted(table: Tensor, pixels: Tensor, weights: Tensor) -> Tensor:
    """Sums rows of a table (P, C): ``pixels`` and ``weights`` are (S, K), the result (S, C)."""
    return F.embedding_bag(pixels, table, per_sample_weights=weights, mode="sum")


def _average(table: Tensor, bins: _Bins, shape: torch.Size) -> Tensor:
    """Average over the samples of each bin, (M, C, PH, PW). ``shape``: of the features."""
    pixels, weights = _sums(bins, shape[2], shape[3], each=False)
    pooled = _weighted(table, pixels.flatten(0, 2), weights.flatten(0, 2)) / bins.samples
    return pooled.view(*pixels.shape[:3], -1).permute(0, 3, 1, 2)


def _maximum(table: Tensor, bins: _Bins, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Maximum over the samples of each bin, and y and x of the first one that has it; -1 if none counts."""
    pixels, weights = _sums(bins, shape[2], shape[3], each=True)
    values = _weighted(table, pixels.flatten(0, 4), weights.flatten(0, 4))
    values = values.view(*pixels.shape[:3], -1, table.shape[1])
    # A NaN never wins in the compiled operator.
    values = torch.where(values > _LOWEST, values, values.new_tensor(float("-inf")))
    first = values.argmax(3)
    best = values.gather(3, first.unsqueeze(3)).squeeze(3)
    counts = best > _LOWEST
    y = bins.y[:, :, None, :, None].expand(pixels.shape[:5]).flatten(3).gather(3, first)
    x = bins.x[:, None, :, None, :].expand(pixels.shape[:5]).flatten(3).gather(3, first)
    return tuple(
        torch.where(counts, part, part.new_tensor(empty)).permute(0, 3, 1, 2)
        for part, empty in ((best, _LOWEST), (y, -1), (x, -1))
    )


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """``mmcv._ext.roi_align_forward``.

    Args:
        input: (B, C, H, W) features.
        rois: (N, 5) image index, x1, y1, x2, y2 in image px.
        output: (N, C, aligned_height, aligned_width), filled.
        argmax_y: Filled in max pooling, shape of ``output``: y of the sample that won, feature px.
        argmax_x: Likewise, x.
        aligned_height: Bins along y.
        aligned_width: Bins along x.
        spatial_scale: Feature px for an image px.
        sampling_ratio: Samples along one axis of a bin; 0 for about one a feature px.
        pool_mode: 0 for the maximum of the samples of a bin, 1 for their average.
        aligned: Whether to move RoIs by half a feature px.

    Raises:
        RuntimeError: If a RoI is not finite, lies in no image, or is inside out and ``aligned`` is set.
    """
    if pool_mode == MAX:
        output.fill_(_LOWEST)
        argmax_y.fill_(-1)
        argmax_x.fill_(-1)
    else:
        output.zero_()
    if output.numel() == 0:
        return
    size, kind = (aligned_height, aligned_width), _working_type(input.dtype)
    features, rois = input.detach(), rois.detach().to(kind)
    groups = _groups(rois, len(input), size, spatial_scale, sampling_ratio, aligned)
    if pool_mode == AVG and torchvision_works():
        _check(rois, rois[:, 1:], len(input), aligned)
        scale = float(np.float32(spatial_scale))
        output.copy_(
            torch.ops.torchvision.roi_align(
                features.to(kind).contiguous(), rois.contiguous(), scale, *size, sampling_ratio, aligned
            )
        )
        return
    table = _pixel_table(features)
    for bins in groups:
        if pool_mode == AVG:
            output[bins.rows] = _average(table, bins, input.shape).to(output.dtype)
            continue
        for target, values in zip((output, argmax_y, argmax_x), _maximum(table, bins, input.shape)):
            target[bins.rows] = values.to(target.dtype)


def _spread_average(gradient: Tensor, table: Tensor, bins: _Bins, shape: torch.Size) -> None:
    """Adds to a pixel table what the bins of some RoIs pass back.

    Args:
        gradient: (N, C, PH, PW) of all RoIs.
        table: (B * H * W, C), added to in place.
        bins: The RoIs.
        shape: Of the features.
    """
    pixels, weights = _sums(bins, shape[2], shape[3], each=False)
    bags = gradient[bins.rows].permute(0, 2, 3, 1).reshape(-1, shape[1]).to(table.dtype)
    pixels, order = pixels.flatten().sort()
    touched, counts = pixels.unique_consecutive(return_counts=True)
    table.index_add_(
        0,
        touched,
        F.embedding_bag(
            order.div(pixels.numel() // len(bags), rounding_mode="floor"),
            bags,
            counts.cumsum(0) - counts,
            per_sample_weights=weights.flatten()[order] / bins.samples,
            mode="sum",
        ),
    )


def _spread_maximum(gradient: Tensor, target: Tensor, images: Tensor, y: Tensor, x: Tensor) -> None:
    """Adds to ``target`` what bins pass back to the one sample that won.

    Args:
        gradient: (N, C, PH, PW).
        target: (B, C, H, W), contiguous, added to in place.
        images: (N,) image index of each RoI.
        y: Shape of ``gradient``: where the sample lies, feature px; -1 passes nothing.
        x: Likewise.
    """
    channels, height, width = target.shape[1:]
    channel = torch.arange(channels, device=y.device)[:, None, None]
    planes = ((images[:, None, None, None] * channels + channel) * (height * width)).expand_as(y)
    rows, row_weights = _neighbours(y, height)
    columns, column_weights = _neighbours(x, width)
    pixels = planes[..., None, None] + rows[..., :, None] * width + columns[..., None, :]
    weights = row_weights[..., :, None] * column_weights[..., None, :]
    passed = (gradient * (y != -1))[..., None, None] * weights
    target.view(-1).index_add_(0, pixels.flatten(), passed.flatten())


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """``mmcv._ext.roi_align_backward``: the gradient with respect to the features.

    Args:
        grad_output: (N, C, aligned_height, aligned_width).
        rois: As in the forward pass.
        argmax_y: What the forward pass filled in.
        argmax_x: Likewise.
        grad_input: (B, C, H, W), added to.
        aligned_height: As in the forward pass, like all that follow.
        aligned_width: Bins along x.
        spatial_scale: Feature px for an image px.
        sampling_ratio: Samples along one axis of a bin.
        pool_mode: 0 for the maximum, 1 for the average.
        aligned: Whether RoIs were moved by half a feature px.
    """
    if grad_output.numel() == 0 or grad_input.numel() == 0:
        return
    kind, size, shape = _working_type(grad_input.dtype), (aligned_height, aligned_width), grad_input.shape
    rois = rois.detach().to(kind)
    if pool_mode == MAX:
        total = torch.zeros(shape, dtype=kind, device=grad_input.device)
        step = max(1, _PIECE // (grad_output[0].numel()))
        for start in range(0, len(rois), step):
            part = slice(start, start + step)
            gradient, y, x = (each[part].to(kind) for each in (grad_output, argmax_y, argmax_x))
            _spread_maximum(gradient, total, rois[part, 0].long(), y, x)
    elif torchvision_works():
        scale = float(np.float32(spatial_scale))
        total = torch.ops.torchvision._roi_align_backward(
            grad_output.to(kind), rois.contiguous(), scale, *size, *shape, sampling_ratio, aligned
        )
    else:
        table = torch.zeros(len(grad_input) * shape[2] * shape[3], shape[1], dtype=kind, device=rois.device)
        for bins in _groups(rois, len(grad_input), size, spatial_scale, sampling_ratio, aligned):
            _spread_average(grad_output, table, bins, shape)
        total = table.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)
    # Adding a permuted tensor is slower than bringing it in order first.
    grad_input += total.to(grad_input.dtype).contiguous()
