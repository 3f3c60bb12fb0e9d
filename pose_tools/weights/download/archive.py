"""One file out of a zip or tar archive.

Nothing is extracted: of the whole archive only the named member is read, into a part whose name this program
chose. So no member's own path, link or device can matter; those that are no plain files are refused all the same.
"""
from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Optional

from pose_tools.console import UserError
from pose_tools.weights.addresses import is_address
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.kept import holding, is_fresh, kept_name, set_fresh
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.place import local_path
from pose_tools.weights.download.pour import check_size, pour
from pose_tools.weights.download.space import in_mb
from pose_tools.weights.download.transfer import OnBytes
from pose_tools.weights.entries import ModelFile, Source, check_relative
from pose_tools.weights.hashes import BLOCK_BYTES

GetArchive = Callable[[str, Part], None]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSED: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_DAMAGES = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, ValueError)
_ENCRYPTED = 0x1 | 0x40  # bits of a zip member's flags (PKWARE APPNOTE 4.4.4)
_READ_MOST = 1 << 26  # of a tar in one go: headers are far smaller
_SWELL_MOST, _SWELL_FREE = 100, 1 << 30  # a tar may be so many times its compressed size and this much


def receive_from_archive(source: Source, part: Part, file: ModelFile, limits: Limits, on_bytes: OnBytes,
                         get_archive: GetArchive) -> None:
    """Takes one file out of an archive; an archive from the network is fetched once for all its files.

    Args:
        source: Of kind ``archive``; its address is a URL or a path.
        part: Where the bytes go; open and locked.
        file: What is wanted.
        limits: Of no use here; all sources are called alike.
        on_bytes: Called with the bytes so far and the total: of the archive, then of the file.
        get_archive: Fills an open part with what is at a URL.

    Raises:
        SourceFailed: The archive cannot be had or is damaged, the file is not in it, twice in it, encrypted, a link
            or anything but a file, or of another size.
    """
    try:
        check_relative(source.path)
    except ValueError as error:
        raise SourceFailed(str(error)) from error
    if not is_address(source.address):
        _take(local_path(source.address), source, part, file, on_bytes)
        return
    kept = part.work / kept_name("archive", source.address)
    with holding(kept, lambda: on_bytes(part.size, file.size)):
        if kept.is_file() and not is_fresh(kept) and file.sha256 and _is_in(kept, source, part, file, on_bytes):
            return
        if not is_fresh(kept):
            _get(kept, source.address, part, get_archive)
        _take(kept, source, part, file, on_bytes)


def _get(kept: Path, address: str, part: Part, get_archive: GetArchive) -> None:
    """Fetches the archive, going on where an earlier process was stopped."""
    whole = Part(part.folder, kept.name)
    with whole:
        get_archive(address, whole)
        whole.close()
        try:
            os.replace(whole.path, kept)
        except OSError as error:
            raise UserError(f"{kept}: cannot be written: {error.strerror or error}") from error
        whole.remove()
    set_fresh(kept)


def _is_in(kept: Path, source: Source, part: Part, file: ModelFile, on_bytes: OnBytes) -> bool:
    """Looks into an archive of an earlier run, which may be outdated; only the hash can tell."""
    try:
        _take(kept, source, part, file, on_bytes)
    except SourceFailed:
        part.restart()
        return False
    if part.digest().startswith(file.sha256 or ""):
        return True
    part.restart()
    return False


