"""A window that shows pictures, where there is a display."""
from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import Optional

import numpy as np

from pose_tools.console import UserError

_KEYS_TO_END = (ord("q"), ord("Q"), 27)  # 27: Esc
_TRIAL_SECONDS, _SLICE_MS = 20, 50
# A display that is named but does not answer ends the process that asks, so another one asks.
_TRIAL = "import cv2; cv2.namedWindow('pose_tools'); cv2.destroyAllWindows()"


class Window:
    """Shows pictures under a title. To be used by the main thread only, as systems want it.

    Args:
        title: Of the window.

    Raises:
        UserError: There is no display, or OpenCV was built without windows.
    """

    def __init__(self, title: str) -> None:
        """Tries whether there is a display."""
        self._title, self._shown = title, False
        if problem := _problem():
            raise UserError(f"--show: {problem}")

    def show(self, image: np.ndarray, wait_ms: Optional[int] = 1) -> bool:
        """Shows a picture.

        Args:
            image: BGR (H, W, 3) uint8.
            wait_ms: How long to look for keys; None waits for one, for a picture that stands still.

        Returns:
            False when the user wants to end: q or Esc was pressed, or the window closed.
        """
        import cv2

        if not self._shown:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL)
            cv2.resizeWindow(self._title, *_within_screen(image.shape[1], image.shape[0]))
            self._shown = True
        cv2.imshow(self._title, image)
        end = None if wait_ms is None else time.monotonic() + wait_ms / 1000
        while True:
            key = cv2.waitKey(_SLICE_MS if wait_ms is None else max(1, min(_SLICE_MS, wait_ms)))
            if key >= 0 and key & 0xFF in _KEYS_TO_END:
                return False
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            if key >= 0 or (end is not None and time.monotonic() >= end):
                return True

    def close(self) -> None:
        """Takes the window away."""
        import cv2

        if self._shown:
            self._shown = False
            with contextlib.suppress(cv2.error):  # the user closed it
                cv2.destroyWindow(self._title)


def _within_screen(width: int, height: int) -> tuple[int, int]:
    """A size that fits common screens, of the picture's proportions."""
    factor = min(1.0, 1280 / width, 800 / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _problem() -> str:
    """Why there can be no window; empty where there can be one."""
    try:
        done = subprocess.run([sys.executable, "-c", _TRIAL], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=_TRIAL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return "the display does not answer"
    if not done.returncode:
        return ""
    if b"not implemented" in done.stderr:
        return "this OpenCV was built without windows (opencv-python-headless); install opencv-python"
    return "there is no display to show a window on; the files are written without --show"
