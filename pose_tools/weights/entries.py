"""What the catalog says of a model: its files, what they must be, and where they can be had."""
from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Optional
from urllib.parse import quote

from pose_tools.weights.addresses import is_address

WORK_FOLDER = ".downloads"  # beside the files, for what is not whole yet
_WITH_REVISION = re.compile(r"(.+)@([\w./-]+)")  # git@host:user/repo has a colon after its own @
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
# Not allowed on one of the systems people use, or with a meaning of its own there.
_BAD_IN_PATH = re.compile(r'[<>:"|?*\\\x00-\x1f]')


@dataclass(frozen=True)
class Source:
    """One place where one file can be had.

    Attributes:
        kind: ``url`` (http or https), ``hf`` (Hugging Face), ``git`` (a branch of a repository), ``archive``
            (a file inside a zip or tar) or ``file`` (on this machine).
        address: The URL, ``USER/REPO``, the repository's address, the archive's address, or the path.
        path: The file inside the repository or archive, forward slashes; else empty.
        revision: Branch, tag or commit of a repository; else empty.
    """

    kind: str
    address: str
    path: str = ""
    revision: str = ""

    def __str__(self) -> str:
        """As it is written in a catalog."""
        prefix = {"hf": "hf:", "git": "git+", "archive": "archive+"}.get(self.kind, "")
        revision = f"@{self.revision}" if self.revision else ""
        inside = f"#{self.path}" if self.path else ""
        return f"{prefix}{self.address}{revision}{inside}"

    def below(self, path: str) -> Source:
        """Takes this source for a folder and gives that of a file in it.

        Args:
            path: Relative, forward slashes.
        """
        if self.kind in ("hf", "git", "archive"):
            return replace(self, path=posixpath.join(self.path, path))
        return replace(self, address=posixpath.join(self.address, quote(path) if self.kind == "url" else path))


def parse_source(text: str) -> Source:
    """Reads a source as a catalog has it.

    Args:
        text: ``https://...``; ``hf:USER/REPO[@REVISION][#PATH]``; ``git+ADDRESS@BRANCH[#PATH]``;
            ``archive+ADDRESS[#PATH]``; or a path. Without ``#PATH`` it is a place that holds files.

    Raises:
        ValueError: It is none of these; the text says what is wrong.
    """
    if is_address(text):
        return Source("url", text)
    for kind, prefix in (("hf", "hf:"), ("git", "git+"), ("archive", "archive+")):
        if text.startswith(prefix):
            return _parse_inside(kind, text[len(prefix):], text)
    if not text.strip() or "://" in text or "\x00" in text:
        raise ValueError(f"{text!r} is not a source; write https://..., hf:USER/REPO#PATH, git+ADDRESS@BRANCH#PATH, "
                         "archive+ADDRESS#PATH or a path")
    return Source("file", text)


def _parse_inside(kind: str, rest: str, text: str) -> Source:
    address, _, path = rest.partition("#")
    revision = ""
    found = _WITH_REVISION.fullmatch(address) if kind != "archive" else None
    if found:
        address, revision = found.groups()
    if kind == "hf" and not _REPOSITORY.fullmatch(address):
        raise ValueError(f"{text!r}: after hf: comes USER/REPO")
    if kind == "git" and not revision:
        raise ValueError(f"{text!r}: a git source names its branch: git+ADDRESS@BRANCH#PATH")
    if not address or address.startswith("-") or revision.startswith("-"):
        raise ValueError(f"{text!r}: has no address" if not address else f"{text!r}: starts with a dash")
    if path.rstrip("/"):
        check_relative(path.rstrip("/"))
    return Source(kind, address, path, revision)


def check_relative(path: str) -> str:
    """Makes sure that a path stays below the folder it is for, on every system.

    Args:
        path: Forward slashes.

    Returns:
        The path.

    Raises:
        ValueError: It is absolute, goes up, or has characters or parts that are no file names somewhere.
    """
    parts = path.split("/")
    if not path or path.startswith(("/", "~")) or _BAD_IN_PATH.search(path) or any(
            part in ("", ".", "..") or part != part.rstrip(". ") for part in parts):
        raise ValueError(f"{path!r} is not a plain relative path")
    if parts[0] == WORK_FOLDER:
        raise ValueError(f"{path!r} lies in {WORK_FOLDER}, which is for unfinished downloads")
    return path


@dataclass(frozen=True)
class ModelFile:
    """A file of a model.

    Attributes:
        path: Where it goes below the model's folder; relative, forward slashes.
        size: Bytes, where known.
        sha256: The first 8 to 64 hex digits of its SHA-256, where known.
        sources: Where it can be had, the first first.
    """

    path: str
    size: Optional[int] = None
    sha256: Optional[str] = None
    sources: tuple[Source, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Entry:
    """A model that can be fetched by name.

    Attributes:
        name: What the user types.
        files: One or several.
        title: One line.
        task: ``detection``, ``pose``, ``backbone`` and so on.
        framework: What reads it: ``mmdet``, ``mmpose``, ``transformers`` and so on.
        config: Its config's name in that framework's index, where it has one.
        markers: Its keypoint set, of pose models.
        classes: Its classes, of detectors.
        licence: SPDX name, or what the authors say.
        origin: Page it comes from.
        folder: Where its files go: below ``checkpoint/``, ``"."`` for right there, or absolute or ``~/...``.
        metrics: Published scores by name.
        catalog: Which catalog it stands in, for messages and listings.
    """

    name: str
    files: tuple[ModelFile, ...]
    title: str = ""
    task: str = ""
    framework: str = ""
    config: str = ""
    markers: str = ""
    classes: str = ""
    licence: str = ""
    origin: str = ""
    folder: str = "."
    metrics: Mapping[str, float] = field(default_factory=dict)
    catalog: str = ""

    @property
    def size(self) -> Optional[int]:
        """Bytes of all files, where all are known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)
