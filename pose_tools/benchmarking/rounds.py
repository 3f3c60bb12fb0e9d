"""Timing in turn: every candidate gets a short share of each round, so that a slow minute is slow for all of them.

Times are in seconds inside, and in milliseconds where a key ends in ``_ms``.
"""
from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np

UNSTEADY = 0.2  # spread of the rounds from which a figure is called unsteady
BUSY = 0.1  # share of the machine that others took, from which it is called busy


def time_calls(call: Callable[[], Any], seconds: float, fewest: int = 3) -> list[float]:
    """Calls something again and again.

    Args:
        call: What is timed.
        seconds: How long, at least; the call that is running then is finished.
        fewest: At least so many calls.

    Returns:
        Seconds of each call.
    """
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < fewest or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def summary_of(rounds: Sequence[Sequence[float]], items: int = 1) -> dict[str, Any]:
    """Sums up the rounds of one candidate.

    Args:
        rounds: Seconds of each call, by round; none empty.
        items: How many things a call does.

    Returns:
        ``calls``; ``p50_ms``, ``p90_ms`` and ``p99_ms`` over all calls (linear between two of them);
        ``items_per_s``, the median over the rounds; and ``spread``, by how much the rounds' medians differ:
        (largest - smallest) / median, 0 for a single round.
    """
    calls = np.concatenate([np.asarray(each, float) for each in rounds])
    p50, p90, p99 = (float(value) * 1000 for value in np.percentile(calls, [50, 90, 99]))
    return {"calls": len(calls), "p50_ms": p50, "p90_ms": p90, "p99_ms": p99,
            "items_per_s": statistics.median(items * len(each) / sum(each) for each in rounds),
            "spread": spread_of([statistics.median(each) for each in rounds])}


def spread_of(values: Sequence[float]) -> float:
    """(largest - smallest) / median."""
    return (max(values) - min(values)) / statistics.median(values)


def busy_note(spreads: dict[str, float], others: Sequence[Optional[float]]) -> str:
    """Says why figures may not be trusted; ``""`` where nothing speaks against them.

    Args:
        spreads: Of each figure's rounds, by its name.
        others: Share of the machine that other processes took in each round.
    """
    told = []
    shares = [share for share in others if share is not None]
    if shares and statistics.median(shares) > BUSY:
        told.append(f"other processes took {statistics.median(shares):.0%} of the machine")
    unsteady = {name: spread for name, spread in spreads.items() if spread > UNSTEADY}
    if unsteady:
        worst = max(unsteady, key=lambda name: unsteady[name])
        told.append(f"the rounds of {len(unsteady)} of {len(spreads)} figures differ by more than {UNSTEADY:.0%} "
                    f"(most, by {unsteady[worst]:.0%}: {worst})")
    return f"take these figures with care: {'; '.join(told)}" if told else ""
