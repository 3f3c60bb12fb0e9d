"""Batches that go from a worker to the trainer in one piece of shared memory.

torch sends each tensor of a batch in a piece of its own: four for each sample of a keypoint model, each with a file
handle that is passed on and mapped again.
"""
from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate

_ALIGNED = 64  # bytes


class Batch(dict):
    """A batch as ``pseudo_collate`` makes it, which is sent in one piece and arrives as a plain dict."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Packs itself for another process."""
        return unpack, pack(dict(self))


class _Pickler(pickle.Pickler):
    """Leaves the values of tensors and arrays outside, to be laid side by side."""

    def reducer_override(self, value: Any) -> Any:
        plain = type(value) is torch.Tensor and value.device.type == "cpu" and not value.requires_grad
        if plain and value.layout is torch.strided and value.dtype is not torch.bfloat16:
            return torch.from_numpy, (value.contiguous().numpy(),)
        return NotImplemented


def collate_in_one_piece(samples: Sequence[Any]) -> Any:
    """Collates as ``mmengine.dataset.pseudo_collate``: lists of images and of data samples.

    Args:
        samples: What the pipeline gave for each sample of a batch.
    """
    made = pseudo_collate(samples)
    return Batch(made) if type(made) is dict else made


def pack(values: dict[str, Any]) -> tuple[bytes, list[tuple[int, int]], torch.Tensor]:
    """Lays the tensors and arrays of a batch side by side in shared memory.

    Args:
        values: The batch.

    Returns:
        The rest, pickled; where each one starts and ends; and the memory, uint8.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = io.BytesIO()
    _Pickler(head, protocol=5, buffer_callback=buffers.append).dump(values)
    raws = [buffer.raw() for buffer in buffers]
    places, end = [], 0
    for raw in raws:
        places.append((end, end + raw.nbytes))
        end += -(-raw.nbytes // _ALIGNED) * _ALIGNED
    memory = torch.empty(max(end, 1), dtype=torch.uint8).share_memory_()
    view = memoryview(memory.numpy())
    for (first, last), raw in zip(places, raws):
        view[first:last] = raw
    return head.getvalue(), places, memory


def unpack(head: bytes, places: list[tuple[int, int]], memory: torch.Tensor) -> dict[str, Any]:
    """Makes a batch from what :func:`pack` gave; its tensors lie in that memory."""
    view = memoryview(memory.numpy())
    return pickle.loads(head, buffers=[view[first:last] for first, last in places])
