import hashlib
import os
import random
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from download_server import without_network_settings
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.weights.download import Job, download, place
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.place import mirror_source, receive_from_folder
from pose_tools.weights.entries import ModelFile, Source

DATA = random.Random(3).randbytes(2_500_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "a disk/x y.pth"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


def copy(dest, address, file=None, on_bytes=lambda *_: None):
    file = file or ModelFile("x.pth")
    part = Part(dest, file.path)
    with part.locked(), part:
        receive_from_folder(Source("file", str(address)), part, file, Limits(), on_bytes)
        assert part.digest() == hashlib.sha256(part.path.read_bytes()).hexdigest()
        return part.path.read_bytes(), part.resumed


def refusal(dest, address, file=None):
    with pytest.raises(SourceFailed) as failure:
        copy(dest, address, file)
    return failure.value.reason


def test_a_copy_in_blocks(tmp_path, original):
    seen = []
    assert copy(tmp_path / "dest", original, on_bytes=lambda *n: seen.append(n)) == (DATA, False)
    assert seen == [(0, 2_500_000), (1 << 20, 2_500_000), (2 << 20, 2_500_000), (2_500_000, 2_500_000)]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_is_followed_and_a_copy_made(tmp_path, original):
    (tmp_path / "link.pth").symlink_to(original)
    assert copy(tmp_path / "dest", tmp_path / "link.pth") == (DATA, False)
    part = Part(tmp_path / "dest", "x.pth").path
    assert not part.is_symlink() and part.stat().st_ino != original.stat().st_ino and part.stat().st_nlink == 1


def test_homes_and_relative_paths(tmp_path, original, monkeypatch):
    monkeypatch.setenv("HOME", str(original.parent))
    monkeypatch.setenv("USERPROFILE", str(original.parent))
    assert copy(tmp_path / "dest", "~/x y.pth")[0] == DATA
    monkeypatch.chdir(original.parent)
    assert copy(tmp_path / "dest2", "x y.pth")[0] == DATA
    assert refusal(tmp_path / "dest", "~nobody-of-that-name/x") == "there is no home folder for ~nobody-of-that-name"


def test_what_is_no_file(tmp_path, original):
    assert refusal(tmp_path / "dest", tmp_path / "nothing") == "there is no such file"
    assert refusal(tmp_path / "dest", original / "below") == "there is no such file"
    assert refusal(tmp_path / "dest", original.parent) == "is a folder"
    (tmp_path / "empty").touch()
    assert refusal(tmp_path / "dest", tmp_path / "empty") == "the file there is empty"
    assert not (tmp_path / "dest/.downloads").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device"])
def test_pipes_and_devices_are_not_waited_for(tmp_path, kind):
    path = tmp_path / "x.pth"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    assert refusal(tmp_path / "dest", path) == "is not a regular file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path, original):
    original.chmod(0)
    assert refusal(tmp_path / "dest", original) == "cannot be read: Permission denied"


def test_another_size_is_noticed_before_a_byte_is_taken(tmp_path, original):
    part = Part(tmp_path / "dest", "x.pth")
    with part:
        part.begin(Notes("https://elsewhere/x.pth", etag='"1"', total=9))
        part.write(b"begun")
    reason = refusal(tmp_path / "dest", original, ModelFile("x.pth", 9))
    assert reason == "the file there has 2500000 bytes and should have 9"
    assert part.path.read_bytes() == b"begun"


def begin(dest, notes, data):
    part = Part(dest, "x.pth")
    with part:
        part.begin(notes)
        part.write(data)


def test_what_another_source_began_is_continued_where_the_whole_hash_is_known(tmp_path, original):
    begin(tmp_path, Notes("https://elsewhere/x.pth", sha256=DIGEST), DATA[:1000])
    assert copy(tmp_path, original, ModelFile("x.pth", None, DIGEST)) == (DATA, True)
    begin(tmp_path, Notes("https://elsewhere/x.pth", sha256=DIGEST[:8]), b"other bytes")
    assert copy(tmp_path, original, ModelFile("x.pth", None, DIGEST[:8])) == (DATA, False)


def test_a_copy_of_the_same_version_is_continued(tmp_path, original):
    version = f"{len(DATA)}-{original.stat().st_mtime_ns}"
    begin(tmp_path, Notes(str(original), etag=version), DATA[:1000])
    assert copy(tmp_path, original) == (DATA, True)
    begin(tmp_path, Notes(str(original), etag=version + "0"), b"other bytes")
    assert copy(tmp_path, original) == (DATA, False)
    begin(tmp_path, Notes(str(original), sha256=DIGEST), DATA + b"too much")
    assert copy(tmp_path, original, ModelFile("x.pth", None, DIGEST)) == (DATA, False)


def test_a_file_that_changes_meanwhile(tmp_path, original):
    def change(received, total):
        if received == 1 << 20:
            with open(original, "r+b") as file:
                file.write(b"new")
            os.utime(original, ns=(1, 1))

    with pytest.raises(SourceFailed, match="was changed while it was copied"):
        copy(tmp_path / "dest", original, on_bytes=change)
    assert not (tmp_path / "dest/.downloads/x.pth.part").exists()


@pytest.mark.parametrize("change, reason", [
    (lambda file: file.truncate(1_500_000), "it broke off after 1500000 of 2500000 bytes"),
    (lambda file: (file.seek(0, 2), file.write(b"more")), "it holds more than the 2500000 bytes announced")])
def test_a_file_that_grows_or_shrinks_meanwhile(tmp_path, original, change, reason):
    def on_bytes(received, total):
        if received == 1 << 20:
            with open(original, "r+b") as file:
                change(file)

    with pytest.raises(SourceFailed) as failure:
        copy(tmp_path / "dest", original, on_bytes=on_bytes)
    assert failure.value.reason == reason


def test_a_disk_that_fails_meanwhile(tmp_path, original, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(place, "pour", fail)
    assert refusal(tmp_path / "dest", original) == "cannot be read: Input/output error"


# Mirrors

@pytest.mark.parametrize("mirror, path, expected", [
    ("/mnt/models", "x.pth", "/mnt/models/x.pth"),
    ("/mnt/models", "rtmw3d/a/x.pth", "/mnt/models/rtmw3d/a/x.pth"),
    ("https://mirror.org/pose/", "a b/x#1?%.pth", "https://mirror.org/pose/a%20b/x%231%3F%25.pth"),
    ("http://127.0.0.1:80", "x.pth", "http://127.0.0.1:80/x.pth"),
    ("https://mirror.org/a%20b?key=1#top", "f/x.pth", "https://mirror.org/a%20b/f/x.pth?key=1"),
    ("HTTPS://mirror.org", "é.pth", "https://mirror.org/%C3%A9.pth"),
])
def test_where_a_mirror_has_a_file(mirror, path, expected):
    source = mirror_source(mirror, path)
    if source.kind == "file":
        expected = str(Path(expected))
    assert source.address == expected and (source.path, source.revision) == ("", "")


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1).filter(
    lambda name: name not in (".", "..")))
