"""Pictures of a data set with their annotations and what is suspicious about them, the worst first.

Coordinates are px of the picture's file, upright; what is shown is smaller or larger than it.
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.images import ImageError, read_header
from pose_tools.report.labels import Label, read_label

if TYPE_CHECKING:
    from pose_tools.dataset.data_set import DataSet
    from pose_tools.dataset.findings import Finding

Item, Result = TypeVar("Item"), TypeVar("Result")
_GREY = (150, 150, 150)
_BLANK = (640, 480)  # size of the placeholder for a picture whose size nobody knows
_LARGEST_SIDE = 100_000  # px; a COCO file that says more is not believed


@dataclass(frozen=True)
class Picture:
    """An image of a data set and what belongs to it.

    Attributes:
        split: The split it is in.
        entry: What the COCO file says about it.
        path: Where its file should be.
        labels: Its annotations.
        findings: What is wrong or suspicious about it, errors first and the worst first.
    """

    split: str
    entry: Mapping[str, Any]
    path: Path
    labels: tuple[Label, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """Its ``file_name``, whatever the file says there."""
        return str(self.entry.get("file_name"))

    @property
    def stated(self) -> tuple[int, int] | None:
        """(width, height) in px as the COCO file says, if it says something possible."""
        sides = [self.entry.get(key) for key in ("width", "height")]
        sound = all(isinstance(n, (int, float)) and 1 <= n <= _LARGEST_SIDE for n in sides)
        return tuple(map(int, sides)) if sound else None

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts the worst first: errors before warnings, then the worst finding, then all of them together."""
        errors = [f.suspicion for f in self.findings if f.level == "error"]
        warnings = [f.suspicion for f in self.findings if f.level != "error"]
        return tuple(-value for value in (bool(errors), max(errors, default=0), len(errors), bool(warnings),
                                          max(warnings, default=0), sum(warnings), len(warnings)))


Missing = list[tuple[Picture, str]]  # pictures that could not be read, and why


@dataclass(frozen=True)
class Shown:
    """A picture's pixels, as large as they are wanted.

    Attributes:
        image: BGR (H, W, 3), uint8; grey when the file cannot be read.
        size: (width, height) in px that the annotations refer to: the file's, or else what the COCO file says.
        problem: Why the file cannot be read, or that its size is another; else empty.
        missing: Whether it could not be read.
    """

    image: np.ndarray = field(repr=False)
    size: tuple[int, int]
    problem: str = ""
    missing: bool = False

    @property
    def factors(self) -> tuple[float, float]:
        """How many times as wide and as high as the file the image is."""
        return self.image.shape[1] / self.size[0], self.image.shape[0] / self.size[1]


def collect(data_set: DataSet, findings: Iterable[Finding] = ()) -> tuple[list[Picture], list[Finding]]:
    """Puts annotations and findings to their pictures.

    Args:
        data_set: Read, not checked.
        findings: What is known about it.

    Returns:
        All pictures, the worst first, then by split and name; and the findings that are about no picture.
    """
    findings = list(findings)
    by_picture: dict[tuple[str, Hashable], list[Finding]] = {}
    elsewhere = []
    home = _Home(data_set)
    for finding in findings:
        place = home.of(finding)
        if place is None:
            elsewhere.append(finding)
        else:
            by_picture.setdefault(place, []).append(finding)
    pictures = []
    for split, data in data_set.sides.items():
        categories = {category["id"]: str(category.get("name")) for category in data["categories"]}
        labels: dict[Hashable, list[Label]] = {}
        for annotation in data["annotations"]:
            if isinstance(annotation.get("image_id"), (int, str)):
                labels.setdefault(annotation["image_id"], []).append(read_label(annotation, categories))
        pictures += [Picture(split, image, data_set.image_path(split, image), tuple(labels.get(image["id"], ())),
                             tuple(sorted(by_picture.get((split, image["id"]), ()), key=_weight)))
                     for image in data["images"]]
    order = {split: number for number, split in enumerate(data_set.sides)}
    pictures.sort(key=lambda picture: (picture.rank, order[picture.split], picture.name))
    return pictures, sorted(elsewhere, key=_weight)


