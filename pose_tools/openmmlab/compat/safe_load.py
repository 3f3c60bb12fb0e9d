"""Reading checkpoints without running what is in them.

``torch.load`` with ``weights_only=True``, always, under the list of :mod:`.safe_globals`, and every way by
which mmengine, mmdet and mmpose read a checkpoint led through it.
"""
from __future__ import annotations

import re
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Union

import torch

from pose_tools.console import UserError
from pose_tools.openmmlab.compat.safe_globals import (
    MalformedValue,
    RefusedGlobal,
    allowed_globals,
    make_real,
)
from pose_tools.openmmlab.compat.safetensors_file import is_safetensors, read_safetensors

MapLocation = Any  # what torch.load takes: a device, its name, a dict or a function
Source = Union[str, Path, BinaryIO]

# PyTorch learnt in 2.6 to be told under which name a class stands in for another.
NAMES_CAN_BE_GIVEN = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)

_REFUSED = (r"GLOBAL (\S+) was not an allowed global", r"unsupported GLOBAL (\S+) whose module")
_lock = threading.Lock()


class UnsafeCheckpoint(UserError):
    """A checkpoint asks for something that no checkpoint needs, and could run code."""

    def __init__(self, name: str, offending: str) -> None:
        """Args: name: The file. offending: What it names."""
        self.offending = offending
        super().__init__(
            f"{name}: refused, nothing in it was run: it asks for {offending}, which no checkpoint needs and "
            "which could run code; get the file again from a source you trust")


def load_checkpoint_file(path: Source, map_location: MapLocation = "cpu") -> Any:
    """Reads a checkpoint made by PyTorch or mmengine, or a ``.safetensors``, and runs nothing that it holds.

    Args:
        path: The file, or one opened for reading in binary mode.
        map_location: As in ``torch.load``.

    Returns:
        What was saved; for mmengine's checkpoints a dict with ``meta``, ``state_dict`` and more.

    Raises:
        UnsafeCheckpoint: It names a function or class that no checkpoint needs.
        UserError: It is missing, empty, cut short, a web page, or no checkpoint at all.
    """
    if not isinstance(path, (str, Path)):
        return _read(path, "checkpoint", map_location)
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"{file}: {'is a folder, not a checkpoint' if file.is_dir() else 'no such file'}")
    try:
        with open(file, "rb") as opened:
            return _read(opened, str(file), map_location)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error


def _read(opened: BinaryIO, name: str, map_location: MapLocation) -> Any:
    if _check_kind(opened, name) == "safetensors":
        return read_safetensors(opened, name, map_location)
    try:
        with _lock, _our_list(), warnings.catch_warnings():
            # PyTorch asks for an issue report about pickles of other protocols, before it refuses them.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return make_real(torch.load(opened, map_location=map_location, weights_only=True))
    except RefusedGlobal as error:
        raise UnsafeCheckpoint(name, error.name) from error
    except MalformedValue as error:
        raise UserError(f"{name}: is damaged, or no checkpoint: it holds {error}") from error
    except OSError:
        raise
    except Exception as error:  # a damaged or hostile pickle can fail in any way at all
        raise _explained(error, name) from error


def _explained(error: Exception, name: str) -> UserError:
    """Turns what torch.load raised into one line."""
    text = str(error)
    for pattern in _REFUSED:
        if found := re.search(pattern, text):
            return UnsafeCheckpoint(name, found[1])
    if "CUDA device" in text and "map_location" in text:
        return UserError(f"{name}: was saved on a GPU and there is none here; use map_location='cpu'")
    # PyTorch wraps its reason in advice to switch the protection off; the reason is its last line.
    reason = text.split("WeightsUnpickler error:")[-1].split("Check the documentation")[0].strip()
    reason = reason.splitlines()[-1].strip() if reason else ""
    return UserError(f"{name}: is damaged, or no checkpoint ({type(error).__name__}: {reason[:120]})")


def _check_kind(opened: BinaryIO, name: str) -> str:
    """Refuses what is no checkpoint before PyTorch sees it, in words that say what it is; else gives its format."""
    start = opened.read(512)
    opened.seek(0)
    if not start:
        raise UserError(f"{name}: is empty; fetch it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise UserError(f"{name}: is a web page, not a checkpoint; the download went to the wrong address")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{name}: is a git-lfs pointer, not the file itself; run `git lfs pull`")
    if is_safetensors(start):
        return "safetensors"
    if start.startswith(b"PK"):
        _check_zip(opened, name)
    elif _is_tar(opened):
        # PyTorch before 0.2 wrote these, and reading them ran code up to PyTorch 2.5 (CVE-2025-32434).
        raise UserError(f"{name}: is a tar archive, not a checkpoint; unpack it first")
    return "pickle"


