"""Catalog files: YAML in, entries out, every fault of the file at once."""
from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Optional

import yaml

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.weights.addresses import is_address, refusal_of
from pose_tools.weights.entries import Entry, ModelFile, Source, check_relative, parse_source
from pose_tools.weights.hashes import hash_in_name

CATALOG_FILE = "catalog.yaml"
_NAME = re.compile(r"\w[\w.+-]*")
_DIGITS = re.compile(r"[0-9a-f]{8,64}")
_TEXTS = ("title", "task", "framework", "config", "markers", "classes", "licence", "origin", "folder")
_ENTRY_FIELDS = (*_TEXTS, "metrics", "places", "files")
_FILE_FIELDS = tuple(field.name for field in fields(ModelFile))


class _Loader(yaml.SafeLoader):
    """YAML as data only, and with no key twice: of two models of one name, one would vanish."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for place, _ in node.value:
            if (text := place.value if isinstance(place, yaml.ScalarNode) else None) in seen and text is not None:
                raise yaml.constructor.ConstructorError(None, None, f"{text!r} stands there twice", place.start_mark)
            seen.add(text)
        return super().construct_mapping(node, deep)


def read_catalog(path: str | Path, base: Optional[Source] = None, own: bool = False) -> dict[str, Entry]:
    """Reads a catalog.

    Args:
        path: The file, or a folder that holds a ``catalog.yaml``.
        base: Where a catalog of another machine was fetched from: its relative paths are below it, and it
            cannot name files of this machine. By default they are below the catalog's own folder.
        own: It is the project's own, whose entries may have folders outside ``checkpoint/``.

    Returns:
        Entries by name, in the order of the file.

    Raises:
        UserError: It cannot be read, or is not YAML.
        FaultsError: Everything in it that is not as it has to be.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / CATALOG_FILE
    content = _parse(path)
    faults: list[Fault] = []
    entries = {}
    file, base = str(base or path), base or Source("file", str(path.parent))
    for name, raw in content.items():
        reader = _EntryReader(file, str(name), base, own)
        entry = reader.read(raw)
        faults += reader.faults
        if entry is not None:
            entries[entry.name] = entry
    if faults:
        raise FaultsError(faults, "nothing of this catalog is used until it is mended")
    return entries


def _parse(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such catalog") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {where}is not a catalog: {what}") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: is not a catalog: names of models, each with its files, are expected")
    return content


