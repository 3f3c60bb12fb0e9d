"""A config's text is laid out quickly, and once, not at every checkpoint.

Stands in for ``mmengine/config/config.py:1484``, where yapf takes seconds to lay a config of this project out, and
for ``mmengine/config/config.py:1376``: ``Config.pretty_text`` does it each time it is asked, and
``Runner.save_checkpoint`` asks every time.
"""
from __future__ import annotations

import ast
from collections import OrderedDict
from typing import Any, Optional

KEPT = 8
WIDTH, INDENT = 100, 4  # characters


def lay_out(text: str) -> str:
    """Breaks a config's text into lines: what fits on one stays on one, the rest gets a line an item.

    Args:
        text: Python, as mmengine writes it: assignments of literals and ``dict(...)``.

    Returns:
        The same program, which is made sure of: its syntax tree is equal.

    Raises:
        SyntaxError: It is not Python.
        ValueError: The tree would have become another one.
    """
    tree = ast.parse(text)
    new = "".join(f"{_statement(each)}\n" for each in tree.body)
    if ast.dump(ast.parse(new)) != ast.dump(tree):
        raise ValueError("the layout of a config changed its meaning")
    return new


def _statement(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return _item(f"{node.targets[0].id} = ", node.value, 0, 0)
    return ast.unparse(node)


def _item(prefix: str, node: ast.expr, indent: int, after: int) -> str:
    """One item with what stands before it.

    Args:
        prefix: ``name=``, ``key: `` or nothing.
        node: The value.
        indent: Columns before the item.
        after: Characters that follow it on its last line.
    """
    whole = ast.unparse(node)
    parts = None if indent + len(prefix) + len(whole) + after <= WIDTH else _parts(node)
    if parts is None:
        return prefix + whole
    left, items, right = parts
    inner = indent + INDENT
    lines = [_item(*item, inner, 1 if position < len(items) - 1 else len(right) + after)
             for position, item in enumerate(items)]
    return f"{prefix}{left}\n" + ",\n".join(" " * inner + line for line in lines) + right


def _parts(node: ast.expr) -> Optional[tuple[str, list[tuple[str, ast.expr]], str]]:
    """Brackets and items of something that can be broken into lines; ``None`` of anything else."""
    items: list[tuple[str, ast.expr]] = []
    left, right = {ast.List: "[]", ast.Tuple: "()", ast.Set: "{}", ast.Dict: "{}"}.get(type(node), "  ")
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        items = [("", each) for each in node.elts]
        right = ", )" if isinstance(node, ast.Tuple) and len(items) == 1 else right
    elif isinstance(node, ast.Dict):
        items = [(f"{ast.unparse(key)}: " if key else "**", value) for key, value in zip(node.keys, node.values)]
    elif isinstance(node, ast.Call):
        left, right = f"{ast.unparse(node.func)}(", ")"
        items = [("", each) for each in node.args]
        items += [(f"{each.arg}=" if each.arg else "**", each.value) for each in node.keywords]
    return (left, items, right) if items else None


def _format_code(text: str, **options: Any) -> tuple[str, bool]:
    """Takes the place of ``yapf.yapflib.yapf_api.FormatCode``; what :func:`lay_out` cannot do, that one does."""
    try:
        return lay_out(text), True
    except (SyntaxError, ValueError, RecursionError):
        from yapf.yapflib.yapf_api import FormatCode

        return FormatCode(text, **options)


def install() -> None:
    """Takes over the layout, and remembers the last few texts by the content of the config."""
    from mmengine import Config
    from mmengine.config import config as upstream_module

    upstream = Config.pretty_text
    if not isinstance(upstream, property) or getattr(upstream.fget, "remembers", False):
        return
    if hasattr(upstream_module, "FormatCode"):
        upstream_module.FormatCode = _format_code
    texts: OrderedDict[str, str] = OrderedDict()

    def pretty_text(self: Any) -> str:
        content = repr(self._to_lazy_dict())
        if content not in texts:
            texts[content] = upstream.fget(self)  # type: ignore[misc]
            while len(texts) > KEPT:
                texts.popitem(last=False)
        return texts[content]

    pretty_text.remembers = True  # type: ignore[attr-defined]
    Config.pretty_text = property(pretty_text)
