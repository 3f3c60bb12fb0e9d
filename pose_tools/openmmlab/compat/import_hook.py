"""Runs a piece of code around or after the import of one module, without importing it early.

mmpose takes seconds to import, so a patch of it waits until somebody else imports it.
"""
from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, Callable, Optional

After = Callable[[ModuleType], None]
Around = Callable[[], "AbstractContextManager[Any]"]


class _Loader(importlib.abc.Loader):
    """Delegates to the real loader, with code around and after the execution of the module."""

    def __init__(self, real: Any, around: Around, after: After) -> None:
        self._real, self._around, self._after = real, around, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with self._around():
            self._real.exec_module(module)
        self._after(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module where everybody else finds it, and swaps its loader."""

    def __init__(self, name: str, around: Around, after: After) -> None:
        self.name, self._around, self._after = name, around, after

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname != self.name:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, self._around, self._after)
                return spec
        return None


def on_import(name: str, after: After = lambda module: None, around: Around = nullcontext) -> None:
    """Patches a module when it is imported, or now if it has been.

    Args:
        name: Full name of the module. Asked for twice, only the first request counts.
        after: Is given the module once it has been executed.
        around: Makes a context in which the module is executed; not used for a module already imported.
    """
    if any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        return
    if name in sys.modules:
        after(sys.modules[name])
        return
    sys.meta_path.insert(0, _Finder(name, around, after))
