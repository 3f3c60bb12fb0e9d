"""What ``tools/download_weights.py`` does and prints."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Union

from pose_tools.console import Fault, FaultsError, UserError, table
from pose_tools.weights.catalog import Catalog
from pose_tools.weights.download.jobs import without_password
from pose_tools.weights.download.space import in_mb
from pose_tools.weights.entries import Entry
from pose_tools.weights.prune import prune_downloads
from pose_tools.weights.store import (
    MISSING,
    UNKNOWN,
    WRONG,
    FileState,
    checkpoints,
    fetch_entries,
    folder_of,
    states,
    verify,
)

PathLike = Union[str, Path]


def entries_for(catalog: Catalog, names: Sequence[str], configs: Sequence[PathLike]) -> list[Entry]:
    """Looks up what is asked for; all unknown names are reported together.

    Args:
        catalog: Where names are looked up.
        names: Of models.
        configs: Config files, whose weights are wanted too.

    Raises:
        UserError: A name is not known, or a config cannot be read or starts from nothing.
    """
    from pose_tools.weights.config_sources import weights_in_config
    from pose_tools.weights.resolve import entry_of

    found, wrong = [], []
    for name in names:
        try:
            found.append(catalog.find(name))
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        raise UserError("\n".join(wrong))
    for path in configs:
        from pose_tools.openmmlab.config import load_config

        wanted = weights_in_config(load_config(path).to_dict())
        if not wanted:
            raise UserError(f"{path}: names no weights to start from")
        found += [entry for entry in (entry_of(each, catalog) for each in wanted) if entry]
    return found


def fetch_models(entries: Sequence[Entry], dest: Optional[PathLike], as_json: bool, **options: Any) -> int:
    """Fetches models and prints where their files are.

    Args:
        entries: The models.
        dest: Instead of ``checkpoint/``.
        as_json: Print names and paths as JSON.
        options: For :func:`~pose_tools.weights.store.fetch_entries`.
    """
    paths = fetch_entries(entries, dest, **options)
    if as_json:
        _print_json({entry.name: [str(path) for path in files] for entry, files in zip(entries, paths)})
    else:
        print("\n".join(dict.fromkeys(str(path) for files in paths for path in files)))
    return 0


def list_models(catalog: Catalog, words: Optional[str], dest: Optional[PathLike], as_json: bool) -> int:
    """Lists models: those of the catalogs; with words, or as JSON, also those of the installed indexes."""
    everything = list(catalog)
    shown = catalog.search(words) if words is not None else everything if as_json else list(catalog.listed.values())
    if words is not None and not shown:
        raise UserError(f"no model has {words!r} in its name, title, task, classes, markers or files")
    if as_json:
        _print_json([_as_json(entry, dest) for entry in shown])
        return 0
    rows = [(entry.name, _megabytes(entry), "yes" if _is_here(entry, dest) else "", entry.licence, entry.title)
            for entry in shown]
    print(table(rows, ("name", "MB", "here", "licence", "what it is")))
    if words is None:
        print(f"\nand {len(everything) - len(shown)} of the installed mmdet and mmpose: --search WORDS")
    return 0


def describe(entries: Sequence[Entry], dest: Optional[PathLike], as_json: bool) -> int:
    """Prints all that is known of some models."""
    facts = [_as_json(entry, dest) for entry in entries]
    if as_json:
        _print_json(facts)
        return 0
    for entry, each in zip(entries, facts):
        print(f"{entry.name}: {entry.title}")
        for key in ("task", "framework", "config", "markers", "classes", "licence", "origin", "folder", "catalog"):
            if each[key]:
                print(f"  {key}: {each[key]}")
        if entry.metrics:
            print("  metrics: " + ", ".join(f"{name} {value:g}" for name, value in entry.metrics.items()))
        for file in entry.files:
            size = in_mb(file.size) if file.size else "size not published"
            print(f"  {file.path}: {size}, SHA-256 {file.sha256 or 'not published'}")
            for source in file.sources:
                print(f"    {without_password(str(source))}")
    return 0


def _is_here(entry: Entry, dest: Optional[PathLike]) -> bool:
    """Tells whether the files are there, without reading them."""
    return all((folder_of(entry, dest) / file.path).is_file() for file in entry.files)


def _megabytes(entry: Entry) -> str:
    return f"{entry.size / 1e6:.1f}" if entry.size else ""


def _as_json(entry: Entry, dest: Optional[PathLike]) -> dict[str, Any]:
    files = [{"path": file.path, "size": file.size, "sha256": file.sha256, "sources": [str(s) for s in file.sources]}
             for file in entry.files]
    texts = {key: getattr(entry, key) for key in ("name", "title", "task", "framework", "config", "markers", "classes",
                                                  "licence", "origin", "catalog")}
    return {**texts, "metrics": dict(entry.metrics), "folder": str(folder_of(entry, dest)),
            "present": _is_here(entry, dest), "files": files}


def check(catalog: Catalog, entries: Sequence[Entry], dest: Optional[PathLike], as_json: bool) -> int:
    """Checks models that are named, or all of the catalogs' and indexes' files that are here.

    Returns:
        0 when all is well, 1 when a file is wrong, or one of a named model is missing.
    """
    found: dict[Path, FileState] = {}
    for entry in entries or [each for each in catalog if _is_any_here(each, dest)]:
        # A file may stand in several entries; the first knows most of it, and it is read once.
        folder = folder_of(entry, dest)
        new = tuple(file for file in entry.files if folder / file.path not in found)
        found.update({state.path: state for state in states(replace(entry, files=new), dest)})
    if not entries:
        found = {path: state for path, state in found.items() if state.state != MISSING}
    return _print_states(list(found.values()), as_json, {MISSING, WRONG})


def _is_any_here(entry: Entry, dest: Optional[PathLike]) -> bool:
    return any((folder_of(entry, dest) / file.path).is_file() for file in entry.files)


def verify_files(catalog: Catalog, files: Sequence[Path], as_json: bool) -> int:
    """Checks files wherever they lie.

    Returns:
        0 when every file is what it should be, 1 when one is wrong, or nothing is known to check it by.

    Raises:
        FaultsError: Files that do not exist.
    """
    missing = [file for file in files if not file.expanduser().is_file()]
    if missing:
        raise FaultsError([Fault(file, "no such file") for file in missing])
    return _print_states([verify(str(file), catalog=catalog)[0] for file in files], as_json, {WRONG, UNKNOWN})


def _print_states(found: Sequence[FileState], as_json: bool, bad: set[str]) -> int:
    if as_json:
        _print_json([{"path": str(each.path), "state": each.state, "sha256": each.found, "wanted": each.wanted,
                      "size": each.size} for each in found])
    else:
        print("\n".join(map(str, found)) or "no file of a known model is here")
    return 1 if any(each.state in bad for each in found) else 0


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def prune(catalog: Catalog, dest: Optional[PathLike], as_json: bool) -> int:
    """Removes unfinished downloads and says what is left aside."""
    folders = [folder_of(entry, dest) for entry in catalog.listed.values()]
    pruned = prune_downloads([checkpoints(dest), *folders])
    if as_json:
        _print_json({"removed": {str(path): size for path, size in pruned.removed.items()}, "freed": pruned.freed,
                     "in_use": [str(path) for path in pruned.in_use],
                     "suspects": {str(path): size for path, size in pruned.suspects.items()}})
        return 0
    print(f"removed {len(pruned.removed)} files of unfinished downloads, {pruned.freed / 1e6:.1f} MB")
    for path in pruned.in_use:
        print(f"{path}: another process is fetching it; left alone")
    for path, size in pruned.suspects.items():
        print(f"{path}: {size / 1e6:.1f} MB, set aside because its hash is wrong; remove it yourself")
    return 0
