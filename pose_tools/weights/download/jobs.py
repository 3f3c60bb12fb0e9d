"""What is asked of a download, and what it says while it runs."""
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Optional

from pose_tools.weights.addresses import is_address
from pose_tools.weights.entries import ModelFile, Source
from pose_tools.weights.hashes import SUMS, hash_in_name

OFFLINE = ("POSE_TOOLS_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Job:
    """One file to be had.

    Attributes:
        file: What is known of it.
        target: Where it goes: the folder, and below it the file's path.
        sources: Where it can be had, in order; a mirror stands in front.
        replace: Fetch it even if the right file is there. One that is there and differs is kept as
            ``NAME.suspect``.
    """

    file: ModelFile
    target: Path
    sources: tuple[Source, ...]
    replace: bool = False

    @property
    def folder(self) -> Path:
        """The folder that the file's path is below."""
        depth = len(PurePosixPath(self.file.path).parts)
        return self.target.parents[depth - 1]


@dataclass(frozen=True)
class Progress:
    """How far a file is.

    Attributes:
        file: Its path below the model's folder, as in the catalog.
        received: Bytes that are here, those of earlier runs too.
        total: Bytes of the whole, where known.
    """

    file: str
    received: int
    total: Optional[int]


@dataclass(frozen=True)
class Wanted:
    """What a file is checked by.

    Attributes:
        file: With the hash to check by, wherever it is from.
        whence: Who says so, for messages: ``"the catalog"`` and so on; empty where no hash is known.
    """

    file: ModelFile
    whence: str


def what_is_wanted(file: ModelFile, sums: Mapping[str, str]) -> Wanted:
    """Finds the hash that a file must have: the catalog's digits, else its name's.

    Args:
        file: As the catalog has it.
        sums: Whole hashes by path, of what was received before. One that agrees with those digits takes their
            place, and where there are none, it is all that is known.
    """
    in_name = hash_in_name(file.name)
    digits = file.sha256.lower() if file.sha256 else in_name
    whence = "its name" if digits == in_name else "the catalog"
    before = sums.get(file.path)
    if before and before.startswith(digits or ""):
        digits, whence = before, SUMS
    return Wanted(replace(file, sha256=digits), whence if digits else "")


def offline_variable() -> Optional[str]:
    """Names the variable of the environment that says to go without network, if one does."""
    for name in OFFLINE:
        if os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on"):
            return f"{name} is set"
    return None


def is_on_this_machine(source: Source) -> bool:
    """Tells sources that need no network."""
    if source.kind == "file":
        return True
    if source.kind == "archive":
        return not is_address(source.address)
    return source.kind == "git" and (source.address.startswith("file://") or os.path.isdir(source.address))


def host_of(source: Source) -> str:
    """Says in a word or two where a source is, for people."""
    from urllib.parse import urlsplit

    if source.kind == "hf":
        return f"hf:{source.address}"
    return urlsplit(source.address).netloc.rsplit("@", 1)[-1] or source.address


def without_password(text: str) -> str:
    """Takes names and passwords out of the addresses in a text, before anybody reads it over a shoulder."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
