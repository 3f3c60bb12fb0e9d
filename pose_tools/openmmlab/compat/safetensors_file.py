"""Reading ``.safetensors``: tensors and text, with nothing in it that could run.

Those of ``tools/publish_model.py --safetensors`` carry in their metadata what a published ``.pth`` has beside
the weights, so that they can be used in its place. The format: github.com/huggingface/safetensors#format.
"""
from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any, BinaryIO

import torch

from pose_tools.console import UserError

# Names in the metadata, whose values are text. MARK says that the others are ours, and in which form.
MARK, FORM = "pose_tools", "1"
CONFIG, DATASET_META, META, MODULES = "cfg", "dataset_meta", "meta", "modules"
MOST_HEADER_BYTES = 100_000_000  # as the library has it


def is_safetensors(start: bytes) -> bool:
    """Tells a file of the format by its beginning: the size of a JSON header, then the header.

    Args:
        start: At least its first 9 bytes.
    """
    return start[8:9] == b"{" and 2 <= header_bytes(start) <= MOST_HEADER_BYTES


def header_bytes(start: bytes) -> int:
    """Reads the size of the header.

    Args:
        start: At least the first 8 bytes of the file.
    """
    return int.from_bytes(start[:8], "little")


def read_safetensors(opened: BinaryIO, name: str, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a file as :func:`~pose_tools.openmmlab.compat.safe_load.load_checkpoint_file` gives a checkpoint.

    Args:
        opened: The file, at its beginning.
        name: Named in errors.
        map_location: Where to put the tensors: a device or its name; anything else leaves them on the CPU.

    Returns:
        ``state_dict`` and ``meta``, which is empty for files of others. What was a tuple in ``dataset_meta`` is
        a list.

    Raises:
        UserError: It is cut short or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = opened.read()
    try:
        tensors = load(data)
        notes = json.loads(data[8:8 + header_bytes(data)]).get("__metadata__") or {}
        meta, modules = _checkpoint_meta(notes)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{name}: is cut short or damaged; fetch it again") from error
    state: OrderedDict[str, torch.Tensor] = OrderedDict(tensors)
    if isinstance(map_location, (str, torch.device)):
        state = OrderedDict((key, tensor.to(map_location)) for key, tensor in state.items())
    if modules:
        state._metadata = OrderedDict(modules)  # type: ignore[attr-defined]
    return {"meta": meta, "state_dict": state}


def _checkpoint_meta(notes: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    if notes.get(MARK) != FORM:
        return {}, {}
    meta = {CONFIG: notes[CONFIG], **json.loads(notes[META])}
    if DATASET_META in notes:
        meta[DATASET_META] = {key: _by_number(value) if key.endswith("id2name") else value
                              for key, value in json.loads(notes[DATASET_META]).items()}
    return meta, json.loads(notes.get(MODULES, "{}"))


def _by_number(names: dict[str, Any]) -> dict[int, Any]:
    """JSON has no numbers as keys."""
    return {int(key): value for key, value in names.items()}
