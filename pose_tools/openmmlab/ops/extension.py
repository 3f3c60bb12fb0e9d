"""Makes ``mmcv._ext`` importable where mmcv was not compiled.

Stands in for ``mmcv/utils/ext_loader.py:12``, which every module of ``mmcv.ops`` calls at import and which
raises when ``mmcv._ext`` is absent, so that with ``mmcv-lite`` nothing of mmdet or mmpose can be imported.

The stand-in has an attribute for every operator. Those the supported models call work; the others raise
:class:`MissingOperatorError` when they are called, not before. It is found only after the search for the
compiled module has failed, so a compiled mmcv is always preferred.
"""
from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Callable, NoReturn, Optional

from pose_tools.console import UserError
from pose_tools.openmmlab.ops import nms, roi_align, soft_nms
from pose_tools.openmmlab.ops.backend import torchvision_works

NAME = "mmcv._ext"


class MissingOperatorError(UserError, RuntimeError):
    """An operator was called that only a compiled mmcv has."""

    def __init__(self, operator: str) -> None:
        """Says which operator it is and how to get it.

        Args:
            operator: Its name in ``mmcv._ext``.
        """
        super().__init__(
            f"mmcv operator '{operator}' needs a compiled mmcv; with a compiler at hand: pip uninstall"
            " mmcv-lite && pip install mmcv==2.1.0 --no-build-isolation, and it is used from then on"
        )


class _Missing:
    """Takes the place of an operator that cannot be had; fails when called."""

    def __init__(self, operator: str) -> None:
        self.__name__ = self.__qualname__ = operator

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise MissingOperatorError(self.__name__)

    def __repr__(self) -> str:
        return f"<missing mmcv operator {self.__name__}>"


def get_compiler_version() -> str:
    """What mmcv reports as its compiler."""
    return "not compiled (operators from pose_tools)"


def get_compiling_cuda_version() -> str:
    """What mmcv reports as its CUDA version; compiled for the CPU it says the same."""
    return "not available"


OPERATORS: dict[str, Callable[..., Any]] = {
    "nms": nms.nms,
    "nms_match": nms.nms_match,
    "softnms": soft_nms.softnms,
    "roi_align_forward": roi_align.roi_align_forward,
    "roi_align_backward": roi_align.roi_align_backward,
    "get_compiler_version": get_compiler_version,
    "get_compiling_cuda_version": get_compiling_cuda_version,
}


class StandIn(ModuleType):
    """A module with the call interface of ``mmcv._ext``."""

    def __init__(self) -> None:
        """Holds what :data:`OPERATORS` lists; everything else is made when asked for."""
        super().__init__(NAME, __doc__)
        self.__dict__.update(OPERATORS)

    def __getattr__(self, name: str) -> _Missing:
        """Makes the operators that fail when called."""
        # No operator starts with an underscore; copy, inspect, pickle and IPython ask for names that do.
        if name.startswith("_"):
            raise AttributeError(f"module '{NAME}' has no attribute '{name}'")
        operator = _Missing(name)
        setattr(self, name, operator)
        return operator


class _Loader(importlib.abc.Loader):
    """Loads the compiled module where there is one and it can be loaded, else the stand-in."""

    def __init__(self, compiled: Optional[Any] = None) -> None:
        self._compiled = compiled

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        if self._compiled is None:
            return StandIn()
        try:
            return self._compiled.create_module(spec)
        except (ImportError, OSError) as error:
            reason = str(error).partition("\n")[0]
            warnings.warn(f"the compiled mmcv does not load and is not used: {reason}", stacklevel=2)
            return StandIn()

    def exec_module(self, module: ModuleType) -> None:
        if self._compiled is not None and not isinstance(module, StandIn):
            self._compiled.exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds ``mmcv._ext``, compiled or not."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname != NAME:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return importlib.machinery.ModuleSpec(fullname, _Loader(), origin="pose_tools.openmmlab.ops")
        spec.loader = _Loader(spec.loader)
        return spec


def install() -> None:
    """Makes ``import mmcv.ops`` work. Imports nothing of mmcv; may be called again."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def operator_backend() -> dict[str, str]:
    """Says what runs each supported operator here. Imports mmcv.

    Returns:
        Operator to ``"compiled"`` (mmcv's own), ``"torchvision"`` or ``"torch"``, which includes what is done
        in numpy on the CPU. Not compiled, max pooling in ``roi_align`` and ``offset=1`` in ``nms`` are always
        done in torch.

    Raises:
        UserError: If mmcv is not installed at all.
    """
    install()
    try:
        module = importlib.import_module(NAME)
    except ModuleNotFoundError as error:
        if error.name != "mmcv":
            raise
        raise UserError("mmcv is not installed: pip install mmcv-lite==2.1.0") from None
    if not isinstance(module, StandIn):
        return dict.fromkeys(("nms", "nms_match", "soft_nms", "roi_align"), "compiled")
    vision = "torchvision" if torchvision_works() else "torch"
    return {"nms": vision, "nms_match": "torch", "soft_nms": "torch", "roi_align": vision}
