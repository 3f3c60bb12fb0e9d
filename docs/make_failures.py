"""Writes the table of failures into docs/downloads.md, in both languages: what a user sees, and what is left.

Example:
    python docs/make_failures.py

Every row is observed: tests/weights/failure_cases.py sets the fault up and runs the command. A test
(tests/weights/test_failure_table.py) compares the pages with what is observed there and then.
"""
from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests/weights")]

from failure_bench import BEFORE, CUT, DATA, PIECE, SHARED, WHOLE, Bench  # noqa: E402
from failure_cases import CASES, GROUPS  # noqa: E402
from page_blocks import replace_block  # noqa: E402

if TYPE_CHECKING:
    from failure_bench import Seen
    from failure_cases import Case

PAGES = (ROOT / "docs/downloads.md", ROOT / "docs/zh-TW/downloads.md")
TABLE = ("<!-- made by docs/make_failures.py -->\n", "<!-- end -->")
FULL_ADVICE = ("<!-- advice -->\n", "<!-- end advice -->")
ADVICE = "get it by other means"
# In English and Traditional Chinese, as the pages are.
HEADS = ("| fault | what you see | what is left in `checkpoint/` |", "| 狀況 | 你看到的 | `checkpoint/` 裡留下的 |")
NOTHING_SAID, NOTHING_LEFT = ("no message", "沒有訊息"), ("nothing", "什麼都沒有")
KILLED = ("killed", "被結束")
WHATS = {
    WHOLE: (", whole", ",完整"), "all": (", all bytes", ",全部的內容"),
    CUT: (f", {CUT / 1e6:.1f} of {len(DATA) / 1e6:.1f} MB", f",{len(DATA) / 1e6:.1f} MB 中的 {CUT / 1e6:.1f} MB"),
    PIECE: (", a beginning", ",開頭一段"), BEFORE: (", as it was", ",原封不動"),
    SHARED: (", what was fetched from there", ",從那裡抓來的內容"),
    "came": (", what came", ",傳來的內容"), "was here": (", what was here before", ",原本在這裡的檔案"),
}
SEPARATORS = ("; ", ";")


def row(title: str, seen: Seen, language: int) -> str:
    """One row of the table.

    Args:
        title: What the fault is.
        seen: What a run showed.
        language: 0 for English, 1 for Traditional Chinese; messages are English in both.
    """
    said = [_code(_shortened(line)) for line in seen.said] or [NOTHING_SAID[language]]
    said.append(KILLED[language] if seen.code < 0 else f"exit code {seen.code}")
    left = [_code(path) + _what(path, kind, size, language) for path, kind, size in seen.left]
    return f"| {title} | {'<br>'.join(said)} | {SEPARATORS[language].join(left) or NOTHING_LEFT[language]} |"


def advice_in(seen: Seen) -> str:
    """The advice that most failures end with, in full; empty where there is none."""
    return next((line for line in seen.said if line.startswith(ADVICE)), "")


def _shortened(line: str) -> str:
    return re.sub(rf"{ADVICE}.*", f"{ADVICE} …", line)


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _what(path: str, kind: str, size: int, language: int) -> str:
    if path.endswith(".suspect"):
        return WHATS["was here" if kind == BEFORE else "came"][language]
    if kind == WHOLE and path.endswith(".part"):
        return WHATS["all"][language]
    key = CUT if kind == PIECE and size == CUT else kind
    return WHATS[key][language] if key in WHATS else ""


def observe(case: Case) -> list[Seen]:
    """Sets a fault up and runs the command as often as the case has titles."""
    with Bench() as bench:
        seen = list(case.set_up(bench))
    if len(seen) != len(case.titles):
        raise AssertionError(f"{case.name} has {len(case.titles)} titles and {len(seen)} runs")
    return seen


def table(observed: dict[str, list[Seen]], language: int) -> Iterator[str]:
    """All lines of the table, with a heading for each group."""
    for group, headings in GROUPS.items():
        yield from ("", f"### {headings[language]}", "", HEADS[language], "|---|---|---|")
        for case in CASES:
            if case.group == group:
                for titles, seen in zip(case.titles, observed[case.name]):
                    yield row(titles[language], seen, language)
    yield ""


def page_of(text: str, observed: dict[str, list[Seen]], language: int) -> str:
    """A page with its table, and the advice that the table shortens, made anew."""
    advice = next(filter(None, (advice_in(seen) for each in observed.values() for seen in each)))
    text = replace_block(text, FULL_ADVICE, f"> {advice}")
    return replace_block(text, TABLE, "\n".join(table(observed, language)))


def main() -> int:
    """Observes all faults and writes both pages."""
    observed = {}
    for case in CASES:
        observed[case.name] = observe(case)
        print(f"{case.name}: exit code {', '.join(str(seen.code) for seen in observed[case.name])}")
    for language, page in enumerate(PAGES):
        page.write_text(page_of(page.read_text(encoding="utf-8"), observed, language), encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
