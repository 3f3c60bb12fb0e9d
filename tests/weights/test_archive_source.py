import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import stat
import struct
import tarfile
import zipfile

import pytest
from download_server import BadServer, without_network_settings
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.weights.download import Job, download
from pose_tools.weights.download import archive as archive_module
from pose_tools.weights.download.archive import receive_from_archive
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.kept import end_sharing
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.entries import ModelFile, Source

X = random.Random(1).randbytes(1_300_000)
Y = b"y" * 5000
DIGEST = hashlib.sha256(X).hexdigest()
URL = "https://host.org/models.zip"


def member(name, data=b"", kind=tarfile.REGTYPE, link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*members, mode="w", form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(*members, how=zipfile.ZIP_DEFLATED):
    """Members are a name, or a ZipInfo, and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def with_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def take(tmp_path, data, path="m/x.pth", file=None, on_bytes=lambda *_: None):
    """Takes a member of an archive on this machine."""
    address = tmp_path / "an archive"
    address.write_bytes(data)
    return take_from(tmp_path / "dest", str(address), path, file, on_bytes)


def take_from(dest, address, path="m/x.pth", file=None, on_bytes=lambda *_: None, get_archive=None):
    file = file or ModelFile("x.pth")
    part = Part(dest, file.path)
    with part.locked(), part:
        receive_from_archive(Source("archive", address, path), part, file, Limits(), on_bytes, get_archive)
        assert part.digest() == hashlib.sha256(part.path.read_bytes()).hexdigest()
        result = part.path.read_bytes()
        part.close()
        part.remove()
    return result


def refusal(*args, **kwargs):
    with pytest.raises(SourceFailed) as failure:
        take(*args, **kwargs)
    return failure.value.reason


FILES = [("other.txt", Y), ("m/x.pth", X), ("z", Y)]
ARCHIVES = {
    "zip": zipped(*FILES), "stored zip": zipped(*FILES, how=zipfile.ZIP_STORED),
    "bz2 zip": zipped(*FILES, how=zipfile.ZIP_BZIP2), "xz zip": zipped(*FILES, how=zipfile.ZIP_LZMA),
    **{mode: tar(*(member(*file) for file in FILES), mode=mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")},
    "gnu": tar(*(member(*file) for file in FILES), form=tarfile.GNU_FORMAT),
    "ustar": tar(*(member(*file) for file in FILES), form=tarfile.USTAR_FORMAT),
    "of a folder": tar(member("."), *(member(f"./{name}", data) for name, data in FILES), mode="w:gz")}


@pytest.mark.parametrize("kind", list(ARCHIVES))
def test_a_member_of_every_kind_of_archive(tmp_path, kind):
    seen = []
    assert take(tmp_path, ARCHIVES[kind], on_bytes=lambda *n: seen.append(n)) == X
    assert seen[0] == (0, len(X)) and seen[-1] == (len(X), len(X)) and len(seen) >= 3
    assert take(tmp_path, ARCHIVES[kind], "z", ModelFile("z", len(Y))) == Y
    assert refusal(tmp_path, ARCHIVES[kind], "x.pth") == "there is no x.pth in the archive"
    assert refusal(tmp_path, ARCHIVES[kind], file=ModelFile("x.pth", 5)) == (
        "the file there has 1300000 bytes and should have 5")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["an archive", "dest"], "nothing else is written"


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w"])
def test_what_was_begun_is_continued_where_the_hash_will_tell(tmp_path, kind):
    part = Part(tmp_path / "dest", "x.pth")
    with part:
        part.begin(Notes("https://elsewhere", sha256=DIGEST))
        part.write(X[:1000])
    (tmp_path / "a").write_bytes(ARCHIVES[kind])
    with part:
        receive_from_archive(Source("archive", str(tmp_path / "a"), "m/x.pth"), part, ModelFile("x.pth", None, DIGEST),
                             Limits(), lambda *_: None, None)
        assert part.resumed and part.digest() == DIGEST


# Members that are no files

@pytest.mark.parametrize("entry, reason", [
    (member("m/x.pth", kind=tarfile.SYMTYPE, link="/etc/passwd"), "m/x.pth is a link in the archive"),
    (member("m/x.pth", kind=tarfile.SYMTYPE, link="../../x"), "m/x.pth is a link in the archive"),
    (member("m/x.pth", kind=tarfile.LNKTYPE, link="/etc/shadow"), "m/x.pth is a link in the archive"),
    (member("m/x.pth", kind=tarfile.LNKTYPE, link="other.txt"), "m/x.pth is a link in the archive"),
    (member("m/x.pth", kind=tarfile.DIRTYPE), "m/x.pth is a folder in the archive"),
    (member("m/x.pth", kind=tarfile.CHRTYPE, devmajor=1, devminor=5), "m/x.pth is no plain file in the archive"),
    (member("m/x.pth", kind=tarfile.BLKTYPE, devmajor=8), "m/x.pth is no plain file in the archive"),
    (member("m/x.pth", kind=tarfile.FIFOTYPE), "m/x.pth is no plain file in the archive"),
    (member("m/x.pth", b"1" * 512, kind=tarfile.GNUTYPE_SPARSE), "m/x.pth is no plain file in the archive"),
])
def test_members_of_a_tar_that_are_no_files(tmp_path, entry, reason):
    assert refusal(tmp_path, tar(member("other.txt", Y), entry)) == reason


@pytest.mark.parametrize("mode, reason", [
    (stat.S_IFLNK | 0o777, "m/x.pth is a link in the archive"), (stat.S_IFDIR, "m/x.pth is a folder in the archive"),
    (stat.S_IFCHR, "m/x.pth is no plain file in the archive"),
    (stat.S_IFIFO, "m/x.pth is no plain file in the archive"),
    (stat.S_IFSOCK, "m/x.pth is no plain file in the archive")])
def test_members_of_a_zip_that_are_no_files(tmp_path, mode, reason):
    assert refusal(tmp_path, zipped((with_mode("m/x.pth", mode), b"/etc/passwd"))) == reason


def test_a_folder_of_a_zip(tmp_path):
    assert refusal(tmp_path, zipped(("m/x.pth/", b""))) == "m/x.pth is a folder in the archive"
    assert take(tmp_path, zipped((with_mode("m/x.pth", stat.S_IFREG | 0o644), Y))) == Y


HOSTILE = ["../x.pth", "/x.pth", "/etc/passwd", "m/../../x.pth", "C:\\x.pth", "C:x.pth", "..\\x.pth", "m//x.pth",
           "./m/x.pth", "\\\\host\\share\\x", "m/x.pth ", "m/x.pth/", ""]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("build", [zipped, lambda *files: tar(*(member(*file) for file in files))])
def test_names_that_lead_elsewhere_are_refused_even_if_asked_for(tmp_path, name, build):
    data = build((name or "m/", Y))
    assert "is not a plain relative path" in refusal(tmp_path, data, name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["an archive", "dest"]


@pytest.mark.parametrize("build", [zipped, lambda *files: tar(*(member(*file) for file in files))])
def test_beside_hostile_members_a_good_one_is_taken(tmp_path, build):
    names = [name for name in HOSTILE if name.strip("/ ") != "m/x.pth" and name not in ("", "./m/x.pth")]
    data = build(*((name, Y) for name in names), ("m/x.pth", X))
    assert take(tmp_path, data) == X
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["an archive", "dest"]


@given(st.text(st.sampled_from("ab./\\:\x00 "), max_size=12), st.sampled_from(["zip", "tar"]))
def test_only_a_plain_path_ever_names_a_member(tmp_path_factory, name, kind):
    """Whatever the archive calls its only member, it is had by its plain relative path or not at all."""
    folder = tmp_path_factory.mktemp("any")
    stored = name.split("\x00")[0] or "a"
    data = zipped((stored, Y)) if kind == "zip" else tar(member(stored, Y))
    try:
        assert take(folder, data, name) == Y
    except SourceFailed:
        return
    parts = name.split("/")
    assert not {"", ".", ".."} & set(parts) and not set(name) & set("\\:\x00")


@pytest.mark.parametrize("data", [zipped(("m/x.pth", X), ("m/y.pth", Y)).replace(b"m/y", b"m/x"),
                                  zipped(("m/x.pth", X), ("./m/x.pth", Y)),
                                  tar(member("m/x.pth", X), member("m/x.pth", Y)),
                                  tar(member("m/x.pth", X), member("./m/x.pth", kind=tarfile.SYMTYPE, link="/"))])
def test_a_name_that_is_there_twice(tmp_path, data):
    assert refusal(tmp_path, data) == "m/x.pth is in the archive more than once"
    assert not list(tmp_path.rglob("*.part")) or Part(tmp_path / "dest", "x.pth").size == len(X)


# Archives that are damaged, or bombs

def test_an_encrypted_zip(tmp_path):
    data = bytearray(zipped(("m/x.pth", Y)))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert refusal(tmp_path, bytes(data)) == "m/x.pth is encrypted in the archive"


def test_an_unknown_compression(tmp_path):
    data = bytearray(zipped(("m/x.pth", Y)))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + offset] = 97
    assert refusal(tmp_path, bytes(data)).startswith("m/x.pth is compressed in a way that is not known here")


def test_a_zip_whose_two_headers_differ(tmp_path):
    data = zipped(("m/x.pth", Y)).replace(b"m/x.pth", b"m/y.pth", 1)
    assert "differ" in refusal(tmp_path, data)


@pytest.mark.parametrize("kind", ["zip", "stored zip", "w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("keep", [0, 3, 100, 400_000])
def test_archives_that_are_cut(tmp_path, kind, keep):
    reason = refusal(tmp_path, ARCHIVES[kind][:keep])
    assert reason.startswith(("it is no zip or tar (.gz, .bz2, .xz), or it is damaged: ",
                              "the archive cannot be read: ", "there is no m/x.pth")), reason
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("kind", ["zip", "stored zip", "w:gz", "w:xz"])
def test_archives_with_a_flipped_bit(tmp_path, kind):
    data = bytearray(ARCHIVES[kind])
    data[700_000] ^= 16
    assert "damaged" in refusal(tmp_path, bytes(data))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("data", [b"<html>no such page</html>", b"\x80\x02}q\x00.", b"7z\xbc\xaf\x27\x1c", b"",
                                  bytes(2000)])
def test_what_is_no_archive(tmp_path, data):
    assert refusal(tmp_path, data).startswith(("it is no zip or tar", "there is no m/x.pth"))


def test_a_zip_that_announces_less_than_it_holds(tmp_path):
    """The announced size is what is written, and the check sum does not fit then."""
    data = zipped(("m/x.pth", X))
    assert "damaged" in refusal(tmp_path, data.replace(struct.pack("<L", len(X)), struct.pack("<L", 1000)))
    assert not list(tmp_path.rglob("*.part"))


def test_a_zip_that_announces_more_than_it_holds(tmp_path):
    data = zipped(("m/x.pth", X))
    reason = refusal(tmp_path, data.replace(struct.pack("<L", len(X)), struct.pack("<L", len(X) + 9)))
    assert "damaged" in reason or "broke off" in reason


@pytest.mark.parametrize("data", [
    zipped(("m/x.pth", bytes(60_000_000))),
    tar(member("m/x.pth", bytes(60_000_000)), mode="w:xz"),
    tar(member("first", bytes(60_000_000)), member("m/x.pth", Y), mode="w:gz")])
def test_bombs(tmp_path, monkeypatch, data):
    """As those of petabytes, made small: more than a hundred times what it takes on the disk, and some."""
    monkeypatch.setattr(archive_module, "_SWELL_FREE", 20_000_000)
    assert len(data) < 100_000
    assert "and would unpack to" in refusal(tmp_path, data)
    assert not list(tmp_path.rglob("*.part"))


def test_a_header_of_a_header_of_absurd_length(tmp_path):
    """tarfile reads a long name whole into memory, however long it says it is."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    data = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    assert "absurd" in refusal(tmp_path, data)


def test_compressed_files_that_are_no_tar(tmp_path):
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert "no zip or tar" in refusal(tmp_path, pack(X[:1000]))


# Archives from the network

def end_of_run(dest):
    """A download ends, and something of a file is left to be gone on with."""
    half = dest / ".downloads/half.part"
    half.touch()
    end_sharing(dest / ".downloads", all_done=False)
    half.unlink()


class Server:
    """Gives an archive as get_archive does, and counts."""

    def __init__(self, data):
        self.data, self.asked = data, []

    def __call__(self, address, part):
        self.asked.append(address)
        if isinstance(self.data, Exception):
            raise self.data
        if not part.may_continue(address, "0" * 64):
            part.begin(Notes(address, sha256="0" * 64))
        while part.size < len(self.data):
            part.write(self.data[part.size:part.size + 100_000])


def test_members_share_one_fetch(tmp_path):
    server = Server(ARCHIVES["zip"])
    assert take_from(tmp_path, URL, get_archive=server) == X
    assert take_from(tmp_path, URL, "z", ModelFile("z"), get_archive=server) == Y
    assert server.asked == [URL]
    with pytest.raises(SourceFailed, match="there is no other"):
        take_from(tmp_path, URL, "other", get_archive=server)
    end_sharing(tmp_path / ".downloads", all_done=True)
    assert os.listdir(tmp_path) == []


def test_an_archive_that_broke_off_is_continued(tmp_path):
    server = Server(SourceFailed("the server answered 503"))
    with pytest.raises(SourceFailed, match="503"):
        take_from(tmp_path, URL, get_archive=server)
    server.data = ARCHIVES["zip"][:1000]
    with pytest.raises(SourceFailed, match="damaged"):
        take_from(tmp_path, URL, get_archive=server)

    def cut(address, part):
        part.begin(Notes(address, sha256="0" * 64))
        part.write(ARCHIVES["zip"][:5000])
        raise SourceFailed("the connection broke off")

    end_of_run(tmp_path)
    with pytest.raises(SourceFailed, match="broke off"):
        take_from(tmp_path, URL, get_archive=cut)
    server.data = bytes(5000) + ARCHIVES["zip"][5000:]
    assert take_from(tmp_path, URL, get_archive=server) == X, "its first 5000 bytes were here"


def test_an_archive_of_an_earlier_run_is_used_if_the_hash_is_right(tmp_path):
    server, wanted = Server(ARCHIVES["zip"]), ModelFile("x.pth", None, DIGEST[:8])
    assert take_from(tmp_path, URL, "z", ModelFile("z"), get_archive=server) == Y
    end_of_run(tmp_path)
    assert take_from(tmp_path, URL, file=wanted, get_archive=server) == X
    assert len(server.asked) == 1
    assert take_from(tmp_path, URL, "z", ModelFile("z"), get_archive=server) == Y
    assert len(server.asked) == 2, "of this file no hash is known: it may be another one by now"


@pytest.mark.parametrize("old", [zipped(("m/x.pth", Y)), zipped(("other", Y)), b"damaged"])
def test_an_archive_of_an_earlier_run_that_is_outdated(tmp_path, old):
    server = Server(old)
    with pytest.raises(SourceFailed):
        take_from(tmp_path, URL, "nothing", get_archive=server)
    end_of_run(tmp_path)
    server.data = ARCHIVES["w:gz"]
    assert take_from(tmp_path, URL, file=ModelFile("x.pth", None, DIGEST), get_archive=server) == X
    assert len(server.asked) == 2


def test_an_archive_that_is_not_there(tmp_path):
    with pytest.raises(SourceFailed, match="there is no such archive"):
        take_from(tmp_path, str(tmp_path / "nothing.zip"))
    with pytest.raises(SourceFailed, match="cannot be read"):
        take_from(tmp_path, str(tmp_path))


def test_files_of_an_archive_through_the_whole_engine(tmp_path, monkeypatch):
    without_network_settings(monkeypatch, tmp_path)

    def job(path, source):
        file = ModelFile(path, None, hashlib.sha256(dict(FILES)[source]).hexdigest()[:8])
        return Job(file, tmp_path / "dest" / path, (Source("archive", address, source),))

    with BadServer() as server:
        address = server.put("/models.zip", ARCHIVES["zip"], cut_at=600_000)
        server.put("/models.zip", ARCHIVES["zip"])
        jobs = [job("x.pth", "m/x.pth"), job("texts/z.txt", "z"), job("other.txt", "other.txt")]
        assert download(jobs, limits=Limits(backoff_seconds=0.01), say=print) == [one.target for one in jobs]
        assert [headers.get("Range") for headers in server.asked()] == [None, "bytes=600000-"]
    assert (tmp_path / "dest/x.pth").read_bytes() == X and (tmp_path / "dest/texts/z.txt").read_bytes() == Y
    assert sorted(os.listdir(tmp_path / "dest")) == ["SHA256SUMS", "other.txt", "texts", "x.pth"]
