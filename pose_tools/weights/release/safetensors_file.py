"""Writing a published checkpoint as ``.safetensors``."""
from __future__ import annotations

import json
from typing import Any

ALIGNMENT = 8  # bytes; the header is filled up with spaces so that the tensors begin at a multiple of it


def to_safetensors(checkpoint: dict[str, Any]) -> bytes:
    """Turns a published checkpoint into the bytes of a ``.safetensors`` file with the same contents.

    Args:
        checkpoint: ``meta`` with ``cfg``, in plain types, and ``state_dict``.

    Returns:
        The same bytes for the same checkpoint: the library writes the metadata in another order every time,
        so its header is put into order. Tensors that the model shares are stored once for each name.
    """
    from safetensors.torch import save

    from pose_tools.openmmlab.compat.safetensors_file import CONFIG, DATASET_META, FORM, MARK, META, MODULES

    state, meta = checkpoint["state_dict"], dict(checkpoint["meta"])
    notes = {"format": "pt", MARK: FORM, CONFIG: meta.pop(CONFIG)}
    if DATASET_META in meta:
        notes[DATASET_META] = _json(meta.pop(DATASET_META))
    notes[META] = _json(meta)
    if modules := getattr(state, "_metadata", None):
        notes[MODULES] = _json(modules)
    return _ordered(save({name: tensor.contiguous().clone() for name, tensor in state.items()}, notes))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ordered(data: bytes) -> bytes:
    """Writes the header anew, names in order; where tensors lie is counted from its end and does not change."""
    from pose_tools.openmmlab.compat.safetensors_file import header_bytes

    end = 8 + header_bytes(data)
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    return len(header).to_bytes(8, "little") + header + data[end:]
