"""Dealing groups of images out to parts so that everything countable is shared as wanted.

What is balanced is a table of counts: a row a group, a column a thing (images, objects, objects of a class, labelled
or occluded keypoints of a name). With p the share of a column that a part got and t the share wanted for that part, the
parts are chosen to make the sum of weight * (p - t)**2 / t over parts and columns small. Counts become shares of their
column, so that what is rare weighs as much as what is common, and groups with something rare are dealt out first: the
idea of iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", 2011),
taken from single images with labels to groups with counts. Groups are then moved and exchanged as long as that helps.
"""
from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from pose_tools.console import UserError

_MOST_EXCHANGED = 2000  # groups; with more, moving single ones comes as close
_MOST_RETRIED = 500
_TRIES = 10
_MOST_STEPS = 1000


def divide(counts: np.ndarray, weights: np.ndarray, shares: Sequence[float], names: Sequence[str],
           seed: int = 0) -> np.ndarray:
    """Assigns each group to a part.

    Args:
        counts: (G, R), not negative: what each group holds of each thing.
        weights: (R,) how much each thing matters.
        shares: P wanted shares, above 0, adding up to 1.
        names: G distinct names. The result depends on them, not on the order of the groups.
        seed: Another seed gives another division, where there are several good ones.

    Returns:
        (G,) indices of parts; each part has a group.

    Raises:
        UserError: There are fewer groups than parts.
    """
    if len(names) < len(shares):
        raise UserError(f"{_said(len(names))} cannot be divided into {len(shares)} parts")
    order = sorted(range(len(names)), key=lambda i: names[i])
    totals = counts.sum(0)
    used = totals > 0
    scaled = (counts[order][:, used] / totals[used] * np.sqrt(weights[used])).astype(float)
    state = _Dealt(scaled, np.sqrt(weights[used]), np.asarray(shares, float))
    tries = _TRIES if len(names) <= _MOST_RETRIED else 1
    found = []
    for attempt in range(tries):
        state.deal(_dealing_order(scaled, [names[i] for i in order], f"{seed}:{attempt}"))
        state.improve()
        found.append((round(state.cost(), 9), attempt, state.part.copy()))
    parts = np.empty(len(names), int)
    parts[order] = min(found, key=lambda one: one[:2])[2]
    return parts


def _said(groups: int) -> str:
    return "a single group of images" if groups == 1 else f"{groups} groups of images"


def _dealing_order(scaled: np.ndarray, names: Sequence[str], seed: str) -> np.ndarray:
    """Large and rare first, for what comes last evens out; a seed's luck decides between similar ones."""
    luck = np.array([int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()[:4],
                                    "big") for name in names])
    return np.argsort(-np.linalg.norm(scaled, axis=1) * (0.5 + luck / 2**33), kind="stable")


class _Dealt:
    """Groups (G, R) in parts, and how far each part is off: ``off`` (P, R) is what it has less what it should have."""

    def __init__(self, groups: np.ndarray, totals: np.ndarray, shares: np.ndarray) -> None:
        self.groups, self.totals, self.shares = groups, totals, shares
        self.squares = (groups**2).sum(1)

    def cost(self) -> float:
        """The sum that is made small."""
        return float(((self.off**2).sum(1) / self.shares).sum())

    def deal(self, order: np.ndarray) -> None:
        """Gives each group to the part where it adds least to the cost; a part that would stay empty gets one."""
        self.off = -self.shares[:, None] * self.totals
        self.part = np.full(len(self.groups), -1)
        for i in order:
            group = self.groups[i]
            self._move(i, int(np.argmin((self.squares[i] + 2 * self.off @ group) / self.shares)))
        for part in range(len(self.shares)):
            if not (self.part == part).any():
                gains = np.where(self._movable(), self._gains()[:, part], np.inf)
                self._move(int(np.argmin(gains)), part)

    def improve(self) -> None:
        """Takes the best move of one group, or else the best exchange of two, until neither helps."""
        for _ in range(_MOST_STEPS):
            gains = np.where(self._movable()[:, None], self._gains(), np.inf)
            best = int(np.argmin(gains))
            if gains.flat[best] < -1e-9:
                self._move(best // len(self.shares), best % len(self.shares))
                continue
            swap = self._best_exchange() if len(self.groups) <= _MOST_EXCHANGED else None
            if swap is None:
                return
            (one, other), (here, there) = swap, self.part[list(swap)]
            self._move(one, there)
            self._move(other, here)

    def _move(self, i: int, part: int) -> None:
        if self.part[i] >= 0:
            self.off[self.part[i]] -= self.groups[i]
        self.off[part] += self.groups[i]
        self.part[i] = part

    def _movable(self) -> np.ndarray:
        """(G,) whether a group is not the last of its part."""
        return np.bincount(self.part, minlength=len(self.shares))[self.part] > 1

    def _gains(self) -> np.ndarray:
        """(G, P) change of the cost if a group went to a part; infinite for the part it is in."""
        products = 2 * self.groups @ self.off.T
        arrive = (self.squares[:, None] + products) / self.shares
        rows = np.arange(len(self.groups))
        gains = arrive + ((self.squares - products[rows, self.part]) / self.shares[self.part])[:, None]
        gains[rows, self.part] = np.inf
        return gains

    def _best_exchange(self) -> tuple[int, int] | None:
        best, found = -1e-9, None
        for a in range(len(self.shares)):
            for b in range(a):
                ours, theirs = np.flatnonzero(self.part == a), np.flatnonzero(self.part == b)
                x, y = self.groups[ours], self.groups[theirs]
                squares = self.squares[ours][:, None] + self.squares[theirs] - 2 * x @ y.T
                # Part a gets y - x and part b x - y; each changes by its square and twice its product with what is off.
                slope = self.off[a] / self.shares[a] - self.off[b] / self.shares[b]
                change = squares * (1 / self.shares[a] + 1 / self.shares[b]) + 2 * ((y @ slope) - (x @ slope)[:, None])
                place = int(np.argmin(change))
                if change.flat[place] < best:
                    best, found = change.flat[place], (int(ours[place // len(y)]), int(theirs[place % len(y)]))
        return found
