"""What is wrong with the image files of a data set: unreadable, of another size, turned, or there twice."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_tools.console import progress
from pose_tools.dataset.copies import same_bytes
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.decoding import verify_images
from pose_tools.dataset.findings import ERROR, WARNING, Finding
from pose_tools.dataset.near_duplicates import groups, hash_images, near_duplicates
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.images import ImageError, ImageHeader, read_header

_TURNED_BY_OPENCV = ("JPEG", "MPO", "PNG")
# Comparing pictures takes some milliseconds each.
MOST_COMPARED = 5000


@dataclass(frozen=True)
class Picture:
    """An image of a split that has a file."""

    split: str
    file: Path
    entry: Mapping[str, Any]
    path: Path

    def say(self, rule: str, what: str, level: str = ERROR, suspicion: float = 0.0) -> Finding:
        """Says something about the image."""
        place = f"image {self.entry['id']} ({self.entry['file_name']})"
        return Finding(self.file, what, place, rule, level, self.entry["id"], suspicion=suspicion)


def pictures_of(data_set: DataSet) -> list[Picture]:
    """Lists the images of all splits that have a file."""
    named = [Picture(split, data_set.files[split], image, data_set.image_path(split, image))
             for split, data in data_set.sides.items() for image in data["images"]
             if isinstance(image.get("file_name"), str) and image["file_name"]]
    return [picture for picture in named if picture.path.is_file()]


def picture_findings(data_set: DataSet, decode: bool = False, similar: bool = True) -> list[Finding]:
    """Opens every image, and compares it with what the file says and with the other images.

    Args:
        data_set: Whose images to look at.
        decode: Decode every image instead of reading its first bytes only, which finds damage inside.
        similar: Look for pictures that are nearly the same in two splits, which needs all of them decoded small.
    """
    pictures = pictures_of(data_set)
    with ThreadPoolExecutor() as pool:
        headers = list(progress(pool.map(_header_of, pictures), "opening images", len(pictures)))
    found = [finding for picture, header in zip(pictures, headers) for finding in _header_findings(picture, header)]
    sound = [picture for picture, header in zip(pictures, headers) if isinstance(header, ImageHeader)]
    if decode:
        found += _damaged(sound)
    copies = [[sound[i] for i in group] for group in same_bytes([picture.path for picture in sound])]
    found += [finding for group in copies for finding in _copy_findings(group)]
    if similar and len(data_set.sides) > 1:
        found += _similar(sound, copies)
    return found


def compares_similar(data_set: DataSet, asked: bool) -> bool:
    """Whether to look for near-duplicates: when asked to, and for data sets that are small enough to always do it."""
    return asked or sum(len(data["images"]) for data in data_set.sides.values()) <= MOST_COMPARED


def _header_of(picture: Picture) -> ImageHeader | str:
    try:
        return read_header(picture.path)
    except (ImageError, OSError) as error:
        return str(error) if isinstance(error, ImageError) else f"cannot be read: {error.strerror}"


def _header_findings(picture: Picture, header: ImageHeader | str) -> Iterator[Finding]:
    if isinstance(header, str):
        yield picture.say("image-broken", header)
        return
    stated = picture.entry.get("width"), picture.entry.get("height")
    if not all(is_number(side) and side > 0 for side in stated):
        return
    now = "{}x{}".format(*header.upright)
    if stated == header.upright:
        if header.orientation != 1 and header.format not in _TURNED_BY_OPENCV:
            yield picture.say("exif", f"its EXIF orientation {header.orientation} is not applied to {header.format} by "
                              "OpenCV, which training reads with")
    elif stated == header.stored:
        yield picture.say("exif", "the file says {:g}x{:g}, as its rows are stored; ".format(*stated)
                          + f"EXIF orientation {header.orientation} turns it to {now} when it is read")
    else:
        shares = [n / m for n, m in zip(header.upright, stated)]
        scaled = f", {shares[0]:.4g} times that" if abs(shares[0] / shares[1] - 1) < 0.01 else ""
        yield picture.say("size-mismatch", "the file says {:g}x{:g}; ".format(*stated) + f"the image is {now}{scaled}")


def _damaged(pictures: list[Picture]) -> list[Finding]:
    told = zip(pictures, verify_images([picture.path for picture in pictures], "decoding images"))
    return [picture.say("image-broken", what) for picture, what in told if what]


def _copy_findings(group: list[Picture]) -> Iterator[Finding]:
    first = group[0]
    for picture in group[1:]:
        if picture.split != first.split:
            what = f"is in {picture.split}, and its copy {first.entry['file_name']} in {first.split}"
            yield picture.say("leak", what)
        else:
            yield picture.say("copies", f"is the same picture as {first.entry['file_name']}", WARNING, 8)


def _similar(pictures: list[Picture], copies: list[list[Picture]]) -> Iterator[Finding]:
    known = {(picture.split, picture.path) for group in copies for picture in group}
    by_path = {(picture.split, picture.path): picture for picture in pictures}
    places = [key for key in by_path if key not in known]
    order = {split: place for place, split in enumerate(dict.fromkeys(p.split for p in pictures))}
    splits = defaultdict(list)
    for split, path in places:
        splits[path].append(split)
    prints = hash_images(sorted(splits))
    paths = list(prints)
    for group in groups(near_duplicates(list(prints.values()))):
        alike = [by_path[split, paths[i]] for i in group for split in splits[paths[i]]]
        first = min(alike, key=lambda picture: order[picture.split])
        for picture in (p for p in alike if p.split != first.split):
            yield picture.say("similar", f"is in {picture.split}, and looks like {first.entry['file_name']} in "
                              f"{first.split}", WARNING, 7)
