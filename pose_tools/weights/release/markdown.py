"""Text in Markdown: whatever is in it, what a reader sees is that text."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

# Characters with a meaning in CommonMark, GitHub's tables and mathematics.
_MEANING = re.compile(r"[\\`*_\[\]<>|~$&#]")
# Otherwise made links, as GitHub and the hub do.
_LINK = re.compile(r"(://)|\b(www)(\.)", re.IGNORECASE)
# They turn the direction of the text that follows.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def text(value: object) -> str:
    """Escapes text for a line or a table's cell.

    Args:
        value: Its text is taken; line breaks and control characters become spaces.
    """
    escaped = _MEANING.sub(r"\\\g<0>", one_line(value))
    escaped = _LINK.sub(lambda found: r":\//" if found[1] else rf"{found[2]}\{found[3]}", escaped)
    # What starts a list, a quotation or a heading's underline at the beginning of a line.
    return re.sub(r"^([-+=]|\d+[.)])", lambda found: found[0][:-1] + "\\" + found[0][-1], escaped)


def code(value: object) -> str:
    """Shows text as code, for a line or a table's cell.

    Args:
        value: As for :func:`text`.
    """
    shown = one_line(value)
    if not shown:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    # A table is taken apart at its bars before code is looked for.
    return f"{fence}{room}{shown}{room}{fence}".replace("|", "\\|")


def one_line(value: object) -> str:
    """Gives a value's text on one line, without characters that control a terminal or turn the text."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char
            for char in str(value) if char not in _TURNING)
    return re.sub(r"\s+", " ", "".join(kept)).strip()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out a table.

    Args:
        header: Titles, in Markdown.
        rows: Cells, in Markdown.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def listed(names: Sequence[object], most: int = 100) -> str:
    """Joins names by commas; of many the first.

    Args:
        names: In any text.
        most: How many to name.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(text, names[:most])) + more
