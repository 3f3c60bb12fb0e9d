"""The backbones of mmpretrain without the rest of it.

Stands in for ``mmpretrain/__init__.py:6`` and ``mmpretrain/models/__init__.py:7`` (1.2.0), which import all of the
package: ``importlib_metadata``, which Python has had by itself for years, torchvision, and what finds and shows
pictures. ConvNeXt and the vision transformers, which configs of mmdet and mmpose take from it, need none of these, and
half a second instead of several. Does nothing where its backbones were imported already.
"""
from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from pose_tools.console import UserError
from pose_tools.openmmlab.compat.import_hook import on_import

ADVICE = "pip install --no-deps mmpretrain==1.2.0 einops"
_PARTS = {"mmpretrain": ".", "mmpretrain.models": "models"}  # packages that are there, and run nothing
_TRY_THE_WHOLE = ("data_preprocessors.reid_data_preprocessor", "reid.base_reid", "reid.linear_reid_head")


@contextmanager
def deferred() -> Iterator[None]:
    """Lets ``custom_imports = ["mmpretrain.models"]`` of a config pass, whether mmpretrain is there or not.

    What the network is built from is settled by :func:`install`.
    """
    names = [name for name in _PARTS if name not in sys.modules]
    for name in names:
        sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def keep_out() -> None:
    """Spares mmdet its tries at the whole of mmpretrain, for ReID heads (3.3.0, line 7 of ``reid/base_reid.py``).

    They fail, torchvision being absent, at a point that depends on what was imported before, and leave pieces behind.
    """
    for name in _TRY_THE_WHOLE:
        on_import(f"mmdet.models.{name}", around=_hidden)


@contextmanager
def _hidden() -> Iterator[None]:
    if "mmpretrain" in sys.modules:
        yield
        return
    sys.modules["mmpretrain"] = None  # type: ignore[assignment]  # an import of it fails at once
    try:
        yield
    finally:
        del sys.modules["mmpretrain"]


def install(wanted_by: str) -> None:
    """Makes mmpretrain's backbones known to the registries.

    Args:
        wanted_by: Named in the error.

    Raises:
        UserError: mmpretrain, or einops, which it needs, is not installed.
    """
    if "mmpretrain.models.backbones" in sys.modules:
        return
    missing = [name for name in ("mmpretrain", "einops") if find_spec(name) is None]
    if missing:
        raise UserError(f"{wanted_by}: needs {' and '.join(missing)}, not installed here: {ADVICE}")
    folder = Path(find_spec("mmpretrain").submodule_search_locations[0])  # type: ignore[union-attr, index]
    borrowed = [] if find_spec("importlib_metadata") else ["importlib_metadata"]
    sys.modules.update(dict.fromkeys(borrowed, importlib.metadata))
    try:
        for name, part in _PARTS.items():
            package = ModuleType(name)
            package.__path__ = [str(folder / part)]
            sys.modules[name] = package
        importlib.import_module("mmpretrain.models.backbones")
    except BaseException:
        for name in [name for name in sys.modules if name.split(".")[0] == "mmpretrain"]:
            del sys.modules[name]
        raise
    finally:
        for name in borrowed:
            del sys.modules[name]
