"""Errors meant for the user: what they say, and how a script ends on them."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Union


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the user's data, said so that they can go and mend it.

    Attributes:
        file: The file the fault is in.
        what: One sentence, starting with the annotation where there is one.
        where: The annotation inside the file: a label, a group, an id; empty for the whole file.
    """

    file: Union[str, Path]
    what: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else f"{self.file}"
        return f"{place}: {self.what}"


class UserError(Exception):
    """Something the user can put right. Its text is shown as it is, without a traceback."""


class FaultsError(UserError):
    """All faults found in a file or folder, reported together."""

    def __init__(self, faults: Sequence[Fault], summary: str = "") -> None:
        """Collects faults.

        Args:
            faults: What is wrong; at least one.
            summary: A closing line: what was not done because of them, and what to do.
        """
        self.faults = tuple(faults)
        self.summary = summary
        super().__init__("\n".join([*map(str, self.faults), *([summary] if summary else [])]))


def run(main: Callable[[Optional[Sequence[str]]], int], argv: Optional[Sequence[str]] = None) -> int:
    """Calls a script's ``main`` and turns what a user can put right into a message and an exit code.

    Args:
        main: Takes the arguments (``None`` for ``sys.argv[1:]``) and returns the exit code.
        argv: Arguments for ``main``.

    Returns:
        What ``main`` returned; 1 after a :class:`UserError` or a file that cannot be read or written;
        130 after Ctrl-C, as shells have it.
    """
    for stream in (sys.stdout, sys.stderr):
        # Names in any script, and broken ones out of damaged files, must not end a command on a terminal without UTF-8.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return main(argv)
    except UserError as error:
        print(f"error: {error}" if not isinstance(error, FaultsError) else str(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