def _check_zip(opened: BinaryIO, name: str) -> None:
    try:
        with zipfile.ZipFile(opened) as archive:
            names = [entry.rsplit("/", 1)[-1] for entry in archive.namelist()]
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise UserError(f"{name}: is cut short or damaged; fetch it again") from error
    finally:
        opened.seek(0)
    if "constants.pkl" in names:
        raise UserError(f"{name}: is a TorchScript program, not a checkpoint")
    if "data.pkl" not in names:
        raise UserError(f"{name}: is a zip archive, not a checkpoint; unpack it first")


def _is_tar(opened: BinaryIO) -> bool:
    try:
        with tarfile.open(fileobj=opened, mode="r:", format=tarfile.PAX_FORMAT):
            return True
    except tarfile.TarError:
        return False
    finally:
        opened.seek(0)


@contextmanager
def _our_list() -> Iterator[None]:
    """Adds our list to PyTorch's for one call."""
    if NAMES_CAN_BE_GIVEN:
        with torch.serialization.safe_globals([(item, name) for name, item in allowed_globals().items()]):
            yield
        return
    from pose_tools.openmmlab.compat import strict_unpickler

    theirs = torch.serialization._weights_only_unpickler
    torch.serialization._weights_only_unpickler = strict_unpickler
    try:
        yield
    finally:
        torch.serialization._weights_only_unpickler = theirs


class _TorchWithSafeLoad:
    """The module ``torch`` for mmengine.runner.checkpoint, with another ``load``."""

    @staticmethod
    def load(f: Source, map_location: MapLocation = None, **_: Any) -> Any:
        """Reads a checkpoint; whatever else the caller asked for, nothing in it is run."""
        return load_checkpoint_file(f, map_location)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def load_from_local(filename: str, map_location: MapLocation = None) -> Any:
    """Stands in for mmengine's loader of files.

    Args:
        filename: A local file.
        map_location: As in ``torch.load``.

    Raises:
        UserError: As in :func:`load_checkpoint_file`.
    """
    return load_checkpoint_file(filename, map_location)


def load_from_http(filename: str, map_location: MapLocation = None, model_dir: str | None = None,
                   progress: bool = True) -> Any:
    """Stands in for mmengine's loaders of addresses: ``checkpoint/`` first, hash checked, nothing run.

    Args:
        filename: An http(s) address, ``hf:USER/REPO#PATH``, or a short name as ``torchvision://resnet50``.
        map_location: As in ``torch.load``.
        model_dir: Where to look and to put it; the project's ``checkpoint/`` by default.
        progress: Not used; the bar shows on a terminal.

    Raises:
        UserError: It cannot be had, is not what its name says, or as in :func:`load_checkpoint_file`.
    """
    from mmengine.dist import barrier, get_dist_info

    from pose_tools.weights.resolve import resolve_weights

    rank, _ = get_dist_info()
    try:
        if rank == 0:
            resolve_weights(filename, model_dir)
    finally:
        barrier()  # after a failure too, or the other processes would wait for ever
    return load_checkpoint_file(resolve_weights(filename, model_dir), map_location)


def install() -> None:
    """Leads every way by which mmengine reads a checkpoint through :func:`load_checkpoint_file`.

    Stands in for the five calls of ``torch.load`` and the two of ``load_url`` in
    mmengine/runner/checkpoint.py (0.10.7, lines 347, 371, 379, 415, 438, 507), the only ones that mmengine,
    mmdet and mmpose make outside their tools; and for its loader of ``torchvision://``, which needs
    torchvision to know an address. Calling it again changes nothing.
    """
    from mmengine.runner import checkpoint

    if isinstance(checkpoint.torch, _TorchWithSafeLoad):
        return
    checkpoint.torch = _TorchWithSafeLoad()
    addresses = ("http://", "https://", "hf:", "torchvision://", "modelzoo://")
    for prefixes, loader in ((("",), load_from_local), (addresses, load_from_http)):
        checkpoint.CheckpointLoader.register_scheme(prefixes, loader, force=True)
        setattr(checkpoint, loader.__name__, loader)
