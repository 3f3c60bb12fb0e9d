"""The files of the picture cache: what is found, what is not, and what happens when things go wrong."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.image_cache import budget, store
from pose_tools.openmmlab.image_cache.budget import Lease, default_budget, free_memory, make_room
from pose_tools.openmmlab.image_cache.hook import cache_folder
from pose_tools.openmmlab.image_cache.picture import Opener
from pose_tools.openmmlab.image_cache.plan import Wish, chosen
from pose_tools.openmmlab.image_cache.pose_transforms import get_warp_matrix, inverted
from pose_tools.openmmlab.image_cache.reach import (
    GetBBoxCenterScale,
    LoadImage,
    RandomBBoxTransform,
    RandomFlip,
    TopdownAffine,
    affine_steps,
    reach,
    together,
)
from pose_tools.openmmlab.image_cache.store import PartStore, stored_files

RECT = (2, 1, 7, 5)
ROOT = Path(__file__).resolve().parents[2]


def pixels(seed):
    return np.random.RandomState(seed).randint(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_CLOCK_TICK", 0.0)
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), pixels(0))
    return str(file)


class Camera:
    """Decodes, and counts how often."""

    def __init__(self, path):
        self.path, self.count = path, 0

    def __call__(self):
        self.count += 1
        return mmcv.imread(self.path)


def opened(tmp_path, path, rects=(RECT, )):
    """What a new process sees of RECT, and how often it had to decode."""
    camera = Camera(path)
    picture = Opener(PartStore(tmp_path / "cache", "x"), {path: tuple(rects)}).open(path, camera)
    assert picture.size == (6, 8)
    return picture.region(RECT), camera.count


def test_a_part_is_decoded_once(tmp_path, path):
    for decoded in (1, 0, 0):
        values, count = opened(tmp_path, path)
        assert np.array_equal(values, pixels(0)[1:5, 2:7]) and count == decoded
    file, = stored_files(tmp_path / "cache")
    assert file.stat().st_size == 36 + 5 * 4 * 3


def test_a_changed_picture_is_never_taken_for_the_old_one(tmp_path, path):
    one = Opener(PartStore(tmp_path / "cache", "x"), {path: (RECT, )})
    one.open(path, Camera(path))
    before = os.stat(path)
    other = pixels(1)
    cv2.imwrite(path, other, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    Path(path).write_bytes(Path(path).read_bytes().ljust(before.st_size, b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync -t would
    camera = Camera(path)
    assert np.array_equal(one.open(path, camera).region(RECT), other[1:5, 2:7]) and camera.count == 1
    cv2.imwrite(path, pixels(0))
    values, _ = opened(tmp_path, path)
    assert np.array_equal(values, pixels(0)[1:5, 2:7])


def test_a_picture_that_was_just_written_is_not_stored(tmp_path, path, monkeypatch):
    monkeypatch.setattr(store, "_CLOCK_TICK", 60.0)
    assert opened(tmp_path, path)[1] == 1
    assert list(stored_files(tmp_path / "cache")) == []


@pytest.mark.parametrize("harm", [
    lambda data: data[:-1], lambda data: b"", lambda data: data[:-4] + b"\0\0\0\0", lambda data: b"?" + data[1:],
    lambda data: data + b"more"])
def test_a_damaged_file_is_made_anew(tmp_path, path, harm):
    opened(tmp_path, path)
    file, = stored_files(tmp_path / "cache")
    Path(file.path).write_bytes(harm(Path(file.path).read_bytes()))
    for decoded in (1, 0):
        values, count = opened(tmp_path, path)
        assert np.array_equal(values, pixels(0)[1:5, 2:7]) and count == decoded


@pytest.mark.parametrize("harm", [os.unlink, lambda file: os.truncate(file, 40)])
def test_a_file_that_goes_while_it_is_used_is_decoded(tmp_path, path, harm):
    opened(tmp_path, path)
    camera = Camera(path)
    opener = Opener(PartStore(tmp_path / "cache", "x"), {path: (RECT, )})
    picture = opener.open(path, camera)
    file, = stored_files(tmp_path / "cache")
    harm(file.path)
    assert np.array_equal(picture.region(RECT), pixels(0)[1:5, 2:7]) and camera.count == 1
    assert np.array_equal(opener.open(path, camera).region(RECT), pixels(0)[1:5, 2:7]) and camera.count == 2


SMOOTH = cv2.resize(np.random.RandomState(0).randint(0, 256, (5, 6, 3), np.uint8), (320, 240))


@pytest.fixture
def smooth(tmp_path):
    file = tmp_path / "smooth.png"
    cv2.imwrite(str(file), SMOOTH)
    time.sleep(0.1)
    return str(file)


def test_a_part_kept_as_jpeg_is_smaller_and_nearly_the_same(tmp_path, smooth):
    for form, decoded in (("raw", 1), ("jpeg", 1), ("jpeg", 0), ("raw", 0)):
        camera = Camera(smooth)
        whole = (10, 20, 310, 220)
        picture = Opener(PartStore(tmp_path / "cache", "x", form), {smooth: (whole, )}).open(smooth, camera)
        for rect in (whole, (50, 60, 90, 200)):
            x0, y0, x1, y1 = rect
            apart = np.abs(picture.region(rect).astype(int) - SMOOTH[y0:y1, x0:x1])
            assert apart.max() <= (6 if form == "jpeg" else 0) and apart.mean() < 1
        assert camera.count == decoded
    packed, raw = sorted(file.stat().st_size for file in stored_files(tmp_path / "cache"))
    assert raw == 36 + 300 * 200 * 3 and packed < raw / 8


def test_noise_kept_as_jpeg_takes_no_more_than_was_planned(tmp_path):
    made = PartStore(tmp_path, "x", "jpeg")
    made.write("a", "b", "c", np.random.RandomState(0).randint(0, 256, (200, 300, 3), np.uint8), (200, 300))
    file, = stored_files(tmp_path)
    assert file.stat().st_size <= 36 + 200 * 300


@pytest.mark.parametrize("harm", [os.unlink, lambda file: os.truncate(file, 900), lambda file: os.truncate(file, 7)])
def test_a_jpeg_that_goes_or_is_cut_is_decoded_anew(tmp_path, smooth, harm):
    camera, rect = Camera(smooth), (10, 20, 310, 220)
    opener = Opener(PartStore(tmp_path / "cache", "x", "jpeg"), {smooth: (rect, )})
    opener.open(smooth, camera)
    picture = opener.open(smooth, camera)
    file, = stored_files(tmp_path / "cache")
    assert picture.region(rect).shape == (200, 300, 3) and camera.count == 1
    harm(file.path)
    assert np.array_equal(picture.region(rect), SMOOTH[20:220, 10:310]) and camera.count == 2


def test_what_lies_outside_the_part_is_decoded(tmp_path, path):
    opened(tmp_path, path)
    camera = Camera(path)
    picture = Opener(PartStore(tmp_path / "cache", "x"), {path: (RECT, )}).open(path, camera)
    assert np.array_equal(picture.region((0, 0, 3, 3)), pixels(0)[:3, :3]) and camera.count == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, path, capsys):
    (tmp_path / "cache").write_text("a file")
    opener = Opener(PartStore(tmp_path / "cache", "x"), {path: (RECT, (0, 0, 2, 2))})
    for _ in range(3):
        assert np.array_equal(opener.open(path, Camera(path)).region(RECT), pixels(0)[1:5, 2:7])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(tmp_path / "cache") in said and "decoded each time" in said
    Lease(tmp_path / "cache").share()


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, path, capsys, monkeypatch):
    usage = store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda place: usage._replace(free=1000))
    assert [opened(tmp_path, path)[1] for _ in range(2)] == [1, 1]
    assert list(stored_files(tmp_path / "cache")) == []
    assert "nearly full" in capsys.readouterr().err


def test_a_write_that_fails_halfway_leaves_nothing(tmp_path, path, capsys, monkeypatch):
    def no_rename(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "replace", no_rename)
    assert opened(tmp_path, path)[1] == 1
    assert list(stored_files(tmp_path / "cache")) == []
    assert capsys.readouterr().err.count("No space left on device") == 1


_WRITER = """
import sys
from pathlib import Path
import numpy as np
import pose_tools.openmmlab
from pose_tools.openmmlab.image_cache.store import PartStore
store = PartStore(Path(sys.argv[1]), "x")
for number in range(10**6):
    value = np.full((400, 500, 3), number % 251, np.uint8)
    store.write("a.png", "0" * 16, f"{number % 40}-0-500-400", value, (400, 500))
    if number == 5:
        print("going", flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_files_only(tmp_path):
    """Two processes write the same parts at once, and both are killed."""
    command = [sys.executable, "-W", "ignore", "-c", _WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        assert writer.stdout.readline() == b"going\n"
    time.sleep(0.2)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    reader, found = PartStore(tmp_path, "x"), 0
    for number in range(40):
        part = reader.find("a.png", "0" * 16, f"{number}-0-500-400")
        if part is not None:
            found += 1
            assert np.ptp(part.rows(0, 400)) == 0
    whole = [entry for entry in stored_files(tmp_path) if entry.name.endswith(store.SUFFIX)]
    assert found == len(whole) >= 6
    make_room(tmp_path, [], 0, 10**12, alone=True)
    assert len(list(stored_files(tmp_path))) == found, "what was not finished is cleared away by the next run"


def wish(path, size, saved):
    return Wish(0, path, (RECT, ), size, saved)


def test_what_saves_most_a_byte_comes_first():
    asked = [wish("a", 10, 20.0), wish("b", 10, 50.0), wish("c", 1, 4.0), wish("d", 30, 120.0)]
    assert [one.path for one in chosen(asked, 100)] == ["b", "c", "d", "a"]
    assert [one.path for one in chosen(asked, 21)] == ["b", "c", "a"]
    assert chosen(asked, 0) == []


def fill(tmp_path, names):
    """Files of 100 bytes, the first named used longest ago; gives the folder."""
    for age, name in enumerate(reversed(names)):
        file = tmp_path / "ab" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x" * 100)
        os.utime(file, (1000 - age, 1000 - age))
    return tmp_path


def left(folder):
    return sorted(entry.name.split(".")[0] for entry in stored_files(folder))


def test_room_is_made_at_the_cost_of_what_was_not_used_longest(tmp_path):
    folder = fill(tmp_path, [f"{place}.0-0-1-1.d{store.SUFFIX}" for place in "abcd"])
    assert make_room(folder, ["a.0-0-1-1"], 100, 350, alone=True) == 200
    assert left(folder) == ["a", "c", "d"]
    assert make_room(folder, ["a.0-0-1-1"], 350, 350, alone=True) == 0
    assert left(folder) == ["a"], "what is planned stays"


def test_nothing_is_deleted_while_another_run_uses_the_folder(tmp_path):
    folder = fill(tmp_path, [f"{place}.0-0-1-1.d{store.SUFFIX}" for place in "ab"] + [".c.part"])
    assert make_room(folder, [], 100, 100, alone=False) == 300
    assert len(list(stored_files(folder))) == 3


def test_earlier_contents_of_a_picture_go_first(tmp_path):
    folder = fill(tmp_path, [f"a.0-0-1-1.{digest}{store.SUFFIX}" for digest in ("old", "new")])
    make_room(folder, ["a.0-0-1-1"], 100, 100, alone=True)
    assert [entry.name.split(".")[2] for entry in stored_files(folder)] == ["new"]


@pytest.mark.skipif(budget.fcntl is None, reason="no file locks here")
def test_only_the_first_of_two_runs_is_alone(tmp_path):
    first = Lease(tmp_path)
    second = Lease(tmp_path)
    assert first.alone and not second.alone
    first.share()
    assert not Lease(tmp_path).alone
    first._file.close()
    second._file.close()
    assert Lease(tmp_path).alone


def test_the_default_is_half_of_the_lesser_of_memory_and_disk(tmp_path, monkeypatch):
    usage = budget.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda place: usage._replace(free=900))
    monkeypatch.setattr(budget, "free_memory", lambda: 10_000)
    fill(tmp_path, [f"a.0-0-1-1.d{store.SUFFIX}"])
    assert default_budget(tmp_path) == 500, "what lies there counts as free"
    monkeypatch.setattr(budget, "free_memory", lambda: 600)
    assert default_budget(tmp_path) == 300


def test_free_memory_is_what_linux_tells(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:       7 kB\n")
    monkeypatch.setattr(budget, "_LIMIT_FILES", (str(tmp_path / "limit"), ))
    assert free_memory(tmp_path / "meminfo") == 7 * 1024
    (tmp_path / "limit").write_text("5000\n")
    assert free_memory(tmp_path / "meminfo") == 5000
    (tmp_path / "limit").write_text("max\n")
    assert free_memory(tmp_path / "meminfo") == 7 * 1024
    assert free_memory(tmp_path / "none") is None


def test_runs_of_one_folder_share_a_cache():
    assert cache_folder(Path("work_dirs/a")) == cache_folder(Path("work_dirs/demo/a")) == Path("work_dirs/cache")
    assert cache_folder(Path("elsewhere/run")) == Path("elsewhere/run/cache")


def test_reach_by_hand():
    steps = [GetBBoxCenterScale(padding=1.5), RandomBBoxTransform(shift_factor=0.5, scale_factor=(0.5, 2.0),
                                                                  rotate_factor=0.0), TopdownAffine((64, 64))]
    # 20 x 10 around (50, 40): 30 x 15 padded, 60 x 60 at twice the scale, moved by up to 15 and 7.5, and 4 px more.
    assert reach(steps, np.array([[40, 35, 60, 45]], np.float32)).tolist() == [[1, -2, 100, 83]]


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 300), st.floats(0, 200), st.floats(1, 200), st.floats(1, 200), st.integers(0, 10**6),
       st.sampled_from([(64, 64), (48, 64), (64, 32)]), st.sampled_from([0.0, 15.0, 30.0, 80.0]))
