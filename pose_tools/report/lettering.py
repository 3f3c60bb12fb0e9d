"""Writes text of any script onto pictures, in a font that has its characters.

OpenCV's own fonts are ASCII only. Pictures are BGR (H, W, 3), uint8; places are image px.
"""
from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageFont

Colour = tuple[int, int, int]

# Fonts with Chinese, Japanese and Korean characters have one of these in their file names.
_WIDE = re.compile(r"cjk|han|hei|ming|gothic|song|pingfang|fallback|msjh|msyh|mingliu|malgun|meiryo|uming|ukai|unifont|"
                   r"unicode|noto", re.IGNORECASE)
_MOST_FONTS = 300  # opening all fonts of a machine that has thousands would take minutes


@dataclass(frozen=True)
class Text:
    """One line to write.

    Attributes:
        left: x of its left end, image px.
        top: y of its upper edge, image px.
        words: What to write.
        size: Height of the font in px.
        ink: BGR.
        paper: BGR of the ground behind it, or ``None`` for none.
        edge: BGR of the letters' outline, or ``None`` for none.
    """

    left: float
    top: float
    words: str
    size: int
    ink: Colour
    paper: Colour | None = None
    edge: Colour | None = None


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _characters(path: Path) -> set[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return set(FT2Font(str(path)).get_charmap())
    except (RuntimeError, OSError):  # a file that is called a font and is none
        return set()


def _candidates() -> Iterator[Path]:
    """Matplotlib's own font, which is always there, then the machine's, the likeliest first."""
    import matplotlib
    from matplotlib.font_manager import findSystemFonts

    yield Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    found = sorted(map(Path, findSystemFonts()), key=lambda path: (not _WIDE.search(path.stem), path.name))
    yield from found[:_MOST_FONTS]


def choose_font(wanted: set[int], fonts: Iterable[Path] | None = None) -> tuple[Path, set[int]]:
    """The first font that has all characters, or else the one that has most.

    Args:
        wanted: Code points.
        fonts: Font files to choose from; by default matplotlib's DejaVu Sans and the machine's.

    Returns:
        The font's file and the code points it lacks.

    Raises:
        ValueError: There are no fonts.
    """
    best: tuple[Path, set[int]] | None = None
    for path in _candidates() if fonts is None else fonts:
        lacking = wanted - _characters(path)
        if best is None or len(lacking) < len(best[1]):
            best = path, lacking
        if not lacking:
            break
    if best is None:
        raise ValueError("no fonts to choose from")
    return best


class Lettering:
    """A font for a set of texts.

    Attributes:
        path: The font's file.
        lacking: Characters among the texts that no font of this machine has, sorted.
    """

    def __init__(self, texts: Iterable[str], fonts: Iterable[Path] | None = None) -> None:
        """Chooses the font.

        Args:
            texts: What will be written; ASCII is always included.
            fonts: Font files to choose from; by default those of the machine.
        """
        wanted = {ord(char) for text in texts for char in _one_line(text)} | set(range(32, 127))
        self.path, lacking = choose_font(wanted, fonts)
        self.lacking = "".join(map(chr, sorted(lacking)))
        self._held = threading.local()  # FreeType's faces are not to be shared between threads

    def readable(self, text: str) -> bool:
        """Whether the font has all characters of a text that was among those it was chosen for."""
        return not set(text) & set(self.lacking)

    def shown(self, text: str) -> str:
        """The text in one line, with ``?`` for what the font lacks."""
        return "".join("?" if char in self.lacking else char for char in _one_line(text))

    def _font(self, size: int) -> ImageFont.FreeTypeFont:
        from PIL import ImageFont

        fonts = self._held.__dict__
        if size not in fonts:
            fonts[size] = ImageFont.truetype(str(self.path), size)
        return fonts[size]

    def width(self, text: str, size: int) -> float:
        """How wide a text is, in px."""
        return self._font(size).getlength(self.shown(text))

    def height(self, size: int) -> int:
        """How high a line is, in px."""
        return sum(self._font(size).getmetrics())

    def wrapped(self, text: str, size: int, room: float) -> list[str]:
        """Breaks a text into lines.

        Args:
            text: Broken at spaces, or within a word that is wider than a line.
            size: Height of the font in px.
            room: Width of a line in px.
        """
        lines, line = [], ""
        for word in re.findall(r"\s*\S+", self.shown(text)):
            if line and self.width(line + word, size) > room:
                lines.append(line)
                line = ""
            line = line + word if line else word.strip()
            while len(line) > 1 and self.width(line, size) > room:
                kept = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or self.width(line[:n], size) <= room)
                lines.append(line[:kept])
                line = line[kept:]
        return [*lines, line] if line else lines

    def write(self, image: np.ndarray, texts: Sequence[Text]) -> np.ndarray:
        """Writes lines onto a picture.

        Args:
            image: BGR (H, W, 3), uint8.
            texts: What and where; what reaches beyond the picture is cut.

        Returns:
            A new picture.
        """
        import cv2
        from PIL import Image, ImageDraw

        canvas = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        draw = ImageDraw.Draw(canvas)
        for text in texts:
            place, words = (text.left, text.top), self.shown(text.words)
            if text.paper is not None:
                end = text.left + self.width(words, text.size) + 2, text.top + self.height(text.size)
                draw.rectangle((text.left - 2, text.top, *end), fill=text.paper[::-1])
            edge = {} if text.edge is None else {"stroke_width": max(1, text.size // 8), "stroke_fill": text.edge[::-1]}
            draw.text(place, words, fill=text.ink[::-1], font=self._font(text.size), **edge)
        return cv2.cvtColor(np.asarray(canvas), cv2.COLOR_RGB2BGR)
