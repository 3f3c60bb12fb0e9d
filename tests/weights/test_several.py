"""From jobs to files under their names: checks, sources in order, locks, room, offline, Ctrl-C."""
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.console import FaultsError, UserError
from pose_tools.weights.download import Job, Limits, Progress, download, transfer
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.entries import ModelFile, parse_source
from pose_tools.weights.hashes import read_sums

ROOT = Path(__file__).resolve().parents[2]
DATA = b"\x80\x02weights " * 40_000
WRONG = b"\x80\x02another " * 40_000
FULL = hashlib.sha256(DATA).hexdigest()
NAME = f"rtmpose-s-{FULL[:8]}_20230126.pth"
QUICK = Limits(connect_seconds=2, silence_seconds=10, attempts=2, backoff_seconds=0.01)


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path_factory):
    without_network_settings(monkeypatch, tmp_path_factory.getbasetemp())


@pytest.fixture
def server():
    with BadServer() as server:
        yield server


def job(folder, *addresses, path="x.pth", size=None, sha256=None, replace=False):
    sources = tuple(parse_source(address) for address in addresses)
    return Job(ModelFile(path, size, sha256), folder / path, sources, replace)


def fetch(*jobs, **words):
    """The lines said."""
    said = []
    assert download(jobs, limits=QUICK, say=said.append, **words) == [one.target for one in jobs]
    return said


def fails(*jobs, **words):
    """The error, and the lines said."""
    said = []
    with pytest.raises(UserError) as caught:
        download(jobs, limits=QUICK, say=said.append, **words)
    return caught.value, said


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def left(folder, data, path="x.pth", **notes):
    with Part(folder, path) as part:
        part.begin(Notes(**notes))
        part.write(data)


def test_files_are_there_whole_and_noted(server, tmp_path):
    jobs = [job(tmp_path, server.put(f"/{number}", DATA), path=f"sub/{number}.pth", sha256=FULL) for number in range(6)]
    fetch(*jobs)
    assert listing(tmp_path) == ["SHA256SUMS", *(f"sub/{number}.pth" for number in range(6))]
    assert read_sums(tmp_path) == {f"sub/{number}.pth": FULL for number in range(6)}
    assert not (tmp_path / ".downloads").exists()
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path).returncode == 0


def test_files_of_two_folders_have_their_own_sums(server, tmp_path):
    address = server.put("/x", DATA)
    fetch(job(tmp_path / "a", address), job(tmp_path / "b", address, path="s/y.pth"))
    assert read_sums(tmp_path / "a") == {"x.pth": FULL} and read_sums(tmp_path / "b") == {"s/y.pth": FULL}


def test_a_right_file_in_its_place_asks_nothing(server, tmp_path):
    (tmp_path / NAME).write_bytes(DATA)
    fetch(job(tmp_path, server.url + "/x", path=NAME))
    assert server.asked() == []


def test_it_is_fetched_again_when_that_is_asked_for(server, tmp_path):
    (tmp_path / NAME).write_bytes(DATA)
    fetch(job(tmp_path, server.put("/x", DATA), path=NAME, replace=True))
    assert len(server.asked()) == 1 and listing(tmp_path) == ["SHA256SUMS", NAME]


@pytest.mark.parametrize("replace", [True, False])
def test_another_file_in_its_place_is_kept(replace, server, tmp_path):
    (tmp_path / NAME).write_bytes(b"the user's own")
    said = fetch(job(tmp_path, server.put("/x", DATA), path=NAME, replace=replace))
    assert (tmp_path / NAME).read_bytes() == DATA
    assert (tmp_path / f"{NAME}.suspect").read_bytes() == b"the user's own"
    assert any(f"kept as {NAME}.suspect" in line for line in said)


def test_a_wrong_file_there_is_not_lost_when_nothing_can_be_had(server, tmp_path):
    (tmp_path / NAME).write_bytes(b"the user's own")
    fails(job(tmp_path, server.url + "/404", path=NAME))
    assert listing(tmp_path) == [NAME] and (tmp_path / NAME).read_bytes() == b"the user's own"


