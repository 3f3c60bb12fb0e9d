"""How long each stage was at work."""
from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Optional, TypeVar

STAGES = ("read", "detect", "pose", "follow", "draw", "write")
Item = TypeVar("Item")


class StageTimes:
    """Adds up the seconds that stages work, in whatever threads; waiting for one another is not counted.

    Stages overlap, so that together they may have worked longer than the run took. A stage that several threads work
    on counts the seconds of each.

    Attributes:
        seconds: By stage, as clocks on the wall have it: with more threads than cores, waiting for a core is part.
        cpu_seconds: By stage, of the processor; threads that libraries start are not counted.
        frames: Pictures and frames that were finished.
        instances: Objects in them.
        started: When the first frame was asked for, as :func:`time.perf_counter` has it.
        ended: When the last result was done with, likewise; None while the run goes on.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self.seconds, self.cpu_seconds = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0.0)
        self.frames = self.instances = 0
        self.started = time.perf_counter()
        self.ended: Optional[float] = None
        self._cpu = time.process_time()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what is done inside for a stage."""
        start, start_cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            took, took_cpu = time.perf_counter() - start, time.thread_time() - start_cpu
            with self._lock:
                self.seconds[name] += took
                self.cpu_seconds[name] += took_cpu

    def reading(self, items: Iterable[Item], name: str) -> Iterator[Item]:
        """Iterates, and counts the time that the next item takes for a stage."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def end(self) -> None:
        """Ends the run now."""
        self.ended = time.perf_counter()

    @property
    def wall(self) -> float:
        """Seconds from the first frame that was asked for to the end."""
        return (self.ended or time.perf_counter()) - self.started

    def as_dict(self) -> dict[str, Any]:
        """For a file: seconds; ``cpu_s`` is of all threads of the process, those of the libraries too."""
        return {"frames": self.frames, "instances": self.instances, "wall_s": self.wall,
                "cpu_s": time.process_time() - self._cpu, "stages": dict(self.seconds),
                "stages_cpu": dict(self.cpu_seconds)}

    def line(self) -> str:
        """What a person is told at the end."""
        rate = self.frames / self.wall if self.wall > 0 else 0.0
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items() if seconds >= 0.005)
        return (f"{self.frames} frames, {self.instances} instances in {self.wall:.2f} s ({rate:.1f} frames/s); stages "
                f"overlap, seconds of work: {parts or 'none'}")
