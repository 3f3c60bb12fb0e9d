"""The page of measured tables: what a benchmark wrote is replaced, what people wrote stays.

Between ``<!-- NAME: begin ... -->`` and ``<!-- NAME: end -->`` lies what the newest run of ``benchmarks/NAME.py``
found. Everything else on the page, headings and explanations, is written by hand and kept to the letter.
"""
from __future__ import annotations

import re
from typing import Optional

_FAILED = "The newest run failed"


def begin(name: str) -> str:
    """The line above what a benchmark writes."""
    return f"<!-- {name}: begin; benchmarks/run_all.py rewrites this -->"


def end(name: str) -> str:
    """The line below it."""
    return f"<!-- {name}: end -->"


def block_of(page: str, name: str) -> Optional[str]:
    """What a benchmark wrote last; ``None`` where it has no place on the page."""
    match = _pattern(name).search(page)
    return match.group(1).strip("\n") if match else None


def with_result(page: str, name: str, heading: str, body: str) -> str:
    """Puts a new result into its place.

    Args:
        page: All of it.
        name: Of the benchmark.
        heading: Of the section that is added at the end where the benchmark has no place yet.
        body: Markdown.

    Returns:
        The new page.
    """
    block = f"{begin(name)}\n{body.strip()}\n{end(name)}"
    if block_of(page, name) is None:
        return f"{page.rstrip()}\n\n## {heading}\n\n{block}\n"
    return _pattern(name).sub(lambda _: block, page, count=1)


def with_failure(page: str, name: str, heading: str, what: str, date: str) -> str:
    """Leaves the old result where it is, and says that a newer one is missing.

    Args:
        page: All of it.
        name: Of the benchmark.
        heading: As in :func:`with_result`.
        what: Why there is no result: one line.
        date: When.
    """
    old = re.sub(rf"^{_FAILED} .*\n?", "", block_of(page, name) or "", flags=re.MULTILINE).strip("\n")
    kept = "; what follows is older." if old else "."
    line = f"{_FAILED} ({date}): {' '.join(what.split())}{kept}"
    return with_result(page, name, heading, f"{line}\n\n{old}")


def _pattern(name: str) -> re.Pattern[str]:
    name = re.escape(name)
    return re.compile(rf"^<!-- {name}: begin\b[^\n]*-->\n(.*?)^<!-- {name}: end -->", re.MULTILINE | re.DOTALL)