@pytest.mark.parametrize("path, sha256, digits, whence", [
    ("x.pth", FULL, FULL, "the catalog"), ("x.pth", FULL[:12].upper(), FULL[:12], "the catalog"),
    (NAME, None, FULL[:8], "its name")])
def test_a_wrong_hash_keeps_what_came_and_says_both(path, sha256, digits, whence, server, tmp_path):
    error, _ = fails(job(tmp_path, server.put("/x", WRONG), path=path, sha256=sha256))
    wrong = hashlib.sha256(WRONG).hexdigest()
    assert f"{digits} ({whence}) and is {wrong}; what came is kept as {path}.suspect" in str(error)
    assert listing(tmp_path) == [f"{path}.suspect"] and (tmp_path / f"{path}.suspect").read_bytes() == WRONG
    fails(job(tmp_path, server.url + "/x", path=path, sha256=sha256))
    assert listing(tmp_path) == [f"{path}.suspect"], "the same bytes are not kept twice"


def test_the_next_source_is_tried_and_every_failure_told(server, tmp_path):
    addresses = [server.put("/404", status=404), server.put("/wrong", WRONG), server.put("/right", DATA)]
    said = fetch(job(tmp_path, *addresses, sha256=FULL))
    assert said[0] == f"x.pth: {addresses[0]}: the server answered 404; trying the next source"
    assert said[2].startswith(f"x.pth: {addresses[1]}: its SHA-256 should be {FULL} (the catalog) and is ")
    assert (tmp_path / "x.pth").read_bytes() == DATA and (tmp_path / "x.pth.suspect").read_bytes() == WRONG


def test_all_that_could_not_be_had_is_one_error_and_the_rest_is_there(server, tmp_path):
    server.put("/good", DATA)
    error, said = fails(job(tmp_path, server.url + "/a", server.url + "/b", path="one.pth"),
                        job(tmp_path, server.url + "/good", path="good.pth"),
                        job(tmp_path, server.put("/500", status=500), path="two.pth"))
    assert isinstance(error, FaultsError)
    lines = str(error).splitlines()
    assert lines[0] == (f"{tmp_path}/one.pth: cannot be had: {server.url}/a: the server answered 404; "
                        f"{server.url}/b: the server answered 404")
    assert lines[1] == (f"{tmp_path}/two.pth: cannot be had: {server.url}/500: the server answered 500, "
                        "2 times in a row")
    assert len(lines) == 3 and "POSE_TOOLS_MIRROR" in lines[2]
    assert listing(tmp_path) == ["SHA256SUMS", "good.pth"] and not (tmp_path / ".downloads").exists()


def test_no_source_is_said(tmp_path):
    assert "no source of it is known" in str(fails(job(tmp_path))[0])


# Without a known hash

