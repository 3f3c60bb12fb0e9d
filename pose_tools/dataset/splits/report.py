"""What a division balanced, and what it could not and why."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.console import table
from pose_tools.dataset.splits.groups import Grouping

TOLERANCE = 0.15
_MOST_LINES = 12
_ROWS = {"images": "images", "objects": "objects", "empty": "  without objects", "crowd": "  crowd regions",
         "class": "class {}", "labelled": "keypoint {}", "occluded": "  occluded"}


@dataclass(frozen=True)
class Division:
    """A division and what it was made of.

    Attributes:
        parts: Names of the P parts.
        shares: (P,) wanted.
        of_group: (G,) the part of each group.
        counts: (G, R) what each group holds.
        columns: For each of R its kind and name.
        grouping: The groups.
    """

    parts: Sequence[str]
    shares: np.ndarray
    of_group: np.ndarray
    counts: np.ndarray
    columns: Sequence[tuple[str, str]]
    grouping: Grouping

    @property
    def reached(self) -> np.ndarray:
        """(P, R) what each part holds."""
        return np.stack([self.counts[self.of_group == part].sum(0) for part in range(len(self.parts))])


def division_table(division: Division) -> str:
    """A row for each thing that occurs; for each part its number and its share of all in percent, wanted above."""
    header = ["", "all"]
    for part, share in zip(division.parts, division.shares):
        header += [part, f"{100 * share:.3g} %"]
    rows: list[list[object]] = []
    # A keypoint's occluded ones stand below it.
    order = {"labelled": 1, "occluded": 1}
    reached = division.reached
    places = sorted(range(len(division.columns)), key=lambda i: order.get(division.columns[i][0], 0))
    labelled = [i for i in places if division.columns[i][0] == "labelled"]
    shown = [i for i in places if division.columns[i][0] not in order]
    shown += [i for k, one in enumerate(labelled) for i in (one, labelled[-1] + 1 + k)]
    for i in shown:
        total = int(reached[:, i].sum())
        if total:
            kind, name = division.columns[i]
            cells = [cell for n in reached[:, i].tolist() for cell in (n, round(100 * n / total, 1))]
            rows.append([_ROWS[kind].format(name), total, *cells])
    return table(rows, header)


def imbalances(division: Division) -> list[str]:
    """Says what is off, and why.

    Returns:
        A line for each thing of which a part has more than one and more than :data:`TOLERANCE` of the wanted number
        too many or too few; about the worst part. Images and objects first, then the worst; :data:`_MOST_LINES` lines.
    """
    reached = division.reached
    totals = reached.sum(0)
    wanted = division.shares[:, None] * totals
    off = np.abs(reached - wanted)
    wrong = (off > np.maximum(1, TOLERANCE * wanted)) & (totals > 0)
    told = []
    for i in np.flatnonzero(wrong.any(0)):
        part = int(np.argmax(np.where(wrong[:, i], off[:, i] / wanted[:, i], -1)))
        kind, name = division.columns[i]
        what = f"keypoint {name}, occluded" if kind == "occluded" else _ROWS[kind].format(name).strip()
        line = (f"{what}: {division.parts[part]} has {reached[part, i]} of {totals[i]}, wanted "
                f"{wanted[part, i]:.3g}; {_reason(division, i)}")
        told.append((kind not in ("images", "objects"), -off[part, i] / wanted[part, i], line))
    told.sort(key=lambda one: one[:2])
    more = [f"... and {len(told) - _MOST_LINES} more"] if len(told) > _MOST_LINES else []
    return [line for *_, line in told[:_MOST_LINES]] + more


def _reason(division: Division, column: int) -> str:
    held = division.counts[:, column]
    total, holders = held.sum(), int((held > 0).sum())
    largest = int(held.argmax())
    name = division.grouping.names[largest]
    how = ", which near-duplicates joined," if largest in division.grouping.joined else ""
    if holders == 1:
        return f"all are in one group ({name})"
    if holders < 2 * len(division.parts):
        return f"they are in {holders} groups only, {held[largest]} in one ({name})"
    if held[largest] > division.shares.min() * total:
        return f"one group ({name}){how} holds {held[largest]}"
    return "no move or exchange of groups betters it without making the whole worse"


def size_warning(division: Division) -> str:
    """Warns of a group joined by near-duplicates that is larger than the largest part should be; else ``""``."""
    sizes = division.grouping.sizes
    joined = [(sizes[group], group) for group in division.grouping.joined]
    size, group = max(joined, default=(0, 0))
    if size <= division.shares.max() * sum(sizes):
        return ""
    return (f"warning: near-duplicates joined {size} of {sum(sizes)} images into one group "
            f"({division.grouping.names[group]}), more than any part should have; a smaller --near-duplicates joins "
            "fewer, and they are frames of one scene where the camera stands still")
