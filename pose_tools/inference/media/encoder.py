"""Writing a video: by ``ffmpeg`` where it is on PATH, else by OpenCV. The file appears when it is whole."""
from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.media.closing import Closing
from pose_tools.inference.media.ffmpeg import FfmpegEncoder, add_audio, find_ffmpeg
from pose_tools.inference.media.video import open_capture

DEFAULT_RATE = 25.0  # frames/s, of sources that name none
_CODES = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "XVID"}
# As ffmpeg does for a constant rate: less than that many frames off is the jitter of clocks, not a gap.
_MOST_OFF = 1.1
_MOST_REPEATS = 36000  # a clock that jumps must not fill the disk


class VideoWriter(Closing):
    """Writes frames into a video.

    With ``ffmpeg`` on PATH it is H.264 with the source's sound; else OpenCV's MPEG-4 part 2, without sound. Odd sizes
    get one more column or row, a copy of the last, since neither format has half chroma pixels.

    The frame rate is constant. To keep the time of a source whose rate is not (telephones, screen recordings,
    cameras), frames are handed over with their time: a frame is repeated where the next comes later than the rate
    has it, and left out where it comes more than one frame too early.

    Args:
        path: .mp4, .mov, .mkv or .avi; missing folders are made.
        frame_rate: Frames/s; None takes 25.
        size: (width, height) px; a frame of another size is scaled to it.
        audio_from: The file whose sound is kept.

    Raises:
        UserError: The suffix is another, or the file cannot be written.
    """

    def __init__(self, path: Path, frame_rate: Optional[float], size: tuple[int, int],
                 audio_from: Optional[Path] = None) -> None:
        """Makes the temporary folder, beside the file to be, and starts the encoder."""
        self.path, self.size = Path(path), size
        self.frame_rate = frame_rate if frame_rate and math.isfinite(frame_rate) and frame_rate > 0 else DEFAULT_RATE
        self.notes: list[str] = []
        self.written = 0
        self._audio = audio_from
        self._last: Optional[np.ndarray] = None
        self._began: Optional[float] = None
        suffix = self.path.suffix.lower()
        if suffix not in _CODES:
            raise UserError(f"{self.path}: cannot write a video as {suffix or 'a file without suffix'!r}; "
                            f"use one of {' '.join(_CODES)}")
        self._program = find_ffmpeg()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._work = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent))
        self._part = self._work / f"video{suffix}"
        even = size[0] + size[0] % 2, size[1] + size[1] % 2
        try:
            self._encoder: Any = FfmpegEncoder(self._program, self._part, self.frame_rate, even) if self._program \
                else _OpencvEncoder(self._part, self.frame_rate, even)
        except BaseException as error:
            shutil.rmtree(self._work, ignore_errors=True)
            if isinstance(error, UserError):
                raise UserError(f"{self.path}: {error}") from None
            raise

    def write(self, image: np.ndarray, time: Optional[float] = None) -> None:
        """Writes a frame.

        Args:
            image: BGR (H, W, 3) uint8.
            time: Its seconds in the source; None puts it behind the last.

        Raises:
            UserError: The encoder failed; nothing is left behind.
        """
        image = self._fitted(image)
        if time is not None:
            if self._began is None:
                # Sound begins with the source, even where the first frames of that are lost.
                self._began = time - self.written / self.frame_rate if self._audio is None else 0.0
            ahead = (time - self._began) * self.frame_rate - self.written
            if ahead < -_MOST_OFF:
                return
            if ahead > _MOST_OFF:
                for _ in range(min(round(ahead), _MOST_REPEATS)):
                    self._encode(image if self._last is None else self._last)
        self._encode(image)
        self._last = image

    def close(self) -> None:
        """Finishes the file and puts it into place; a video without frames leaves none.

        Raises:
            UserError: It could not be written whole; nothing is left behind.
        """
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        try:
            if self.written:
                encoder.close()
                os.replace(self._with_sound(), self.path)
            else:
                encoder.kill()
        except BaseException as error:
            encoder.kill()
            if isinstance(error, UserError):
                raise UserError(f"{self.path}: {error}") from None
            raise
        finally:
            shutil.rmtree(self._work, ignore_errors=True)

    def abort(self) -> None:
        """Leaves nothing behind."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.kill()
            shutil.rmtree(self._work, ignore_errors=True)

    def _encode(self, image: np.ndarray) -> None:
        if self._encoder is None:
            raise ValueError("the video is closed")
        try:
            self._encoder.write(image)
        except UserError as error:
            self.abort()
            raise UserError(f"{self.path}: {error}") from None
        self.written += 1

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        """A frame of the video's size, made even."""
        import cv2

        if image.shape[1::-1] != self.size:
            image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        width, height = self.size
        if width % 2 or height % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(image)

    def _with_sound(self) -> Path:
        """The file to put into place."""
        if not self._program:
            if self._audio is not None:
                self.notes.append(f"{self.path}: MPEG-4 without sound; with ffmpeg on PATH it is H.264, and the "
                                  "sound is kept")
            return self._part
        if self._audio is None:
            return self._part
        joined = self._work / f"joined{self._part.suffix}"
        told = add_audio(self._program, self._part, self._audio, joined, self.written / self.frame_rate)
        if told:
            self.notes.append(f"{self.path}: without sound, which ffmpeg could not take over: {told}")
            return self._part
        return joined


class _OpencvEncoder:
    """OpenCV's own encoder; the same calls as :class:`pose_tools.inference.media.ffmpeg.FfmpegEncoder`."""

    def __init__(self, path: Path, frame_rate: float, size: tuple[int, int]) -> None:
        import cv2

        self._path, self._count = path, 0
        code = cv2.VideoWriter_fourcc(*_CODES[path.suffix])
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, frame_rate, size)
        if not self._writer.isOpened():
            raise UserError(f"OpenCV cannot write a video of {size[0]}x{size[1]} at {frame_rate:g} frames/s here")

    def write(self, image: np.ndarray) -> None:
        """Encodes a frame, BGR (H, W, 3) uint8."""
        self._writer.write(image)
        self._count += 1

    def close(self) -> None:
        """Finishes the file, and looks whether it is one: OpenCV does not tell of a full disk."""
        import cv2

        self._writer.release()
        capture = open_capture(str(self._path))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture is not None else 0
        if capture is not None:
            capture.release()
        if count < self._count:
            raise UserError(f"OpenCV wrote {count} of {self._count} frames; is the disk full?")

    def kill(self) -> None:
        """Lets the file go."""
        self._writer.release()
