"""docs/downloads.md says what is seen: each row of its table, in both languages, is set up and compared."""
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from failure_bench import BEFORE, NAME, WHOLE
from failure_cases import CASES, GROUPS

from pose_tools.weights.download import Limits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import make_failures  # noqa: E402
import page_blocks  # noqa: E402

PAGES = [path.read_text(encoding="utf-8") for path in make_failures.PAGES]
LANGUAGES = (0, 1)
SLOW = ("hostile_pickle",)  # imports torch and mmpose


def rows_of(language):
    """The rows of the page's table, by heading."""
    block = PAGES[language].partition(make_failures.TABLE[0])[2].partition(make_failures.TABLE[1])[0]
    parts = re.split(r"^### (.*)$", block, flags=re.MULTILINE)
    return {heading: [line for line in text.splitlines() if line.startswith("| ")][1:]
            for heading, text in zip(parts[1::2], parts[2::2])}


@pytest.mark.parametrize("case", [
    pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.name in SLOW else []) for case in CASES])
def test_what_the_page_says_is_what_is_seen(case):
    if case.needs and not shutil.which(case.needs):
        pytest.skip(f"{case.needs} is not on this machine")
    observed = make_failures.observe(case)
    for seen in observed:
        kinds = {path: kind for path, kind, _ in seen.left}
        assert "Traceback" not in "".join(seen.said)
        assert kinds.get(NAME, WHOLE) in (WHOLE, BEFORE), "a wrong file has the final name"
        assert (seen.code == 0) == (WHOLE in (kinds.get(NAME), kinds.get("net.pth")))
        if advice := make_failures.advice_in(seen):
            assert all(f"> {advice}\n" in page for page in PAGES)
    for language in LANGUAGES:
        rows = rows_of(language)[GROUPS[case.group][language]]
        expected = [make_failures.row(titles[language], seen, language)
                    for titles, seen in zip(case.titles, observed)]
        first = next((i for i, line in enumerate(rows) if line.startswith(f"| {case.titles[0][language]} |")), None)
        assert first is not None, "python docs/make_failures.py writes the table"
        assert rows[first:first + len(expected)] == expected, "python docs/make_failures.py writes the table"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_row_of_the_page_is_a_case(language):
    for group, headings in GROUPS.items():
        titles = [titles[language] for case in CASES if case.group == group for titles in case.titles]
        assert [line.split(" | ")[0][2:] for line in rows_of(language)[headings[language]]] == titles
    assert list(rows_of(language)) == [headings[language] for headings in GROUPS.values()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_patience_that_the_page_tells_is_that_of_the_command(language):
    told = dict(re.findall(r"^\| [^|]+ \| `(\w+)` \| ([\d.]+) \|$", PAGES[language], re.MULTILINE))
    assert {name: float(number) for name, number in told.items()} == asdict(Limits())


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(SystemExit, match="lacks"):
        page_blocks.replace_block("text", make_failures.TABLE, "lines")
    assert page_blocks.replace_block("a <b>x<e> c", ("<b>", "<e>"), "y") == "a <b>y\n<e> c"
