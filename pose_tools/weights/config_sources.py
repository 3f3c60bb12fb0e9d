"""What weights a config starts from, wherever in it they are named."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pose_tools.weights.addresses import is_address
from pose_tools.weights.resolve import SCHEMES

# Keys under which OpenMMLab's configs name a checkpoint, and the parts of a config that are built.
_KEYS = ("load_from", "checkpoint", "pretrained", "teacher_ckpt", "init_from")
_BUILT = ("load_from", "model", "teacher_ckpt", "custom_hooks")


def weights_in_config(config: Mapping[str, Any]) -> list[str]:
    """Lists the addresses and short names of weights that a run of a config would load.

    Args:
        config: All of a config, as plain mappings and lists.

    Returns:
        Each once, in the order of loading; local paths are left out.
    """
    return list(dict.fromkeys(_weights({key: config[key] for key in _BUILT if key in config})))


def _weights(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if isinstance(value, str):
                if key in _KEYS and (is_address(value) or value.startswith((*SCHEMES, "hf:"))):
                    yield value
            else:
                yield from _weights(value)
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from _weights(each)
