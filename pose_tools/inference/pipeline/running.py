"""The run: sources in, results out, each stage in threads of its own."""
from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Callable, Optional

from pose_tools.console import Fault, UserError
from pose_tools.inference.media import Frame, Source
from pose_tools.inference.pipeline.finding import Finder, Sighting, quiet_opencv
from pose_tools.inference.pipeline.following import Follower
from pose_tools.inference.pipeline.threads import ahead, mapped
from pose_tools.inference.pipeline.times import StageTimes
from pose_tools.inference.result import Result

READERS = 2  # picture files that are decoded at once
WAITING = 2  # most frames between two stages; each takes its picture's memory


@dataclass(frozen=True)
class Schedule:
    """Who works on what.

    Attributes:
        workers: Threads that run networks.
        chunk: Frames that go through the networks together.
        det_interval: The detector runs on every so manieth frame of a video; tracking looks between.
        live: Whether frames come from a camera: as few as can be are then on their way, since each comes later by it.
    """

    workers: int = 1
    chunk: int = 1
    det_interval: int = 1
    live: bool = False

    @property
    def waiting(self) -> int:
        """Most frames between two stages."""
        return 1 if self.live else WAITING

    @property
    def running(self) -> int:
        """Most chunks that are with the workers or wait for them."""
        return self.workers if self.live else 2 * self.workers


@dataclass
class Run:
    """One run over sources; iterate it once.

    Attributes:
        sources: What is predicted.
        finder: Runs the networks.
        follower: Makes results.
        schedule: Who works on what.
        times: Where the seconds are counted.
        faults: Gets what could not be read or predicted.
    """

    sources: Sequence[Source]
    finder: Finder
    follower: Follower
    schedule: Schedule
    times: StageTimes
    faults: list[Fault] = field(default_factory=list)

    def __iter__(self) -> Iterator[Result]:
        """Yields a result a frame, in order. Ended early, it stops its threads and closes its sources."""
        results = ahead(self._results(), self.schedule.waiting, "follow", self.stop)
        torch = sys.modules.get("torch")
        threads = torch.get_num_threads() if torch else None
        try:
            with quiet_opencv(1 if self.schedule.workers > 1 else -1):
                for result in results:
                    self.times.frames += 1
                    self.times.instances += len(result)
                    yield result
        finally:
            self.times.end()
            results.close()
            if torch:  # workers set the number for themselves, and so for threads to come
                torch.set_num_threads(threads)

    def stop(self) -> None:
        """Lets the sources end at their next frame; may be called from any thread."""
        for source in self.sources:
            source.close()

    def _results(self) -> Iterator[Result]:
        """In the thread that follows."""
        sparse = self.schedule.det_interval > 1
        plan = self.schedule
        chunks = _chunks(ahead(self._read(), plan.waiting, "read"), plan.chunk)
        work = self._detect_keys if sparse else self.finder.find
        with closing(mapped(work, chunks, plan.workers, plan.running, "find")) as found:
            for sighting in (each for chunk in found for each in chunk):
                detected = not sparse or sighting.key
                if sparse and sighting.fault is None:
                    sighting = self._estimate(sighting)
                if sighting.fault is not None:
                    self.faults.append(sighting.fault)
                    continue
                with self.times.stage("follow"):
                    result = self.follower.result(sighting, detected, self._look)
                yield result

    def _estimate(self, sighting: Sighting) -> Sighting:
        """Keypoints in the detector's boxes, or where the objects are expected by now."""
        if not sighting.key:
            with self.times.stage("follow"):
                sighting = replace(sighting, boxes=self.follower.ahead(sighting.frame))
        return self.finder.estimate([sighting])[0]

    @property
    def _look(self) -> Optional[Callable[[Sighting], Sighting]]:
        """Finds keypoints of what a detector missed; boxes that were given are all there are."""
        return None if self.finder.given else lambda sighting: self.finder.estimate([sighting])[0]

    def _detect_keys(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        wanted = [each for each in sightings if each.key]
        found = iter(self.finder.detect(wanted) if wanted else ())
        return [next(found) if each.key else each for each in sightings]

    def _read(self) -> Iterator[Sighting]:
        """In the thread that reads."""
        order = 0
        for are_files, group in groupby(self.sources, lambda source: source.kind == "image"):
            source, number = None, 0
            for frame in self._files(group) if are_files else self._streams(group):
                number = number + 1 if frame.source is source else 0
                source = frame.source
                yield Sighting(frame, order, key=number % self.schedule.det_interval == 0)
                order += 1

    def _files(self, sources: Iterable[Source]) -> Iterator[Frame]:
        """Picture files, several at once."""
        for frames, fault in mapped(self._read_file, sources, READERS, READERS, "read"):
            yield from frames
            self.faults += [fault] if fault else []

    def _read_file(self, source: Source) -> tuple[list[Frame], Optional[Fault]]:
        with self.times.stage("read"):
            try:
                return list(source), source.fault
            except UserError as error:
                return [], fault_of(error, source)

    def _streams(self, sources: Iterable[Source]) -> Iterator[Frame]:
        for source in sources:
            try:
                yield from self.times.reading(source, "read")
                if source.fault is not None:
                    self.faults.append(source.fault)
            except UserError as error:
                self.faults.append(fault_of(error, source))
            finally:
                source.close()


def fault_of(error: UserError, source: Source) -> Fault:
    """What went wrong with a source, for the list at the end."""
    return Fault(source.name, str(error).removeprefix(f"{source.name}: "))


def _chunks(items: Iterable[Sighting], size: int) -> Iterator[list[Sighting]]:
    chunk: list[Sighting] = []
    try:
        for item in items:
            chunk.append(item)
            if len(chunk) >= size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
