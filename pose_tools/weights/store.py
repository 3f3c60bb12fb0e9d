"""The files of models on this machine: where they lie, whether they are right, and fetching those that are not."""
from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Union

from pose_tools.console import FaultsError, UserError
from pose_tools.weights.addresses import FULL_HASH
from pose_tools.weights.catalog import CATALOG_FILE, Catalog, read_catalog
from pose_tools.weights.download.jobs import what_is_wanted
from pose_tools.weights.entries import Entry, ModelFile, Source, parse_source
from pose_tools.weights.hashes import read_sums, sha256_of

if TYPE_CHECKING:
    from pose_tools.weights.download import Limits, Progress

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoint"
PathLike = Union[str, Path]

OK, UNKNOWN, MISSING, WRONG = "ok", "unknown", "missing", "wrong"


@dataclass(frozen=True)
class FileState:
    """How a file on this machine compares with what is known of it.

    Attributes:
        path: Where it is, or would be.
        state: ``ok``; ``unknown`` (it is there, and nothing is known to check it by); ``missing``; ``wrong``.
        found: Its SHA-256, 64 hex digits; ``None`` where it is missing.
        wanted: What its SHA-256 should start with, 8 to 64 hex digits, where that is known.
        size: Its bytes; ``None`` where it is missing.
        wanted_size: The bytes it should have, where that is known.
    """

    path: Path
    state: str
    found: Optional[str] = None
    wanted: Optional[str] = None
    size: Optional[int] = None
    wanted_size: Optional[int] = None

    def __str__(self) -> str:
        """A line for the terminal; of a wrong file with both hashes."""
        if self.state == WRONG:
            wrong = [f"it has {self.size} bytes and should have {self.wanted_size}"] if self._other_size() else []
            if self.wanted:
                wrong.append(f"its SHA-256 is {self.found} and should be {_shown(self.wanted)}")
            return f"{self.path}: wrong: {'; '.join(wrong)}"
        if self.state == UNKNOWN:
            return f"{self.path}: nothing is known to check it by; its SHA-256 is {self.found}"
        return f"{self.path}: {self.state}"

    def _other_size(self) -> bool:
        return self.wanted_size is not None and self.size != self.wanted_size


def _shown(digits: str) -> str:
    return digits if len(digits) == FULL_HASH else f"{digits}..."


def folder_of(entry: Entry, dest: Optional[PathLike] = None) -> Path:
    """Tells where the files of a model go.

    Args:
        entry: The model.
        dest: Instead of ``checkpoint/``; a model whose folder is absolute or in the home goes right into it.
    """
    own = Path(entry.folder).expanduser()
    if own.is_absolute():
        return Path(dest).expanduser() if dest else own
    return checkpoints(dest) / own


def checkpoints(dest: Optional[PathLike] = None) -> Path:
    """Gives the folder for files of models.

    Args:
        dest: Instead of ``POSE_TOOLS_CHECKPOINTS`` in the environment, or the project's ``checkpoint/``.
    """
    return Path(dest or os.environ.get("POSE_TOOLS_CHECKPOINTS") or CHECKPOINTS).expanduser()


def state_of(path: Path, size: Optional[int] = None, sha256: Optional[str] = None) -> FileState:
    """Compares a file with what it should be.

    Args:
        path: The file, which need not be there.
        size: Bytes it should have, where known.
        sha256: First digits of its SHA-256, where known.
    """
    if not path.is_file():
        return FileState(path, MISSING, wanted=sha256, wanted_size=size)
    found, real_size = sha256_of(path), path.stat().st_size
    right = (size is None or size == real_size) and found.startswith(sha256 or "")
    state = WRONG if not right else OK if sha256 else UNKNOWN
    return FileState(path, state, found, sha256, real_size, size)


