"""What a person sees of downloads: a bar on a terminal, two lines a file elsewhere."""
from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from pose_tools.weights.download.jobs import Job, Progress, host_of
from pose_tools.weights.download.space import in_mb
from pose_tools.weights.entries import Source


@dataclass
class _State:
    """How far one job is, and where its present source began."""

    source: Optional[Source] = None
    begun_at: float = 0.0
    first: int = 0
    received: int = 0
    total: Optional[int] = None
    is_done: bool = False


class Display:
    """Gathers what the threads report and shows it from one of them."""

    def __init__(self, jobs: Sequence[Job], progress: Optional[Callable[[Progress], None]],
                 say: Optional[Callable[[str], None]]) -> None:
        """Shows nothing yet.

        Args:
            jobs: All there are.
            progress: Takes the place of bar and lines; called in the thread that calls :meth:`show`.
            say: Takes lines; by default they go to stderr.
        """
        self._progress = progress
        self._say = say
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._states = {job: _State(total=job.file.size) for job in jobs}
        self._shown: dict[Job, tuple[int, Optional[int]]] = {}
        self._bar: Any = None
        self._first = 0
        self._is_terminal = say is None and sys.stderr is not None and sys.stderr.isatty()

    def say(self, line: str) -> None:
        """Takes a line from any thread; it is shown with the next :meth:`show`."""
        with self._lock:
            self._lines.append(line)

    def report(self, job: Job, source: Source, received: int, total: Optional[int]) -> None:
        """Takes the state of a job from any thread.

        Args:
            job: One of those given.
            source: Where its bytes come from now.
            received: Bytes so far; falls back where a source starts over.
            total: Bytes of the whole, where known.
        """
        with self._lock:
            state = self._states[job]
            state.received, state.total, state.first = received, total, min(state.first, received)
            if state.source is not source:
                state.source, state.first, state.begun_at = source, received, time.monotonic()
                if not self._is_silent():
                    here = f", {in_mb(received)} of them here already" if received else ""
                    size = f" ({in_mb(total)}{here})" if total is not None else ""
                    self._lines.append(f"fetching {job.file.name}{size} from {host_of(source)}")

    def done(self, job: Job, is_there: bool) -> None:
        """Takes note that nothing more will come of a job, from any thread.

        Args:
            job: One of those given.
            is_there: Whether the file is in its place.
        """
        with self._lock:
            state = self._states[job]
            state.is_done = True
            if is_there and state.source is not None and not self._is_silent():
                seconds = max(time.monotonic() - state.begun_at, 1e-3)
                rate = in_mb(int(max(0, state.received - state.first) / seconds))
                self._lines.append(f"{job.file.name}: {in_mb(state.received)}, {seconds:.1f} s, {rate}/s")

    def _is_silent(self) -> bool:
        return self._is_terminal or self._progress is not None

    def show(self) -> None:
        """Shows what has come since the last time."""
        with self._lock:
            lines, self._lines = self._lines, []
            now = {job: (state.received, state.total) for job, state in self._states.items()
                   if state.source is not None}
        for line in lines:
            self._show_line(line)
        if self._progress is not None:
            for job, (received, total) in now.items():
                if self._shown.get(job) != (received, total):
                    self._shown[job] = (received, total)
                    self._progress(Progress(job.file.path, received, total))
        elif self._is_terminal and now:
            self._show_bar()

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _show_line(self, line: str) -> None:
        if self._say is not None:
            self._say(line)
        elif self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def _show_bar(self) -> None:
        with self._lock:
            states = list(self._states.values())
            going = [job.file.name for job, state in self._states.items() if state.source and not state.is_done]
        totals = [state.total for state in states]
        total = None if None in totals else sum(size for size in totals if size is not None)
        received, first = (sum(getattr(state, name) for state in states) for name in ("received", "first"))
        title = going[0] if len(going) == 1 else f"{len(going)} files"
        if self._bar is None:
            from tqdm import tqdm

            self._first = first
            self._bar = tqdm(total=total, initial=received, desc=title, unit="B", unit_scale=True, leave=False,
                             file=sys.stderr, dynamic_ncols=True)
        # What was here before is no speed of this connection.
        self._bar.n += first - self._first
        self._bar.last_print_n += first - self._first
        self._bar.initial += first - self._first
        self._first, self._bar.total = first, total
        self._bar.set_description_str(title, refresh=False)
        self._bar.update(received - self._bar.n)
        self._bar.refresh()
