"""What may stand in a checkpoint, and the inert look-alikes that take its place while it is read.

A checkpoint is a pickle: a program that names functions and has them called. PyTorch's ``weights_only``
reader calls only functions on a list, and mmengine's checkpoints need more than its own list has: numpy
arrays, ``HistoryBuffer`` and, for the latter, ``builtins.getattr``. Allowing the real ones opens doors:
``getattr`` reaches anything, and ``numpy.dtype.__setstate__`` accepts flags that make numpy read bytes of
the file as pointers. So each name is given to a class of ours that only remembers what it was told.
When the pickle has been read, :func:`make_real` checks that and builds the real objects.
"""
from __future__ import annotations

import math
import re
from collections import OrderedDict
from typing import Any, Callable

import numpy as np

PLAIN_DTYPE = re.compile(r"[<>=|]?([?]|[biufcSU]\d+)")
STATISTICS = ("min", "max", "current", "mean")


class RefusedGlobal(Exception):
    """A checkpoint names something that no checkpoint needs."""

    def __init__(self, name: str) -> None:
        """Args: name: What it names, as Python would write it."""
        self.name = name
        super().__init__(name)


class MalformedValue(Exception):
    """A checkpoint holds a permitted kind of object with impossible contents."""


class StandIn:
    """Takes the place of an object while the pickle is read, and only remembers what it is told."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        """Remembers the pickled state."""
        self.state = state

    def build(self, real: Callable[[Any], Any]) -> Any:
        """Builds what it stands for.

        Args:
            real: Makes objects inside the state real.

        Raises:
            MalformedValue: The state is not one that the real class writes.
        """
        raise NotImplementedError


class DtypeStandIn(StandIn):
    """For ``numpy.dtype``: numbers, booleans and fixed-length strings; no objects, fields or sub-arrays."""

    def __init__(self, spec: Any, align: Any = False, copy: Any = False) -> None:
        """Args are those of ``numpy.dtype``."""
        if not isinstance(spec, str) or not PLAIN_DTYPE.fullmatch(spec):
            raise RefusedGlobal(f"numpy.dtype({spec!r})")
        self.spec = spec

    def build(self, real: Callable[[Any], Any]) -> np.dtype:
        """Returns the dtype with the byte order of the state."""
        try:
            dtype = np.dtype(self.spec)
        except TypeError as error:
            raise MalformedValue(f"numpy.dtype({self.spec!r})") from error
        if self.state is None:
            return dtype
        if not isinstance(self.state, tuple) or len(self.state) < 5 or self.state[1] not in tuple("<>=|"):
            raise MalformedValue(f"state of numpy.dtype({self.spec!r})")
        if any(part is not None for part in self.state[2:5]):
            raise RefusedGlobal("numpy.dtype with fields")
        return dtype.newbyteorder(self.state[1])


class ArrayStandIn(StandIn):
    """For ``numpy.ndarray``."""

    def __init__(self, *args: Any) -> None:
        """Refuses: arrays are pickled through ``_reconstruct``, never by calling the class."""
        raise RefusedGlobal("numpy.ndarray called directly")

    def build(self, real: Callable[[Any], Any]) -> np.ndarray:
        """Returns the array, with memory of its own."""
        try:
            shape, dtype, fortran, data = self.state[-4:]
        except (TypeError, ValueError) as error:
            raise MalformedValue("a numpy array without contents") from error
        return _array_from(shape, dtype, bool(fortran), data)


class HistoryStandIn(StandIn):
    """For ``mmengine.logging.HistoryBuffer``."""

    def build(self, real: Callable[[Any], Any]) -> Any:
        """Returns the buffer; its statistic methods are those of the installed mmengine."""
        from mmengine.logging import HistoryBuffer

        state = real(self.state)
        try:
            history, counts = (np.asarray(state[key]) for key in ("_log_history", "_count_history"))
            buffer = HistoryBuffer(max_length=int(state.get("max_length", 1000000)))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise MalformedValue("a HistoryBuffer without its history") from error
        if history.shape != counts.shape or history.dtype.kind == "O":
            raise MalformedValue("a HistoryBuffer whose history and counts differ in length")
        buffer._log_history, buffer._count_history = history, counts
        return buffer


class ConfigStandIn(StandIn):
    """For ``mmengine.config.ConfigDict``, which early releases put into their metadata."""

    def __init__(self, items: Any = ()) -> None:
        """Args: items: A plain dict."""
        if type(items) not in (dict, tuple):
            raise RefusedGlobal(f"ConfigDict of a {type(items).__name__}")
        self.items = items

    def build(self, real: Callable[[Any], Any]) -> Any:
        """Returns the ConfigDict."""
        from mmengine.config import ConfigDict

        return ConfigDict(real(dict(self.items)))


def _array_from(shape: Any, dtype: Any, fortran: bool, data: Any) -> np.ndarray:
    """Builds an array after checking that shape, type and the number of bytes agree."""
    if not isinstance(dtype, DtypeStandIn) or not isinstance(data, bytes):
        raise RefusedGlobal("numpy array of Python objects")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise MalformedValue(f"a numpy array of shape {shape!r}")
    plain = dtype.build(lambda value: value)
    if math.prod(shape) * plain.itemsize != len(data):
        raise MalformedValue(f"a numpy array of shape {shape} with {len(data)} bytes")
    if not data:
        return np.zeros(shape, plain)
    return np.frombuffer(data, plain).reshape(shape, order="F" if fortran else "C").copy(order="K")


def _reconstruct(cls: Any, shape: Any = (), code: Any = b"b") -> ArrayStandIn:
    if cls is not ArrayStandIn:
        raise RefusedGlobal("numpy array of an unknown class")
    return ArrayStandIn.__new__(ArrayStandIn)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    return _array_from((), dtype, False, data)[()]


def _bytes(*args: Any) -> bytes:
    """Looks like ``builtins.bytes``, which protocol 2 calls for the contents of empty arrays."""
    if args:
        raise RefusedGlobal("builtins.bytes with arguments")
    return b""


def _encode(text: Any, encoding: Any = "") -> bytes:
    """Looks like ``_codecs.encode``, by which protocol 2 writes bytes; PyTorch 2.1 does not allow it."""
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedGlobal(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


def _set(items: Any = ()) -> set:
    """Looks like ``builtins.set``, which PyTorch 2.1 does not allow."""
    if not isinstance(items, (list, tuple)):
        raise RefusedGlobal("builtins.set of something else than a list")
    return set(items)


def _getattr(owner: Any, name: Any = None, *default: Any) -> str:
    """Looks like ``builtins.getattr`` to a HistoryBuffer's pickle and returns nothing but a known name."""
    if owner is HistoryStandIn and name in STATISTICS and not default:
        return name
    described = "HistoryBuffer" if owner is HistoryStandIn else getattr(owner, "__name__", repr(owner))
    raise RefusedGlobal(f"builtins.getattr({described}, {name!r})")