def _weight(finding: Finding) -> tuple[bool, float]:
    return finding.level != "error", -finding.suspicion


class _Home:
    """Finds the picture that a finding is about: image ids are unique in a file only."""

    def __init__(self, data_set: DataSet) -> None:
        self.splits = {str(path): split for split, path in data_set.files.items()}
        self.images = {split: {image["id"]: str(data_set.image_path(split, image)) for image in data["images"]}
                       for split, data in data_set.sides.items()}
        self.annotations = {split: {a["id"]: a.get("image_id") for a in data["annotations"]}
                            for split, data in data_set.sides.items()}

    def of(self, finding: Finding) -> tuple[str, Hashable] | None:
        """Split and image id, or ``None``."""
        file = str(finding.file)
        splits = [self.splits[file]] if file in self.splits else list(self.images)
        image = finding.image
        if image is None and finding.annotation is not None and len(splits) == 1:
            image = self.annotations[splits[0]].get(finding.annotation)
        holding = [split for split in splits if isinstance(image, (int, str)) and image in self.images[split]]
        if len(holding) > 1:  # the finding's file is the picture's own
            holding = [split for split in holding if self.images[split][image] == file]
        return (holding[0], image) if len(holding) == 1 else None


def load(picture: Picture, most: int, least: int = 0) -> Shown:
    """Reads a picture as large as it is to be shown.

    Args:
        picture: What to read.
        most: Longest side in px that it may have.
        least: Longest side in px that it should have at least; smaller ones are enlarged.

    Returns:
        Its pixels; a grey placeholder with the same proportions when the file is missing or broken.
    """
    import cv2

    problem = ""
    try:
        image, size = _decode(picture.path, most)
    except (ImageError, OSError) as error:
        problem = f"the file {error}" if isinstance(error, ImageError) else str(error)
        size = picture.stated or _BLANK
        image = np.full((1, 1, 3), _GREY, np.uint8)
    factor = min(1.0, most / max(size)) if max(size) >= least else least / max(size)
    wanted = [max(1, round(side * factor)) for side in size]
    if image.shape[1::-1] != tuple(wanted):
        image = cv2.resize(image, wanted, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    if not problem and picture.stated not in (None, size):
        said = "the file is {}x{} px, the COCO file says {}x{}".format(*size, *picture.stated)
        return Shown(image, size, said)
    return Shown(image, size, problem, bool(problem))


def _decode(path: Path, most: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Pixels of a picture as OpenCV turns them, and its (width, height) in px.

    A JPEG that is far larger than wanted is decoded at half, a quarter or an eighth of its size, which is faster.
    """
    import cv2

    if not path.is_file():
        raise ImageError("is not there")
    header = read_header(path)
    reduction = max(header.upright) / most if header.format == "JPEG" else 1
    flag = next((flag for times, flag in ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4),
                                          (2, cv2.IMREAD_REDUCED_COLOR_2)) if reduction >= times), cv2.IMREAD_COLOR)
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError("cannot be decoded")
    return image, header.upright if flag != cv2.IMREAD_COLOR else image.shape[1::-1]


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], ahead: int = 2) -> Iterator[Result]:
    """Calls a function for each item in a few threads and yields the results in the items' order.

    Args:
        function: Most of its time should be spent where Python lets other threads run, as decoding pictures is.
        items: Its arguments.
        ahead: How many results a thread may be ahead of what was taken, which bounds the memory.
    """
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def refuse_if_none(missing: Missing, count: int) -> None:
    """Ends the command when not a single picture could be read, which is no gallery but a wrong folder.

    Args:
        missing: Pictures that could not be read, and why.
        count: How many were tried.

    Raises:
        UserError: All of them are missing.
    """
    if count and len(missing) == count:
        picture, why = missing[0]
        raise UserError(f"{picture.path}: {why}" if count == 1 else
                        f"none of the {count} pictures can be read: {picture.path}: {why}; name their folder with "
                        "--images")


def most_keypoints(pictures: Iterable[Picture]) -> int:
    """The largest number of keypoints that an annotation has."""
    return max((len(label.points) for picture in pictures for label in picture.labels), default=0)
