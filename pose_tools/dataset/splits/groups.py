"""Which images must stay on one side: by their names, their videos, and because they look the same."""
from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from pose_tools.dataset.near_duplicates import groups, hash_images, near_duplicates
from pose_tools.dataset.splits.by_name import group_names

# Roboflow writes several augmented versions of a.jpg, as a_jpg.rf.HASH.jpg.
_ROBOFLOW = re.compile(r"_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9a-zA-Z]+$")
_FRAME = re.compile(r"[\W_]*(?:frame|frm|img|image|f)?[\W_]*\d+$", re.IGNORECASE)
_OF_A_VIDEO = re.compile(r"(?:^|[\W_])(?:mp4|avi|mov|mkv|webm|frame)(?:[\W_\d]|$)", re.IGNORECASE)


@dataclass
class Grouping:
    """Images in groups that must not be torn apart.

    Attributes:
        of: A group number for each image, from 0, in the order of the groups' names.
        names: The groups' names, distinct: their first file name, or what they were grouped by.
        notes: What was found, for the user.
        joined: Numbers of the groups that near-duplicates made larger.
    """

    of: list[int]
    names: list[str]
    notes: list[str] = field(default_factory=list)
    joined: frozenset[int] = frozenset()

    @property
    def sizes(self) -> list[int]:
        """Number of images of each group."""
        sizes = [0] * len(self.names)
        for group in self.of:
            sizes[group] += 1
        return sizes


def original_name(name: str) -> str:
    """The name without extension and Roboflow's ending: ``a_jpg.rf.0123abc.jpg`` and ``a.jpg`` are both ``a``."""
    path = PurePosixPath(name)
    return str(path.with_name(_ROBOFLOW.sub("", path.stem) or path.stem))


def video_of(image: Mapping[str, Any]) -> str:
    """The video that an image is a frame of.

    Args:
        image: A COCO image. Its ``video_id`` counts when it has one, else its name without the number at its end:
            ``a/match_000123.jpg`` is of ``a/match``, ``1_13_mp4-0003_jpg.rf.9f47.jpg`` of ``1_13_mp4``, and
            ``b/000123.png`` of ``b``. A name without a number is its own video.
    """
    if image.get("video_id") is not None:
        return f"video {image['video_id']}"
    path = PurePosixPath(original_name(image["file_name"]))
    video = _FRAME.sub("", path.name)
    return str(path.with_name(video)) if video else str(path.parent)


def keys_of(images: Sequence[Mapping[str, Any]], by: Optional[str], pattern: str = "") -> list[str]:
    """What each image is grouped by.

    Args:
        images: COCO images.
        by: ``"name"`` (the regular expression ``pattern``), ``"folder"``, ``"video"``, or ``None`` for images alone.
        pattern: See :func:`pose_tools.dataset.splits.by_name.group_names`.

    Raises:
        UserError: The pattern is no regular expression.
        FaultsError: Names in which it is not found.
    """
    names = [image["file_name"] for image in images]
    if by == "name":
        return group_names(names, pattern)
    if by == "folder":
        return [str(PurePosixPath(name).parent) for name in names]
    return [video_of(image) for image in images] if by == "video" else names


def make_groups(images: Sequence[Mapping[str, Any]], paths: Sequence[Path], by: Optional[str] = None,
                pattern: str = "", distance: Optional[int] = None) -> Grouping:
    """Groups images.

    Args:
        images: COCO images with distinct names.
        paths: Their files.
        by: See :func:`keys_of`.
        pattern: See :func:`keys_of`.
        distance: Near-duplicates stay together as well; see :func:`pose_tools.dataset.near_duplicates.near_duplicates`.
            So do the versions that Roboflow made of one picture. ``None`` looks for neither.

    Raises:
        UserError: The pattern is no regular expression.
        FaultsError: Names in which it is not found.
    """
    order = sorted(range(len(images)), key=lambda i: images[i]["file_name"])
    keys = keys_of(images, by, pattern)
    notes = _notes_of_keys(images, keys, by)
    alike: list[list[int]] = []
    if distance is not None:
        versions = _same(order, [original_name(image["file_name"]) if ".rf." in image["file_name"] else str(i)
                                 for i, image in enumerate(images)])
        alike, told = _near_duplicates(order, paths, distance)
        notes += [_told("versions that Roboflow made of one picture", versions, images)] if versions else []
        notes += told + [_told("near-duplicates", alike, images)]
        alike += versions
    members = groups(pair for group in [*_same(order, keys), *alike] for pair in zip(group, group[1:]))
    grouped = {i for group in members for i in group}
    members += [[i] for i in order if i not in grouped]
    named = sorted((min(keys[i] if by else images[i]["file_name"] for i in group), group) for group in members)
    of = [0] * len(images)
    for number, (_, group) in enumerate(named):
        for i in group:
            of[i] = number
    joined = {of[i] for group in alike for i in group if len({keys[i] for i in group}) > 1}
    return Grouping(of, [name for name, _ in named], notes, frozenset(joined))


def _same(order: Sequence[int], keys: Sequence[str]) -> list[list[int]]:
    by_key: dict[str, list[int]] = defaultdict(list)
    for i in order:
        by_key[keys[i]].append(i)
    return [group for group in by_key.values() if len(group) > 1]


def _near_duplicates(order: Sequence[int], paths: Sequence[Path], distance: int) -> tuple[list[list[int]], list[str]]:
    prints = hash_images([paths[i] for i in order])
    known = [i for i in order if paths[i] in prints]
    unread = [paths[i].name for i in order if paths[i] not in prints]
    told = [f"{len(unread)} images could not be compared, such as {unread[0]}"] if unread else []
    pairs = near_duplicates([prints[paths[i]] for i in known], distance)
    return [[known[i] for i in group] for group in groups(pairs)], told


def _told(what: str, alike: Sequence[Sequence[int]], images: Sequence[Mapping[str, Any]]) -> str:
    if not alike:
        return f"{what}: none"
    largest = max(alike, key=len)
    examples = ", ".join(images[i]["file_name"] for i in largest[:3])
    return (f"{what}: {sum(map(len, alike))} images, in {len(alike)} groups that stay together; the largest has "
            f"{len(largest)}, such as {examples}")


def _notes_of_keys(images: Sequence[Mapping[str, Any]], keys: Sequence[str], by: Optional[str]) -> list[str]:
    if by is None:
        told = [image for image in images if image.get("video_id") is not None
                or _OF_A_VIDEO.search(original_name(image["file_name"]))]
        videos = {video_of(image) for image in told}
        if len(told) < 2 or len(videos) == len(told):
            return []
        return [f"warning: {len(told)} images seem to be frames of {len(videos)} videos ({_some(sorted(videos))}), and "
                "frames of one video may come to both sides; --group-by-video keeps each on one"]
    sizes: dict[str, int] = defaultdict(int)
    for key in keys:
        sizes[key] += 1
    named = [f"{key} ({sizes[key]} images)" for key in sorted(sizes, key=lambda key: (-sizes[key], key))]
    return [f"{len(sizes)} groups by {by}: {_some(named)}"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
