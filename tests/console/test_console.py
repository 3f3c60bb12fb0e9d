import io
import sys

import pytest

from pose_tools.console import Fault, FaultsError, UserError, progress, run, table


def test_fault_names_file_annotation_and_what():
    assert str(Fault("a.json", "has no owner", "nose, group 2")) == "a.json: nose, group 2: has no owner"
    assert str(Fault("a.json", "is empty")) == "a.json: is empty"


def test_faults_error_lists_all_faults_and_the_summary():
    error = FaultsError([Fault("a", "x"), Fault("b", "y")], "nothing was written")
    assert str(error) == "a: x\nb: y\nnothing was written"
    assert len(error.faults) == 2


@pytest.mark.parametrize(("raised", "code", "said"), [
    (UserError("no such file"), 1, "error: no such file\n"),
    (FaultsError([Fault("a", "x")]), 1, "a: x\n"),
    (OSError("disk full"), 1, "error: disk full\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
])
def test_run_turns_errors_into_a_line_and_a_code(raised, code, said, capsys):
    def main(argv):
        raise raised

    assert run(main) == code
    assert capsys.readouterr().err == said


def test_run_hands_on_arguments_and_the_code():
    assert run(lambda argv: len(argv), ["a", "b", "c"]) == 3


def test_run_does_not_hide_bugs():
    def main(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_table_aligns_numbers_right_and_wide_characters():
    lines = table([["輪", 7], ["wheel", 79]], ["", "count"]).split("\n")
    assert lines == ["       count", "-----  -----", "輪         7", "wheel     79"]


def test_table_without_rows_and_with_floats():
    assert table([], ["a", "bb"]) == "a  bb\n-  --"
    assert table([["x", 0.123456]], ["", "AP"]).endswith("0.1235")


def test_progress_passes_items_on_and_is_silent_without_a_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(iter([1, 2]), "reading", total=2)) == [1, 2]
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("encoding", "printed"), [("utf-8", "車 \\ud800\n"), ("ascii", "\\u8eca \\ud800\n")])
def test_what_a_terminal_cannot_show_is_escaped(monkeypatch, encoding, printed):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    assert run(lambda argv: print("車 \ud800") or 0) == 0
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == printed
