"""Printing many faults: every kind of fault is shown, no kind fills the screen."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pose_tools.console import Fault


def _kind(fault: Fault) -> str:
    return re.sub(r"'[^']*'|-?\d[\d.]*", "#", fault.what)


def fold_faults(faults: Sequence[Fault], limit: int = 20) -> list[Fault]:
    """Keeps the first faults of each kind and replaces the others by a line that counts them.

    Args:
        faults: Faults that differ only in quoted names and numbers are of one kind.
        limit: How many of a kind to keep.

    Returns:
        The faults kept, in their order, each kind's count right after its last.
    """
    totals = Counter(map(_kind, faults))
    seen: Counter[str] = Counter()
    kept = []
    for fault in faults:
        kind = _kind(fault)
        seen[kind] += 1
        if seen[kind] <= limit:
            kept.append(fault)
        if seen[kind] == limit and totals[kind] > limit:
            kept.append(Fault("...", f"and {totals[kind] - limit} more like this"))
    return kept
