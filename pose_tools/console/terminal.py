"""Progress bars and plain-text tables."""
from __future__ import annotations

import argparse
import ast
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Optional, TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: Optional[int] = None, unit: str = "") -> Iterable[Item]:
    """Iterates with a progress bar on stderr; silent where stderr is not a terminal.

    Args:
        items: What to go through.
        what: A short label such as ``"reading"``.
        total: Number of items where ``items`` has no length.
        unit: What they are, for the speed.

    Returns:
        An iterable over the same items.
    """
    from tqdm import tqdm

    return tqdm(items, desc=what, total=total, disable=None, leave=False, unit=unit)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Lays out rows as aligned text; numbers to the right, East Asian wide characters counted as two.

    Args:
        rows: Cells; floats are shown with four significant digits.
        header: Column titles.

    Returns:
        The table, without a trailing newline.
    """
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(header, *cells)]
    right = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = []
        for cell, width, to_right in zip(row, widths, right):
            space = " " * (width - _width(cell))
            padded.append(space + cell if to_right else cell + space)
        return "  ".join(padded).rstrip()

    return "\n".join([line(list(header)), "  ".join("-" * width for width in widths), *map(line, cells)])


def key_value(text: str) -> tuple[str, object]:
    """Parses one ``KEY=VALUE`` of ``--cfg-options``.

    Args:
        text: ``a.b=1``; the value is a Python literal (number, list, ``True``, ``None``), else a string.

    Raises:
        argparse.ArgumentTypeError: There is no ``=``.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
