from hypothesis import given
from hypothesis import strategies as st

from pose_tools.benchmarking.page import begin, block_of, end, with_failure, with_result

PAGE = f"""# Measured

## Loading

Why it is measured so.

{begin("loader")}
old table
{end("loader")}

More of it.
"""


def test_a_result_replaces_the_old_one_and_nothing_else():
    page = with_result(PAGE, "loader", "Other heading", "new\n\ntable\n")
    assert page == PAGE.replace("old table", "new\n\ntable")


def test_a_benchmark_without_a_place_gets_a_section_at_the_end():
    page = with_result(PAGE, "runtime", "Prediction", "table")
    assert page.startswith(PAGE.rstrip())
    assert page.endswith(f"## Prediction\n\n{begin('runtime')}\ntable\n{end('runtime')}\n")
    assert block_of(page, "loader") == "old table"
    assert with_result(page, "runtime", "Prediction", "table") == page


def test_a_failure_leaves_the_old_table_and_says_so_once():
    page = with_failure(PAGE, "loader", "Loading", "exit code 1:\n no\tdisk", "2026-11-21")
    line = "The newest run failed (2026-11-21): exit code 1: no disk; what follows is older."
    assert page == PAGE.replace("old table", f"{line}\n\nold table")
    page = with_failure(page, "loader", "Loading", "again", "2026-11-22")
    assert block_of(page, "loader") == "The newest run failed (2026-11-22): again; what follows is older.\n\nold table"
    assert with_result(page, "loader", "Loading", "new table") == PAGE.replace("old table", "new table")


def test_a_failure_without_an_old_table():
    page = with_failure("# Measured\n", "loader", "Loading", "no disk", "2026-11-21")
    assert block_of(page, "loader") == "The newest run failed (2026-11-21): no disk."
    assert with_failure(page, "loader", "Loading", "no disk", "2026-11-21") == page


def test_a_name_within_a_name_is_another_benchmark():
    page = with_result(PAGE, "load", "L", "short")
    assert (block_of(page, "load"), block_of(page, "loader"), block_of(page, "loa")) == ("short", "old table", None)


@given(st.text(), st.text())
def test_any_text_comes_back_and_the_rest_stays(first, second):
    """Backslashes and group references mean nothing."""
    if "<!--" in first + second:
        return
    first, second = first.replace("\r", ""), second.replace("\r", "")
    page = with_result(with_result(PAGE, "runtime", "P", first), "loader", "L", second)
    assert block_of(page, "runtime") == first.strip().strip("\n")
    assert block_of(page, "loader") == second.strip().strip("\n")
    assert page.split(begin("loader"))[0] == PAGE.split(begin("loader"))[0]
