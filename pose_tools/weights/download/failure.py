"""What ends an attempt to have a file from one source."""
from __future__ import annotations


class SourceFailed(Exception):
    """A source cannot give a file; another one may.

    Attributes:
        reason: One short clause for the user, such as ``"the server answered 404"``.
        is_unreachable: There was not even a connection, so that other files of the same host need not be tried.
    """

    def __init__(self, reason: str, is_unreachable: bool = False) -> None:
        """Says why.

        Args:
            reason: Of several lines, the first is kept.
            is_unreachable: See there.
        """
        self.is_unreachable = is_unreachable
        self.reason = (reason.strip().splitlines() or ["no reason given"])[0]
        super().__init__(self.reason)


class Stopped(Exception):
    """The user has asked for an end, or another thread could not go on."""
