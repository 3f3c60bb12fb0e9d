"""Videos are read frame by frame, at their times, and what is wrong with them is one line."""
import struct
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.media import open_sources, video
from pose_tools.inference.media.video import VideoFile

RATE = 12.5


def grey(value, size=(48, 32)):
    return np.full((size[1], size[0], 3), value, np.uint8)


def write_video(path, frames=20, code="mp4v", size=(48, 32), noise=0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), RATE, size)
    assert writer.isOpened()
    random = np.random.default_rng(0)
    for i in range(frames):
        writer.write(grey(10 * i, size) + random.integers(0, noise + 1, (size[1], size[0], 3), np.uint8))
    writer.release()
    return path


def test_frames_come_with_number_time_and_source(tmp_path):
    source, = open_sources(write_video(tmp_path / "a.mp4"))
    assert (source.kind, source.frame_rate, source.frames, source.size) == ("video", RATE, 20, (48, 32))
    frames = list(source)
    assert [frame.number for frame in frames] == list(range(20))
    assert np.allclose([frame.time for frame in frames], np.arange(20) / RATE, atol=1e-3)
    assert all(abs(int(np.median(frame.image)) - 10 * i) <= 4 for i, frame in enumerate(frames))
    assert frames[3].source is source and source.fault is None
    assert frames[0].image is not frames[1].image and frames[0].image.flags.c_contiguous
    assert len(list(source)) == 20, "it can be read again"


def test_a_file_that_breaks_off_gives_what_there_is_and_names_the_last_frame(tmp_path):
    whole = write_video(tmp_path / "whole.avi", frames=20, code="MJPG", size=(160, 120), noise=55).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[:len(whole) * 6 // 10])
    source = VideoFile(path)
    count = len(list(source))
    assert 5 <= count < 18
    assert str(source.fault).startswith(f"{path}: breaks off after frame {count - 1} (at ")
    assert str(source.fault).endswith("of about 20")


@pytest.mark.parametrize(("data", "what"), [(b"", r"is empty \(0 bytes\)"), (b"words, words", "not a video"),
                                            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "not a video")])
def test_what_is_no_video_is_one_line(data, what, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    source = VideoFile(path)
    assert (source.frame_rate, source.frames, source.size) == (None, None, None)
    with pytest.raises(UserError, match=f"^{path}: {what}"):
        list(source)


def test_opencv_is_not_heard_beside_that_line(tmp_path, root):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"words, words")
    code = f"""import sys; sys.path.insert(0, {str(root)!r})
from pose_tools.inference.media import open_sources
source, = open_sources({str(path)!r})
try:
    list(source)
except Exception as error:
    print(error)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{path}: not a video that can be read\n", "")


def test_a_file_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(VideoFile(tmp_path / "gone.mp4"))


def test_rotation_is_applied(tmp_path):
    """A telephone stores rows as its sensor has them, and the turn in the track's matrix (ISO 14496-12, 8.3.2)."""
    path = tmp_path / "turned.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), RATE, (48, 32))
    picture = grey(20)
    picture[:8, :8] = 240
    for _ in range(4):
        writer.write(picture)
    writer.release()
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at:at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(data)
    source = VideoFile(path)
    assert source.size == (32, 48)
    image = next(iter(source)).image
    assert image.shape == (48, 32, 3)
    assert image[2, -3, 0] > 180 and image[2, 2, 0] < 90, "the upper left corner is now the upper right"


def test_closing_ends_the_iteration_from_another_thread(tmp_path):
    source = VideoFile(write_video(tmp_path / "a.mp4"))
    assert source.size
    frames = iter(source)
    next(frames)
    closer = threading.Thread(target=source.close)
    closer.start()
    closer.join()
    assert list(frames) == [] and source.fault is None
    source.close()


class FakeCapture:
    """A capture whose frames have the given times, s."""

    def __init__(self, times, rate, count):
        self.times, self.at = times, -1
        self.facts = {cv2.CAP_PROP_FPS: rate, cv2.CAP_PROP_FRAME_COUNT: count, cv2.CAP_PROP_FRAME_WIDTH: 48,
                      cv2.CAP_PROP_FRAME_HEIGHT: 32}

    def read(self):
        self.at += 1
        return (True, grey(self.at)) if self.at < len(self.times) else (False, None)

    def get(self, what):
        return self.times[self.at] * 1000 if what == cv2.CAP_PROP_POS_MSEC else self.facts[what]

    def release(self):
        pass


def fake(monkeypatch, times, rate, count):
    monkeypatch.setattr(video, "open_capture", lambda name: FakeCapture(times, rate, count))
    return VideoFile("http://nowhere/film.mp4")


def test_a_variable_frame_rate_keeps_its_times_and_is_no_fault(monkeypatch):
    times = [0, 0.04, 0.08, 0.12, 0.52, 0.92, 1.32, 1.72]
    source = fake(monkeypatch, times, 25.0, 50)  # the count is made from length and highest rate
    assert [frame.time for frame in source] == pytest.approx(times)
    assert source.fault is None


def test_times_go_forward_even_where_the_file_has_none(monkeypatch):
    source = fake(monkeypatch, [0, 0, 0, 0], 10.0, 4)
    assert [frame.time for frame in source] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(("rate", "count"), [(0.0, -1.0), (90000.0, 0.0), (float("nan"), -9e18)])
def test_senseless_claims_are_none(monkeypatch, rate, count):
    source = fake(monkeypatch, [0, 0.1], rate, count)
    assert (source.frame_rate, source.frames, source.size) == (None, None, (48, 32))
    assert len(list(source)) == 2 and source.fault is None


def test_a_video_without_frames_says_so(monkeypatch):
    with pytest.raises(UserError, match="holds no frame that can be decoded"):
        list(fake(monkeypatch, [], 25.0, 0))
