"""Making a release checkpoint: weights and what is needed to use them, nothing else.

A checkpoint of a run holds optimizer state, logs and, where weights were averaged (EMA), two sets of them.
What is published holds one set, the averaged one, with the config, the keypoint set and the scores, in plain
Python types, so that ``torch.load(path, weights_only=True)`` reads it anywhere.
"""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from pose_tools.console import UserError
from pose_tools.console.atomic import temporary_beside, to_disk
from pose_tools.weights.embedded import parse_config_text, replace_in_config_text
from pose_tools.weights.hashes import hash_in_name, sha256_of
from pose_tools.weights.pretrained import state_dict_of
from pose_tools.weights.release.calibration import stored_calibration
from pose_tools.weights.release.half import FP16, SUFFIX, Rounding, is_half, rounding_of, to_half
from pose_tools.weights.release.machine_paths import ROOT, machine_paths, without_machine_paths
from pose_tools.weights.release.metrics import metrics_in_checkpoint, metrics_in_file
from pose_tools.weights.release.plain import plain_weights, to_bytes, to_plain

PathLike = Union[str, Path]
_PUBLISHED = re.compile(r"(?P<name>.+)-[0-9a-f]{8,64}_(?P<date>\d{8})\.pth")
KEPT_META = ("epoch", "iter", "seed", "experiment_name", "time", "mmengine_version", "CLASSES", "PALETTE")


@dataclass(frozen=True)
class Published:
    """A published file.

    Attributes:
        path: Where it is, ``NAME-<sha8>_<date>.pth``.
        bytes_before: Size of the checkpoint it was made from.
        bytes_after: Its size.
        verified: What was found out about its outputs.
    """

    path: Path
    bytes_before: int
    bytes_after: int
    verified: str = ""

    def __str__(self) -> str:
        """A line for the terminal: path and sizes in MB (10^6 bytes)."""
        return f"{self.path}: {self.bytes_after / 1e6:.1f} MB, was {self.bytes_before / 1e6:.1f} MB"


@dataclass(frozen=True)
class Prepared:
    """A file to publish, not yet verified and not yet written.

    Attributes:
        source: The checkpoint it is made from.
        name: ``X`` of ``X-<sha8>_<date>.pth``.
        date: YYYYMMDD.
        data: Its bytes.
        config: Values of the config it was trained with, as the source or the user has them.
        trusted: The config is the user's own file, not one that came with the source.
        leaks: Paths of a machine that are published with it, since the source was published with them before.
        rounding: What became of the weights, where they were rounded to fp16.
    """

    source: Path
    name: str
    date: str
    data: bytes
    config: dict[str, Any]
    trusted: bool = False
    leaks: tuple[str, ...] = ()
    rounding: Optional[Rounding] = None

    @property
    def file_name(self) -> str:
        """The name it is published under."""
        return f"{self.name}-{hashlib.sha256(self.data).hexdigest()[:8]}_{self.date}.pth"

    def write(self, folder: Path) -> Published:
        """Verifies the file and writes it into a folder.

        Raises:
            UserError: It does not give the same outputs as its source; nothing is left behind then.
        """
        from pose_tools.weights.release.same_outputs import verify_same_outputs

        target = folder / self.file_name
        with temporary_beside(target) as (temporary, file):
            file.write(self.data)
            to_disk(file)
            file.close()  # Windows renames no open file
            told = verify_same_outputs(self.source, self.config, temporary, self.trusted, self.rounding is not None)
            os.replace(temporary, target)
        return Published(target, self.source.stat().st_size, len(self.data), told)


def publish_model(source: PathLike, out: PathLike, metrics: PathLike | None = None,
                  config: PathLike | None = None, date: str | None = None) -> Published:
    """Writes a release checkpoint and verifies it.

    Args:
        source: As for :func:`prepare`.
        out: ``checkpoint/NAME``, or an existing folder (or a path that ends in a slash), then the name of the
            config is taken.
        metrics: As for :func:`prepare`.
        config: As for :func:`prepare`.
        date: As for :func:`prepare`.

    Returns:
        Path and sizes.

    Raises:
        UserError: The source cannot be read, is hostile, holds no weights or no config, has diverged, or the
            published file does not give the same outputs; nothing is left behind then.
    """
    folder, name = folder_and_name(out)
    return prepare(source, name, metrics, config, date).write(folder)


def folder_and_name(out: PathLike) -> tuple[Path, str | None]:
    """Takes apart where a file is to be published.

    Args:
        out: A folder that exists or ends in a slash; or ``FOLDER/NAME``, with or without ``.pth``.

    Returns:
        The folder, and the name where it is given.
    """
    path = Path(out)
    if path.is_dir() or os.fspath(out).endswith(("/", os.sep)):
        return path, None
    return path.parent, path.name[:-4] if path.name.endswith(".pth") else path.name


