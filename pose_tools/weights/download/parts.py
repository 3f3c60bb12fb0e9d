"""A file that is not whole yet: its bytes, what is noted of them, and the lock of who is writing.

They lie in ``.downloads`` beside the files (the same disk, so that the rename at the end is one step), and
stay there when a download fails or is killed. Bytes are written straight through: what a killed process had
received is in the file. They are always a beginning of what the notes say, because the notes are written
while the file is empty; what a power cut leaves out or fills with zeros, the hash tells.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO, Callable, Optional

from pose_tools.console import UserError
from pose_tools.console.atomic import to_disk
from pose_tools.weights.addresses import FULL_HASH
from pose_tools.weights.download.failure import Stopped
from pose_tools.weights.entries import WORK_FOLDER
from pose_tools.weights.hashes import BLOCK_BYTES

POLL_SECONDS = 0.1
_LONGEST_NAME = 180  # file systems allow 255 bytes, and suffixes come on top


@dataclass(frozen=True)
class Notes:
    """Where the bytes of a part come from.

    Attributes:
        source: The address asked, or a source as a catalog writes it; before redirects.
        etag: The server's strong entity tag of the file, else empty.
        last_modified: The server's date of the file, as it wrote it, else empty.
        total: Bytes of the whole file, where the source said so.
        sha256: What was known of the file's SHA-256, by the catalog or the source: 8 to 64 hex digits, else empty.
    """

    source: str
    etag: str = ""
    last_modified: str = ""
    total: Optional[int] = None
    sha256: str = ""

    @property
    def validator(self) -> str:
        """What ``If-Range`` sends so that the rest of another version is not taken for this one's."""
        return self.etag or self.last_modified


