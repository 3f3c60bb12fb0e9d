"""Runs the scripts of ``benchmarks/`` one after the other and brings what they found onto the page.

Each script has ``--short`` and ``--json FILE``, and a function ``as_markdown`` that makes tables of what it wrote.
"""
from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from pose_tools.benchmarking.machine import Others, describe_machine, machine_line
from pose_tools.benchmarking.page import with_failure, with_result
from pose_tools.benchmarking.rounds import BUSY
from pose_tools.console.atomic import write_whole

_GLANCE = 0.5  # seconds that the machine is looked at before each script


@dataclass(frozen=True)
class Benchmark:
    """A script and where its table goes.

    Attributes:
        script: The file; its stem is the name.
        heading: Of its section.
    """

    script: Path
    heading: str

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.script.stem


@dataclass(frozen=True)
class Outcome:
    """What became of a benchmark.

    Attributes:
        name: Of the benchmark.
        seconds: It took.
        error: Why there is no result; ``""`` where there is one.
    """

    name: str
    seconds: float
    error: str = ""


class BenchmarkError(Exception):
    """A script gave no result; its text says why in one line."""


def run_suite(suite: Sequence[Benchmark], page: Path, results: Path, short: bool, limit: Optional[float] = None,
              total: Optional[float] = None) -> list[Outcome]:
    """Runs benchmarks; the page is rewritten after each, so that what is done is kept if the next one is stopped.

    Args:
        suite: In this order.
        page: The markdown file; made where there is none.
        results: Folder for the JSON files.
        short: Whether scripts run with ``--short``.
        limit: Most seconds for each.
        total: Most seconds for all; what has not begun by then fails without running.

    Returns:
        What became of each.
    """
    outcomes: list[Outcome] = []
    began = time.perf_counter()
    for benchmark in suite:
        start = time.perf_counter()
        left = [each for each in (limit, None if total is None else total - (start - began)) if each is not None]
        old = page.read_text(encoding="utf-8") if page.is_file() else "# Measured\n"
        print(f"{benchmark.name} ...", end=" ", flush=True)
        try:
            body = _section(benchmark, results, short, min(left) if left else None)
            new, error = with_result(old, benchmark.name, benchmark.heading, body), ""
        except BenchmarkError as reason:
            error = str(reason)
            new = with_failure(old, benchmark.name, benchmark.heading, error, time.strftime("%Y-%m-%d"))
        write_whole(page, new.encode())
        outcomes.append(Outcome(benchmark.name, time.perf_counter() - start, error))
        print(f"{outcomes[-1].seconds:.0f} s{': ' + error if error else ''}", flush=True)
    return outcomes


def _section(benchmark: Benchmark, results: Path, short: bool, limit: Optional[float]) -> str:
    """Runs one and gives its part of the page: the command, date, machine, and its tables."""
    others = Others()
    with others.watched():
        time.sleep(_GLANCE)
    start = time.perf_counter()
    found = run_script(benchmark.script, results / f"{benchmark.name}.json", short, limit)
    took = time.perf_counter() - start
    tables = markdown_of(benchmark.script, found)
    machine = describe_machine()
    words = ["python", f"benchmarks/{benchmark.script.name}", *(["--short"] if short else [])]
    busy = others.share is not None and others.share > BUSY
    note = f" Other processes took {others.share:.0%} of the machine when it began." if busy else ""
    return f"`{shlex.join(words)}`, {machine['date']}, {took:.0f} s; {machine_line(machine)}.{note}\n\n{tables}"


def run_script(script: Path, answer: Path, short: bool, limit: Optional[float]) -> Any:
    """Runs a script in a process group of its own and reads what it wrote.

    Args:
        script: The file.
        answer: Where it is to write its JSON; what lies there from before is removed.
        short: Whether with ``--short``.
        limit: Most seconds; it is ended, with all it started, when they are over.

    Raises:
        BenchmarkError: It fails, takes too long or writes no JSON.
    """
    if not script.is_file():
        raise BenchmarkError("there is no such script")
    if limit is not None and limit <= 0:
        raise BenchmarkError("was not run: the time for all of them was over")
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.unlink(missing_ok=True)
    command = [sys.executable, str(script), *(["--short"] if short else []), "--json", str(answer)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                               start_new_session=True)
    try:
        _, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        raise BenchmarkError(f"was stopped after {limit:.0f} s") from None
    except BaseException:  # Ctrl-C does not reach a group of its own
        _end(process)
        raise
    if process.returncode != 0:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise BenchmarkError(f"exit code {process.returncode}: {lines[-1] if lines else 'it said nothing'}")
    try:
        return json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"wrote no JSON: {error}") from None


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a running script and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.communicate()


def markdown_of(script: Path, found: Any) -> str:
    """Calls a script's ``as_markdown``.

    Args:
        script: The file.
        found: What it wrote.

    Raises:
        BenchmarkError: It has no such function, or the function fails.
    """
    try:
        spec = importlib.util.spec_from_file_location(f"benchmark_{script.stem}", script)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return str(module.as_markdown(found)).strip()
    except Exception as error:  # whatever is wrong with one script must not cost the others' tables
        raise BenchmarkError(f"as_markdown: {type(error).__name__}: {error}") from error
