"""The ``ffmpeg`` program, where the user has one on PATH: H.264, and the sound of the source."""
from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Optional

import numpy as np

from pose_tools.console import UserError

# What H.264 encoders are called, the best first, and how each is told to be good and quick.
_ENCODERS = {"libx264": ("-preset", "veryfast", "-crf", "20"), "libopenh264": (), "h264_videotoolbox": ("-q:v", "60"),
             "mpeg4": ("-q:v", "3")}
_BITS_OF_A_PIXEL = 0.15  # for encoders that know no quality, only a rate
_SOUND_OF_MP4 = (".mp4", ".m4v", ".mov", ".3gp", ".ts", ".mts", ".m2ts", ".flv")
_PROBE_SECONDS, _LAST_SECONDS, _END_SECONDS = 20, 5, 600


def find_ffmpeg() -> Optional[str]:
    """The program on PATH, if it runs and has an encoder that is wanted here."""
    program = shutil.which("ffmpeg")
    return program if program and encoder_of(program) else None


@lru_cache(maxsize=8)
def encoder_of(program: str) -> Optional[str]:
    """The encoder to take, or None: the program does not run, or has none of them.

    Args:
        program: Its path.
    """
    try:
        answer = subprocess.run([program, "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, errors="replace", timeout=_PROBE_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    # Lines are " V....D libx264   libx264 H.264 / AVC ...".
    words = {line.split()[1] for line in answer.splitlines() if len(line.split()) > 1}
    return next((name for name in _ENCODERS if name in words), None)


class FfmpegEncoder:
    """A running ffmpeg that takes raw frames and writes a video without sound.

    It runs in a session of its own: Ctrl-C on the terminal reaches this process only, which then decides.

    Args:
        program: Its path.
        path: The file to write; its suffix gives the format.
        frame_rate: Frames/s.
        size: (width, height) px, both even.
    """

    def __init__(self, program: str, path: Path, frame_rate: float, size: tuple[int, int]) -> None:
        """Starts it."""
        rate = Fraction(frame_rate).limit_denominator(1001)
        encoder = encoder_of(program) or "libx264"
        quality = list(_ENCODERS[encoder]) or ["-b:v", str(round(size[0] * size[1] * frame_rate * _BITS_OF_A_PIXEL))]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 a pipe that nobody empties would stop it
        self._process = subprocess.Popen(
            [program, "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24",
             "-s", f"{size[0]}x{size[1]}", "-r", str(rate), "-i", "pipe:0", "-an", "-c:v", encoder, *quality,
             "-pix_fmt", "yuv420p", *_to_stream(path), str(path)],
            stdin=subprocess.PIPE, bufsize=0, stdout=subprocess.DEVNULL, stderr=self._said, start_new_session=True)
        self._rest = memoryview(b"")  # of a frame that Ctrl-C came upon; half a frame would spoil the stream

    def write(self, image: np.ndarray) -> None:
        """Hands over a frame, BGR (H, W, 3) uint8, contiguous; waits while the encoder is busy.

        Raises:
            UserError: The program has ended.
        """
        self._rest = memoryview(image).cast("B")
        self._hand_over()

    def _hand_over(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[self._process.stdin.write(self._rest):]
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_SECONDS)
            told = self._last_words()
            self.kill()
            raise UserError(f"ffmpeg ended in the middle: {told}") from None

    def close(self) -> None:
        """Ends the stream and waits for the whole file.

        Raises:
            UserError: The program failed.
        """
        self._hand_over()
        try:
            self._process.stdin.close()
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise UserError(f"ffmpeg did not end within {_END_SECONDS} s") from None
        told = self._last_words()
        self._said.close()
        if self._process.returncode:
            raise UserError(f"ffmpeg failed: {told}")

    def kill(self) -> None:
        """Ends it at once; what it wrote is of no use."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._said.close()

    def _last_words(self) -> str:
        self._said.seek(0)
        return _last_line(self._said.read(), self._process.returncode)


def add_audio(program: str, video: Path, sound: Path, target: Path, seconds: float) -> str:
    """Joins a video with the sound of another file, which is copied, or encoded anew where players want that.

    Args:
        program: ffmpeg's path.
        video: Has pictures only.
        sound: Its sound tracks are taken, if there are any.
        target: The file to write.
        seconds: Length of the video; sound beyond is cut off.

    Returns:
        ``""``, or why the sound had to be left out; then there is no whole file at ``target``.
    """
    told = ""
    # MP4 takes a WebM's Vorbis or an AVI's PCM, but few players then do.
    is_alike = sound.suffix.lower() in _SOUND_OF_MP4 or target.suffix.lower() == ".mkv"
    for codec in ("copy", "aac") if is_alike else ("aac", "copy"):
        command: Sequence[str] = [
            program, "-hide_banner", "-loglevel", "error", "-y", "-nostdin", "-i", str(video), "-i", str(sound),
            "-map", "0:v:0", "-map", "1:a?", "-c:v", "copy", "-c:a", codec, "-t", f"{seconds:.6f}",
            *_to_stream(target), str(target)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              start_new_session=True)
        if not done.returncode and target.is_file():
            return ""
        told = _last_line(done.stderr, done.returncode)
    return told


def _to_stream(path: Path) -> list[str]:
    """Lets an MP4 start to play before all of it is there."""
    return ["-movflags", "+faststart"] if path.suffix.lower() in (".mp4", ".mov") else []


def _last_line(said: bytes, code: Optional[int]) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {code}"