def prepare(source: PathLike, name: str | None = None, metrics: PathLike | None = None,
            config: PathLike | None = None, date: str | None = None, precision: str | None = None,
            calibration: PathLike | None = None) -> Prepared:
    """Makes the bytes of a release checkpoint.

    Args:
        source: A checkpoint of mmengine: ``work_dirs/X/best_*.pth``; or a published file, which is taken as it
            is where neither name nor scores nor config nor calibration are to be others.
        name: What to call it; that of its config by default.
        metrics: A JSON file of scores, such as ``tools/test.py`` writes, instead of those in the checkpoint.
        config: The config it was trained with, where the checkpoint carries none.
        date: YYYYMMDD for the name; by default the day it was saved on, or today where it does not say. The
            bytes do not depend on it.
        precision: ``fp16`` to round the weights, which ``-fp16`` at the end of the name then says; by default
            they stay as they are.
        calibration: What ``tools/calibrate.py`` wrote for exactly these weights; by default that of the source,
            where it has one.

    Raises:
        UserError: The source cannot be read, is hostile, holds no weights or no config, or has diverged; or the
            calibration is of other weights or keypoints.
    """
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    source = Path(source)
    if date is not None:
        check_date(date)
    checkpoint = load_checkpoint_file(source)
    meta = checkpoint["meta"] if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict) else {}
    weights = state_dict_of(checkpoint, source)
    text = _config_text(meta, source, config)
    values = parse_config_text(text, source)
    before = _PUBLISHED.fullmatch(source.name) if _is_published(source, checkpoint) else None
    name = name or (before["name"] if before else _own_name(meta, source))
    calibrated = stored_calibration(meta, calibration, weights, values, source)
    if precision == FP16 and not name.endswith(SUFFIX):
        name += SUFFIX
    if before and before["name"] == name and metrics is None and config is None and calibration is None:
        leaks = tuple(machine_paths([values, {key: value for key, value in meta.items() if key != "cfg"}]))
        return Prepared(source, name, date or before["date"], source.read_bytes(), values, leaks=leaks)
    # What was true of the training machine only is not published.
    clean = without_machine_paths(values)
    changed = {key: value for key, value in clean.items() if value != values[key]}
    changed.update(work_dir=f"work_dirs/{name}", load_from=None, resume=False, launcher="none")
    plain = plain_weights(weights, checkpoint, source)
    stored = to_half(plain) if precision == FP16 else plain
    content = OrderedDict(
        meta=_published_meta(checkpoint, meta, replace_in_config_text(text, changed, source), clean, metrics, source),
        state_dict=stored)
    if is_half(stored):
        content["meta"]["precision"] = FP16
    if calibrated:
        content["meta"]["calibration"] = calibrated
    return Prepared(source, name, date or _day_saved(meta), to_bytes(content), values, config is not None,
                    rounding=rounding_of(plain, stored) if stored is not plain else None)


def check_date(date: str) -> None:
    """Makes sure that a date is one.

    Raises:
        UserError: It is not YYYYMMDD.
    """
    try:
        if not re.fullmatch(r"\d{8}", date):
            raise ValueError
        datetime.datetime.strptime(date, "%Y%m%d")
    except ValueError as error:
        raise UserError(f"{date!r} is not a date; write it as YYYYMMDD") from error


def _day_saved(meta: dict[str, Any]) -> str:
    """The day mmengine saved a checkpoint on, by the clock of that machine: the same whenever it is published."""
    found = re.fullmatch(r"(\d{8})_\d{6}", str(meta.get("time")))
    with contextlib.suppress(UserError):
        if found:
            check_date(found[1])
            return found[1]
    return datetime.date.today().strftime("%Y%m%d")


def _is_published(source: Path, checkpoint: Any) -> bool:
    """Tells a file of this project's making, unchanged since: its name holds its hash."""
    digits = hash_in_name(source.name)
    return bool(digits) and set(checkpoint) == {"meta", "state_dict"} and isinstance(checkpoint["meta"], dict) \
        and {"cfg", "versions"} <= set(checkpoint["meta"]) and sha256_of(source).startswith(str(digits))


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


def _own_name(meta: dict[str, Any], source: Path) -> str:
    experiment = str(meta.get("experiment_name") or "")
    # mmengine adds the time to the config's name; a run of a nameless config is only called that.
    name = re.sub(r"_?\d{8}_\d{6}$", "", experiment) or source.resolve().parent.name
    return re.split(r"[\\/]", name)[-1]


def _published_meta(checkpoint: dict[str, Any], meta: dict[str, Any], text: str, config: dict[str, Any],
                    metrics: PathLike | None, source: Path) -> dict[str, Any]:
    published = {key: to_plain(meta[key]) for key in KEPT_META if key in meta}
    if "dataset_meta" in meta:
        published["dataset_meta"] = to_plain(meta["dataset_meta"])
    found = metrics_in_checkpoint(checkpoint, source, config) if metrics is None else metrics_in_file(metrics, source)
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
