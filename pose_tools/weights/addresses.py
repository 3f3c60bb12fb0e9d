"""Where files come from: addresses, and which of them may be trusted with what."""
from __future__ import annotations

import contextlib
import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pose_tools.console import UserError

FULL_HASH = 64  # hex digits of a SHA-256


def is_address(text: str | Path) -> bool:
    """Tells an http(s) address from a path."""
    return str(text).lower().startswith(("http://", "https://"))


def name_of_address(address: str) -> str:
    """Gives the file name at the end of an address, without query.

    Raises:
        UserError: The address has none that could be used on this machine.
    """
    name = unquote(urlsplit(address).path).rsplit("/", 1)[-1]
    if name in ("", ".", "..") or re.search(r"[\\:\x00-\x1f]", name):
        raise UserError(f"{address}: does not end in a file name")
    return name


def is_encrypted_or_local(address: str) -> bool:
    """Tells whether nobody between the server and this machine can change what an address sends."""
    parts = urlsplit(address)
    if parts.scheme.lower() == "https":
        return True
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def refusal_of(address: str, sha256: str | None) -> str | None:
    """Says why an address may not be asked for a file, as what follows the address; ``None`` where it may.

    Whoever sits between can exchange what comes by plain http, and can find a file for eight given hex
    digits in minutes; only a whole SHA-256 tells.

    Args:
        address: An http(s) address, of a source or of a redirect.
        sha256: What is known of the file's SHA-256: 8 to 64 hex digits, or nothing.
    """
    if is_encrypted_or_local(address) or (sha256 and len(sha256) == FULL_HASH):
        return None
    known = f"only {len(sha256)} digits of its SHA-256 are" if sha256 else "no SHA-256 is"
    return f"is http without encryption, and {known} known to check the file by"
