"""Reading video files with OpenCV, whose FFmpeg does the decoding."""
from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from pose_tools.console import Fault, UserError
from pose_tools.inference.media.source import Frame

if TYPE_CHECKING:
    import cv2

FASTEST = 1000.0  # frames/s; what claims more counts ticks of a clock, not frames
OPEN_SECONDS, READ_SECONDS = 15.0, 10.0  # of patience with an address
# A count is an estimate: a file may hold some frames that are never shown.
_MISSING_SHARE, _MISSING_FRAMES = 0.02, 2


class VideoFile:
    """A video, frame after frame; each iteration starts at the first.

    Frames are turned as the file's rotation says, and have the time the file gives them, so that a variable frame rate
    is no trouble. A file that breaks off yields the frames there are, and ``fault`` then names the last.

    Args:
        path: A file, or an HTTP address of one.
        name: What is shown to the user; the path or address by default.
    """

    kind = "video"
    dropped = 0

    def __init__(self, path: Union[str, Path], name: str = "") -> None:
        """Opens nothing yet."""
        self._place, self.name = str(path), name or str(path)
        self.path = path if isinstance(path, Path) else None
        self.fault: Optional[Fault] = None
        self._lock = threading.Lock()
        self._open: Optional[cv2.VideoCapture] = None  # looked into, and not read from yet
        self._facts: Optional[_Facts] = None
        self._closed = False

    @property
    def frame_rate(self) -> Optional[float]:
        """Mean frames/s; None where the file does not say, or cannot be read."""
        return self._look().frame_rate

    @property
    def frames(self) -> Optional[int]:
        """About how many there are; None where nothing is known."""
        return self._look().frames

    @property
    def size(self) -> Optional[tuple[int, int]]:
        """(width, height) px of the upright frames; None where the file cannot be read."""
        return self._look().size

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames.

        Raises:
            UserError: There is no such file, or not one frame in it can be decoded.
        """
        self.fault, self._closed = None, False
        capture = self._take()
        number, time, longest = 0, 0.0, 0.0
        try:
            while not self._closed:
                done, image = capture.read()
                if not done:
                    break
                before, time = time, _time_of(capture, number, time, self._facts.frame_rate)
                longest = max(longest, time - before)
                yield Frame(image, self, number, time)
                number += 1
        finally:
            capture.release()
        if not self._closed:
            self._judge(number, time, longest)

    def close(self) -> None:
        """Ends an iteration at its next frame."""
        self._closed = True
        with self._lock:
            capture, self._open = self._open, None
        if capture is not None:
            capture.release()

    def _look(self) -> _Facts:
        """Opens the file once to see what it says of itself."""
        if self._facts is None:
            try:
                capture = self._take()
            except UserError:
                self._facts = _Facts(None, None, None)
            else:
                with self._lock:
                    self._open = capture
        return self._facts

    def _take(self) -> Any:
        """A capture at the first frame."""
        with self._lock:
            capture, self._open = self._open, None
        if capture is None:
            capture = self._opened()
            self._facts = _facts_of(capture)
        return capture

    def _opened(self) -> Any:
        if self.path is not None:
            try:
                with open(self.path, "rb") as file:
                    if not file.read(1):
                        raise UserError(f"{self.name}: is empty (0 bytes)")
            except OSError as error:
                raise UserError(f"{self.name}: cannot be read: {error.strerror or error}") from None
        capture = open_capture(self._place)
        if capture is None:
            raise UserError(f"{self.name}: not a video that can be read")
        return capture

    def _judge(self, number: int, time: float, longest: float) -> None:
        """Says what is wrong when fewer frames came than the file should hold.

        Args:
            number: Frames read.
            time: Of the last of them, s.
            longest: Time between two of them, s.
        """
        if not number:
            raise UserError(f"{self.name}: holds no frame that can be decoded")
        count, rate = self._facts.frames, self._facts.frame_rate
        if not count or number >= count * (1 - _MISSING_SHARE) - _MISSING_FRAMES:
            return
        # With a variable frame rate the count may be far off, but not the time of the last frame.
        if rate and count / rate - time <= max(_MISSING_FRAMES / rate, _MISSING_SHARE * count / rate, 1.5 * longest):
            return
        self.fault = Fault(self.name, f"breaks off after frame {number - 1} (at {time:.2f} s), of about {count}")


class _Facts:
    """What an opened file or stream says of itself."""

    def __init__(self, frame_rate: Optional[float], frames: Optional[int],
                 size: Optional[tuple[int, int]]) -> None:
        self.frame_rate, self.frames, self.size = frame_rate, frames, size


def _facts_of(capture: Any) -> _Facts:
    import cv2

    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return _Facts(frame_rate_of(capture), int(count) if 0 < count < 1e9 else None, size_of(capture))


def frame_rate_of(capture: Any) -> Optional[float]:
    """Frames/s that a capture claims; None where it is no sound number."""
    import cv2

    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= FASTEST else None


def size_of(capture: Any) -> Optional[tuple[int, int]]:
    """(width, height) px that a capture claims, after rotation; None where it is no sound size."""
    import cv2

    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return (width, height) if width > 0 and height > 0 else None


def _time_of(capture: Any, number: int, before: float, frame_rate: Optional[float]) -> float:
    """Seconds of the frame just read: the file's own time where it goes forward, else counted."""
    import cv2

    time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    if number == 0:
        return max(0.0, time)
    return time if time > before else before + 1 / (frame_rate or 25.0)


def open_capture(name: Union[str, int]) -> Optional[Any]:
    """Opens a file, an address or a camera by its number, without the complaints OpenCV prints.

    Args:
        name: With a number, the camera; else a path or an address.

    Returns:
        An opened ``cv2.VideoCapture``, or None.
    """
    # Read by OpenCV when it first touches FFmpeg, which would tell of every damaged packet.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    level = cv2.setLogLevel(0)
    try:
        if isinstance(name, int):
            capture = cv2.VideoCapture(name)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_SECONDS * 1000),
                      cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(READ_SECONDS * 1000)] if "://" in name else []
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, limits)
            if not capture.isOpened() and "://" not in name:
                capture = cv2.VideoCapture(name)
    except cv2.error:
        return None
    finally:
        cv2.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        return None
    # What is on by default differs between OpenCV's versions.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture
