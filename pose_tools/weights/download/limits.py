"""How long a download waits, and how often it tries."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Patience with a source.

    Attributes:
        connect_seconds: For a connection to be made.
        silence_seconds: Without a byte, until the connection is given up.
        attempts: Failed in a row until the source is given up; they count anew when more is here than ever
            before.
        connect_attempts: The same where no connection can be made at all: without network, the user is told soon.
        backoff_seconds: The longest wait after the first failed attempt; it doubles with each further one, and
            the wait is drawn between nothing and it, so that many machines do not come back together ("full
            jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
        backoff_most: Where that doubling ends.
        retry_after_most: The longest wait a server may ask for; who asks for more is given up at once.
        slow_bytes_per_second: Slower than this on the average of ``slow_seconds``, a source is given up.
        slow_seconds: See there.
    """

    connect_seconds: float = 10.0
    silence_seconds: float = 60.0
    attempts: int = 5
    connect_attempts: int = 3
    backoff_seconds: float = 1.0
    backoff_most: float = 30.0
    retry_after_most: float = 120.0
    slow_bytes_per_second: float = 1024.0
    slow_seconds: float = 120.0
