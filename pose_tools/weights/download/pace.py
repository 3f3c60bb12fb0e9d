"""When to try again, how long to wait before, and when to give a source up."""
from __future__ import annotations

import email.utils
import random
import time
from datetime import datetime, timezone
from typing import Callable, Optional

from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits

_SLICE_SECONDS = 0.2
_LONG_SECONDS = 5


class TryAgain(Exception):
    """An attempt failed in a way that another one may not."""

    def __init__(self, reason: str, wait: Optional[float] = None, is_connected: bool = True) -> None:
        """Says why.

        Args:
            reason: One clause.
            wait: Seconds that the server asks for, zero for at once; by default the back-off decides.
            is_connected: False where there was not even a connection.
        """
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.is_connected = is_connected


class Pace:
    """Counts the attempts at one source and measures how fast it is over all of them."""

    def __init__(self, limits: Limits, size: int, say: Callable[[str], None] = lambda line: None) -> None:
        """Starts the clock.

        Args:
            limits: How patient to be.
            size: Bytes that are here already.
            say: Takes a line for the user before a long wait.
        """
        self._limits = limits
        self._say = say
        self._best = size
        self._failures = 0
        self._start = time.monotonic()
        self._bytes = 0

    def received(self, count: int, size: int) -> None:
        """Takes note of bytes.

        Args:
            count: How many came.
            size: How many there are now.

        Raises:
            SourceFailed: Too few came for too long.
        """
        if size > self._best:
            # Only more than ever before is progress: a server that is cut each time and starts over makes none.
            self._best, self._failures = size, 0
        self._bytes += count
        passed = time.monotonic() - self._start
        if passed >= self._limits.slow_seconds:
            self._refuse_slow(passed)
            self._start, self._bytes = time.monotonic(), 0

    def wait(self, again: TryAgain, tick: Callable[[], None]) -> None:
        """Waits before another attempt.

        Args:
            again: What went wrong.
            tick: Called while waiting; may raise to end it.

        Raises:
            SourceFailed: There were attempts enough, or the server asks for more patience than there is.
        """
        self._failures += 1
        limits = self._limits
        most = limits.attempts if again.is_connected else min(limits.attempts, limits.connect_attempts)
        if self._failures >= most:
            raise SourceFailed(f"{again.reason}, {self._failures} times in a row", not again.is_connected)
        passed = time.monotonic() - self._start
        if passed >= limits.slow_seconds:
            self._refuse_slow(passed)
        if again.wait is not None and again.wait > limits.retry_after_most:
            raise SourceFailed(f"{again.reason} and asks to come back in {again.wait:.0f} s")
        longest = min(limits.backoff_most, limits.backoff_seconds * 2 ** (self._failures - 1))
        seconds = again.wait if again.wait is not None else random.uniform(0, longest)
        if seconds >= _LONG_SECONDS:
            self._say(f"{again.reason}; trying again in {seconds:.0f} s")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            tick()
            time.sleep(min(left, _SLICE_SECONDS))
        tick()
        self._start += seconds  # its wish, not its slowness

    def _refuse_slow(self, passed: float) -> None:
        if self._bytes / passed < self._limits.slow_bytes_per_second:
            raise SourceFailed(f"it sends {self._bytes / passed:.0f} bytes a second, "
                               f"less than {self._limits.slow_bytes_per_second:.0f}")


def retry_after(text: Optional[str]) -> Optional[float]:
    """Reads a ``Retry-After`` header (RFC 9110, 10.2.3): seconds, or a date.

    Returns:
        Seconds from now, not below zero; ``None`` where it says nothing that can be understood.
    """
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
