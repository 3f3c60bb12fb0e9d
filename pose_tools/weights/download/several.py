"""Several files at once: from jobs to files under their names, and one error for all that could not be had."""
from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.weights.download.display import Display
from pose_tools.weights.download.failure import Stopped
from pose_tools.weights.download.jobs import Job, Progress, offline_variable
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Part
from pose_tools.weights.download.single import NotHad, Run, fetch_one
from pose_tools.weights.download.space import in_mb

WORKERS = 4
_SHOW_SECONDS = 0.1


def download(jobs: Sequence[Job], *, workers: int = WORKERS, limits: Optional[Limits] = None,
             progress: Optional[Callable[[Progress], None]] = None, say: Optional[Callable[[str], None]] = None,
             offline: Optional[bool] = None) -> list[Path]:
    """Fetches files.

    Every file appears under its name only when it is whole and checked. What a failed, killed or interrupted
    download has received stays in ``.downloads`` beside it, and the next one goes on from there.

    Args:
        jobs: What is to be had and where from.
        workers: Files at a time.
        limits: Patience with a source.
        progress: Called in this thread, some ten times a second, with every file that has gone on; then no
            bar and no lines about the course are shown. What it raises ends the download.
        say: Takes each line of what went wrong on the way; by default they go to stderr.
        offline: Use only sources on this machine; by default ``POSE_TOOLS_OFFLINE`` or ``HF_HUB_OFFLINE`` say so.

    Returns:
        The files' places, in the order of the jobs.

    Raises:
        FaultsError: Some could not be had: one line each, with every source and its reason. All others are
            in their places.
        UserError: There is no room for all of them; nothing was asked for.
    """
    given = offline_variable() if offline is None else ("as asked" if offline else None)
    by_target = {job.target: job for job in jobs}
    display = Display(list(by_target.values()), progress, say)
    pool = _Pool(list(by_target.values()), limits or Limits(), given, display)
    try:
        faults = pool.work(max(1, workers))
    except KeyboardInterrupt:
        pool.tell_what_is_kept()
        raise
    finally:
        pool.stop()
        display.close()
    if faults:
        raise FaultsError(faults, _advice(faults, given) if pool.not_had else "")
    return [job.target for job in jobs]


class _Pool:
    """Threads that die with the command: those of concurrent.futures would keep it until their files are there."""

    def __init__(self, jobs: list[Job], limits: Limits, offline: Optional[str], display: Display) -> None:
        self.not_had = False  # whether a file is missing because of its sources, not of this machine
        self._display = display
        self._stop = threading.Event()
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[Job, Optional[BaseException]]] = queue.SimpleQueue()
        self._parts = {job: Part(job.folder, job.file.path) for job in jobs}
        self._run = Run(limits, offline, say=display.say, report=display.report, stopped=self._stop.is_set)
        for job in jobs:
            self._waiting.put(job)
            self._run.space.plan(self._parts[job], job.file.size)

    def work(self, workers: int) -> list[Fault]:
        """Does all jobs, showing how far they are; gives what could not be had."""
        self._run.space.check()
        for _ in range(min(workers, len(self._parts))):
            threading.Thread(target=self._worker, daemon=True, name="download").start()
        faults = {}
        for _ in self._parts:
            job, error = self._next_end()
            if isinstance(error, UserError):
                self.not_had |= isinstance(error, NotHad)
                faults[job] = _fault(job, error)
            elif error is not None:
                raise error
        self._end_sharing(faults)
        self._display.show()
        return [faults[job] for job in self._parts if job in faults]

    def tell_what_is_kept(self) -> None:
        """Says that an interrupted download is not lost."""
        kept = sum(part.size for part in self._parts.values())
        if kept:
            self._display.say(f"{in_mb(kept)} of what is not whole yet are kept; the same command goes on from there")
            self._display.show()

    def stop(self) -> None:
        """Lets the threads end at their next block; nobody waits for them."""
        self._stop.set()

    def _next_end(self) -> tuple[Job, Optional[BaseException]]:
        # With a time limit, because Windows lets no Ctrl-C through to who waits without one.
        while True:
            self._display.show()
            with contextlib.suppress(queue.Empty):
                return self._ended.get(timeout=_SHOW_SECONDS)

    def _worker(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            error: Optional[BaseException] = None
            try:
                fetch_one(job, self._parts[job], self._run)
            except Stopped:
                return
            except BaseException as caught:  # handed to the thread that asked, which raises it
                error = caught
            self._run.space.done(self._parts[job])
            self._display.done(job, error is None)
            self._ended.put((job, error))

    def _end_sharing(self, faults: dict[Job, Fault]) -> None:
        """Lets go of what several files were taken from: a repository, an archive."""
        if not any(source.kind in ("git", "archive") for job in self._parts for source in job.sources):
            return
        from pose_tools.weights.download.kept import end_sharing

        for work in {part.work for part in self._parts.values()}:
            end_sharing(work, not any(self._parts[job].work == work for job in faults))


def _fault(job: Job, error: UserError) -> Fault:
    if isinstance(error, NotHad):
        return Fault(job.target, f"cannot be had: {error}")
    text, own = str(error), f"{job.target}: "
    return Fault(job.target, text[len(own):] if text.startswith(own) else text)


def _advice(faults: Sequence[Fault], offline: Optional[str]) -> str:
    what = "it" if len(faults) == 1 else "each"
    lead = f"offline ({offline}), so only this machine was looked at; " if offline else ""
    return (f"{lead}get {what} by other means and put {what} at the place named, or set POSE_TOOLS_MIRROR to a folder "
            "or an address that has a copy of another machine's model files")
