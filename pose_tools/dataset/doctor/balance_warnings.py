"""What a data set as a whole lacks: keypoints and classes that are rare or missing, objects without points."""
from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pose_tools.dataset.doctor.instance_table import InstanceTable
from pose_tools.dataset.findings import WARNING, Finding
from pose_tools.formats.schema import KeypointSet

# A keypoint or class is rare with less than this share of the commonest one's labels, or fewer than 10 and less than
# half of them.
FEW, RARE_KEYPOINT, RARE_CLASS = 10, 0.05, 0.05


def balance_warnings(tables: Mapping[str, InstanceTable], names: KeypointSet) -> Iterator[Finding]:
    """Looks at the counts of all splits together, and for what single splits lack.

    Args:
        tables: Objects by split.
        names: Their keypoint set.
    """
    classes = {split: np.bincount(t.classes[t.classes >= 0], minlength=len(names.classes))
               for split, t in tables.items()}
    points = {split: t.labelled.sum(axis=0) for split, t in tables.items()}
    bare = {split: int((~t.labelled.any(axis=1)).sum()) for split, t in tables.items()}
    first = next(iter(tables.values()))
    if names.keypoints:
        yield from _rare(first, "rare-keypoint", "keypoint", names.keypoints, sum(points.values()), RARE_KEYPOINT)
        for split, count in bare.items():
            if count:
                yield Finding(tables[split].path, f"{count} of {len(tables[split])} objects have no labelled keypoint",
                              rule="no-keypoints", level=WARNING, suspicion=count / len(tables[split]))
    if len(names.classes) > 1:
        yield from _rare(first, "rare-class", "class", names.classes, sum(classes.values()), RARE_CLASS)
    for what, known, counts in (("class", names.classes, classes), ("keypoint", names.keypoints, points)):
        yield from _missing(tables, what, known, counts)


def _rare(table: InstanceTable, rule: str, what: str, known: tuple[str, ...], counts: np.ndarray,
          share: float) -> Iterator[Finding]:
    most = counts.max(initial=0)
    for name, count in zip(known, counts.tolist()):
        if count < share * most or (count < FEW and count < most / 2):
            keypoints = (name, ) if what == "keypoint" else ()
            yield Finding(table.path, f"is labelled {count} times; the commonest {what} {most} times",
                          f"{what} {name!r}", rule, WARNING, keypoints=keypoints,
                          suspicion=float(np.log((most + 1) / (count + 1))))


def _missing(tables: Mapping[str, InstanceTable], what: str, known: tuple[str, ...],
             counts: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    for place, name in enumerate(known):
        has = {split: int(count[place]) for split, count in counts.items()}
        for split in (split for split in has if any(has.values()) and not has[split]):
            others = ", ".join(f"{other} {count}" for other, count in has.items() if count)
            yield Finding(tables[split].path, f"is nowhere in {split}, but in {others}", f"{what} {name!r}",
                          "missing-in-split", WARNING, keypoints=(name, ) if what == "keypoint" else (), suspicion=5)
