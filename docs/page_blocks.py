"""Blocks of a page that a program writes, between marks."""
from __future__ import annotations


def replace_block(text: str, marks: tuple[str, str], lines: str) -> str:
    """Puts lines between two marks of a page.

    Args:
        text: The page.
        marks: The line before the block with its line break, and the beginning of the line after it.
        lines: Without the last line break.
    """
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"a page lacks {marks[0].strip()} or {marks[1]}")
    return f"{before}{begin}{lines}\n{end}{after}"
