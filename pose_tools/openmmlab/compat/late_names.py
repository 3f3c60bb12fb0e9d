"""What upstream imports at module level and calls in a rare case only is imported when it is called.

Stands in for these lines, each of which costs a start tenths of a second:

- ``xtcocotools/coco.py:52`` (matplotlib, for ``COCO.showAnns``),
- ``mmpose/datasets/transforms/common_transforms.py:15`` and ``bottomup_transforms.py:12`` (``scipy.stats``, for the
  random numbers of upstream's random boxes),
- ``mmpose/datasets/datasets/body/mpii_dataset.py:8`` (``scipy.io``, for MPII's annotations),
- ``mmcv/image/io.py:26`` (tifffile, one of four ways to read an image),
- ``mmpose/visualization/local_visualizer_3d.py:8`` (matplotlib) and ``:12`` (``mmpose.apis``, with all inferencers and
  ``pkg_resources``),
- ``mmdet/utils/mot_error_visualize.py:10`` (matplotlib, for drawings of tracking errors),
- ``mmengine/config/config.py:20`` (yapf; :mod:`~pose_tools.openmmlab.compat.config_text` says what for).

While such a module is executed, the modules it asks for are stand-ins that import the real ones at the first use
of what is in them. They are gone afterwards: whoever else imports scipy.stats gets scipy.stats.
"""
from __future__ import annotations

import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from pose_tools.openmmlab.compat.import_hook import on_import

# Upstream's module, the modules it imports, and the names it takes out of them.
LATE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "xtcocotools.coco": {"matplotlib": (), "matplotlib.pyplot": (), "matplotlib.collections": ("PatchCollection", ),
                         "matplotlib.patches": ("Polygon", )},
    "mmpose.datasets.transforms.common_transforms": {"scipy.stats": ("truncnorm", )},
    "mmpose.datasets.transforms.bottomup_transforms": {"scipy.stats": ("truncnorm", )},
    "mmpose.datasets.datasets.body.mpii_dataset": {"scipy.io": ("loadmat", )},
    "mmcv.image.io": {"tifffile": ()},
    "mmpose.visualization.local_visualizer_3d": {"mmpose.apis": ("convert_keypoint_definition", ),
                                                 "matplotlib": (), "matplotlib.pyplot": ()},
    "mmdet.utils.mot_error_visualize": {"matplotlib": (), "matplotlib.pyplot": (),
                                        "matplotlib.patches": ("Rectangle", )},
    "mmengine.config.config": {"yapf": (), "yapf.yapflib.yapf_api": ("FormatCode", )},
}


class LateName:
    """Something of a module that is imported when it is first used: called, or asked for an attribute."""

    def __init__(self, module: str, name: str) -> None:
        """Remembers where it is."""
        self.__dict__.update(_module=module, _name=name)

    def _real(self) -> Any:
        return getattr(_real_module(self._module), self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the real one."""
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Asks the real one."""
        if name.startswith("__"):  # asked by copy, inspect and the like, which need no import
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __repr__(self) -> str:
        return f"<{self._module}.{self._name}, imported at first use>"


class LateModule(ModuleType):
    """A module that is imported when it is first asked for something else than its late names."""

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        """Holds a stand-in for each of ``names``."""
        super().__init__(name)
        self.__path__: list[str] = []  # it may be a package; _Finder finds what is in it
        self.__dict__.update({each: LateName(name, each) for each in names})

    def __getattr__(self, name: str) -> Any:
        """Asks the real one, except for its version."""
        if name == "__version__":
            return importlib.metadata.version(self.__name__)
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real_module(self.__name__), name)


def _real_module(name: str) -> ModuleType:
    """Imports a module, though stand-ins of its package may be in its place just now."""
    package = name.partition(".")[0]
    for each in [each for each, module in sys.modules.items()
                 if each.partition(".")[0] == package and isinstance(module, LateModule)]:
        del sys.modules[each]
    return importlib.import_module(name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the other modules of a package that a stand-in takes the place of: the real package comes back first."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        package = fullname.rpartition(".")[0]
        if not isinstance(sys.modules.get(package), LateModule):
            return None
        _real_module(package)
        return importlib.util.find_spec(fullname)


def _stand_ins(wanted: Mapping[str, tuple[str, ...]]) -> dict[str, ModuleType]:
    """Makes them for what is installed and not yet imported."""
    made: dict[str, ModuleType] = {}
    for name, names in wanted.items():
        package = name.partition(".")[0]
        if name not in sys.modules and (package in sys.modules or importlib.util.find_spec(package) is not None):
            made[name] = LateModule(name, names)
    for name, module in made.items():
        parent, _, child = name.rpartition(".")
        if parent in made:
            made[parent].__dict__[child] = module
    return made


@contextmanager
def _late(wanted: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    modules = _stand_ins(wanted)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def install() -> None:
    """Prepares for the modules of :data:`LATE`. One that has been imported already stays as it is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for module, wanted in LATE.items():
        on_import(module, around=partial(_late, wanted))
