"""Dividing a data set into training and validation images."""
from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence

from pose_tools.console import Fault, FaultsError, UserError


def group_names(names: Sequence[str], pattern: str) -> list[str]:
    """Finds the group of each name by a regular expression.

    Args:
        names: File names relative to the data set.
        pattern: Searched for in each name; its group 1 is taken, or the whole match when it has none.

    Returns:
        A group for each name.

    Raises:
        UserError: The pattern is no regular expression.
        FaultsError: Names in which it is not found: on which side they may stand is unknown.
    """
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--group-by {pattern!r} is not a regular expression: {error}") from None
    groups, faults = [], []
    for name in names:
        found = regex.search(name)
        text = found and (found.group(1) if regex.groups else found.group(0))
        if text is None:
            faults.append(Fault(name, f"the regular expression {pattern!r} is not found in this name"))
        groups.append(text or "")
    if faults:
        raise FaultsError(faults, "No image was assigned to a group.")
    return groups


def split_names(names: Sequence[str], share: float, seed: int = 0,
                groups: Sequence[str] | None = None) -> tuple[list[int], list[int]]:
    """Splits images into train and val, whole groups at a time.

    The order of drawing comes from a hash of the seed and each group's name, so the split depends neither on
    the order of the names nor on the Python version, and images added later barely move the others.

    Args:
        names: Distinct names.
        share: Share of the images to train on, above 0 and at most 1.
        seed: Another seed gives another split.
        groups: The group of each name; ``None`` makes each image its own.

    Returns:
        The indices of the train and of the val names, each in the order given. With share 1 or a single
        group val is empty; otherwise neither side is.

    Raises:
        UserError: The share is out of range.
    """
    if not 0 < share <= 1:
        raise UserError(f"--split {share:g}: expected a share to train on above 0, at most 1")
    members: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        members[groups[i] if groups is not None else name].append(i)
    if share == 1 or len(members) < 2:
        return list(range(len(names))), []

    def draw(group: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}:{group}".encode()).digest(), group

    order = sorted(members, key=draw)
    wanted = len(names) - round(share * len(names))
    val = _choose(order, {group: len(members[group]) for group in order}, wanted)
    inside = {i for group in val for i in members[group]}
    return [i for i in range(len(names)) if i not in inside], sorted(inside)


def _choose(order: Sequence[str], sizes: dict[str, int], wanted: int) -> list[str]:
    """Takes groups in order as long as each brings their total closer to what is wanted."""
    chosen: list[str] = []
    total = 0
    for group in order:
        closer = abs(total + sizes[group] - wanted) < abs(total - wanted)
        if closer and len(chosen) < len(order) - 1:
            chosen.append(group)
            total += sizes[group]
    return chosen or [min(order, key=lambda group: sizes[group])]
