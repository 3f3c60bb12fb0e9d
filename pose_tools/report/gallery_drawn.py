"""Pictures with their annotations drawn in: a folder, one picture, or a contact sheet.

Under each picture stand its findings and what is not labelled. Pictures are BGR (H, W, 3), uint8.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_tools.console import progress
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import INK, PAPER, contact_sheet, imwrite, keypoint_colours
from pose_tools.report.gallery import Missing, Picture, Shown, in_threads, load, most_keypoints, refuse_if_none
from pose_tools.report.labels import LEVEL_COLOURS, WARNING, Look, draw_labels, marks_of, text_size, widened
from pose_tools.report.lettering import Colour, Lettering, Text

LEAST_SIDE = 960  # smaller pictures are enlarged to this many px, so that points on them can be told apart
_MOST_LINES = 24  # under a picture
_GREY_INK = (110, 110, 110)


@dataclass(frozen=True)
class Drawer:
    """How all pictures of a gallery are drawn.

    Attributes:
        names: Keypoints, widened to all that annotations have.
        look: What is drawn.
        letters: Font with the characters of all names and findings, as far as this machine has one.
        most: Longest side in px.
    """

    names: KeypointSet
    look: Look
    letters: Lettering
    most: int = 1600

    @classmethod
    def of(cls, pictures: Sequence[Picture], names: KeypointSet, look: Look, most: int = 1600) -> Drawer:
        """Chooses the font for what some pictures have to say."""
        names = widened(names, most_keypoints(pictures))
        texts = [*names.classes, *names.keypoints, *(str(label.category) for p in pictures for label in p.labels)]
        texts += [text for p in pictures for text in (p.name, *(f"{f.where} {f.what}" for f in p.findings))]
        return cls(names, look, Lettering(texts), most)

    def draw(self, picture: Picture, shown: Shown) -> np.ndarray:
        """A picture with its annotations, without text under it."""
        labels = [label.scaled(*shown.factors) for label in picture.labels]
        return draw_labels(shown.image, labels, self.names, self.letters, self.look, marks_of(picture.findings))

    def lines(self, picture: Picture, shown: Shown, whole: bool = True) -> list[tuple[str, Colour]]:
        """What stands under a picture, and in which colour; what is not labelled only where it is ``whole``."""
        lines = [(f"{picture.split}: {picture.name}, {shown.size[0]}x{shown.size[1]} px, "
                  f"annotations: {len(picture.labels)}", INK)]
        if shown.problem:
            lines.append((shown.problem, LEVEL_COLOURS["error"]))
        for finding in picture.findings:
            about = f"{finding.where}: " if finding.where else ""
            lines.append((f"{finding.level} {finding.rule}: {about}{finding.what}",
                          LEVEL_COLOURS.get(finding.level, WARNING)))
        if self.look.points and whole:
            for label in picture.labels:
                if lacking := label.unlabelled(self.names):
                    said = "no keypoints" if len(lacking) == len(self.names.keypoints) else ", ".join(lacking)
                    lines.append((f"#{label.id} not labelled: {said}", _GREY_INK))
        return lines

    def with_text(self, picture: Picture, shown: Shown) -> np.ndarray:
        """A picture with its annotations and its text under it."""
        drawn = self.draw(picture, shown)
        return np.vstack([drawn, self.strip(self.lines(picture, shown), drawn.shape[1], text_size(drawn))])

    def strip(self, lines: Sequence[tuple[str, Colour]], width: int, size: int, most: int = _MOST_LINES) -> np.ndarray:
        """Lines of text on paper, broken to a width, as high as they need.

        Args:
            lines: Texts and their colours.
            width: In px.
            size: Height of the font in px.
            most: Lines to keep; the last one says how many were left out.
        """
        broken = [(part, ink) for text, ink in lines for part in self.letters.wrapped(text, size, width - 12)]
        if len(broken) > most:
            broken = [*broken[:most - 1], (f"... {len(broken) - most + 1} more lines", _GREY_INK)]
        pitch = self.letters.height(size)
        paper = np.full((pitch * len(broken) + 8, width, 3), PAPER, np.uint8)
        return self.letters.write(paper, [Text(6, 4 + i * pitch, text, size, ink)
                                          for i, (text, ink) in enumerate(broken)])


def legend(drawer: Drawer) -> np.ndarray:
    """Numbers, names, colours and swap pairs of the keypoints, and what the signs mean."""
    names = drawer.names
    partner = {a: b for pair in names.swaps for a, b in (pair, pair[::-1])}
    lines = [("Keypoints; orange and blue trade places on mirroring, green has no partner", INK)]
    for number, (name, colour) in enumerate(zip(names.keypoints, keypoint_colours(names)), 1):
        swap = f"  <-> {partner[name]}" if name in partner else ""
        lines.append((f"{number}  {name}{swap}", tuple(int(0.75 * c) for c in colour)))
    lines += [("disc: visible (v = 2); ring: occluded (v = 1); not labelled (v = 0): listed under the picture", INK)]
    lines += [(f"{level}: the box or keypoint in this colour", ink) for level, ink in LEVEL_COLOURS.items()]
    return drawer.strip(lines, 760, 16, len(lines) * 4)


def draw_one(picture: Picture, drawer: Drawer, path: Path) -> None:
    """Writes one picture with its annotations and its text.

    Raises:
        UserError: It cannot be read, or the suffix of ``path`` is none that can be written.
    """
    shown = load(picture, drawer.most, min(LEAST_SIDE, drawer.most))
    refuse_if_none([(picture, shown.problem)] if shown.missing else [], 1)
    imwrite(path, drawer.with_text(picture, shown))


def draw_folder(pictures: Sequence[Picture], drawer: Drawer, folder: Path) -> Missing:
    """Writes pictures and a legend into an empty folder, numbered in their order.

    Args:
        pictures: In the order they are to be looked at.
        drawer: How to draw them.
        folder: ``0001_SPLIT_NAME.jpg`` and so on are written there, and ``0000_legend.png``.

    Returns:
        Pictures that could not be read and are grey, and why.

    Raises:
        UserError: None of them can be read.
    """
    def write(numbered: tuple[int, Picture]) -> tuple[Picture, str]:
        number, picture = numbered
        shown = load(picture, drawer.most, min(LEAST_SIDE, drawer.most))
        name = re.sub(r"[^\w.-]+", "_", f"{picture.split}_{picture.name.rpartition('.')[0] or picture.name}")
        imwrite(folder / f"{number:04d}_{name[-70:]}.jpg", drawer.with_text(picture, shown))
        return picture, shown.problem if shown.missing else ""

    imwrite(folder / "0000_legend.png", legend(drawer))
    done = in_threads(write, list(enumerate(pictures, 1)))
    missing = [(picture, why) for picture, why in progress(done, "drawing", len(pictures)) if why]
    refuse_if_none(missing, len(pictures))
    return missing


def draw_sheet(pictures: Sequence[Picture], drawer: Drawer, path: Path) -> Missing:
    """Writes a contact sheet: pictures in rows, each with its name and first findings.

    Args:
        pictures: In their order.
        drawer: How to draw them; its ``most`` is not used.
        path: The picture to write.

    Returns:
        Pictures that could not be read and are grey, and why.

    Raises:
        UserError: None of them can be read, or the suffix of ``path`` is none that can be written.
    """
    across = 480 if len(pictures) <= 48 else 240
    missing: Missing = []

    def cell(picture: Picture) -> tuple[np.ndarray, str]:
        shown = load(picture, across, across)
        if shown.missing:
            missing.append((picture, shown.problem))
        drawn = drawer.draw(picture, shown)
        text = drawer.strip(drawer.lines(picture, shown, whole=False), across, 12, 4)
        return drawn, text

    cells = list(progress(in_threads(cell, pictures), "drawing", len(pictures)))
    refuse_if_none(missing, len(pictures))
    columns = max(1, math.ceil(math.sqrt(len(cells))))
    imwrite(path, contact_sheet(list(_of_one_size(cells, across)), columns, across))
    return sorted(missing, key=lambda pair: pair[0].rank)


def _of_one_size(cells: Sequence[tuple[np.ndarray, np.ndarray]], across: int) -> Iterator[np.ndarray]:
    """Pictures with their text, so that a contact sheet takes them as they are."""
    if not cells:
        return
    height = round(float(np.quantile([drawn.shape[0] for drawn, _ in cells], 0.8)))
    below = max(text.shape[0] for _, text in cells)
    for drawn, text in cells:
        cell = np.full((height + below, across, 3), PAPER, np.uint8)
        cell[:height] = _fitted(drawn, across, height)
        cell[height:height + text.shape[0]] = text
        yield cell


def _fitted(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture in the middle of paper, made smaller where it is too large."""
    import cv2

    factor = min(1.0, width / image.shape[1], height / image.shape[0])
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    paper = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    paper[top:top + image.shape[0], left:left + image.shape[1]] = image
    return paper
