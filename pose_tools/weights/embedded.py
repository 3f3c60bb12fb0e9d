"""The config that a checkpoint carries, read without running it.

mmengine writes a config into a checkpoint as Python text and reads it back by executing it; and its
registries take any dotted name for a class, ``subprocess.Popen`` too. Files come from the internet, so here
the text is only parsed, and models are built only from names that a registry can know.
"""
from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from pose_tools.console import UserError

_MODEL_TYPE = re.compile(r"((mmdet|mmpose|mmpretrain)\.)?[A-Za-z_]\w*")
_SCOPES = (None, "mmdet", "mmpose", "mmpretrain", "mmengine")


def parse_config_text(text: str, file: str | Path) -> dict[str, Any]:
    """Parses a config of plain assignments, as mmengine writes them.

    Args:
        text: ``name = value`` lines; values are literals and ``dict(key=value)``.
        file: Named in errors.

    Returns:
        Names and values; tuples stay tuples.

    Raises:
        UserError: It is not Python, or holds more than assignments of plain values; nothing of it is run.
    """
    try:
        return {name: _value(statement.value, file) for name, statement in _assignments(text, file)}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"{file}: its config cannot be read: {error}") from error


def replace_in_config_text(text: str, changes: dict[str, Any], file: str | Path) -> str:
    """Gives top-level names of a config other values, and leaves every other line as it is.

    Args:
        text: A config that :func:`parse_config_text` takes.
        changes: Names and plain values; names that the config does not have are not added.
        file: Named in errors.

    Raises:
        UserError: As :func:`parse_config_text`.
    """
    # Not splitlines(), which knows more line ends than Python's grammar.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for name, statement in reversed(_assignments(text, file)):
        if name in changes:
            lines[statement.lineno - 1:statement.end_lineno] = [f"{name} = {changes[name]!r}"]
    return "\n".join(lines)


def _assignments(text: str, file: str | Path) -> list[tuple[str, ast.Assign]]:
    found = []
    for statement in ast.parse(text).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if len(targets) != 1 or not isinstance(targets[0], ast.Name):
            raise _not_plain(statement, file)
        found.append((targets[0].id, statement))
    return found


def _value(node: ast.expr, file: str | Path) -> Any:
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key, file): _value(value, file) for key, value in zip(node.keys, node.values)}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_value(item, file) for item in node.elts)
    if isinstance(node, ast.Call):
        return _call(node, file)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise _not_plain(node, file) from error


def _call(node: ast.Call, file: str | Path) -> Any:
    """Evaluates ``dict(key=value)`` and ``dict({1: value})``, which mmengine writes, and ``set()``."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "set" and not node.args and not node.keywords:
        return set()
    plain_args = all(isinstance(arg, ast.Dict) for arg in node.args) and len(node.args) <= 1
    if name != "dict" or not plain_args or any(keyword.arg is None for keyword in node.keywords):
        raise _not_plain(node, file)
    values = _value(node.args[0], file) if node.args else {}
    return {**values, **{keyword.arg: _value(keyword.value, file) for keyword in node.keywords}}


def _not_plain(node: ast.AST, file: str | Path) -> UserError:
    shown = ast.unparse(node).splitlines()[0][:80]
    return UserError(f"{file}: the config in it is not plain data: {shown!r}; refused and not run; "
                     "if you have the config, give it with --config")


def check_model_types(model: Any, file: str | Path) -> None:
    """Makes sure that building a model from a checkpoint's config calls registered classes only.

    Args:
        model: The config's ``model``.
        file: Named in errors.

    Raises:
        UserError: It names something else.
    """
    if isinstance(model, dict):
        kind, scope = model.get("type", "X"), model.get("_scope_")
        if not isinstance(kind, str) or not _MODEL_TYPE.fullmatch(kind):
            raise UserError(f"{file}: the config in it builds {kind!r}, which is no part of a model; refused")
        if scope not in _SCOPES:
            raise UserError(f"{file}: the config in it takes parts from {scope!r}; refused")
        model = list(model.values())
    if isinstance(model, (list, tuple)):
        for part in model:
            check_model_types(part, file)
