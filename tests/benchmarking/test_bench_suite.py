"""The suite with tiny scripts in place of benchmarks."""
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pose_tools.benchmarking.page import begin, block_of, end
from pose_tools.benchmarking.suite import Benchmark, BenchmarkError, markdown_of, run_script, run_suite

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
    import argparse, json
    from dataclasses import dataclass
    from __future__ import annotations

    @dataclass
    class Row:
        value: int

    def as_markdown(result):
        return f"| value |\\n|---|\\n| {Row(result['value']).value} |"

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--short", action="store_true")
        parser.add_argument("--json")
        args = parser.parse_args()
        print("a lot")
        open(args.json, "w").write(json.dumps({"value": 1 if args.short else 1000}))
"""
FAILING = """
    import sys
    def as_markdown(result):
        return "never"
    if __name__ == "__main__":
        print("warning", file=sys.stderr)
        print("error: no photographs here", file=sys.stderr)
        sys.exit(3)
"""
SILENT = "def as_markdown(result):\n    return 'never'\n"


@pytest.fixture
def script(tmp_path):
    def write(name, text):
        lines = textwrap.dedent(text).strip().splitlines()
        # Imports from __future__ come first.
        lines.sort(key=lambda line: not line.startswith("from __future__"))
        path = tmp_path / f"{name}.py"
        path.write_text("\n".join(lines) + "\n")
        return path
    return write


def test_good_and_bad_ones_side_by_side(script, tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text(f"# Measured\n\nBy hand.\n\n## Two\n\n{begin('two')}\nolder table\n{end('two')}\n")
    suite = [Benchmark(script("one", GOOD), "First"), Benchmark(script("two", FAILING), "Second"),
             Benchmark(tmp_path / "three.py", "Third"), Benchmark(script("four", GOOD), "Fourth")]
    outcomes = run_suite(suite, page, tmp_path / "results", short=True)
    assert [(each.name, each.error) for each in outcomes] == [
        ("one", ""), ("two", "exit code 3: error: no photographs here"), ("three", "there is no such script"),
        ("four", "")]
    text = page.read_text()
    first = block_of(text, "one")
    assert first.startswith(f"`python benchmarks/one.py --short`, {time.strftime('%Y-')}")
    assert first.endswith("| value |\n|---|\n| 1 |")
    assert block_of(text, "two").startswith("The newest run failed (")
    assert block_of(text, "two").endswith("older table")
    assert "By hand." in text and "## Fourth" in text
    assert json.loads((tmp_path / "results/one.json").read_text()) == {"value": 1}
    assert "two ... " in capsys.readouterr().out


def test_the_long_version_is_another_command(script, tmp_path):
    page = tmp_path / "README.md"
    run_suite([Benchmark(script("one", GOOD), "First")], page, tmp_path, short=False)
    assert block_of(page.read_text(), "one").startswith("`python benchmarks/one.py`, ")
    assert "| 1000 |" in page.read_text()


def test_an_old_result_is_never_taken_for_a_new_one(script, tmp_path):
    (tmp_path / "silent.json").write_text('{"value": 1}')
    with pytest.raises(BenchmarkError, match="wrote no JSON"):
        run_script(script("silent", SILENT), tmp_path / "silent.json", True, None)


def is_gone(pid):
    try:
        os.kill(pid, 0)
        # Ended, but nobody has asked what became of it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.slow
def test_what_takes_too_long_is_ended_with_all_it_started(script, tmp_path):
    text = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
        time.sleep(600)
    """
    with pytest.raises(BenchmarkError, match=r"^was stopped after 6 s$"):
        run_script(script("slow", text), tmp_path / "slow.json", True, 6)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if is_gone(pid):
            break
        time.sleep(0.05)
    else:
        pytest.fail("what it started is still there")


def test_after_the_time_for_all_nothing_is_begun(script, tmp_path):
    page = tmp_path / "README.md"
    outcomes = run_suite([Benchmark(script("one", GOOD), "First")], page, tmp_path, short=True, total=0)
    assert outcomes[0].error == "was not run: the time for all of them was over"


@pytest.mark.parametrize(("text", "said"), [
    ("x = 1", "AttributeError"), ("def as_markdown(result):\n    return result['no']", "KeyError"),
    ("import no_such_module", "ModuleNotFoundError"),
])
def test_a_table_that_cannot_be_made_fails_that_benchmark_alone(script, text, said):
    with pytest.raises(BenchmarkError, match=f"^as_markdown: {said}"):
        markdown_of(script("bad", text), {})


def load_run_all():
    spec = importlib.util.spec_from_file_location("run_all_script", ROOT / "benchmarks/run_all.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run_all():
    return load_run_all()


def test_the_exit_code_tells(run_all, script, tmp_path, monkeypatch, capsys):
    (tmp_path / "benchmarks").mkdir()
    for name, text in (("one", GOOD), ("two", FAILING)):
        script(name, text).rename(tmp_path / f"benchmarks/{name}.py")
    monkeypatch.setattr(run_all, "ROOT", tmp_path)
    monkeypatch.setattr(run_all, "SUITE", {"one": "First", "two": "Second"})
    where = ["--page", str(tmp_path / "README.md"), "--results", str(tmp_path / "results"), "--short"]
    assert run_all.main([*where, "--only", "one"]) == 0
    assert "1 of 1 benchmarks in" in capsys.readouterr().out
    assert run_all.main(where) == 1
    assert capsys.readouterr().out.rstrip().endswith("failed: two")
    assert "## Second" in (tmp_path / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", load_run_all().SUITE)
def test_every_benchmark_of_the_suite_can_be_run_by_it(name):
    """Its help knows both options, and there is a function that makes a table, which wants a result."""
    path = ROOT / f"benchmarks/{name}.py"
    told = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "--short" in told.stdout and "--json" in told.stdout
    with pytest.raises(BenchmarkError, match="^as_markdown: TypeError"):
        markdown_of(path, None)
