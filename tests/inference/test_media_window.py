"""The window: keys that end it, and one line where there is no display. OpenCV's calls are stood in for."""
import subprocess

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.media import Window
from pose_tools.inference.media import window as module

PICTURE = np.zeros((1500, 2000, 3), np.uint8)


@pytest.fixture
def screen(monkeypatch):
    """A display that gives the keys of a list, and notes what happens."""
    state = {"keys": [], "visible": 1.0, "calls": []}
    monkeypatch.setattr(module, "_problem", lambda: "")
    for name in ("namedWindow", "resizeWindow", "imshow", "destroyWindow"):
        monkeypatch.setattr(cv2, name, lambda *words, name=name: state["calls"].append((name, *words[1:])))
    monkeypatch.setattr(cv2, "waitKey", lambda ms: state["keys"].pop(0) if state["keys"] else -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: state["visible"])
    return state


@pytest.mark.parametrize(("key", "goes_on"), [("q", False), ("Q", False), ("\x1b", False), ("a", True), (None, True)])
def test_q_and_escape_end_it(screen, key, goes_on):
    screen["keys"] = [-1 if key is None else ord(key)]
    assert Window("t").show(PICTURE) is goes_on


def test_closing_the_window_ends_it(screen):
    screen["visible"] = 0.0
    assert Window("t").show(PICTURE) is False
    assert Window("t").show(PICTURE, wait_ms=None) is False


def test_a_still_picture_waits_for_a_key(screen):
    screen["keys"] = [-1, -1, -1, ord(" "), ord("q")]
    assert Window("t").show(PICTURE, wait_ms=None) is True
    assert screen["keys"] == [ord("q")]


def test_it_fits_the_screen_and_goes_away(screen):
    window = Window("t")
    window.show(PICTURE)
    window.show(PICTURE)
    window.close()
    window.close()
    names = [call[0] for call in screen["calls"]]
    assert names == ["namedWindow", "resizeWindow", "imshow", "imshow", "destroyWindow"]
    assert screen["calls"][1][1:] == (1067, 800), "1500 rows become 800"


@pytest.mark.parametrize(("code", "said", "what"), [
    (-6, b"could not connect to display", "no display"),
    (1, b"cv2.error: The function is not implemented", "headless")])
def test_no_display_is_one_line(monkeypatch, code, said, what):
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: subprocess.CompletedProcess(args, code, b"", said))
    with pytest.raises(UserError, match=f"^--show: .*{what}"):
        Window("t")


def test_a_display_that_does_not_answer_is_one_line(monkeypatch):
    def hang(*args, **options):
        raise subprocess.TimeoutExpired("python", 20)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(UserError, match="does not answer"):
        Window("t")


def test_without_a_display_the_process_lives_on(monkeypatch):
    """Qt ends a process that asks for a display where there is none."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if not module._problem():
        pytest.skip("this system shows windows without these variables")
    with pytest.raises(UserError, match="--show"):
        Window("t")
