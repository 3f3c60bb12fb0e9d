"""Doing the same to very many files, in as many processes as there are processors, with one progress bar.

Results come in the order of the items, whoever made them, and are the same as without processes. Processes talk over
pipes alone: no shared memory, locks or queues, which some containers lack. After an error or Ctrl-C none is left.
"""
from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from pose_tools.console import UserError, progress

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], list[Result]]
Crew = list[tuple["BaseProcess", "Connection"]]

_FEWEST = 500  # for fewer items, starting processes costs more than it saves
_MOST_WORKERS = 16
_WITH_THREADS = {"cv2", "torch"}
_SHARE = 64  # items a process takes at a time


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def in_a_worker() -> bool:
    """Whether this process was started by another one to work for it."""
    return multiprocessing.parent_process() is not None


def map_items(work: Work[Item, Result], items: Sequence[Item], what: str, workers: Optional[int] = None,
              fewest: int = _FEWEST) -> Iterator[Result]:
    """Does work on items, in several processes when there are many.

    Args:
        work: Takes some of the items in a row and returns a result for each. It must be possible to pickle it, its
            items and its results; what it changes in itself stays in its process.
        items: What to work on.
        what: Label of the progress bar.
        workers: How many processes; ``None`` takes as many as there are processors, 1 or fewer works in this one.
        fewest: With fewer items than this all is done in this process.

    Yields:
        A result for each item, in their order. Close the iterator (``contextlib.closing``) where it may not be read
        to its end: that ends the processes.

    Raises:
        UserError: A process was ended from outside, as for want of memory.
        Exception: What ``work`` raised: user and file errors as they are, others as a RuntimeError.
    """
    count = min(processors() if workers is None else workers, _MOST_WORKERS, -(-len(items) // _SHARE))
    crew = _start(work, items, count) if count > 1 and len(items) >= fewest else []
    results = _collect(crew, len(items)) if crew else _alone(work, items)
    try:
        yield from progress(results, what, len(items))
    finally:
        results.close()
        _dismiss(crew)


def _alone(work: Work[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
    for start in range(0, len(items), _SHARE):
        yield from work(items[start:start + _SHARE])


def _context() -> BaseContext:
    # A forked process has the work at once, where others would import everything anew. macOS's own libraries do not
    # stand it, and Windows has none. Libraries that keep threads wait for ever, in a forked process, for threads that
    # are not there.
    able = sys.platform.startswith("linux") and "fork" in multiprocessing.get_all_start_methods()
    forks = able and not _WITH_THREADS & set(sys.modules)
    return multiprocessing.get_context("fork" if forks else "spawn")


def _start(work: Work[Item, Result], items: Sequence[Item], count: int) -> Crew:
    """Starts processes that wait for orders; none where the system does not let us."""
    if multiprocessing.current_process().daemon:  # which may not have children
        return []
    context = _context()
    crew: Crew = []
    try:
        with _no_interrupt():
            for _ in range(count):
                ours, theirs = context.Pipe()
                # A forked process also has the ends of our pipes, and would keep them open if we were killed.
                forked = [*(pipe for _, pipe in crew), ours] if context.get_start_method() == "fork" else []
                process = context.Process(target=_serve, args=(work, items, theirs, forked), daemon=True)
                process.start()
                crew.append((process, ours))
                theirs.close()
    except (OSError, ImportError, NotImplementedError):
        _dismiss(crew)
        return []
    return crew


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Holds back Ctrl-C, which would reach a process before it has been told to leave that to us."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: Work[Item, Result], items: Sequence[Item], pipe: Connection, forked: Sequence[Connection]) -> None:
    """A process's life: takes the number of a first item, sends results, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler we were forked with is not about us
    for other in forked:
        other.close()
    gc.freeze()  # what we were forked with is not ours to tidy up: that would copy all of it
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            start = pipe.recv()
            results, error = _try(work, items[start:start + _SHARE])
            pipe.send((start, results, error))


def _try(work: Work[Item, Result], items: Sequence[Item]) -> tuple[list[Result], Optional[Exception]]:
    try:
        return work(items), None
    except UserError as error:
        return [], UserError(str(error))
    except OSError as error:
        return [], error
    except Exception:
        return [], RuntimeError(traceback.format_exc())


def _collect(crew: Crew, count: int) -> Iterator[Result]:
    """Gives out the items in their order, two shares ahead for each process, and sorts what comes back."""
    from multiprocessing.connection import wait

    starts = iter(range(0, count, _SHARE))
    waiting: dict[int, tuple[list[Result], Optional[Exception]]] = {}
    pipes = [pipe for _, pipe in crew]
    for pipe in pipes * 2:
        _give(pipe, starts)
    for due in range(0, count, _SHARE):
        while due not in waiting:
            for pipe in wait(pipes):
                start, results, error = _receive(pipe)  # type: ignore[arg-type]
                waiting[start] = results, error
                _give(pipe, starts)  # type: ignore[arg-type]
        results, error = waiting.pop(due)
        if error is not None:  # only now, so that of several it is always the same
            raise error
        yield from results


def _give(pipe: Connection, starts: Iterator[int]) -> None:
    start = next(starts, None)
    if start is not None:
        with contextlib.suppress(OSError):  # told when its answer is due
            pipe.send(start)


def _receive(pipe: Connection) -> tuple[int, list[Result], Optional[Exception]]:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        raise UserError("a worker process was ended from outside, perhaps for want of memory; "
                        "try again with --workers 1") from None


def _dismiss(crew: Crew) -> None:
    for process, pipe in crew:
        pipe.close()
        process.terminate()
    for process, _ in crew:
        process.join()
