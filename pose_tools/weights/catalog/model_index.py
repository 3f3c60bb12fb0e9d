"""The model indexes that mmdet and mmpose install (openmim's metadata) as catalog entries.

openmim's own reader builds tables with pandas and takes seconds; the files are plain YAML.
"""
from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from pose_tools.console import UserError
from pose_tools.weights.addresses import is_address, name_of_address
from pose_tools.weights.entries import Entry, ModelFile, Source, check_relative
from pose_tools.weights.hashes import hash_in_name

PACKAGES = {"mmdet": "https://github.com/open-mmlab/mmdetection/blob/main",
            "mmpose": "https://github.com/open-mmlab/mmpose/blob/main"}


@functools.cache
def index_entries() -> dict[str, Entry]:
    """Reads the indexes of the installed packages.

    Returns:
        Entries by the name of their config file, and by the index's own name where that differs and belongs
        to one config only; empty for a package that is not installed. Models without weights are left out.
    """
    found: dict[str, Entry] = {}
    other_names: dict[str, list[Entry]] = {}
    for package in PACKAGES:
        for model in _models(package):
            entry = _entry(package, model)
            if entry is not None and entry.name not in found:
                found[entry.name] = entry
                other_names.setdefault(str(model.get("Name")), []).append(entry)
    for name, entries in other_names.items():
        if len(entries) == 1:
            found.setdefault(name, entries[0])
    return found


def _models(package: str) -> Iterator[dict[str, Any]]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    folder = Path(spec.submodule_search_locations[0]) / ".mim"
    index = _yaml(folder / "model-index.yml")
    for part in index.get("Import", []) if isinstance(index, dict) else []:
        content = _yaml(folder / part)
        models = content.get("Models") if isinstance(content, dict) else content
        yield from (model for model in models or [] if isinstance(model, dict))


def _yaml(path: Path) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # a package without an index, or with a damaged one, is a package with nothing to offer


def _entry(package: str, model: dict[str, Any]) -> Entry | None:
    weights = model.get("Weights")
    weights = weights if isinstance(weights, list) else [weights]
    # mmpose 1.3.2 has one address in an opening parenthesis.
    addresses = [text.strip("( )") for text in weights if isinstance(text, str)]
    files = [_file(address) for address in addresses if is_address(address)]
    config = PurePosixPath(str(model.get("Config") or model.get("Name") or ""))
    name = config.stem if config.suffix == ".py" else config.name
    if not name or not files or None in files:
        return None
    results = [result for result in model.get("Results") or [] if isinstance(result, dict)]
    task, dataset = (next((str(each[key]) for each in results if each.get(key)), "") for key in ("Task", "Dataset"))
    return Entry(name, tuple(file for file in files if file), title=f"{task}, {dataset}".strip(", "), task=task.lower(),
                 framework=package, config=name, licence="Apache-2.0", metrics=_metrics(results),
                 catalog=f"{package}'s model index", origin=f"{PACKAGES[package]}/{config}")


def _file(address: str) -> ModelFile | None:
    try:
        name = check_relative(name_of_address(address))
    except (UserError, ValueError):
        return None
    return ModelFile(name, None, hash_in_name(name), (Source("url", address),))


def _metrics(results: list[dict[str, Any]]) -> dict[str, float]:
    """Numbers of the first result; indexes have texts among them."""
    scores = results[0].get("Metrics") if results else None
    if not isinstance(scores, dict):
        return {}
    return {str(key): float(value) for key, value in scores.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)}