class Part:
    """The beginning of a file, on disk.

    Use it as a context manager around writing; everything but :meth:`locked` expects the lock to be held.

    Attributes:
        work: The folder ``.downloads``.
        path: The file of the bytes.
        resumed: Whether it is of more than one piece: of an earlier process, or set so by who went on after a
            connection had ended. Then a wrong hash may be the seam's fault.
    """

    def __init__(self, folder: Path, path: str) -> None:
        """Looks at nothing yet.

        Args:
            folder: The folder the file goes to.
            path: The file's path below it, forward slashes.
        """
        self.folder = folder
        self.work = folder / WORK_FOLDER
        name = _flat_name(path)
        self.path = self.work / f"{name}.part"
        self.meta = self.work / f"{name}.json"
        self.lock_path = self.work / f"{name}.lock"
        self.resumed = False
        self._file: Optional[BinaryIO] = None
        self._hash: Optional[hashlib._Hash] = None  # of all bytes; None where they were not read yet
        self._size = 0
        self._notes: Optional[Notes] = None

    @property
    def size(self) -> int:
        """Bytes so far; before the part is opened, those on the disk."""
        if self._file is not None:
            return self._size
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    @property
    def notes(self) -> Optional[Notes]:
        """Where the bytes come from, or ``None`` where that is not known."""
        return self._notes

    def __enter__(self) -> Part:
        """Opens it to go on writing.

        Raises:
            UserError: It cannot be written.
        """
        with _writing(self.path):
            self.work.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab", buffering=0)
            self._size = _without_zeros(self.path)
            self._file.truncate(self._size)
        self._notes = _read_notes(self.meta) if self._size else None
        if self._notes is None:
            self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it; an empty one is removed."""
        if self._file is not None:
            size = self.size
            self._file.close()
            self._file = None
            if not size:
                self.remove()

    def may_continue(self, source: str, sha256: Optional[str]) -> bool:
        """Tells whether what a source sends may be added to the bytes that are here.

        Args:
            source: Address, as in the notes.
            sha256: What is known of the file's SHA-256.

        Returns:
            True for any source where the whole hash was known from the start and is the same now: it will
            tell. Else only for the same source, and only if it can be asked for the same version (ETag, date).
        """
        if not self.size or self._notes is None:
            return False
        if sha256 and len(sha256) == FULL_HASH and self._notes.sha256 == sha256:
            return True
        return self._notes.source == source and bool(self._notes.validator)

    def begin(self, notes: Notes) -> None:
        """Empties it for a transfer from the first byte.

        Args:
            notes: Where the bytes will come from.

        Raises:
            UserError: It cannot be written.
        """
        self.restart()
        self._notes = notes
        with _writing(self.meta):
            self.meta.write_text(json.dumps(asdict(notes), indent=1) + "\n", encoding="utf-8")

    def restart(self) -> None:
        """Empties it and forgets where its bytes came from."""
        with _writing(self.path):
            self._opened().truncate(0)
        self._size, self._hash, self._notes, self.resumed = 0, hashlib.sha256(), None, False

    def write(self, block: bytes) -> None:
        """Adds bytes at the end.

        Raises:
            UserError: They cannot be written; what could be is kept.
        """
        if self._hash is None:
            self.resumed = True
            self._hash = self._hash_so_far()
        rest = memoryview(block)
        try:
            with _writing(self.path):
                while rest:
                    rest = rest[self._opened().write(rest):]
        except UserError:
            self._size, self._hash = self.path.stat().st_size, None
            raise
        self._hash.update(block)
        self._size += len(block)

    def digest(self) -> str:
        """Gives the SHA-256 of the bytes so far, 64 hex digits."""
        if self._hash is None:
            self.resumed = True
            self._hash = self._hash_so_far()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Brings the bytes to the disk and closes the file, so that it can be renamed.

        Raises:
            UserError: The disk does not take them.
        """
        with _writing(self.path):
            to_disk(self._opened())
            self._opened().close()
        self._file = None

    def remove(self) -> None:
        """Removes bytes and notes."""
        for path in (self.path, self.meta):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    @contextlib.contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None,
               stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keeps other processes and threads from the same part; the lock dies with the process.

        Args:
            waiting: Called once, when another one has it.
            stopped: Asked while waiting.

        Raises:
            Stopped: ``stopped`` answered yes.
            UserError: There can be no lock file there.
        """
        with locked_file(self.lock_path, waiting, stopped):
            try:
                yield
            finally:
                if not self.path.exists():
                    self.meta.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError(f"{self.path} is not open")
        return self._file

    def _hash_so_far(self) -> hashlib._Hash:
        digest, left = hashlib.sha256(), self._size
        with _writing(self.path), open(self.path, "rb") as file:
            while left and (block := file.read(min(left, BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
        return digest


@contextlib.contextmanager
def locked_file(path: Path, waiting: Callable[[], None] = lambda: None,
                stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Holds a lock file; its folder is made, and removed where nothing else is left in it.

    Args:
        path: The lock file, in ``.downloads``.
        waiting: Called once, when somebody else has it.
        stopped: Asked while waiting.

    Raises:
        Stopped: ``stopped`` answered yes.
        UserError: There can be no lock file there.
    """
    from filelock import FileLock, Timeout

    lock, told = FileLock(str(path), thread_local=False), False
    while not lock.is_locked:
        if stopped():
            raise Stopped
        with _writing(path):
            _make_folder(path.parent)
            # Somebody who has finished may remove the folder between these two lines.
            with contextlib.suppress(Timeout, FileNotFoundError):
                lock.acquire(timeout=POLL_SECONDS if told else 0, poll_interval=POLL_SECONDS / 2)
        if not lock.is_locked and not told:
            waiting()
            told = True
    try:
        yield
    finally:
        # The last thing done under the lock. Who is waiting for this very file finds it gone, and takes another
        # (filelock looks at the number of links since 3.21). Windows does not remove what is open.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _make_folder(folder: Path) -> None:
    """Makes a folder; where somebody removes it just then, it may be gone again.

    ``Path.mkdir(exist_ok=True)`` fails where the folder was there when it was to be made and not when it was looked at.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        if folder.exists() and not folder.is_dir():
            raise


def _flat_name(path: str) -> str:
    """Makes one file name of a path, another one for every path."""
    name = path.replace("/", "__")
    # Underscores beside a slash or one another could be those of another path.
    if not re.search("__|_/|/_", path) and len(name.encode("utf-8")) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME // 4]}-{hashlib.sha256(path.encode('utf-8')).hexdigest()[:16]}"


def _without_zeros(path: Path) -> int:
    """Counts the bytes up to the last that is not zero.

    After a power cut the end of a file can be zeros that were never received (blocks reserved, not written).
    A shorter beginning is still a beginning, so what is really zero there is only received once more.
    """
    end = path.stat().st_size
    with open(path, "rb") as file:
        while end:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            kept = len(file.read(end - start).rstrip(b"\x00"))
            if kept:
                return start + kept
            end = start
    return 0


def _read_notes(path: Path) -> Optional[Notes]:
    """Reads notes; ``None`` where there are none to be understood."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        notes = Notes(**{field.name: found[field.name] for field in fields(Notes)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = (notes.source, notes.etag, notes.last_modified, notes.sha256)
    is_sound = all(isinstance(text, str) for text in texts) and (notes.total is None or isinstance(notes.total, int))
    return notes if is_sound else None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns the errors of a disk into the user's."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