def _take(archive: Path, source: Source, part: Part, file: ModelFile, on_bytes: OnBytes) -> None:
    """Reads the named member into the part."""
    def take(stream: BinaryIO, size: int) -> None:
        check_size(size, file)
        pour(stream, part, Notes(str(source), total=size, sha256=file.sha256 or ""), on_bytes)

    try:
        with open(archive, "rb") as opened:
            beginning = opened.read(8)
            opened.seek(0)
            if beginning.startswith(_ZIP):
                _from_zip(opened, source.path, take)
            else:
                _from_tar(opened, beginning, source.path, take)
    except FileNotFoundError as error:
        raise SourceFailed("there is no such archive") from error
    except NotImplementedError as error:
        raise SourceFailed(f"{source.path} is compressed in a way that is not known here ({error})") from error
    except _DAMAGES as error:
        part.restart()
        raise SourceFailed(f"it is no zip or tar (.gz, .bz2, .xz), or it is damaged: {error}") from error
    except OSError as error:
        part.restart()
        raise SourceFailed(f"the archive cannot be read: {error.strerror or error}") from error


def _plain(name: str) -> str:
    """``tar`` writes ``./a/b`` where it is called on a folder; everything else counts as it is."""
    return name[2:] if name.startswith("./") else name


def _from_zip(opened: BinaryIO, path: str, take: Callable[[BinaryIO, int], None]) -> None:
    packed = os.fstat(opened.fileno()).st_size
    with zipfile.ZipFile(opened) as archive:
        found = [info for info in archive.infolist() if _plain(info.filename).rstrip("/") == path]
        _refuse_count(len(found), path)
        info = found[0]
        kind = stat.S_IFMT(info.external_attr >> 16)
        _refuse_kind(path, info.is_dir() or kind == stat.S_IFDIR, kind == stat.S_IFLNK, kind in (0, stat.S_IFREG))
        if info.flag_bits & _ENCRYPTED:
            raise SourceFailed(f"{path} is encrypted in the archive")
        _refuse_swelling(info.file_size, packed)
        with archive.open(info) as stream:
            take(stream, info.file_size)  # type: ignore[arg-type]


def _from_tar(opened: BinaryIO, beginning: bytes, path: str, take: Callable[[BinaryIO, int], None]) -> None:
    packed = os.fstat(opened.fileno()).st_size
    with ExitStack() as stack:
        stream = next((stack.enter_context(unpack(opened)) for magic, unpack in _COMPRESSED.items()
                       if beginning.startswith(magic)), opened)
        careful = _Careful(stream, packed)
        archive = stack.enter_context(tarfile.open(fileobj=careful, mode="r:"))
        count = 0
        for info in archive:
            if _plain(info.name).rstrip("/") != path:
                continue
            count += 1
            _refuse_count(count, path)
            _refuse_kind(path, info.isdir(), info.issym() or info.islnk(), info.isreg() and not info.issparse())
            _refuse_swelling(info.size, packed)
            with archive.extractfile(info) as member:  # type: ignore[union-attr]
                take(member, info.size)  # type: ignore[arg-type]
        while careful.read(BLOCK_BYTES):
            pass  # tarfile stops before the check sum of a compressed file, which is at its end
        _refuse_count(count, path)


def _refuse_count(count: int, path: str) -> None:
    if not count:
        raise SourceFailed(f"there is no {path} in the archive")
    if count > 1:
        raise SourceFailed(f"{path} is in the archive more than once")


def _refuse_kind(path: str, is_folder: bool, is_link: bool, is_plain: bool) -> None:
    if is_folder or is_link or not is_plain:
        what = "a folder" if is_folder else "a link" if is_link else "no plain file"
        raise SourceFailed(f"{path} is {what} in the archive")


def _refuse_swelling(size: int, packed: int) -> None:
    if size > packed * _SWELL_MOST + _SWELL_FREE:
        raise SourceFailed(f"the archive has {in_mb(packed)} and would unpack to {in_mb(size)} and more")


class _Careful:
    """A tar stream that gives no more at once, and no more in all, than an honest archive holds."""

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        """Takes the unpacked stream and the bytes of the archive on disk."""
        self._stream = stream
        self._packed = packed

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is None or not 0 <= size <= _READ_MOST:
            raise tarfile.ReadError("it has a header of absurd length")
        _refuse_swelling(self._stream.tell(), self._packed)
        return self._stream.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            _refuse_swelling(place, self._packed)
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True