def test_reach_holds_whatever_upstream_draws(x, y, w, h, seed, size, angle):
    steps = [GetBBoxCenterScale(), RandomFlip(prob=0.0), RandomBBoxTransform(
        shift_factor=0.2, scale_factor=(0.6, 1.4), rotate_factor=angle), TopdownAffine(size)]
    box = np.array([[x, y, x + w, y + h]], np.float32)
    low = reach([steps[0], *steps[2:]], box)[0]
    assert affine_steps([LoadImage(), *steps]) == steps
    np.random.seed(seed)
    for _ in range(5):
        results = {"bbox": box, "img": np.zeros((4, 4, 3), np.uint8), "img_shape": (4, 4)}
        for step in (steps[0], steps[2], steps[3]):
            results = step(results)
        matrix = inverted(get_warp_matrix(results["bbox_center"][0], results["bbox_scale"][0],
                                          results["bbox_rotation"][0], size))
        ends = np.array([[0, 0], [size[0] - 1, 0], [0, size[1] - 1], [size[0] - 1, size[1] - 1]])
        corners = ends @ matrix[:, :2].T + matrix[:, 2]
        assert (corners.min(axis=0) - 2 >= low[:2] - 1e-3).all() and (corners.max(axis=0) + 2 <= low[2:] + 1e-3).all()


def test_a_step_of_somebody_elses_has_no_known_reach():
    class Own(RandomFlip):
        """Does who knows what."""

    steps = [LoadImage(), GetBBoxCenterScale(), Own(), TopdownAffine((64, 64))]
    assert affine_steps(steps) is None
    assert affine_steps([steps[0], steps[3]]) is None
    assert affine_steps([LoadImage(to_float32=True), steps[1], steps[3]]) is None


def test_together_by_hand():
    far = np.array([[0, 0, 10, 10], [90, 90, 120, 120]])
    assert together(far, (100, 100)) == [(0, 0, 10, 10), (90, 90, 100, 100)]
    near = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [10, 0, 20, 10]])
    assert together(near, (100, 100)) == [(0, 0, 20, 10)]
    assert together(np.array([[0, 0, 90, 100], [5, 5, 100, 100]]), (100, 100)) == [(0, 0, 100, 100)]
    assert together(np.array([[200, 200, 220, 220]]), (100, 100)) == []