def states(entry: Entry, dest: Optional[PathLike] = None) -> tuple[FileState, ...]:
    """Compares every file of a model with what is known of it, see :func:`state_of`."""
    folder = folder_of(entry, dest)
    sums = read_sums(folder)
    wanted = [what_is_wanted(file, sums).file for file in entry.files]
    return tuple(state_of(folder / file.path, file.size, file.sha256) for file in wanted)


def is_present(name: str, dest: Optional[PathLike] = None, catalog: Union[Catalog, PathLike, None] = None) -> bool:
    """Tells whether all files of a model are here and as they should be; never touches the network.

    Args:
        name: As ``tools/download_weights.py --list`` shows it.
        dest: Instead of ``checkpoint/``.
        catalog: A catalog file of your own, looked into first.

    Raises:
        UserError: There is no such model.
    """
    return all(each.state in (OK, UNKNOWN) for each in verify(name, dest, catalog))


def verify(name: str, dest: Optional[PathLike] = None,
           catalog: Union[Catalog, PathLike, None] = None) -> tuple[FileState, ...]:
    """Compares the files of a model, or one file, with what is known of them; never touches the network.

    Args:
        name: A model's name, or the path of a file: then its hash comes from the catalog, from its name, or
            from a ``SHA256SUMS`` beside it.
        dest: Instead of ``checkpoint/``.
        catalog: A catalog file of your own, looked into first.

    Returns:
        A state for each file.

    Raises:
        UserError: There is no such model or file.
    """
    catalog = catalog if isinstance(catalog, Catalog) else open_catalogs([catalog] if catalog else [])
    path = Path(name).expanduser()
    if path.is_file():
        return (_state_of_file(path, catalog),)
    return states(catalog.find(name), dest)


def _state_of_file(path: Path, catalog: Catalog) -> FileState:
    known = catalog.with_file(path.name)
    file = known[1] if known else ModelFile(path.name)
    # A model's list of sums lies in its folder, and its files may lie one folder further down.
    here = path.absolute().parent
    sums = {**read_sums(here.parent), **{f"{here.name}/{name}": digits for name, digits in read_sums(here).items()}}
    remembered = sums.get(f"{here.name}/{path.name}")
    wanted = what_is_wanted(file, {file.path: remembered} if remembered else {})
    return state_of(path, file.size, wanted.file.sha256)


def fetch(name: str, dest: Optional[PathLike] = None, catalog: Union[Catalog, PathLike, None] = None, *,
          force: bool = False, offline: Optional[bool] = None, workers: int = 4,
          progress: Optional[Callable[[Progress], None]] = None) -> tuple[Path, ...]:
    """Makes sure that a model's files are on this machine, and fetches those that are not.

    A file that is there and has the right hash touches no network. What is fetched has its final name only
    when it is whole and checked; an interrupted download goes on where it stopped.

    Args:
        name: As ``tools/download_weights.py --list`` shows it.
        dest: Instead of ``checkpoint/``.
        catalog: A catalog file of your own, looked into first.
        force: Fetch again what is there.
        offline: Never use the network; by default as ``POSE_TOOLS_OFFLINE`` and ``HF_HUB_OFFLINE`` say.
        workers: Files fetched at the same time.
        progress: Called with the bytes received so far, in the thread that called.

    Returns:
        The files, in the order of the catalog.

    Raises:
        UserError: There is no such model, or its files cannot be had; every source is named with what went
            wrong there.
    """
    if not isinstance(catalog, Catalog):
        catalog = open_catalogs([catalog] if catalog else [], offline)
    return fetch_entries([catalog.find(name)], dest, force=force, offline=offline, workers=workers,
                         progress=progress)[0]


def open_catalogs(places: Iterable[PathLike] = (), offline: Optional[bool] = None) -> Catalog:
    """Reads the user's catalogs and puts them before the project's and the installed indexes.

    Args:
        places: Files, folders with a ``catalog.yaml``, ``hf:USER/REPO``, or http(s) addresses of either.
        offline: Never use the network.

    Raises:
        UserError: One cannot be had or read.
    """
    return Catalog([_catalog_at(str(place), offline) for place in places])


