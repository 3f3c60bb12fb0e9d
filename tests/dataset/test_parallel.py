import multiprocessing
import os
import signal
import sys
import time
from contextlib import closing
from dataclasses import dataclass

import pytest

from pose_tools.console import UserError
from pose_tools.dataset import parallel
from pose_tools.dataset.parallel import map_items

needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@dataclass(frozen=True)
class Square:
    """Squares numbers, the first ones slowly, so that later ones are ready before them."""

    slow: int = 0

    def __call__(self, items):
        if items[0] < self.slow:
            time.sleep(0.2)
        return [item * item for item in items]


@dataclass(frozen=True)
class Fail:
    """Fails at a number in some way."""

    at: int
    error: object

    def __call__(self, items):
        if self.at in items:
            if isinstance(self.error, BaseException):
                raise self.error
            os.kill(os.getpid(), self.error)
            time.sleep(60)
        return items


def children():
    return multiprocessing.active_children()


@pytest.mark.parametrize("workers", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 499, 500, 1000, 1001])
def test_results_come_in_order(workers, count):
    assert list(map_items(Square(slow=1), range(count), "", workers)) == [i * i for i in range(count)]
    assert children() == []


def test_several_processes_work_on_many_items_and_none_on_few():
    def processes(count):
        return set(map_items(process_ids, range(count), "", 2))

    assert processes(499) == {os.getpid()}
    assert len(processes(1000) - {os.getpid()}) == 2


def process_ids(items):
    time.sleep(0.01)
    return [os.getpid()] * len(items)


def test_spawned_processes_do_the_same(monkeypatch):
    monkeypatch.setattr(parallel, "_context", lambda: multiprocessing.get_context("spawn"))
    assert list(map_items(len_of_each, ["a", "bb"] * 300, "", 2)) == [1, 2] * 300
    assert children() == []


def len_of_each(items):
    return [len(item) for item in items]


@pytest.mark.parametrize(("error", "expected", "message"), [
    (UserError("mend this"), UserError, "^mend this$"),
    (FileNotFoundError(2, "gone", "x.jpg"), FileNotFoundError, "x.jpg"),
    (KeyError("a bug"), RuntimeError, "(?s)Traceback.*KeyError: 'a bug'"),
])
def test_errors_arrive_and_no_process_is_left(error, expected, message):
    with pytest.raises(expected, match=message):
        list(map_items(Fail(700, error), range(2000), "", 2))
    assert children() == []


@needs_signals
def test_a_killed_process_is_told():
    with pytest.raises(UserError, match="ended from outside"):
        list(map_items(Fail(700, signal.SIGKILL), range(2000), "", 2))
    assert children() == []


def test_closing_early_ends_the_processes():
    with closing(map_items(Square(), range(100_000), "", 2)) as results:
        assert next(results) == 0
        assert len(children()) == 2
    assert children() == []


def test_where_no_process_can_be_started_the_work_is_done_here(monkeypatch):
    context = parallel._context()

    def refuse(*args, **kwargs):
        raise OSError("no more processes")

    monkeypatch.setattr(parallel, "_context", lambda: context)
    monkeypatch.setattr(type(context), "Process", refuse)
    assert set(map_items(process_ids, range(600), "", 2)) == {os.getpid()}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")
def test_no_semaphores_are_needed(monkeypatch):
    import _multiprocessing

    def refuse(*args, **kwargs):
        raise OSError("no /dev/shm")

    monkeypatch.setattr(_multiprocessing, "SemLock", refuse)
    assert len(set(map_items(process_ids, range(600), "", 2)) - {os.getpid()}) == 2


@pytest.mark.parametrize("library", ["cv2", "torch"])
def test_a_process_with_a_library_that_keeps_threads_is_not_forked(monkeypatch, library):
    """OpenCV's decoder, used before, made forked processes wait for its threads for ever."""
    for name in parallel._WITH_THREADS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    forks = parallel._context().get_start_method()
    assert forks == ("fork" if sys.platform.startswith("linux") else "spawn")
    monkeypatch.setitem(sys.modules, library, object())
    assert parallel._context().get_start_method() == "spawn"
