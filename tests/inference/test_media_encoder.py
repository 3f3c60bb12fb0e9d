"""Videos are written whole or not at all, by ffmpeg or OpenCV, at the time of the source."""
import json
import os
import sys
import time as clock

import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.media import VideoWriter
from pose_tools.inference.media.video import VideoFile

# Does as ffmpeg would, as far as calls go: writes the raw bytes it gets, and joins by copying the picture file.
FFMPEG = '''#!{python}
import json, os, shutil, sys
args, mode = sys.argv[1:], os.environ.get("FAKE_FFMPEG", "")
with open(os.environ["FAKE_FFMPEG_LOG"], "a") as log:
    log.write(json.dumps(args) + "\\n")
if "-encoders" in args:
    if mode == "broken":
        sys.exit("error while loading shared libraries")
    print(" V....D " + ("libvpx" if mode == "no h264" else "libx264") + "   words")
elif "pipe:0" in args:
    if mode == "dies":
        os.read(0, 100)
        sys.exit("first line\\nout of cheese")
    with open(args[-1], "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    if mode == "fails":
        sys.exit("no space left on device")
else:
    if mode == "mute" or (mode == "no copy" and args[args.index("-c:a") + 1] == "copy"):
        sys.exit("codec not supported in container")
    shutil.copyfile(args[args.index("-i") + 1], args[-1])
'''


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Puts the fake on PATH; returns a function that gives the calls it got."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FFMPEG.replace("{python}", sys.executable), encoding="utf-8")
    program.chmod(0o755)
    log = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{program.parent}")
    monkeypatch.setenv("FAKE_FFMPEG_LOG", str(log))
    return lambda: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def no_ffmpeg(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def frame(value, size=(6, 4)):
    return np.full((size[1], size[0], 3), value, np.uint8)


def values(path, size=(6, 4)):
    """The first number of each frame in a file of raw bytes."""
    return np.fromfile(path, np.uint8).reshape(-1, size[1] * size[0] * 3)[:, 0].tolist()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_ffmpeg_gets_every_byte_and_the_real_rate(ffmpeg, tmp_path):
    path = tmp_path / "out" / "a.mp4"
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    with VideoWriter(path, 30000 / 1001, (6, 4)) as writer:
        for picture in pictures:
            writer.write(picture)
        assert not path.exists()
    assert path.read_bytes() == pictures.tobytes()
    assert left_in(path.parent) == ["a.mp4"] and writer.notes == []
    _, call = ffmpeg()
    text = " ".join(call)
    for words in ("-f rawvideo", "-pix_fmt bgr24 -s 6x4 -r 30000/1001 -i pipe:0", "-c:v libx264", "-pix_fmt yuv420p"):
        assert words in text


def test_a_view_that_is_not_contiguous_is_written_as_it_looks(ffmpeg, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)[:, ::-1]
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4)) as writer:
        writer.write(picture)
    assert (tmp_path / "a.mp4").read_bytes() == picture.tobytes()


@pytest.mark.parametrize(("source", "codecs"), [("film.mp4", ["copy"]), ("film.webm", ["aac"])])
def test_the_sound_is_copied_where_players_take_it(ffmpeg, tmp_path, source, codecs):
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4), tmp_path / source) as writer:
        for i in range(15):
            writer.write(frame(i))
    joins = [call for call in ffmpeg() if "-c:a" in call]
    assert [call[call.index("-c:a") + 1] for call in joins] == codecs
    assert str(tmp_path / source) in joins[0] and "1:a?" in joins[0]
    assert float(joins[0][joins[0].index("-t") + 1]) == 1.5, "sound ends with the picture"
    assert values(tmp_path / "a.mp4") == list(range(15)) and writer.notes == []


def test_sound_that_cannot_be_copied_is_encoded(ffmpeg, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FFMPEG", "no copy")
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4), tmp_path / "film.mp4") as writer:
        writer.write(frame(1))
    assert [call[call.index("-c:a") + 1] for call in ffmpeg() if "-c:a" in call] == ["copy", "aac"]
    assert writer.notes == []


def test_sound_that_fails_costs_the_sound_only(ffmpeg, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FFMPEG", "mute")
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4), tmp_path / "film.mp4") as writer:
        writer.write(frame(1))
    assert values(tmp_path / "a.mp4") == [1]
    note, = writer.notes
    assert "without sound" in note and "codec not supported" in note


