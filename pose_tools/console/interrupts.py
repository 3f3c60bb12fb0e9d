"""Ctrl-C between steps, not in the middle of one."""
from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Optional


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets what is inside come to its end before Ctrl-C ends the program; for short steps.

    Raises:
        KeyboardInterrupt: At the end, where Ctrl-C came meanwhile and would have ended the program.
    """
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):  # nothing to hold back
        yield
        return
    came: list[Optional[FrameType]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        before(signal.SIGINT, came[0])
