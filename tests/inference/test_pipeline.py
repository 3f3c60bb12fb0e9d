"""Threads that hand on in order, stop when told, and pass errors to whoever takes."""
import threading
import time

import pytest

from pose_tools.inference.pipeline.finding import share_out
from pose_tools.inference.pipeline.threads import ahead, mapped
from pose_tools.inference.pipeline.times import StageTimes


def alive(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


class Counter:
    """Counts up, and remembers how far it came and that it was closed."""

    def __init__(self, fails_at=None):
        self.given, self.closed, self.fails_at = 0, False, fails_at

    def items(self):
        try:
            while True:
                if self.given == self.fails_at:
                    raise ValueError("the end of the world")
                self.given += 1
                yield self.given - 1
        finally:
            self.closed = True


def test_items_come_in_order_and_the_thread_ends():
    assert list(ahead(range(50), 3, "one")) == list(range(50))
    assert not alive("one")


def test_no_more_is_read_ahead_than_allowed_and_closing_reaches_the_source():
    counter = Counter()
    taken = ahead(counter.items(), 2, "two")
    assert [next(taken) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.1)
    assert counter.given <= 6  # three taken, two waiting, one in the hand
    taken.close()
    assert counter.closed
    assert not alive("two")


def test_an_error_comes_after_the_items_before_it():
    counter, seen = Counter(fails_at=4), []
    with pytest.raises(ValueError, match="end of the world"):
        for item in ahead(counter.items(), 8, "three"):
            seen.append(item)
    assert seen == [0, 1, 2, 3]
    assert not alive("three")


def test_a_source_that_waits_is_woken():
    """As a camera that gives no frame: the thread is in it when the taker goes."""
    bell = threading.Event()

    def waiting():
        yield 1
        bell.wait(30)

    taken = ahead(waiting(), 1, "four", bell.set)
    assert next(taken) == 1
    start = time.monotonic()
    taken.close()
    assert time.monotonic() - start < 10
    assert not alive("four")


def test_work_of_several_threads_keeps_its_order():
    at_once, most, lock = 0, 0, threading.Lock()

    def work(item):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02 if item % 3 == 0 else 0.001)
        with lock:
            at_once -= 1
        return item * 10

    assert list(mapped(work, range(20), 3, 6, "five")) == [10 * item for item in range(20)]
    assert 1 < most <= 3
    assert not alive("five")


def test_an_error_of_the_work_ends_the_chain():
    counter = Counter()

    def work(item):
        if item == 5:
            raise ValueError("number 5 is alive")
        return item

    chain = ahead(mapped(work, ahead(counter.items(), 2, "six-read"), 2, 4, "six-work"), 2, "six-end")
    seen = []
    with pytest.raises(ValueError, match="number 5"):
        for item in chain:
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]
    assert counter.closed
    assert not alive("six")


def test_leaving_a_chain_early_ends_all_its_threads():
    counter = Counter()
    chain = ahead(mapped(lambda item: item, ahead(counter.items(), 2, "seven"), 2, 4, "seven"), 2, "seven")
    for item in chain:
        if item == 3:
            break
    chain.close()
    assert counter.closed
    assert not alive("seven")


def test_cores_are_shared_out():
    assert share_out(1) == (1, 1)
    assert share_out(4) == (4, 1)
    workers, each = share_out(64)
    assert workers * each == 64
    assert workers <= 8


def test_times_tell_where_the_time_went():
    times = StageTimes()
    with times.stage("draw"):
        time.sleep(0.02)
    assert list(times.reading(iter([1, 2]), "read")) == [1, 2]
    times.frames, times.instances = 2, 3
    times.end()
    told = times.as_dict()
    assert told["frames"] == 2
    assert 0.02 <= told["stages"]["draw"] <= told["wall_s"]
    assert told["stages"]["pose"] == 0
    assert "2 frames, 3 instances in" in times.line()
    assert "draw" in times.line()
    assert "pose" not in times.line()
