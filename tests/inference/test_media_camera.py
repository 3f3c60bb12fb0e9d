"""Live pictures: the newest counts, a lost stream is one line, nothing hangs. No camera is needed."""
import http.server
import threading
import time

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.media import open_sources
from pose_tools.inference.media.camera import Camera
from pose_tools.inference.media.video import open_capture


def grey(value, size=(48, 32)):
    return np.full((size[1], size[0], 3), value, np.uint8)


class FakeCapture:
    """A camera; the test says what it does next.

    Args:
        script: What ``read`` gives, one after the other: numbers are frames, None a failed read, an Event is waited
            for first, an exception is raised. At its end every read fails.
    """

    def __init__(self, script, rate=10.0):
        self._script, self._rate = iter(script), rate
        self.released = threading.Event()
        self.reads = 0

    def read(self):
        self.reads += 1
        for item in self._script:
            if isinstance(item, threading.Event):
                assert item.wait(20)
            elif isinstance(item, Exception):
                raise item
            else:
                return (item is not None), (None if item is None else grey(item))
        return False, None

    def get(self, what):
        return {cv2.CAP_PROP_FPS: self._rate, cv2.CAP_PROP_FRAME_WIDTH: 48, cv2.CAP_PROP_FRAME_HEIGHT: 32}[what]

    def release(self):
        self.released.set()


def camera(capture, place="rtsp://there", **options):
    return Camera(str(place), place, opener=lambda place: capture, **options)


def value(frame):
    return int(frame.image[0, 0, 0])


def test_who_is_slow_gets_the_newest_frame_and_not_the_next():
    first, rest, end = threading.Event(), threading.Event(), threading.Event()
    first.set()
    capture = FakeCapture([first, 0, rest, 1, 2, 3, 4, end])
    source = camera(capture)
    frames = iter(source)
    assert value(next(frames)) == 0
    rest.set()
    while capture.reads < 6:  # the thread has asked for the frame behind number 4, and waits for `end`
        time.sleep(0.001)
    frame = next(frames)
    assert (value(frame), frame.number, source.dropped) == (4, 4, 3)
    assert frame.time > 0 and frame.source is source
    assert (source.frame_rate, source.size, source.frames, source.path) == (10.0, (48, 32), None, None)
    end.set()
    assert list(frames) == []
    assert str(source.fault) == "rtsp://there: the stream ended, after frame 4"
    assert capture.released.wait(5)


def test_a_stream_that_stalls_is_one_line_and_no_hang():
    never = threading.Event()
    source = camera(FakeCapture([7, never, 8]), read_seconds=0.2)
    assert [value(frame) for frame in source] == [7]
    assert str(source.fault) == "rtsp://there: no picture for 0.2 s, after frame 0"
    never.set()


def test_a_camera_that_never_gives_a_picture_is_one_line():
    never = threading.Event()
    with pytest.raises(UserError, match="^rtsp://there: no picture within 0.2 s$"):
        list(camera(FakeCapture([never, 8]), open_seconds=0.2))
    never.set()


@pytest.mark.parametrize(("opener", "what"), [
    (lambda place: None, "cannot be opened"), (lambda place: FakeCapture([]), "gives no picture"),
    (lambda place: 1 / 0, "cannot be opened: division by zero"),
    (lambda place: FakeCapture([RuntimeError("driver")]), "cannot be read: driver")])
def test_a_camera_that_fails_at_once_is_one_line(opener, what):
    with pytest.raises(UserError, match=f"^webcam:7: {what}$"):
        list(Camera("webcam:7", 7, opener=opener))


def test_an_error_on_the_way_is_the_fault():
    go = threading.Event()
    source = camera(FakeCapture([1, go, RuntimeError("unplugged")]))
    frames = iter(source)
    next(frames)
    go.set()
    assert list(frames) == [] and str(source.fault).endswith("cannot be read: unplugged, after frame 0")


def test_a_webcam_may_fail_a_few_times_and_a_stream_may_not():
    script = [None, None, 5, None]
    assert [value(frame) for frame in camera(FakeCapture(script), 0)] == [5]
    with pytest.raises(UserError, match="gives no picture"):
        list(camera(FakeCapture(script)))


def test_closing_ends_a_waiting_iteration_and_lets_the_camera_go():
    never = threading.Event()
    capture = FakeCapture([1, never, 2])
    source = camera(capture, read_seconds=30)
    found = []
    reader = threading.Thread(target=lambda: found.extend(source))
    reader.start()
    while not found:
        time.sleep(0.001)
    closer = threading.Thread(target=source.close)
    closer.start()
    reader.join(5)
    assert not reader.is_alive() and source.fault is None
    never.set()
    closer.join(5)
    assert capture.released.wait(5)


def test_leaving_the_loop_lets_the_camera_go():
    capture = FakeCapture(iter(lambda: 3, None))  # without end
    for frame in camera(capture):
        assert value(frame) == 3
        break
    assert capture.released.wait(5)


def test_a_camera_that_is_not_there_is_one_line():
    if open_capture(63) is not None:
        pytest.skip("this machine has a camera 63")
    source, = open_sources("webcam:63")
    with pytest.raises(UserError, match="^webcam:63: cannot be opened$"):
        list(source)


class Stream(http.server.BaseHTTPRequestHandler):
    """Sends JPEGs one after the other, as network cameras do (multipart/x-mixed-replace)."""

    count, pause = 12, 0.03

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for i in range(self.count):
            data = cv2.imencode(".jpg", grey(20 * i, (160, 120)))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(self.pause)

    def log_message(self, *words):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/stream"
    server.shutdown()
    server.server_close()


def test_a_network_camera_is_read_until_it_ends(address):
    source, = open_sources(address)
    frames = list(source)
    assert source.kind == "camera" and source.size == (160, 120)
    numbers = [frame.number for frame in frames]
    assert frames and numbers == sorted(set(numbers)) and numbers[-1] >= Stream.count - 2
    for frame in frames:
        assert abs(value(frame) - 20 * frame.number) <= 4
    assert f"{address}: the stream ended, after frame {numbers[-1]}" == str(source.fault)


def test_an_address_where_nobody_answers_is_one_line(address):
    nobody = address.replace("http", "rtsp").rsplit(":", 1)[0] + ":9/x"
    with pytest.raises(UserError, match="cannot be opened"):
        list(Camera("there", nobody))
