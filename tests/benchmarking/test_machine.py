import mmap
import subprocess
import sys
import time

import numpy as np
import pytest

from pose_tools.benchmarking import machine
from pose_tools.benchmarking.machine import Others, describe_machine, forget_peak, machine_line, memory_now, peak_memory

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_machine_in_one_line():
    found = describe_machine(threads=1, packages=("numpy", "no-such-package"))
    assert found["versions"] == {"numpy": np.__version__}
    line = machine_line({**found, "cpu": "Abacus", "cores": 2, "python": "3.11.0", "system": "Linux"})
    assert line == f"Abacus, 2 cores, 1 thread, Linux, Python 3.11.0, numpy {np.__version__}"
    assert "thread" not in machine_line({**found, "threads": None})


@LINUX
def test_memory_grows_with_what_is_taken_and_the_peak_stays():
    before = memory_now()
    taken = mmap.mmap(-1, 30_000_000)  # of the system, not of an allocator that may keep it
    np.frombuffer(taken, np.uint8).fill(1)
    during = memory_now()
    assert 25 < during - before < 60
    taken.close()
    assert peak_memory() >= during - 1
    if forget_peak():
        assert peak_memory() < during - 15, "given back and forgotten"


def test_without_proc_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_status", lambda key: None)
    monkeypatch.setattr(machine, "_busy_seconds", lambda: None)
    assert memory_now() is None
    assert peak_memory() > 10, "other systems have a peak as well"
    others = Others()
    with others.watched():
        pass
    assert others.share is None


@pytest.mark.parametrize(("busy", "own", "wall", "share"), [
    ((100.0, 104.0), (10.0, 13.0), 2.0, 0.25),  # 4 s of work on 2 processors in 2 s, 3 of them ours
    ((100.0, 101.0), (10.0, 12.0), 2.0, 0.0),   # counted in coarse steps: never below nothing
    ((100.0, 104.0), (10.0, 13.0), 0.05, None),
])
def test_others_are_what_is_left_of_the_work(monkeypatch, busy, own, wall, share):
    clocks = {"busy": iter(busy), "own": iter(own), "wall": iter((50.0, 50.0 + wall))}
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(clocks["busy"]))
    monkeypatch.setattr(time, "process_time", lambda: next(clocks["own"]))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clocks["wall"]))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    others = Others()
    with others.watched():
        pass
    assert others.share == (None if share is None else pytest.approx(share))


@LINUX
def test_another_process_at_work_is_seen():
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        others = Others()
        time.sleep(0.3)
        with others.watched():
            time.sleep(0.5)
    finally:
        other.kill()
        other.wait()
    assert others.share > 0.2 / machine.os.cpu_count()
