"""What a conversion tells the user at its end."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pose_tools.dataset.convert.conversion import Conversion
from pose_tools.dataset.counts import Counts, count_table
from pose_tools.dataset.faults import fold_faults


def _listed(what: str, names: Sequence[object], limit: int = 5) -> str:
    shown = ", ".join(map(str, names[:limit]))
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {what}: {shown}{more}"


def _notes(result: Conversion) -> list[str]:
    pictures = [*result.train, *result.val]
    lines = [f"{what} found in the data: {', '.join(getattr(result.names, what)) or 'none'}"
             for what in result.discovered]
    for picture in pictures:
        if picture.source.note:
            lines.append(f"{picture.name}: {picture.source.note}")
    embedded = sum(p.source.embedded for p in pictures)
    if embedded:
        lines.append(f"{embedded} images were taken out of imageData")
    made = sum(thing.made for picture in pictures for thing in picture.objects)
    if made:
        lines.append(f"{made} boxes were made around points")
    if result.passed_over:
        listed = ", ".join(f"{label} x{count}" for label, count in sorted(result.passed_over.items()))
        lines.append(f"shapes passed over: {listed}")
    return lines


def _left_out(result: Conversion, kept_empty: bool) -> list[str]:
    lines = []
    if result.without_labels:
        copies = set(result.copies)
        rest = [path for path in result.without_labels if path not in copies]
        end = "kept as negatives" if kept_empty else "left out (keep them as negatives with --keep-empty)"
        if rest:
            lines.append(_listed(f"images without a labelme file {end}", rest))
    if result.copies:
        what = "images without a labelme file left out: copies of images that have one"
        lines.append(_listed(what, result.copies))
    if result.skipped:
        lines.append(f"{len(set(result.skipped))} files left out for {len(result.faults)} faults:")
        lines += [f"  {fault}" for fault in fold_faults(result.faults)]
    return lines


def _warnings(result: Conversion, counted: Counts, share: float) -> list[str]:
    lines = []
    if not result.val:
        why = "--split 1" if share == 1 else "there is a single image or group"
        lines.append(f"no val_coco.json was written: all images are for training ({why})")
    elif not any(picture.objects for picture in result.val):
        lines.append("warning: no image for validation has an object; try another --seed")
    for what, names, counts in (("class", result.names.classes, counted.classes),
                                ("keypoint", result.names.keypoints, counted.labelled)):
        for name in names:
            if not counts[name]:
                lines.append(f"warning: {what} {name!r} is nowhere in the data")
    return lines


def describe(result: Conversion, destination: Path, kept_empty: bool, share: float) -> str:
    """Lays out what was converted, what was left out and why.

    Args:
        result: The conversion.
        destination: Where it was written.
        kept_empty: Whether images without a labelme file were kept.
        share: The share that was asked for.

    Returns:
        Lines to print: notes, what was left out, a table of counts, and where the files are.
    """
    every = sum(result.counts.values(), Counts())
    groups = [f"{result.groups} groups were kept on one side each"] if result.groups else []
    files = ", ".join(["images/", "train_coco.json", *(["val_coco.json"] if result.val else [])])
    parts = [*_notes(result), *groups, *_left_out(result, kept_empty), *_warnings(result, every, share), "",
             count_table(result.counts, result.names), "", f"wrote {destination}: {files}"]
    return "\n".join(parts)
