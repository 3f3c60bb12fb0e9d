"""A ``weights_only`` reader for PyTorch 2.1 to 2.5, whose own cannot be told about further classes by name.

It has the interface that :mod:`torch.serialization` expects of its private ``_weights_only_unpickler``
module (``Unpickler`` and ``load``) and the rules of PyTorch 2.6: a name must be on the list, only what is on
the list is called, and only its instances take a state.
"""
from __future__ import annotations

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from typing import Any, BinaryIO

import torch
from torch._weights_only_unpickler import _get_allowed_globals

from pose_tools.openmmlab.compat.safe_globals import RefusedGlobal, StandIn, allowed_globals

OPCODES = (
    pickle.APPEND, pickle.APPENDS, pickle.BINFLOAT, pickle.BINGET, pickle.BININT, pickle.BININT1,
    pickle.BININT2, pickle.BINPERSID, pickle.BINPUT, pickle.BINUNICODE, pickle.BUILD, pickle.EMPTY_DICT,
    pickle.EMPTY_LIST, pickle.EMPTY_SET, pickle.EMPTY_TUPLE, pickle.GLOBAL, pickle.LONG1,
    pickle.LONG_BINGET, pickle.LONG_BINPUT, pickle.MARK, pickle.NEWFALSE, pickle.NEWOBJ, pickle.NEWTRUE,
    pickle.NONE, pickle.PROTO, pickle.REDUCE, pickle.SETITEM, pickle.SETITEMS, pickle.SHORT_BINSTRING,
    pickle.STOP, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
)


class Unpickler(pickle._Unpickler):  # type: ignore[misc, name-defined]  # the one written in Python
    """Reads what ``torch.save`` writes; names outside the list are refused before anything is called."""

    def __init__(self, file: BinaryIO, *, encoding: str = "utf-8") -> None:
        """Args: file: The pickle. encoding: For strings of Python 2."""
        super().__init__(file, encoding=encoding)
        self.allowed = {**_get_allowed_globals(), **allowed_globals()}

    def find_class(self, module: str, name: str) -> Any:
        """Looks a name up on the list, never in a module."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        try:
            return self.allowed[f"{module}.{name}"]
        except KeyError:
            raise RefusedGlobal(f"{module}.{name}") from None

    def _on_list(self, called: Any) -> bool:
        return any(called is entry for entry in self.allowed.values())

    def _reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        if not self._on_list(function):
            raise RefusedGlobal(f"a call of {function!r}")
        self.stack[-1] = function(*args)

    def _newobj(self) -> None:
        args = self.stack.pop()
        cls = self.stack.pop()
        if cls is torch.nn.Parameter:
            self.append(torch.nn.Parameter(*args))
        elif isinstance(cls, type) and self._on_list(cls):
            self.append(cls.__new__(cls, *args))
        else:
            raise RefusedGlobal(f"a new {cls!r}")

    def _build(self) -> None:
        state = self.stack.pop()
        instance = self.stack[-1]
        if type(instance) is torch.Tensor:
            instance.set_(*state)
        elif type(instance) is torch.nn.Parameter or isinstance(instance, StandIn):
            instance.__setstate__(state)
        elif type(instance) is OrderedDict:
            instance.__dict__.update(state)
        else:
            raise RefusedGlobal(f"a state for {type(instance)!r}")

    def _binpersid(self) -> None:
        pid = self.stack.pop()
        if isinstance(pid, tuple) and pid and pid[0] not in ("storage", b"storage"):
            raise RefusedGlobal(f"a persistent {pid[0]!r}")
        self.append(self.persistent_load(pid))

    def _append(self) -> None:
        value = self.stack.pop()
        self._target(list).append(value)

    def _appends(self) -> None:
        values = self.pop_mark()
        self._target(list).extend(values)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._target(dict)[key] = value

    def _setitems(self) -> None:
        items = self.pop_mark()
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2]):
            target[key] = value

    def _target(self, kind: type) -> Any:
        target = self.stack[-1]
        if type(target) is not kind and not (kind is dict and type(target) is OrderedDict):
            raise RefusedGlobal(f"items for {type(target)!r}")
        return target

    dispatch = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in OPCODES}  # type: ignore[attr-defined]
    dispatch.update({
        pickle.REDUCE[0]: _reduce, pickle.NEWOBJ[0]: _newobj, pickle.BUILD[0]: _build,
        pickle.BINPERSID[0]: _binpersid, pickle.APPEND[0]: _append, pickle.APPENDS[0]: _appends,
        pickle.SETITEM[0]: _setitem, pickle.SETITEMS[0]: _setitems,
    })


def load(file: BinaryIO, *, encoding: str = "utf-8") -> Any:
    """Reads one pickle.

    Args:
        file: A binary file.
        encoding: For strings of Python 2.

    Raises:
        RefusedGlobal: It names something that is not on the list.
    """
    return Unpickler(file, encoding=encoding).load()