def _catalog_at(place: str, offline: Optional[bool]) -> dict[str, Entry]:
    try:
        source = parse_source(place)
    except ValueError as error:
        raise UserError(str(error)) from error
    if source.kind == "file":
        return read_catalog(place)
    whole, base = source.below(CATALOG_FILE), source
    if source.kind == "url" and source.address.endswith((".yaml", ".yml")):
        whole, base = source, replace(source, address=source.address.rsplit("/", 1)[0])
    with tempfile.TemporaryDirectory() as folder:
        file = ModelFile(CATALOG_FILE, sources=(whole,))
        fetch_entries([Entry(place, (file,))], folder, offline=offline, say=lambda line: None)
        return read_catalog(Path(folder) / CATALOG_FILE, base)


def fetch_entries(entries: Sequence[Entry], dest: Optional[PathLike] = None, *, force: bool = False,
                  offline: Optional[bool] = None, workers: int = 4, limits: Optional[Limits] = None,
                  progress: Optional[Callable[[Progress], None]] = None, advice: str = "",
                  say: Optional[Callable[[str], None]] = None) -> list[tuple[Path, ...]]:
    """Fetches several models at once.

    Args:
        entries: What :func:`fetch` takes by name; files that several of them share are fetched once.
        dest: As there.
        force: As there.
        offline: As there.
        workers: As there.
        limits: Times to wait and numbers of tries.
        progress: As there.
        advice: What else the user could do where a file cannot be had.
        say: Takes lines for the user; on stderr by default.

    Returns:
        The files of each.

    Raises:
        UserError: As there.
    """
    from pose_tools.weights.download import Job, download

    jobs: dict[Path, Job] = {}
    for entry in entries:
        folder = folder_of(entry, dest)
        sums = _sums(folder, say)
        for file in entry.files:
            target = folder / file.path
            if target not in jobs and _is_needed(what_is_wanted(file, sums).file, target, force, say):
                jobs[target] = Job(file, target, (*_mirror(entry, file), *file.sources), force)
    try:
        download(list(jobs.values()), workers=workers, limits=limits, progress=progress, say=say, offline=offline)
    except FaultsError as error:
        raise FaultsError(error.faults, ", ".join(filter(None, (error.summary, advice)))) from error
    return [tuple(folder_of(entry, dest) / file.path for file in entry.files) for entry in entries]


def _sums(folder: Path, say: Optional[Callable[[str], None]]) -> dict[str, str]:
    """Reads what was received before; a damaged list is no reason not to fetch what the catalog knows."""
    try:
        return read_sums(folder)
    except UserError as error:
        _tell(f"{error}; remove it, it is only a list of what was fetched", say)
        return {}


def _tell(line: str, say: Optional[Callable[[str], None]]) -> None:
    say(line) if say else print(line, file=sys.stderr)


def _is_needed(file: ModelFile, target: Path, force: bool, say: Optional[Callable[[str], None]]) -> bool:
    """Tells whether a file is to be fetched, and says so of one that is there and not what it should be."""
    state = state_of(target, file.size, file.sha256)
    if state.state == WRONG:
        _tell(f"{state}; it is kept as {target.name}.suspect when the right one has come", say)
    return force or state.state in (MISSING, WRONG)


def _mirror(entry: Entry, file: ModelFile) -> tuple[Source, ...]:
    """Gives the file's place in ``POSE_TOOLS_MIRROR``, which is laid out as ``checkpoint/`` is.

    A model that lives elsewhere (in the home folder) has a folder of its name there.
    """
    from pose_tools.weights.download.place import mirror_source

    mirror = os.environ.get("POSE_TOOLS_MIRROR", "").strip()
    if not mirror:
        return ()
    own = Path(entry.folder).expanduser()
    return (mirror_source(mirror, (Path(entry.name if own.is_absolute() else own) / file.path).as_posix()),)
