"""Unfinished files: what is on disk after each step, what may be continued, who may write."""
import hashlib
import json
import multiprocessing
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import UserError
from pose_tools.weights.download.failure import SourceFailed, Stopped
from pose_tools.weights.download.parts import Notes, Part, _flat_name, locked_file
from pose_tools.weights.download.suspects import set_aside

FULL = "0f" * 32
URL = "https://example.org/x.pth"


def begun(folder, data=b"abc", path="x.pth", **notes):
    """A part that another process has left."""
    part = Part(folder, path)
    with part:
        part.begin(Notes(URL, **notes))
        part.write(data)
    return part


def test_bytes_and_notes_lie_in_a_folder_beside_the_file(tmp_path):
    begun(tmp_path, path="checkpoints/best.pth", etag='"1"', total=9)
    work = tmp_path / ".downloads"
    assert sorted(os.listdir(work)) == ["checkpoints__best.pth.json", "checkpoints__best.pth.part"]
    assert (work / "checkpoints__best.pth.part").read_bytes() == b"abc"
    assert json.loads((work / "checkpoints__best.pth.json").read_text()) == {
        "source": URL, "etag": '"1"', "last_modified": "", "total": 9, "sha256": ""}


def test_a_part_goes_on_where_it_ended_and_hashes_what_was_there(tmp_path):
    begun(tmp_path, b"abc", etag='"1"')
    part = Part(tmp_path, "x.pth")
    assert part.size == 3 and not part.resumed
    with part:
        assert part.notes == Notes(URL, '"1"')
        part.write(b"def")
        assert part.size == 6 and part.resumed
        assert part.digest() == hashlib.sha256(b"abcdef").hexdigest()
    assert part.path.read_bytes() == b"abcdef"


def test_what_is_written_is_on_disk_at_once(tmp_path):
    with Part(tmp_path, "x.pth") as part:
        part.begin(Notes(URL))
        part.write(b"abc")
        assert part.path.read_bytes() == b"abc"
        assert not part.resumed, "it is of one piece"


@pytest.mark.parametrize("notes, source, sha256, may", [
    (dict(etag='"1"'), URL, None, True),
    (dict(last_modified="Sat, 01 Jan 2022 00:00:00 GMT"), URL, None, True),
    (dict(), URL, None, False),
    (dict(sha256="0f0f0f0f"), URL, "0f0f0f0f", False),
    (dict(etag='"1"', sha256="0f0f0f0f"), URL, "0f0f0f0f", True),
    (dict(etag='"1"', sha256="0f0f0f0f"), "https://example.org/other", "0f0f0f0f", False),
    (dict(sha256=FULL), URL, FULL, True),
    (dict(sha256=FULL), "https://example.org/other", FULL, True),
    (dict(sha256=FULL), "https://example.org/other", "f0" * 32, False),
    (dict(sha256="0f0f0f0f"), "https://example.org/other", FULL, False),
])
def test_from_where_a_part_may_be_continued(notes, source, sha256, may, tmp_path):
    begun(tmp_path, **notes)
    with Part(tmp_path, "x.pth") as part:
        assert part.may_continue(source, sha256) is may


def test_an_empty_part_is_not_continued_and_not_kept(tmp_path):
    with Part(tmp_path, "x.pth") as part:
        part.begin(Notes(URL, '"1"'))
        assert not part.may_continue(URL, None)
    assert os.listdir(tmp_path / ".downloads") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"source": 1}', '{"source": 1, "etag": "", "last_modified": "", '
                                  '"total": null, "sha256": ""}', "\x00" * 10])
def test_without_notes_that_can_be_read_a_part_begins_again(text, tmp_path):
    part = begun(tmp_path, etag='"1"')
    part.meta.write_text(text)
    with Part(tmp_path, "x.pth") as part:
        assert (part.size, part.notes) == (0, None)


@pytest.mark.parametrize("data, kept", [(b"abc" + bytes(5000), 3), (bytes(3_000_000), 0), (b"a\x00b", 3)])
def test_zeros_at_the_end_do_not_count(data, kept, tmp_path):
    begun(tmp_path, data, etag='"1"')
    with Part(tmp_path, "x.pth") as part:
        assert part.size == kept
        part.write(b"!") if part.notes else part.begin(Notes(URL))
    assert not kept or part.path.read_bytes() == data[:kept] + b"!"


