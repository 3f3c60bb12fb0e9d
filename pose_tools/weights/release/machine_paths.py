"""Keeping paths of the machine that trained, and with them user names, out of what is published."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pose_tools.weights.addresses import is_address

ROOT = Path(__file__).resolve().parents[3]
# Facts about the data, not places: a keypoint may be called "/".
_NAMES = frozenset(("classes", "CLASSES", "keypoints", "keypoint_metrics", "swaps", "links", "metainfo",
                    "dataset_info", "dataset_meta"))
_OF_MACHINE = re.compile(r"/|~[^\\/]*[\\/]|[A-Za-z]:[\\/]|\\\\|file:")


def is_machine_path(text: str) -> bool:
    """Tells an absolute path, one in a home or one that goes up (``..``) from other text."""
    return len(text) > 1 and (_OF_MACHINE.match(text) is not None or ".." in re.split(r"[\\/]", text))


def machine_paths(value: Any) -> list[str]:
    """Lists the paths of a machine in a config's or meta's values.

    Args:
        value: Dicts, lists, tuples and plain values; what is below ``classes``, ``keypoints`` and other facts
            about the data is names, and not looked at.
    """
    return [text for _, text in _strings(value) if is_machine_path(text)]


def without_machine_paths(values: dict[str, Any]) -> dict[str, Any]:
    """Makes a config's paths those of any machine that has the project.

    Folders of data become ``data/NAME/``, what lies in the project becomes relative to it, of any other file
    the name is left, and of any other folder nothing. A user's name or password in an address is left out.

    Args:
        values: By top-level name; not changed.

    Returns:
        The same names with other values where they held such paths.
    """
    dataset = values.get("dataset_name")
    home = f"data/{dataset}/" if isinstance(dataset, str) and re.fullmatch(r"[\w.-]+", dataset) else "data/"
    roots = {text.replace("\\", "/").rstrip("/") for key, text in _strings(values)
             if key == "data_root" and is_machine_path(text)}
    # The longest first: of two folders one may lie in the other.
    return _cleaned(values, sorted(roots, key=lambda root: (-len(root), root)), home)


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _NAMES:
                yield from _strings(item, str(name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item, key)


def _cleaned(value: Any, roots: list[str], home: str) -> Any:
    if isinstance(value, str):
        return _clean_text(value, roots, home)
    if isinstance(value, dict):
        return {name: item if name in _NAMES else _cleaned(item, roots, home) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cleaned(item, roots, home) for item in value)
    return value


def _clean_text(text: str, roots: list[str], home: str) -> str:
    if is_address(text):
        parts = urlsplit(text)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else text
    if not is_machine_path(text):
        return text
    plain = text.replace("\\", "/")
    for root in roots:
        if plain.rstrip("/") == root:
            return home
        if plain.startswith(f"{root}/"):
            return home + plain[len(root):].lstrip("/")
    if plain.startswith(f"{ROOT.as_posix()}/") and ".." not in plain:
        return plain[len(ROOT.as_posix()) + 1:]
    name = PurePosixPath(plain)
    # Not of a folder, which may be called as its owner is.
    return name.name if name.suffix and not plain.endswith("/") and not is_machine_path(name.name) else ""