@pytest.mark.parametrize("name, data, word", [
    ("x.pth", b"<html>expired</html>", "it is a web page"), ("x.json", b"{", "it is not JSON"),
    ("x.pth", b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
    ("x.pth", b"PK\x03\x04 cut", "end is missing")])
def test_without_a_hash_the_form_is_checked(name, data, word, server, tmp_path):
    error, _ = fails(job(tmp_path, server.put("/x", data), path=name))
    assert word in str(error)
    assert not (tmp_path / name).exists()


def test_a_wrong_size_is_refused_without_a_hash(server, tmp_path):
    error, _ = fails(job(tmp_path, server.put("/x", DATA), size=5))
    assert "another file there: of 400000 bytes, not 5" in str(error).replace(str(len(DATA)), "400000")


def test_what_was_received_first_is_remembered(server, tmp_path):
    address = server.put("/x", DATA)
    fetch(job(tmp_path, address))
    (tmp_path / "x.pth").unlink()
    server.clear("/x")
    server.put("/x", WRONG)
    error, _ = fails(job(tmp_path, address))
    assert f"should be {FULL} (SHA256SUMS" in str(error)
    assert listing(tmp_path) == ["SHA256SUMS", "x.pth.suspect"]


def test_what_the_hub_knows_is_compared(tmp_path, monkeypatch):
    with BadServer() as hub, BadServer() as cdn:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.put_hub("user/repo", "x.pth", DATA, cdn)
        fetch(job(tmp_path, "hf:user/repo#x.pth"))
        hub.put_hub("user/repo", "bad.pth", WRONG, cdn, linked="ab" * 32)
        error, _ = fails(job(tmp_path, "hf:user/repo#bad.pth", path="bad.pth"))
    assert (tmp_path / "x.pth").read_bytes() == DATA
    assert f"should be {'ab' * 32} (the source)" in str(error)


def test_the_token_of_the_environment_is_used_for_the_hub_alone(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.put("/user/repo/resolve/main/x.pth", DATA)
    fetch(job(tmp_path, "hf:user/repo#x.pth"))
    fetch(job(tmp_path, server.put("/plain", DATA), path="y.pth"))
    assert [headers.get("Authorization") for headers in server.asked()] == ["Bearer hf_secret", None]


@pytest.mark.parametrize("text", ["not a line of it\n", "\xff"])
def test_sums_that_cannot_be_read_are_said_and_left_alone(text, server, tmp_path):
    (tmp_path / "SHA256SUMS").write_bytes(text.encode("latin-1"))
    assert "SHA256SUMS" in str(fails(job(tmp_path, server.put("/x", DATA)))[0])
    said = fetch(job(tmp_path, server.url + "/x", sha256=FULL))
    assert any("SHA256SUMS was not brought up to date" in line for line in said)
    assert (tmp_path / "SHA256SUMS").read_bytes() == text.encode("latin-1")


def test_no_file_is_put_over_the_sums(server, tmp_path):
    assert "SHA256SUMS" in str(fails(job(tmp_path, server.put("/x", DATA), path="sha256sums"))[0])


# Unfinished downloads

def test_an_unfinished_download_goes_on(server, tmp_path):
    left(tmp_path, DATA[:100_000], source="https://example.org/gone", sha256=FULL)
    fetch(job(tmp_path, server.put("/x", DATA), sha256=FULL))
    assert server.asked()[0]["Range"] == "bytes=100000-"
    assert listing(tmp_path) == ["SHA256SUMS", "x.pth"]


def test_pieces_that_do_not_fit_are_fetched_once_more_from_the_beginning(server, tmp_path):
    left(tmp_path, WRONG[:100_000], source="https://example.org/gone", sha256=FULL)
    said = fetch(job(tmp_path, server.put("/x", DATA), sha256=FULL))
    assert [headers.get("Range") for headers in server.asked()] == ["bytes=100000-", None]
    assert "x.pth: the pieces do not make the right file; once more from the beginning" in said
    assert listing(tmp_path) == ["SHA256SUMS", "x.pth"], "no suspect: nobody sent a wrong file"


def test_a_change_between_two_connections_is_fetched_once_more_as_well(server, tmp_path):
    server.put("/x", WRONG, cut_at=100_000)
    server.put("/x", DATA)
    fetch(job(tmp_path, server.url + "/x", sha256=FULL))
    assert [headers.get("Range") for headers in server.asked()] == [None, "bytes=100000-", None]
    assert listing(tmp_path) == ["SHA256SUMS", "x.pth"]


def test_a_whole_part_that_is_wrong_is_fetched_again(server, tmp_path):
    left(tmp_path, WRONG, source="https://example.org/gone", sha256=FULL, total=len(DATA))
    fetch(job(tmp_path, server.put("/x", DATA), sha256=FULL, size=len(DATA)))
    assert (tmp_path / "x.pth").read_bytes() == DATA


def test_a_whole_part_that_is_right_asks_nothing(server, tmp_path):
    left(tmp_path, DATA, source="https://example.org/gone", sha256=FULL, total=len(DATA))
    fetch(job(tmp_path, server.url + "/x", sha256=FULL, size=len(DATA)))
    assert server.asked() == [] and listing(tmp_path) == ["SHA256SUMS", "x.pth"]


def test_what_came_before_a_failure_is_kept(server, tmp_path):
    server.put("/x", DATA, cut_at=100_000)
    server.put("/x", status=404)
    fails(job(tmp_path, server.url + "/x", sha256=FULL))
    assert (tmp_path / ".downloads" / "x.pth.part").read_bytes() == DATA[:100_000]
    assert listing(tmp_path) == [".downloads/x.pth.json", ".downloads/x.pth.part"]


# Other kinds of sources

def test_a_file_of_this_machine_is_copied(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "x.pth").write_bytes(DATA)
    fetch(job(tmp_path / "to", str(tmp_path / "mirror" / "x.pth"), sha256=FULL))
    assert (tmp_path / "to" / "x.pth").read_bytes() == DATA


def test_members_of_an_archive_cost_one_transfer(server, tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in (("in/a.pth", DATA), ("in/b.pth", WRONG)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    address = server.put("/x.tar.gz", made.getvalue())
    fetch(job(tmp_path, f"archive+{address}#in/a.pth", path="a.pth", sha256=FULL),
          job(tmp_path, f"archive+{address}#in/b.pth", path="b.pth"))
    assert listing(tmp_path) == ["SHA256SUMS", "a.pth", "b.pth"] and len(server.asked()) == 1
    assert not (tmp_path / ".downloads").exists()


@pytest.mark.skipif(not shutil.which("git"), reason="the git command is not on this machine")
def test_files_of_a_branch(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True,
                       cwd=tmp_path / "repository")

    (tmp_path / "repository" / "checkpoints").mkdir(parents=True)
    (tmp_path / "repository" / "checkpoints" / "x.pth").write_bytes(DATA)
    git("init", "-q", "-b", "models")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    fetch(job(tmp_path / "to", f"git+file://{tmp_path}/repository@models#checkpoints/x.pth", sha256=FULL))
    assert (tmp_path / "to" / "x.pth").read_bytes() == DATA
    assert listing(tmp_path / "to") == ["SHA256SUMS", "x.pth"] and not (tmp_path / "to" / ".downloads").exists()


# Offline

@pytest.mark.parametrize("variable, value", [("POSE_TOOLS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "True"), (None, None)])
def test_offline_only_this_machine_is_asked(variable, value, server, tmp_path, monkeypatch):
    if variable:
        monkeypatch.setenv(variable, value)
    (tmp_path / "x.pth").write_bytes(DATA)
    offline = None if variable else True
    address = server.put("/x", DATA)
    fetch(job(tmp_path / "to", address, str(tmp_path / "x.pth")), offline=offline)
    error, _ = fails(job(tmp_path / "other", address), offline=offline)
    assert f"offline ({variable} is set)" in str(error) if variable else "offline" in str(error)
    assert "only this machine was looked at" in str(error)
    assert server.asked() == []


def test_offline_can_be_overruled(server, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "1")
    fetch(job(tmp_path, server.put("/x", DATA)), offline=False)
    monkeypatch.setenv("POSE_TOOLS_OFFLINE", "0")
    fetch(job(tmp_path, server.put("/y", DATA), path="y.pth"))


# Room

Usage = namedtuple("Usage", "total used free")


def test_room_for_all_is_checked_before_anything_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 150_000_000))
    jobs = [job(tmp_path, server.put(f"/{n}", DATA), path=f"{n}.pth", size=30_000_000) for n in range(2)]
    error, _ = fails(*jobs)
    assert str(error) == (f"{tmp_path}: not enough room on the disk: 60.0 MB needed and 100.0 MB to spare, "
                          "150.0 MB free")
    assert server.asked() == [] and listing(tmp_path) == []
    left(tmp_path, b"x" * 20_000_000, path="0.pth", source="s")
    assert "another file" in str(fails(*jobs)[0]), "what is here already is not needed again"


def test_room_is_checked_when_the_length_becomes_known(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 100_000_000 + len(DATA) - 1))
    error, _ = fails(job(tmp_path, server.put("/x", DATA)))
    assert "not enough room" in str(error) and server.sent <= len(DATA)
    assert listing(tmp_path) == []


def test_room_is_looked_at_while_a_file_of_unknown_length_comes(server, tmp_path, monkeypatch):
    free = iter([200_000_000, 90_000_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, next(free)))
    monkeypatch.setattr("pose_tools.weights.download.space._LOOK_EVERY", 100_000)
    error, _ = fails(job(tmp_path, server.put("/x", DATA, chunked=True)))
    assert "not enough room" in str(error)


def test_a_full_disk_keeps_what_it_took(server, tmp_path, monkeypatch):
    real = Part.write

    def write(self, block):
        if self.size + len(block) > 100_000:
            raise UserError(f"{self.path}: cannot be written: No space left on device")
        real(self, block)

    monkeypatch.setattr(Part, "write", write)
    server.put("/x", DATA, bytes_per_second=2_000_000)
    error, said = fails(job(tmp_path, server.url + "/x", server.url + "/other", sha256=FULL))
    assert str(error).startswith(f"{tmp_path}/x.pth: ") and "No space left on device" in str(error)
    assert server.asked("/other") == [], "another source would not help"
    assert 0 < (tmp_path / ".downloads" / "x.pth.part").stat().st_size <= 100_000


def test_a_folder_in_the_place_of_the_file(server, tmp_path):
    (tmp_path / "x.pth").mkdir()
    error, _ = fails(job(tmp_path, server.put("/x", DATA)))
    assert "is a folder" in str(error)


def test_a_file_in_the_place_of_the_folder(server, tmp_path):
    (tmp_path / "to").write_bytes(b"")
    error, _ = fails(job(tmp_path / "to", server.put("/x", DATA)))
    assert "cannot be written" in str(error) and "\n" not in str(error).splitlines()[0]


# Threads and processes

def test_several_files_come_at_a_time(server, tmp_path):
    together, most, lock = set(), [], threading.Lock()
    take = server.take

    def slowly(path, headers):
        with lock:
            together.add(path)
            most.append(len(together))
        time.sleep(0.2)
        with lock:
            together.discard(path)
        return take(path, headers)

    server.take = slowly
    fetch(*(job(tmp_path, server.put(f"/{n}", DATA), path=f"{n}.pth") for n in range(8)), workers=3)
    assert max(most) == 3


DRIVER = """
import sys
from pathlib import Path
from pose_tools.console import run
from pose_tools.weights.download import Job, download
from pose_tools.weights.entries import ModelFile, parse_source

def main(argv):
    address, folder, sha256 = sys.argv[1:]
    download([Job(ModelFile("x.pth", None, sha256 or None), Path(folder) / "x.pth", (parse_source(address),))])
    return 0

sys.exit(run(main))
"""


def start(address, folder, sha256=FULL):
    return subprocess.Popen([sys.executable, "-c", DRIVER, address, str(folder), sha256], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("sha256", [FULL, ""])
def test_two_processes_make_one_transfer(sha256, server, tmp_path):
    address = server.put("/x", DATA, pause=0.2, bytes_per_second=200_000)
    processes = [start(address, tmp_path, sha256) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len(server.asked()) == 1 and server.sent == len(DATA)
    assert sorted("another process is fetching x.pth; waiting" in text for text in said) == [False, True]
    assert listing(tmp_path) == ["SHA256SUMS", "x.pth"]


def test_without_a_terminal_there_are_two_lines_a_file(server, tmp_path):
    process = start(server.put("/x", DATA), tmp_path)
    lines = process.communicate(timeout=60)[1].splitlines()
    size = f"{len(DATA) / 1e6:.1f} MB"
    assert lines[0] == f"fetching x.pth ({size}) from 127.0.0.1:{server.port}"
    assert lines[1].startswith(f"x.pth: {size}, ") and lines[1].endswith("/s") and len(lines) == 2


@pytest.mark.parametrize("how", [dict(stall_at=100_000), dict(bytes_per_second=50_000), dict(pause=60),
                                 dict(status=503, headers={"Retry-After": "60"})])
def test_ctrl_c_ends_at_once_and_keeps_the_bytes(how, server, tmp_path):
    address = server.put("/x", DATA, **how)
    process = start(address, tmp_path)
    wait_for(lambda: server.asked())
    if "stall_at" in how:
        wait_for(lambda: Part(tmp_path, "x.pth").size == 100_000)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - before < 10, "not after the silence or the wait"
    assert process.returncode == 130 and said.splitlines()[-1] == "interrupted" and "Traceback" not in said
    assert not (tmp_path / "x.pth").exists()
    if "stall_at" in how:
        assert Part(tmp_path, "x.pth").size == 100_000
        server.clear("/x")
        server.put("/x", DATA)
        fetch(job(tmp_path, address, sha256=FULL))
        assert server.asked()[-1]["Range"] == "bytes=100000-"


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# What is shown

def test_progress_is_told_in_the_callers_thread(server, tmp_path, capfd):
    seen, threads = [], set()

    def progress(now):
        seen.append(now)
        threads.add(threading.current_thread())

    said = []
    server.put("/x", DATA, bytes_per_second=800_000)
    download([job(tmp_path, server.url + "/x", path="sub/x.pth")], progress=progress, say=said.append)
    assert threads == {threading.current_thread()}
    assert seen[-1] == Progress("sub/x.pth", len(DATA), len(DATA)) and len(seen) > 2
    assert [now.received for now in seen] == sorted(now.received for now in seen)
    assert ["no SHA-256 of it is published" in line for line in said] == [True] and capfd.readouterr() == ("", "")


def test_what_progress_raises_ends_the_download(server, tmp_path):
    server.put("/x", DATA, bytes_per_second=100_000)

    def progress(now):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        download([job(tmp_path, server.url + "/x", sha256=FULL)], progress=progress)
    assert not (tmp_path / "x.pth").exists()
    wait_for(lambda: not (tmp_path / ".downloads" / "x.pth.lock").exists())


def test_a_fault_of_our_own_is_not_hidden(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pose_tools.weights.download.single.check_form", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fetch(job(tmp_path, server.put("/x", DATA)))


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left(server, tmp_path):
    import fcntl
    import pty
    import struct
    import termios

    address = server.put("/x", DATA, bytes_per_second=400_000)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", DRIVER, address, str(tmp_path), FULL], cwd=ROOT, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # so Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(30) == 0
    text = shown.decode()
    assert "x.pth: " in text and "kB/s" in text and "%" in text and "fetching" not in text
    assert f"/{len(DATA) / 1000:.0f}k" in text


def test_passwords_in_addresses_are_not_shown(server, tmp_path):
    address = server.put("/x", DATA).replace("127", "me:secret@127")
    said = fetch(job(tmp_path, address + "/absent", address))
    error, more = fails(job(tmp_path / "to", address + "/absent"))
    assert "/x/absent: the server answered 404" in str(error)
    assert "secret" not in " ".join([*said, *more, str(error)])
    assert server.asked("/x")[0]["Authorization"].startswith("Basic "), "but sent"


def test_a_host_that_cannot_be_reached_is_not_asked_for_every_file(tmp_path, monkeypatch):
    asked = []
    real = transfer.ask
    monkeypatch.setattr(transfer, "ask", lambda session, address, *more: asked.append(address) or real(
        session, address, *more))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(FaultsError) as caught:
        download([job(tmp_path, f"{address}/{name}", path=name) for name in ("a.pth", "b.pth", "c.pth")], workers=1,
                 limits=Limits(backoff_seconds=0.01), say=lambda line: None)
    assert asked == [f"{address}/a.pth"] * Limits().connect_attempts
    assert str(caught.value).count("refuses connections, 3 times in a row") == 3
