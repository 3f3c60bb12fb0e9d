"""Live pictures, of which the newest is the one that counts."""
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union

import numpy as np

from pose_tools.console import Fault, UserError
from pose_tools.inference.media.source import Frame
from pose_tools.inference.media.video import OPEN_SECONDS, READ_SECONDS, frame_rate_of, open_capture, size_of

_RETRIES, _PAUSE = 5, 0.02  # a webcam that wakes up may fail some times; seconds between


class Camera:
    """A webcam or a stream. A thread of its own reads it, and keeps no frame but the last.

    What works on the frames therefore always has the newest, however slow it is; the frames between are dropped and
    counted. A stream that ends, or delivers nothing for a while, ends the iteration, and ``fault`` says so.

    Args:
        name: What is shown to the user.
        place: Number of a webcam, or an address.
        opener: Gives an opened capture (``read()``, ``get(property)``, ``release()``), or None.
        open_seconds: How long opening and the first frame may take.
        read_seconds: How long a frame may take.
    """

    kind = "camera"
    path = None
    frames = None

    def __init__(self, name: str, place: Union[int, str],
                 opener: Callable[[Union[int, str]], Optional[Any]] = open_capture,
                 open_seconds: float = OPEN_SECONDS, read_seconds: float = READ_SECONDS) -> None:
        """Opens nothing yet."""
        self.name, self._place, self._opener = name, place, opener
        self._open_seconds, self._read_seconds = open_seconds, read_seconds
        self.fault: Optional[Fault] = None
        self.frame_rate: Optional[float] = None
        self.size: Optional[tuple[int, int]] = None
        self.dropped = 0
        self._changed = threading.Condition()
        self._newest: Optional[tuple[np.ndarray, int, float]] = None
        self._end = ""  # why the thread has ended
        self._stop = False
        self._thread: Optional[threading.Thread] = None

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest frame whenever one is asked for; waits where there is none since the last.

        Raises:
            UserError: It cannot be opened, or gives no frame in time.
        """
        self._start()
        last, began = -1, 0.0
        try:
            while True:
                image, number, when = self._wait(last)
                if image is None:
                    return
                began = began or when
                self.dropped += number - last - 1
                last = number
                yield Frame(image, self, number, when - began)
        finally:
            self._stop = True

    def close(self) -> None:
        """Ends the iteration and lets the camera go."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # One that hangs in a driver is left behind: it ends with the process.
            thread.join(timeout=1.0)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name=f"camera {self.name}", daemon=True)
            self._thread.start()

    def _wait(self, last: int) -> tuple[Optional[np.ndarray], int, float]:
        """Waits for a frame after number ``last``; (None, 0, 0) when there will be none."""
        patience = self._open_seconds if last < 0 else self._read_seconds
        with self._changed:
            self._changed.wait_for(lambda: self._stop or self._newest is not None or bool(self._end), patience)
            found, self._newest = self._newest, None
            if self._stop:
                return None, 0, 0.0
            if found is not None:
                return found
            self._stop = True
            if last < 0:
                raise UserError(f"{self.name}: {self._end or f'no picture within {patience:g} s'}")
            what = self._end or f"no picture for {patience:g} s"
            self.fault = Fault(self.name, f"{what}, after frame {last}")
            return None, 0, 0.0

    def _read(self) -> None:
        """The thread: opens, reads until something ends it, lets go."""
        try:
            capture = self._opener(self._place)
        except Exception as error:  # a driver can raise anything; the waiting side must hear of it
            self._finish(f"cannot be opened: {error}")
            return
        if capture is None:
            self._finish("cannot be opened")
            return
        try:
            self._facts(capture)
            self._finish(self._read_frames(capture))
        except Exception as error:
            self._finish(f"cannot be read: {error}")
        finally:
            capture.release()

    def _facts(self, capture: Any) -> None:
        self.frame_rate, self.size = frame_rate_of(capture), size_of(capture)

    def _read_frames(self, capture: Any) -> str:
        number, failed = 0, 0
        most = _RETRIES if isinstance(self._place, int) else 0
        while not self._stop:
            done, image = capture.read()
            if not done:
                failed += 1
                if failed > most:
                    return "the stream ended" if number else "gives no picture"
                time.sleep(_PAUSE)
                continue
            failed = 0
            with self._changed:
                self._newest = image, number, time.monotonic()
                self._changed.notify_all()
            number += 1
        return ""

    def _finish(self, why: str) -> None:
        with self._changed:
            self._end = why or "closed"
            self._changed.notify_all()
