"""The one door by which training, testing and prediction come to their weights."""
from __future__ import annotations

import functools
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from pose_tools.console import UserError
from pose_tools.weights.addresses import is_address, name_of_address
from pose_tools.weights.catalog import Catalog
from pose_tools.weights.entries import Entry, ModelFile, Source, check_relative, parse_source
from pose_tools.weights.hashes import hash_in_name
from pose_tools.weights.store import PathLike, fetch_entries, folder_of

# Short names that mmengine lets configs use; it keeps what they stand for in files of its own.
_SHORT = {"modelzoo://": "torchvision_0.12.json", "torchvision://": "torchvision_0.12.json",
          "open-mmlab://": "openmmlab.json", "openmmlab://": "openmmlab.json", "mmcls://": "mmcls.json"}
SCHEMES = tuple(_SHORT)
_WEIGHTS = (".pth", ".pt", ".safetensors", ".onnx")
_FILES = (*_WEIGHTS, ".xml", ".bin", ".py")  # what ends like one is meant as a path, not as a model's name


def resolve_weights(what: PathLike, folder: Optional[PathLike] = None, advice: str = "") -> Path:
    """Turns what a user or a config says of weights into a file on this machine.

    Args:
        what: A local file; a model's name in a catalog or index; an http(s) address; ``hf:USER/REPO#PATH`` or
            another source of a file; or a short name of mmengine's, such as ``torchvision://resnet50``.
        folder: Where fetched files are looked for and put, instead of ``checkpoint/``.
        advice: What else the user could do where it cannot be had.

    Returns:
        The file; of a model of several, the one with the weights. One that is there and has the right hash
        touches no network.

    Raises:
        UserError: There is no such file, model or address; or it cannot be had, and then the message says
            what went wrong at every source and where to put the file by hand.
    """
    file = Path(what).expanduser()
    if file.is_file():
        return file
    entry = entry_of(str(what))
    if entry is None:
        raise UserError(f"{file}: no such file{_hint(file)}")
    weights = [number for number, each in enumerate(entry.files) if Path(each.path).suffix in _WEIGHTS]
    if len(weights) != 1 and len(entry.files) > 1:
        names = ", ".join(each.path for each in entry.files)
        raise UserError(f"{what}: is not one file of weights but {names}: fetch it with tools/download_weights.py "
                        f"and give one of the files in {folder_of(entry)}")
    return fetch_entries([entry], folder, advice=advice)[0][weights[0] if weights else 0]


def entry_of(what: str, catalog: Optional[Catalog] = None) -> Optional[Entry]:
    """Finds or makes the entry of what :func:`resolve_weights` takes.

    Args:
        what: As there.
        catalog: Where it is looked up, instead of the project's catalog and the installed indexes.

    Returns:
        The entry; ``None`` for what looks like the path of a file.

    Raises:
        UserError: It is no source, or names no model that is known.
    """
    for scheme in SCHEMES:
        if what.startswith(scheme):
            return entry_of(_long(what, scheme), catalog)
    if what.startswith(("hf:", "git+", "archive+")) or is_address(what):
        try:
            source = parse_source(what)
            name = name_of_address(what) if source.kind == "url" else source.path.rsplit("/", 1)[-1]
            return _entry_of_source(source, check_relative(name), catalog or Catalog())
        except ValueError as error:
            raise UserError(f"{what}: {error}") from error
    if any(mark in what for mark in "/\\") or Path(what).suffix in _FILES:
        return None
    return (catalog or Catalog()).find(what)


def _entry_of_source(source: Source, name: str, catalog: Catalog) -> Entry:
    """Asks the given source first; where the catalog knows the file, its hash and other sources count too."""
    known = catalog.with_file(name, source)
    if known is None:
        return Entry(name, (ModelFile(name, None, hash_in_name(name), (source,)),))
    entry, file = known
    others = tuple(other for other in file.sources if other != source)
    return Entry(name, (replace(file, sources=(source, *others)),), folder=entry.folder)


def _hint(file: Path) -> str:
    known = Catalog().with_file(file.name)
    return f"; python tools/download_weights.py {known[0].name} fetches it" if known else ""


@functools.cache
def _short_names(file: str) -> dict[str, str]:
    spec = find_spec("mmengine")
    folders = spec.submodule_search_locations if spec else None
    return json.loads((Path(folders[0]) / "hub" / file).read_text(encoding="utf-8")) if folders else {}


def _long(what: str, scheme: str) -> str:
    name, names = what[len(scheme):], _short_names(_SHORT[scheme])
    if _SHORT[scheme] == "openmmlab.json":
        name = _short_names("deprecated.json").get(name, name)
    address = names.get(name) or ""
    if not is_address(address):
        why = "mmengine knows no weights of that name" if names else "a short name of mmengine, which is not installed"
        raise UserError(f"{what}: {why}")
    return address
