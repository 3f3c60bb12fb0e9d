"""Making a release checkpoint: weights and what is needed to use them, nothing else.

A checkpoint of a run holds optimizer state, logs and, where weights were averaged (EMA), two sets of them.
What is published holds one set, the averaged one, with the config, the keypoint set and the scores, in plain
Python types, so that ``torch.load(path, weights_only=True)`` reads it anywhere.
"""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import os
import re
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from pose_tools.console import UserError
from pose_tools.console.atomic import temporary_beside, to_disk
from pose_tools.weights.embedded import parse_config_text, replace_in_config_text
from pose_tools.weights.pretrained import state_dict_of
from pose_tools.weights.release.metrics import metrics_in_checkpoint, metrics_in_file

PathLike = Union[str, Path]
ROOT = Path(__file__).resolve().parents[3]
KEPT_META = ("epoch", "iter", "seed", "experiment_name", "time", "mmengine_version", "CLASSES", "PALETTE")


@dataclass(frozen=True)
class Published:
    """A published file.

    Attributes:
        path: Where it is, ``NAME-<sha8>_<date>.pth``.
        bytes_before: Size of the checkpoint it was made from.
        bytes_after: Its size.
    """

    path: Path
    bytes_before: int
    bytes_after: int

    def __str__(self) -> str:
        """A line for the terminal: path and sizes in MB (10^6 bytes)."""
        return f"{self.path}: {self.bytes_after / 1e6:.1f} MB, was {self.bytes_before / 1e6:.1f} MB"


def publish_model(source: PathLike, out: PathLike, metrics: PathLike | None = None,
                  config: PathLike | None = None, date: str | None = None) -> Published:
    """Writes a release checkpoint and verifies it.

    Args:
        source: A checkpoint of mmengine: ``work_dirs/X/best_*.pth``.
        out: ``checkpoint/NAME``, or an existing folder (or a path that ends in a slash), then the name of the
            config is taken.
        metrics: A JSON file of scores, such as ``tools/test.py`` writes; added to those in the checkpoint.
        config: The config it was trained with, where the checkpoint carries none.
        date: YYYYMMDD for the name; today by default. The file's bytes do not depend on it.

    Returns:
        Path and sizes.

    Raises:
        UserError: The source cannot be read, is hostile, holds no weights or no config, has diverged, or the
            published file does not give the same outputs; nothing is left behind then.
    """
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
    from pose_tools.weights.release.same_outputs import verify_same_outputs

    source = Path(source)
    date = _checked_date(date)
    checkpoint = load_checkpoint_file(source)
    weights = _plain_weights(state_dict_of(checkpoint, source), checkpoint, source)
    meta = checkpoint["meta"] if isinstance(checkpoint.get("meta"), dict) else {}
    text = _config_text(meta, source, config)
    folder, name = _folder_and_name(out, meta, source)
    # What was true of the training machine only is not published.
    published_text = replace_in_config_text(
        text, {"work_dir": f"work_dirs/{name}", "load_from": None, "resume": False, "launcher": "none"}, source)
    published_meta = _published_meta(checkpoint, meta, published_text, metrics, source)
    content = OrderedDict(meta=published_meta, state_dict=weights)
    data = _to_bytes(content)
    target = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}_{date}.pth"
    with temporary_beside(target) as (temporary, file):
        file.write(data)
        to_disk(file)
        file.close()  # Windows renames no open file
        verify_same_outputs(source, parse_config_text(text, source), temporary, trusted=config is not None)
        os.replace(temporary, target)
    return Published(target, source.stat().st_size, len(data))


def _checked_date(date: str | None) -> str:
    if date is None:
        return datetime.date.today().strftime("%Y%m%d")
    try:
        datetime.datetime.strptime(date, "%Y%m%d")
    except ValueError as error:
        raise UserError(f"{date!r} is not a date; write it as YYYYMMDD") from error
    return date


def _plain_weights(weights: dict[str, Any], checkpoint: Any, source: Path) -> OrderedDict[str, Any]:
    """Copies tensors out of larger storages, keeps one copy of shared ones, refuses what is not finite."""
    plain: OrderedDict[str, Any] = OrderedDict()
    copies: dict[tuple, Any] = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UserError(f"{source}: {name} holds values that are not finite; the training has diverged")
        # RTMDet's head uses the same convolutions on every level: one tensor under three names.
        same = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if same not in copies or not tensor.numel():
            copies[same] = tensor.detach().cpu().contiguous().clone()
        plain[sys.intern(name)] = copies[same]
    versions = getattr(checkpoint.get("state_dict"), "_metadata", None)
    if isinstance(versions, dict):
        # Modules tell by it which version of theirs wrote the weights.
        plain._metadata = OrderedDict(to_plain(versions))  # type: ignore[attr-defined]
    return plain


def _config_text(meta: dict[str, Any], source: Path, config: PathLike | None) -> str:
    """Reads the config: the user's own file is run as every config is, the checkpoint's is not."""
    if config is not None:
        from pose_tools.openmmlab.config import load_config

        return load_config(config).pretty_text
    text = meta.get("cfg") or meta.get("config")
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{source}: carries no config; give the one it was trained with: --config FILE")
    parse_config_text(text, source)
    return text


def _folder_and_name(out: PathLike, meta: dict[str, Any], source: Path) -> tuple[Path, str]:
    text = os.fspath(out)
    if Path(text).is_dir() or text.endswith(("/", os.sep)):
        experiment = str(meta.get("experiment_name") or "")
        # mmengine adds the time to the config's name; a run of a nameless config is only called that.
        name = re.sub(r"_?\d{8}_\d{6}$", "", experiment) or source.resolve().parent.name
        return Path(text), Path(name).name
    path = Path(text)
    return path.parent, path.name[:-4] if path.name.endswith(".pth") else path.name


def _published_meta(checkpoint: dict[str, Any], meta: dict[str, Any], text: str, metrics: PathLike | None,
                    source: Path) -> dict[str, Any]:
    published = {key: to_plain(meta[key]) for key in KEPT_META if key in meta}
    if "dataset_meta" in meta:
        published["dataset_meta"] = to_plain(meta["dataset_meta"])
    found = metrics_in_checkpoint(checkpoint, source)
    if metrics is not None:
        found.update(metrics_in_file(metrics))
    return {"cfg": text, **published, **to_plain(found), "versions": _versions()}


def _versions() -> dict[str, str]:
    """Versions of what makes the weights usable, and of this project."""
    from importlib import metadata

    found = {}
    for package in ("torch", "numpy", "mmengine", "mmdet", "mmpose"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package).split("+")[0]  # not which build: +cpu, +cu121
    with contextlib.suppress(OSError):
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        name, version = (re.search(rf'^{key} = "([^"]+)"', project, re.M) for key in ("name", "version"))
        if name and version:
            found[name[1]] = version[1]
    return found


def to_plain(value: Any) -> Any:
    """Turns numpy values, sets and subclasses into plain Python types.

    Args:
        value: Dicts, sequences, sets, numpy arrays and scalars, strings, numbers.

    Returns:
        The same with lists for arrays, sorted lists for sets, and equal strings made one object, so that the
        pickle's bytes depend on nothing but the contents. Anything else becomes its text.
    """
    import numpy as np

    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, tuple):
        return tuple(map(to_plain, value))
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(to_plain, value), key=repr)
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return sys.intern(str.__str__(value) if isinstance(value, str) else str(value))


def _to_bytes(content: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