def test_an_ffmpeg_that_dies_is_one_line_and_leaves_nothing(ffmpeg, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FFMPEG", "dies")
    path, size = tmp_path / "out" / "a.mp4", (640, 480)
    writer = VideoWriter(path, 10, size)
    with pytest.raises(UserError, match=f"{path}: ffmpeg ended in the middle: out of cheese"):
        for i in range(50):
            writer.write(frame(i, size))
    assert left_in(path.parent) == []
    with pytest.raises(ValueError, match="closed"):
        writer.write(frame(0, size))
    writer.close()
    assert left_in(path.parent) == []


def test_an_ffmpeg_that_fails_in_the_end_leaves_nothing(ffmpeg, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FFMPEG", "fails")
    path = tmp_path / "out" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"the film of yesterday")
    writer = VideoWriter(path, 10, (6, 4))
    writer.write(frame(0))
    with pytest.raises(UserError, match=f"{path}: ffmpeg failed: no space left"):
        writer.close()
    assert path.read_bytes() == b"the film of yesterday" and left_in(path.parent) == ["a.mp4"]


@pytest.mark.parametrize("mode", ["broken", "no h264"])
def test_an_ffmpeg_of_no_use_is_passed_over(ffmpeg, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("FAKE_FFMPEG", mode)
    with VideoWriter(tmp_path / "a.mp4", 10, (64, 48)) as writer:
        writer.write(frame(9, (64, 48)))
    assert len(list(VideoFile(tmp_path / "a.mp4"))) == 1 and len(ffmpeg()) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_opencv_writes_without_ffmpeg_and_says_what_is_missing(no_ffmpeg, tmp_path, suffix):
    path = tmp_path / "out" / f"a{suffix}"
    with VideoWriter(path, 12.5, (64, 48), tmp_path / "film.mp4") as writer:
        for i in range(10):
            writer.write(frame(20 * i, (64, 48)))
    found = VideoFile(path)
    assert (found.frame_rate, found.size) == (12.5, (64, 48))
    assert [round(np.median(each.image) / 20) for each in found] == list(range(10))
    note, = writer.notes
    assert note.startswith(f"{path}: MPEG-4 without sound") and left_in(path.parent) == [path.name]


def test_odd_sizes_lose_nothing(no_ffmpeg, tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10, (63, 47)) as writer:
        picture = frame(40, (63, 47))
        picture[:, -8:] = 220
        writer.write(picture)
    image = next(iter(VideoFile(tmp_path / "a.mp4"))).image
    assert image.shape == (48, 64, 3) and image[20, 62, 0] > 180 and image[20, 63, 0] > 180 and image[20, 20, 0] < 70


def test_a_frame_of_another_size_is_scaled(ffmpeg, tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4)) as writer:
        writer.write(frame(7))
        writer.write(frame(9, (12, 8)))
    assert values(tmp_path / "a.mp4") == [7, 9]


def write_at(path, rate, times):
    with VideoWriter(path, rate, (6, 4)) as writer:
        for i, time in enumerate(times):
            writer.write(frame(i), time)
    return values(path)


def test_frames_are_repeated_and_left_out_to_keep_time(ffmpeg, tmp_path):
    path = tmp_path / "a.mp4"
    assert write_at(path, 10, [0, 0.1, 0.2, 0.3]) == [0, 1, 2, 3]
    # Half a second without a frame: the last one stands.
    assert write_at(path, 10, [5.0, 5.1, 5.6, 5.7]) == [0, 1, 1, 1, 1, 1, 2, 3]
    # Twice as many frames as the rate has: every other is left out, and the end is where it was.
    assert len(write_at(path, 10, np.arange(0, 2, 0.05))) in (20, 21, 22)
    # The jitter of a clock changes nothing.
    jitter = np.random.default_rng(1).uniform(-0.04, 0.04, 50)
    assert write_at(path, 10, np.arange(50) / 10 + jitter - jitter[0]) == list(range(50))


def test_without_times_frames_follow_each_other(ffmpeg, tmp_path):
    assert write_at(tmp_path / "a.mp4", None, [None] * 4) == [0, 1, 2, 3]
    assert "25" in ffmpeg()[-1]


def test_ctrl_c_keeps_a_whole_file_and_other_errors_none(ffmpeg, tmp_path):
    for error, expected in ((KeyboardInterrupt, ["a.mp4"]), (RuntimeError, [])):
        folder = tmp_path / error.__name__
        with pytest.raises(error), VideoWriter(folder / "a.mp4", 10, (6, 4)) as writer:
            writer.write(frame(3))
            raise error
        assert left_in(folder) == expected
    assert values(tmp_path / "KeyboardInterrupt" / "a.mp4") == [3]


def test_ctrl_c_within_a_frame_does_not_spoil_the_stream(ffmpeg, tmp_path):
    class Pipe:
        """Passes on half of what it is given, then Ctrl-C comes."""

        def __init__(self, pipe):
            self.pipe, self.calls = pipe, 0

        def write(self, data):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return self.pipe.write(data[:max(1, len(data) // 2)])

        def close(self):
            self.pipe.close()

    writer = VideoWriter(tmp_path / "a.mp4", 10, (6, 4))
    writer.write(frame(5))
    writer._encoder._process.stdin = Pipe(writer._encoder._process.stdin)
    with pytest.raises(KeyboardInterrupt), writer:
        writer.write(frame(6))
    assert (tmp_path / "a.mp4").read_bytes() == frame(5).tobytes() + frame(6).tobytes()


def test_sound_stays_with_the_picture_where_the_first_frames_are_lost(ffmpeg, tmp_path):
    for audio, expected in ((tmp_path / "film.mp4", [4, 4, 4, 4, 4, 5]), (None, [4, 5])):
        with VideoWriter(tmp_path / "a.mp4", 10, (6, 4), audio) as writer:
            writer.write(frame(4), 0.4)
            writer.write(frame(5), 0.5)
        assert values(tmp_path / "a.mp4") == expected


def test_no_frame_makes_no_file(ffmpeg, tmp_path):
    with VideoWriter(tmp_path / "out" / "a.mp4", 10, (6, 4)):
        pass
    assert left_in(tmp_path / "out") == []


def test_aborting_ends_the_child(ffmpeg, tmp_path):
    writer = VideoWriter(tmp_path / "out" / "a.mp4", 10, (6, 4))
    writer.write(frame(3))
    child = writer._encoder._process
    writer.abort()
    writer.abort()
    assert child.poll() is not None and left_in(tmp_path / "out") == []


@pytest.mark.skipif(os.name == "nt", reason="sessions are POSIX's")
def test_ctrl_c_on_the_terminal_does_not_reach_ffmpeg(ffmpeg, tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10, (6, 4)) as writer:
        clock.sleep(0.05)
        assert os.getsid(writer._encoder._process.pid) != os.getsid(0)
        writer.write(frame(3))


@pytest.mark.parametrize("name", ["a.webm", "a.gif", "a"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"cannot write a video as .*; use one of \.mp4 \.mov \.mkv \.avi"):
        VideoWriter(tmp_path / name, 10, (6, 4))
