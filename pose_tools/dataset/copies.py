"""Finding files that are the same, byte for byte."""
from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Union


def same_bytes(paths: Sequence[Union[str, Path]]) -> list[list[int]]:
    """Groups files with the same content; only files of one size are read.

    Args:
        paths: Files, some of them perhaps more than once.

    Returns:
        Groups of two or more positions in ``paths``, each ascending, in the order of their first.
    """
    sizes = _grouped((os.path.getsize(path), i) for i, path in enumerate(paths))
    groups = _grouped(((sizes_of, _digest(paths[i])), i) for sizes_of, group in sizes for i in group)
    return sorted(group for _, group in groups)


def _grouped(pairs: Iterable[tuple[Hashable, int]]) -> list[tuple[Hashable, list[int]]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for key, i in pairs:
        found[key].append(i)
    return [(key, group) for key, group in found.items() if len(group) > 1]


def _digest(path: Union[str, Path]) -> bytes:
    with open(path, "rb") as file:
        found = hashlib.blake2b()
        while some := file.read(1 << 20):
            found.update(some)
    return found.digest()
