"""A process of its own for what is measured, so that no model's memory or threads count for another's."""
from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from typing import TYPE_CHECKING, Any, Callable

from pose_tools.console import FaultsError, UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Child:
    """A fresh process that holds an object and does what it is asked for, one thing after the other.

    It is started anew, not forked: nothing that this process has loaded is in its memory.

    Args:
        make: Makes the object, there; must be possible to pickle.
        label: What it is called in messages.
    """

    def __init__(self, make: Callable[[], Any], label: str) -> None:
        """Starts the process."""
        self.label = label
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(make, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, method: str, **arguments: Any) -> Any:
        """Calls a method of the object.

        Returns:
            What it returned.

        Raises:
            UserError: It raised one, or its process ended.
            RuntimeError: It raised anything else; says what and where.
        """
        try:
            self._pipe.send((method, arguments))
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise UserError(f"{self.label}: its process ended (exit code {self._process.exitcode}), "
                            "perhaps for want of memory") from None
        if kind == "faults":
            raise FaultsError(answer)
        if kind == "user":
            raise UserError(answer)
        if kind == "error":
            raise RuntimeError(f"{self.label}: {answer}")
        return answer

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(make: Callable[[], Any], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us as well; whoever started us ends us then
    # What libraries print while they load is none of the command's output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with contextlib.suppress(EOFError, OSError):
        held = None
        while True:
            method, arguments = pipe.recv()
            try:
                held = make() if held is None else held
                answer = "done", getattr(held, method)(**arguments)
            except FaultsError as error:
                answer = "faults", error.faults
            except UserError as error:
                answer = "user", str(error)
            except OSError as error:
                answer = "user", str(error)
            except Exception:
                answer = "error", traceback.format_exc()
            pipe.send(answer)
