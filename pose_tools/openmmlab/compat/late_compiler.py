"""An optimiser does not import torch's compiler as long as nothing is compiled.

Stands in for ``torch/_compile.py:47`` and ``torch/optim/optimizer.py:61``: making an optimiser, and its first
step, import ``torch._dynamo`` (a second of every start, 700 modules) to tell it not to trace them. Before that
package is imported by somebody who does compile, there is nothing to tell. From then on upstream's own functions
run.
"""
from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable

from pose_tools.openmmlab.compat.import_hook import on_import

COMPILER = "torch._dynamo"
_MARK = "__dynamo_disable"  # where torch/_compile.py:45 keeps what it calls
_METHODS = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")


class _Compiler:
    """Whether it has been imported."""

    is_there = False


def _plain(inner: Callable[..., Any]) -> None:
    """Lets a function that is closed to the compiler run as it is until there is a compiler."""
    function = getattr(inner, "__wrapped__", None)
    if function is None or hasattr(function, _MARK):
        return

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    run.late_compiler = True  # type: ignore[attr-defined]
    setattr(function, _MARK, run)


def _plain_step(upstream: Callable[..., Any]) -> Callable[..., Any]:
    """What ``_use_grad_for_differentiable`` makes of ``step``, without the breaks in the compiler's graph."""
    function = upstream.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(function)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _Compiler.is_there:
            return upstream(self, *args, **kwargs)
        import torch

        before = torch.is_grad_enabled()
        try:
            torch.set_grad_enabled(self.defaults["differentiable"])
            return function(self, *args, **kwargs)
        finally:
            torch.set_grad_enabled(before)

    step.late_compiler = True  # type: ignore[attr-defined]
    return step


def _as_upstream(module: ModuleType) -> None:
    """The compiler has come: from now on it is told what not to trace."""
    _Compiler.is_there = True
    import torch

    for name in _METHODS:
        function = getattr(vars(torch.optim.Optimizer).get(name), "__wrapped__", None)
        if getattr(getattr(function, _MARK, None), "late_compiler", False):
            delattr(function, _MARK)


def install() -> None:
    """Prepares torch's optimisers. Does nothing where the compiler has been imported already."""
    import torch

    if COMPILER in sys.modules:
        return
    for name in _METHODS:
        _plain(vars(torch.optim.Optimizer).get(name))
    for kind in vars(torch.optim).values():
        own = vars(kind).get("step") if isinstance(kind, type) else None
        if getattr(getattr(own, "__code__", None), "co_name", "") == "_use_grad" and hasattr(own, "__wrapped__"):
            kind.step = _plain_step(own)
    on_import(COMPILER, after=_as_upstream)