def test_any_name_survives_the_way_through_an_address(name):
    address = urlsplit(mirror_source("https://mirror.org/m", f"f/{name}").address)
    assert unquote(address.path) == f"/m/f/{name}" and not address.query and not address.fragment


def test_a_mirror_in_the_home(tmp_path, original, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = mirror_source("~/a disk", "x y.pth")
    assert copy(tmp_path / "dest", source.address)[0] == DATA


def test_a_mirror_through_the_whole_engine(tmp_path, monkeypatch):
    """A copy of another machine's files; what it lacks is had from the next source."""
    without_network_settings(monkeypatch, tmp_path)
    mirror, other = tmp_path / "mirror", tmp_path / "other"
    for folder, data in ((mirror, DATA), (other, b"small")):
        folder.mkdir()
        (folder / f"{data[:5].hex()}.bin").write_bytes(data)
    jobs = [Job(ModelFile(f"{data[:5].hex()}.bin", len(data), hashlib.sha256(data).hexdigest()),
                tmp_path / "dest" / f"{data[:5].hex()}.bin",
                tuple(mirror_source(str(folder), f"{data[:5].hex()}.bin") for folder in (mirror, other)))
            for data in (DATA, b"small")]
    assert download(jobs, offline=True, say=print) == [one.target for one in jobs]
    assert [one.target.read_bytes() for one in jobs] == [DATA, b"small"]
    assert sorted(os.listdir(tmp_path / "dest")) == sorted(["SHA256SUMS", *(one.file.path for one in jobs)])
