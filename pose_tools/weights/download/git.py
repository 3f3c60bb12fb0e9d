"""One file of a branch, tag or commit of a repository, by the ``git`` command.

Only the newest state of the branch is fetched, and where the server can do it ("partial clone") only its
folders' listings and the wanted files; see :mod:`~pose_tools.weights.download.git_command` for why nothing can get out
of the repository. Files of one branch share the fetch.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from pose_tools.console import UserError
from pose_tools.weights.addresses import FULL_HASH, refusal_of
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.git_command import BareRepository, GitFailed
from pose_tools.weights.download.git_lfs import Pointer, pointer_of, receive_from_lfs
from pose_tools.weights.download.git_reasons import is_passing, is_unconnected, reason_of
from pose_tools.weights.download.kept import holding, is_fresh, kept_name, remove, set_fresh
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.pace import Pace, TryAgain
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.place import local_path
from pose_tools.weights.download.pour import check_size, pour
from pose_tools.weights.download.transfer import OnBytes
from pose_tools.weights.entries import ModelFile, Source, check_relative

_HERE = "refs/pose-tools/wanted"
_REGULAR = ("100644", "100755")
_OTHERS = {"040000": "a folder", "120000": "a link", "160000": "a submodule"}
_HELPER = re.compile(r"[A-Za-z0-9.+-]+::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.+-]*)://")
_SSH = re.compile(r"(\w[\w.-]*@)?\w[\w.-]+:[^\\]*")  # of two letters at least: C:\ is a drive


class Remote(NamedTuple):
    """A repository to fetch from.

    Attributes:
        address: As git takes it.
        protocols: What git may speak to it, as ``GIT_ALLOW_PROTOCOL`` has it.
        redirects: Whether its server may send git elsewhere.
    """

    address: str
    protocols: str
    redirects: bool = True


def remote_of(address: str, sha256: Optional[str]) -> Remote:
    """Reads the address of a repository, and decides what git may speak to it.

    Args:
        address: ``https://...``, ``ssh://...``, ``USER@HOST:PATH``, ``file://...`` or a path.
        sha256: What is known of the wanted file's SHA-256, which plain http needs whole.

    Raises:
        SourceFailed: It is none of these, plain http where that is not enough, or a path where nothing is.
    """
    scheme = _SCHEME.match(address)
    protocol = scheme[1].lower() if scheme else ""
    if _HELPER.match(address) or address.startswith("-") or protocol not in ("", "http", "https", "ssh", "file"):
        raise SourceFailed("only https, ssh and paths are used for git")
    if protocol == "http":
        refusal = refusal_of(address, sha256)
        if refusal:
            raise SourceFailed(refusal)
        return Remote(address, "http:https", redirects=len(sha256 or "") == FULL_HASH)
    if protocol:
        return Remote(address, protocol)
    if _SSH.fullmatch(address):
        return Remote(address, "ssh")
    path = local_path(address)
    if not path.exists():
        raise SourceFailed("there is no such folder")
    return Remote(str(path.absolute()), "file")


def receive_from_git(source: Source, part: Part, file: ModelFile, limits: Limits, on_bytes: OnBytes) -> None:
    """Takes one file out of a repository.

    Args:
        source: Of kind ``git``.
        part: Where the bytes go; open and locked.
        file: What is wanted.
        limits: How patient to be with the server.
        on_bytes: Called with the bytes so far and the total where known, while git fetches as well.

    Raises:
        SourceFailed: There is no git, repository, branch or file, it is a link, a folder or a submodule, of
            another size, or the server does not answer.
        UserError: The disk is full.
    """
    remote = remote_of(source.address, file.sha256)
    try:
        check_relative(source.path)
    except ValueError as error:
        raise SourceFailed(str(error)) from error
    shown = _Shown(part.size, file.size, on_bytes)
    kept = part.work / kept_name("git", source.address, source.revision)
    with holding(kept, shown.tick):
        try:
            pointer = _take(_Fetch(kept, remote, source, limits, shown), part, file, shown)
        except GitFailed as failure:
            remove(kept)
            raise SourceFailed(reason_of(str(failure), source)) from failure
        except OSError as error:
            raise SourceFailed(f"git cannot be run: {error.strerror or error}") from error
    if pointer is not None:
        receive_from_lfs(pointer, remote.address, part, file, limits, on_bytes)


def _take(fetch: _Fetch, part: Part, file: ModelFile, shown: _Shown) -> Optional[Pointer]:
    """Fills a part, or gives the pointer that stands in the repository for the file."""
    blob = fetch.blob()
    size = int(fetch.repository.ask("cat-file", "-s", blob))
    pointer = pointer_of(fetch.repository, blob, size)
    if pointer is not None:
        return pointer
    check_size(size, file)
    notes = Notes(str(fetch.source), etag=blob, total=size, sha256=file.sha256 or "")
    with fetch.repository.reading(blob) as stream:
        pour(stream, part, notes, shown.copied)
    return None


@dataclass
class _Shown:
    """What the progress bar shows: git's bytes while it fetches, and never less after."""

    most: int
    total: Optional[int]
    on_bytes: OnBytes

    def tick(self) -> None:
        self.on_bytes(self.most, self.total)

    def fetched(self, received: int) -> None:
        self.most = max(self.most, received if self.total is None else min(received, self.total))
        self.tick()

    def copied(self, size: int, total: Optional[int]) -> None:
        self.on_bytes(min(max(self.most, size), total or size), total)