def allowed_globals() -> dict[str, Any]:
    """Lists what mmengine writes beyond PyTorch's own list.

    Returns:
        Name in the pickle -> the look-alike that takes its place. numpy 2 writes ``numpy._core``, numpy 1
        ``numpy.core``; files of either are read under either.
    """
    names: dict[str, Any] = {
        "_codecs.encode": _encode,
        "builtins.bytes": _bytes,
        "builtins.set": _set,
        "builtins.getattr": _getattr,
        "numpy.dtype": DtypeStandIn,
        "numpy.ndarray": ArrayStandIn,
        "mmengine.logging.history_buffer.HistoryBuffer": HistoryStandIn,
        "mmengine.config.config.ConfigDict": ConfigStandIn,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = _reconstruct
        names[f"{core}.multiarray.scalar"] = _scalar
    return names


def make_real(value: Any) -> Any:
    """Replaces the look-alikes in a freshly read checkpoint by what they stand for.

    Args:
        value: Dicts, lists, tuples, sets, tensors and plain values. Dicts and lists are changed in place,
            so what was shared stays shared.

    Returns:
        The same structure without look-alikes.

    Raises:
        RefusedGlobal: An object of a kind that no checkpoint needs.
        MalformedValue: A permitted kind of object with impossible contents.
    """
    done: dict[int, tuple[Any, Any]] = {}  # holds the old objects too, so that no id is used twice

    def real(item: Any) -> Any:
        if not isinstance(item, (StandIn, dict, list, tuple, set)):
            if isinstance(item, type) and issubclass(item, StandIn):
                raise MalformedValue("a class where a value belongs")
            return item
        if id(item) in done:
            return done[id(item)][1]
        if isinstance(item, StandIn):
            result = item.build(real)
        elif type(item) in (dict, OrderedDict):
            done[id(item)] = (item, item)
            for key in item:
                item[key] = real(item[key])
            return item
        elif type(item) is list:
            done[id(item)] = (item, item)
            item[:] = map(real, item)
            return item
        elif type(item) in (tuple, set):
            result = type(item)(map(real, item))
        else:  # torch.Size, Counter: hold numbers only
            return item
        done[id(item)] = (item, result)
        return result

    return real(value)