def test_begin_and_restart_throw_bytes_away(tmp_path):
    begun(tmp_path, b"old", etag='"1"')
    with Part(tmp_path, "x.pth") as part:
        part.begin(Notes(URL, '"2"'))
        part.write(b"new")
        assert part.digest() == hashlib.sha256(b"new").hexdigest() and not part.resumed
        part.restart()
        assert part.size == 0 and part.notes is None
        assert part.digest() == hashlib.sha256(b"").hexdigest()


class FullDisk:
    """Takes so many bytes and then no more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self.file.write(data[:self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_is_one_line_and_keeps_what_it_took(tmp_path):
    with Part(tmp_path, "x.pth") as part:
        part.begin(Notes(URL, '"1"'))
        part._file = FullDisk(part._file, 5)
        with pytest.raises(UserError, match=r"x\.pth\.part: cannot be written: No space left"):
            part.write(b"abcdefgh")
        assert part.size == 5 and part.digest() == hashlib.sha256(b"abcde").hexdigest()
    assert part.path.read_bytes() == b"abcde"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    part = Part(tmp_path / "file", "x.pth")
    with pytest.raises(UserError, match="cannot be written"), part.locked():
        pass
    with pytest.raises(UserError, match="cannot be written"), part:
        pass


@given(st.lists(st.text("ab_/", min_size=1, max_size=8).filter(lambda t: "//" not in t), min_size=2, max_size=2,
                unique=True))
def test_other_paths_have_other_names(paths):
    names = [_flat_name(path) for path in paths]
    assert names[0] != names[1] and not any("/" in name for name in names)


def test_long_names_are_cut():
    assert len(_flat_name("é" * 300).encode()) < 230


def test_the_lock_keeps_another_thread_out_and_goes_with_the_folder(tmp_path):
    inside, told = [], []

    def work():
        with Part(tmp_path, "x.pth").locked(lambda: told.append(1)):
            inside.append(1)
            time.sleep(0.1)
            assert len(inside) == 1
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(told) <= 3, "each says so once"
    assert os.listdir(tmp_path) == []


def test_waiting_for_a_lock_can_be_ended(tmp_path):
    with Part(tmp_path, "x.pth").locked():
        with pytest.raises(Stopped), Part(tmp_path, "x.pth").locked(stopped=lambda: True):
            pass
        assert (tmp_path / ".downloads").is_dir()


def _hold(path, ready):
    with locked_file(path):
        ready.set()
        time.sleep(60)


def test_a_lock_dies_with_its_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "d" / "x.lock", ready))
    holder.start()
    assert ready.wait(30)
    told = []

    def waiting():
        told.append(1)
        holder.kill()

    with locked_file(tmp_path / "d" / "x.lock", waiting):
        assert told == [1]
    holder.join()


def test_suspects_are_never_overwritten_and_never_kept_twice(tmp_path):
    target, names = tmp_path / "x.pth", []
    for data in (b"one", b"two", b"one", b"owt"):
        file = tmp_path / "came"
        file.write_bytes(data)
        names.append(set_aside(file, target).name)
        assert not file.exists()
    assert names == ["x.pth.suspect", "x.pth.suspect-2", "x.pth.suspect", "x.pth.suspect-3"]
    assert [(tmp_path / name).read_bytes() for name in sorted(set(names))] == [b"one", b"two", b"owt"]


def test_a_reason_is_one_line():
    assert SourceFailed("no\nsecond line").reason == "no"
    assert str(SourceFailed("")) == "no reason given"


def test_a_folder_that_goes_while_it_is_looked_at_is_made_again(tmp_path, monkeypatch):
    """mkdir finds it there, somebody who has finished removes it, and mkdir finds that it is no folder."""
    folder, tries = tmp_path / ".downloads", []
    original = type(folder).is_dir

    def is_dir(self):
        if self == folder and not tries:
            tries.append(1)
            folder.rmdir()
        return original(self)

    folder.mkdir()
    monkeypatch.setattr(type(folder), "is_dir", is_dir)
    with locked_file(folder / "x.lock"):
        assert (folder / "x.lock").exists()
    assert tries


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / ".downloads").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"), locked_file(tmp_path / ".downloads" / "x.lock"):
        pytest.fail("there can be no lock")
