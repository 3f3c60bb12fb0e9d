"""How what is written ends: whole, or without a trace."""
from __future__ import annotations

from types import TracebackType
from typing import Any, Optional


class Closing:
    """A context that closes what it wrote, after Ctrl-C as well, and leaves nothing behind after other errors."""

    def close(self) -> None:
        """Finishes what is written; does nothing the second time."""

    def abort(self) -> None:
        """Leaves nothing half-written."""

    def __enter__(self) -> Any:
        """Nothing more to do."""
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        """Closes or aborts."""
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.abort()
