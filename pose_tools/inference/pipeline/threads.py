"""Iterators that run in threads: one stage works on the next item while another has the last.

Both functions here are generators. Closing one, or an error in whoever takes from it, ends its threads and closes what
it reads from, so that a chain of them comes down as a whole. An error inside a stage reaches whoever takes from it.
"""
from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
_POLL = 0.1  # s between looks whether to stop; waiting for an item itself takes no polling
_END = object()


class _Failed:
    """What went wrong in a thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Iterable[Item], size: int, name: str, on_stop: Callable[[], None] = lambda: None) -> Iterator[Item]:
    """Iterates in a thread, up to ``size`` items ahead of whoever takes them.

    Args:
        items: Iterated, and closed where it is a generator, in the thread.
        size: Most items that wait; what bounds the memory.
        name: Of the thread.
        on_stop: Called at the end, before the thread is waited for, so that it can be woken.

    Yields:
        The items in their order.

    Raises:
        BaseException: What iterating raised, after the items before it.
    """
    waiting: queue.Queue[Any] = queue.Queue(size)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(iter(items), waiting, stop), name=name, daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if item is _END:
                return
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        stop.set()
        on_stop()
        thread.join()


def _fill(items: Iterator[Any], waiting: queue.Queue[Any], stop: threading.Event) -> None:
    end: Any = _END
    try:
        for item in items:
            if not _put(waiting, item, stop):
                break
    except BaseException as error:  # also KeyboardInterrupt: it belongs to whoever takes
        end = _Failed(error)
    close = getattr(items, "close", None)
    if close is not None:
        try:
            close()
        except BaseException as error:
            end = end if isinstance(end, _Failed) else _Failed(error)
    _put(waiting, end, stop)


def _put(waiting: queue.Queue[Any], item: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_POLL)
            return True
        except queue.Full:
            continue
    return False


def mapped(function: Callable[[Item], Made], items: Iterable[Item], workers: int, most: int,
           name: str) -> Iterator[Made]:
    """Applies a function in several threads at once; what comes out keeps the order of what goes in.

    Args:
        function: Called from any of the threads.
        items: Taken one by one by whoever takes from this.
        workers: Number of threads.
        most: Most items that are with the threads, wait for them, or are done and wait to be taken.
        name: Of the threads.

    Yields:
        What the function returned.

    Raises:
        BaseException: What the function, or iterating, raised.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    running: deque[Future[Made]] = deque()
    source = iter(items)
    try:
        for item in source:
            running.append(pool.submit(function, item))
            if len(running) >= most:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for each in running:
            each.cancel()
        pool.shutdown(wait=True)
        close = getattr(source, "close", None)
        if close is not None:
            close()
