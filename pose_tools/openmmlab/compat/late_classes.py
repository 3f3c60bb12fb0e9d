"""Classes for training in shards (FSDP, ZeRO) are made when somebody uses one.

Stands in for ``mmengine/model/wrappers/fully_sharded_distributed.py:10``, ``mmengine/_strategy/fsdp.py:12`` and
``mmengine/optim/optimizer/zero_optimizer.py:11``: each is one registered class, derived from one of torch, and
importing the three base classes takes a second and a half (they bring sympy and a dozen scripted optimisers) of
every start. Here the module is executed when its class is called, subclassed or asked for an attribute.
"""
from __future__ import annotations

import importlib.abc
import sys
import types
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Optional

# Module, its one public class, and the registry of mmengine.registry that holds it.
LATE: Mapping[str, tuple[str, str]] = {
    "mmengine.model.wrappers.fully_sharded_distributed": ("MMFullyShardedDataParallel", "MODEL_WRAPPERS"),
    "mmengine._strategy.fsdp": ("FSDPStrategy", "STRATEGIES"),
    "mmengine.optim.optimizer.zero_optimizer": ("ZeroRedundancyOptimizer", "OPTIMIZERS"),
}


class LateClass(type):
    """The type of the stand-ins."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **more: Any) -> Any:
        """Makes a stand-in, or, of what derives from one, a class that derives from the real one."""
        if not any(isinstance(base, LateClass) for base in bases):
            return super().__new__(cls, name, bases, namespace)
        real = tuple(base.real() if isinstance(base, LateClass) else base for base in bases)
        return types.new_class(name, real, more, lambda body: body.update(namespace))

    def real(cls) -> type:
        """The real class, executing its module where that has not been done."""
        return cls._load()  # type: ignore[attr-defined]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes an object of the real class."""
        return cls.real()(*args, **kwargs)

    def __instancecheck__(cls, what: Any) -> bool:
        """Before the real class exists nothing can be of it."""
        return cls._is_loaded() and isinstance(what, cls.real())  # type: ignore[attr-defined]

    def __subclasscheck__(cls, what: type) -> bool:
        """The same for classes."""
        return what is cls or (cls._is_loaded() and issubclass(what, cls.real()))  # type: ignore[attr-defined]

    def __getattr__(cls, name: str) -> Any:
        """Asks the real class."""
        if name.startswith("__"):  # asked by inspect and the like, which need no class
            raise AttributeError(name)
        return getattr(cls.real(), name)


class _Loader(importlib.abc.Loader):
    """Fills a module with a stand-in for its class, and with its own content at the first use."""

    def __init__(self, real: Any, name: str, registry: str) -> None:
        self._real, self._name, self._registry = real, name, registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: Any) -> Optional[ModuleType]:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        import mmengine.registry

        registry = getattr(mmengine.registry, self._registry)
        loaded: list[type] = []

        def load() -> type:
            if not loaded:
                registry.module_dict.pop(self._name, None)  # or the real one is refused as a second of its name
                self._real.exec_module(module)
                loaded.append(getattr(module, self._name))
            return loaded[0]

        late = LateClass(self._name, (), {"__module__": module.__name__, "_load": staticmethod(load),
                                          "_is_loaded": staticmethod(lambda: bool(loaded))})
        registry.register_module(name=self._name, module=late)
        setattr(module, self._name, late)
        # Whatever else the module has is there once somebody asks for it.
        module.__getattr__ = lambda name: _content(module, name, late)  # type: ignore[method-assign]


def _content(module: ModuleType, name: str, late: LateClass) -> Any:
    if not name.startswith("__"):
        late.real()
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of :data:`LATE` where everybody else finds them, and swaps their loaders."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname not in LATE:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, *LATE[fullname])
                return spec
        return None


def install() -> None:
    """Prepares for the modules of :data:`LATE`. One that has been imported already stays as it is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
