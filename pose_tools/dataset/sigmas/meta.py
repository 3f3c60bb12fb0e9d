"""Putting sigmas into ``meta.py``: one statement is replaced, everything else stays as it is, byte for byte."""
from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pose_tools.console import UserError
from pose_tools.console.atomic import temporary_beside
from pose_tools.dataset.sigmas.estimate import Estimate
from pose_tools.formats.schema import KeypointSet, read_meta


def _statement(sigmas: Mapping[str, float], newline: str) -> str:
    """``sigmas = (...)``, a line a keypoint, with its name."""
    lines = [f"    {value:g},  # {' '.join(name.split())}" for name, value in sigmas.items()]
    return newline.join(["sigmas = (", *lines, ")"])


def _find(source: bytes, path: Path) -> tuple[int, int]:
    """Where the statement that sets sigmas starts and ends, in bytes."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: does not run: {error}") from error
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "sigmas"
             and isinstance(node.ctx, ast.Store)]
    found = [node for node in tree.body if isinstance(node, ast.Assign) and len(node.targets) == 1
             and node.targets[0] in named]
    if len(found) != 1 or len(named) != 1:
        what = "has no statement `sigmas = ...` of its own" if not found else "sets sigmas more than once"
        raise UserError(f"{path}: {what}; write them in by hand")
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    node = found[0]
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def check_meta(path: Path | None) -> None:
    """Makes sure that sigmas can be written, before work is spent on them.

    Raises:
        UserError: There is no such file, it does not run, or it has not exactly one plain statement ``sigmas = ...``.
        FaultsError: It contradicts itself.
    """
    if path is None:
        raise UserError("no config is named like the data set's folder; name the meta.py to write to with --meta")
    read_meta(path)
    _find(path.read_bytes(), path)


def _says(path: Path, wanted: KeypointSet) -> bool:
    try:
        return read_meta(path) == wanted
    except UserError:
        return False


def write_sigmas(path: Path, estimate: Estimate) -> tuple[float, ...]:
    """Replaces the sigmas in a ``meta.py``.

    Args:
        path: The file; it is replaced in one step, or stays as it was.
        estimate: The sigmas.

    Returns:
        The sigmas that were in it.

    Raises:
        UserError: See :func:`check_meta`; there are too few pairs to go by; or with the new sigmas the file would not
            say what it should, for example because something after the statement changes them.
        FaultsError: The file contradicts itself.
    """
    if not estimate.enough:
        raise UserError(f"{path}: left as it is, for there are too few pairs of points to go by")
    path = path.resolve()  # a link stays a link
    before = read_meta(path)
    source = path.read_bytes()
    start, end = _find(source, path)
    found = dict(zip(estimate.names.keypoints, estimate.sigmas))
    ordered = {name: found[name] for name in before.keypoints}
    statement = _statement(ordered, "\r\n" if b"\r\n" in source else "\n")
    with temporary_beside(path) as (temporary, file):
        file.write(source[:start] + statement.encode("utf-8") + source[end:])
        file.close()
        if not _says(temporary, replace(before, sigmas=tuple(ordered.values()))):
            raise UserError(f"{path}: something else in it changes the sigmas, or depends on them; write them in by "
                            "hand")
        os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    return before.sigmas