class _Fetch:
    """The fetch of one branch, and the files that are taken from it."""

    def __init__(self, kept: Path, remote: Remote, source: Source, limits: Limits, shown: _Shown) -> None:
        self.source = source
        self._kept, self._remote, self._limits, self._shown = kept, remote, limits, shown
        self._is_old = any(kept.glob("objects/pack/*.pack"))
        if not self._is_old:
            remove(kept)  # of a process that was killed over it
        self.repository = self._open()

    def _open(self) -> BareRepository:
        return BareRepository(self._kept, *self._remote, self._limits)

    def blob(self) -> str:
        """Fetches what is not here yet, and gives the object name of the wanted file."""
        if not is_fresh(self._kept):
            self._fetch_branch("--filter=blob:none")
            set_fresh(self._kept)
        blob = self._find()
        if self._is_here(blob):
            return blob
        try:
            self._fetch("--no-filter", "--", "origin", blob)
        except GitFailed:
            # Few servers leave files out when asked, and then do not send one of them by its name.
            self._begin_anew()
            self._fetch_branch("--no-filter")
            set_fresh(self._kept)
            return self._find()
        return blob

    def _fetch_branch(self, what: str) -> None:
        arguments = ("--depth=1", what, "--", "origin", f"+{self.source.revision}:{_HERE}")
        try:
            self._fetch(*arguments)
        except GitFailed:
            if not self._is_old:
                raise
            # Of an earlier process, which may have left locks and halves.
            self._begin_anew()
            self._fetch(*arguments)

    def _begin_anew(self) -> None:
        remove(self._kept)
        self._is_old = False
        self.repository = self._open()

    def _fetch(self, *arguments: str) -> None:
        """Fetches as often as it takes, while what goes wrong may go right the next time."""
        pace = Pace(self._limits, 0)
        while True:
            try:
                self.repository.fetch(*arguments, on_received=self._watch(pace))
                return
            except GitFailed as failure:
                text = str(failure)
                if re.search("No space left|quota exceeded", text):
                    raise UserError(f"{self._kept.parent}: cannot be written: no space left on the disk") from failure
                if not is_passing(text):
                    raise
                again = TryAgain(reason_of(text, self.source), is_connected=not is_unconnected(text))
                pace.wait(again, self._shown.tick)

    def _watch(self, pace: Pace) -> Callable[[int], None]:
        before = 0

        def on_received(received: int) -> None:
            nonlocal before
            self._shown.fetched(received)
            pace.received(received - before, received)
            before = received

        return on_received

    def _find(self) -> str:
        """Looks the wanted file up in the branch."""
        path = self.source.path
        for entry in self.repository.ask("ls-tree", "-z", _HERE, "--", path).split(b"\x00"):
            facts, _, name = entry.partition(b"\t")
            if name == path.encode("utf-8"):
                mode, _, blob = facts.decode("ascii").split()
                if mode not in _REGULAR:
                    raise SourceFailed(f"{path} is {_OTHERS.get(mode, 'no file')} there, not a file")
                return blob
        raise SourceFailed(f"there is no {path} in {self.source.revision}")

    def _is_here(self, blob: str) -> bool:
        try:
            self.repository.ask("cat-file", "-e", blob)
        except GitFailed:
            return False
        return True