class _EntryReader:
    """Reads one entry and collects what is wrong with it."""

    def __init__(self, file: str, name: str, base: Source, own: bool) -> None:
        self.file, self.name, self.base, self.own = file, name, base, own
        self.faults: list[Fault] = []
        self.has_places = False

    def fault(self, what: str) -> None:
        self.faults.append(Fault(self.file, what, self.name))

    def read(self, raw: Any) -> Optional[Entry]:
        if not _NAME.fullmatch(self.name):
            self.fault("is no name for a model; letters, digits and . _ + - are")
        if not isinstance(raw, dict):
            self.fault("is not a mapping with files")
            return None
        self._unknown(raw, _ENTRY_FIELDS, "")
        texts = {key: self._text(raw[key], key) for key in _TEXTS if key in raw}
        places = self._sources(raw.get("places", []), "places")
        self.has_places = bool(raw.get("places"))
        files = self._files(raw.get("files"), places)
        self._folder(texts.get("folder", "."))
        metrics = self._metrics(raw.get("metrics", {}))
        return None if self.faults else Entry(self.name, files, metrics=metrics, catalog=self.file, **texts)

    def _unknown(self, raw: dict[Any, Any], known: Sequence[str], where: str) -> None:
        for key in raw:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                self.fault(f"{where}has {key!r}, which means nothing here" + (f"; {near[0]!r}?" if near else ""))

    def _text(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            self.fault(f"{key} is {value!r}, not text")
            return ""
        return value.strip()

    def _metrics(self, raw: Any) -> dict[str, float]:
        good = isinstance(raw, dict) and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            for value in raw.values())
        if not good:
            self.fault("metrics are not numbers by name")
            return {}
        return {str(key): float(value) for key, value in raw.items()}

    def _folder(self, folder: str) -> None:
        if self.own or folder == ".":
            return
        try:
            check_relative(folder)
        except ValueError as error:
            self.fault(f"folder {error}; only --dest puts files elsewhere")

    def _files(self, raw: Any, places: Sequence[Source]) -> tuple[ModelFile, ...]:
        if not isinstance(raw, list) or not raw:
            self.fault("has no list of files")
            return ()
        files = [self._one_file(item, places, f"file {number}") for number, item in enumerate(raw, start=1)]
        paths = [file.path.lower() for file in files if file]
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            self.fault(f"has {path!r} {paths.count(path)} times (upper and lower case are one on some systems)")
        return tuple(file for file in files if file)

    def _one_file(self, raw: Any, places: Sequence[Source], where: str) -> Optional[ModelFile]:
        if not isinstance(raw, dict) or not isinstance(raw.get("path"), str):
            self.fault(f"{where} has no path")
            return None
        path = raw["path"]
        self._unknown(raw, _FILE_FIELDS, f"{path}: ")
        try:
            check_relative(path)
        except ValueError as error:
            self.fault(f"{where}: path {error}")
            return None
        size, sha256 = raw.get("size"), self._sha256(raw.get("sha256"), path)
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size <= 0):
            self.fault(f"{path}: size is {size!r}, not a number of bytes")
            size = None
        sources = (*self._sources(raw.get("sources", []), path), *(place.below(path) for place in places))
        if not sources and not (raw.get("sources") or self.has_places):
            self.fault(f"{path}: there is nowhere to have it from; give it sources, or the entry places")
        file = ModelFile(path, size, sha256, sources)
        self._transport(file)
        return file

    def _sha256(self, value: Any, path: str) -> Optional[str]:
        in_name = hash_in_name(path.rsplit("/", 1)[-1])
        if value is None:
            return in_name
        if not isinstance(value, str) or not _DIGITS.fullmatch(value.lower()):
            self.fault(f"{path}: sha256 is {value!r}; 8 to 64 hex digits are expected, in quotes")
            return None
        value = value.lower()
        if in_name and not (value.startswith(in_name) or in_name.startswith(value)):
            self.fault(f"{path}: sha256 starts with {value[:len(in_name)]}, and the name says {in_name}")
        return max(value, in_name or "", key=len)

    def _sources(self, raw: Any, where: str) -> tuple[Source, ...]:
        if not isinstance(raw, list):
            self.fault(f"{where}: {raw!r} is not a list of sources")
            return ()
        return tuple(source for source in (self._source(text, where) for text in raw) if source)

    def _source(self, text: Any, where: str) -> Optional[Source]:
        try:
            if not isinstance(text, str):
                raise ValueError(f"{text!r} is not a source")
            source = parse_source(text)
            if source.kind in ("url", "hf", "git") or is_address(source.address):
                return source
            return self._placed(source)
        except ValueError as error:
            self.fault(f"{where}: {error}")
            return None

    def _placed(self, source: Source) -> Source:
        """Puts a relative path under the catalog's own place."""
        address = source.address.replace("\\", "/") if os.name == "nt" else source.address
        if self.base.kind == "file":
            return replace(source, address=str(Path(self.base.address) / Path(address).expanduser()))
        if source.kind == "archive":
            raise ValueError(f"{source}: an archive on another machine needs its full address")
        return self.base if address in (".", "./") else self.base.below(check_relative(address))

    def _transport(self, file: ModelFile) -> None:
        for source in file.sources:
            refusal = refusal_of(source.address, file.sha256) if is_address(source.address) else None
            if refusal:
                self.fault(f"{file.path}: {source.address} {refusal}")
