"""Receiving one file by http(s), however often the connection breaks.

Ranges, validators and their answers are those of RFC 9110 (sections 13.1.5 and 14). Bytes are taken as they
come from the connection and written at once, so that a kill loses next to nothing.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional

from pose_tools.weights.addresses import FULL_HASH
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.hub import hub_advice, linked_sha256
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.pace import Pace, TryAgain, retry_after
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.session import ask, is_permanent, is_unconnected, open_session, reason_of
from pose_tools.weights.download.space import in_mb
from pose_tools.weights.entries import ModelFile

if TYPE_CHECKING:
    import requests

__all__ = ["OnBytes", "SourceFailed", "receive"]

OnBytes = Callable[[int, Optional[int]], None]  # bytes so far, bytes of the whole where known

BLOCK_BYTES = 256 * 1024  # at most; a connection gives what it has
_TRY_AGAIN = (408, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")
_PAGES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True)
class _Wish:
    """What is asked for, all attempts alike."""

    address: str
    file: ModelFile
    limits: Limits
    token: Optional[str]
    guard: Optional[str]


def receive(source_url: str, part: Part, file: ModelFile, limits: Limits, on_bytes: OnBytes,
            token: Optional[str] = None, guard: Optional[str] = None,
            say: Callable[[str], None] = lambda line: None) -> None:
    """Receives a file, going on where the part ends if that is safe.

    What came is whole by the length that was announced; its hash is for the caller to compare.

    Args:
        source_url: An http(s) address.
        part: Open, and locked by the caller.
        file: Its size and SHA-256, as far as known, decide what is accepted and continued.
        limits: How patient to be.
        on_bytes: Called when the length is known, with every block, and while waiting; may raise to end it.
        token: For the hub; given, the source counts as the hub's even where it is empty.
        guard: A SHA-256 that will be compared in the end although it is not this file's (that of a file
            inside an archive); counts for plain http.
        say: Takes a line for the user before a long wait.

    Raises:
        SourceFailed: It cannot be had there. What came of it stays in the part where it may be continued.
        UserError: The disk does not take it.
    """
    wish = _Wish(source_url, file, limits, token, guard or file.sha256)
    pace = Pace(limits, part.size, say)
    with open_session() as session:
        while True:
            try:
                _attempt(session, wish, part, pace, on_bytes)
                return
            except TryAgain as again:
                pace.wait(again, lambda: on_bytes(part.size, _total(wish, part)))


def _total(wish: _Wish, part: Part) -> Optional[int]:
    return wish.file.size if wish.file.size is not None or part.notes is None else part.notes.total


def _attempt(session: requests.Session, wish: _Wish, part: Part, pace: Pace, on_bytes: OnBytes) -> None:
    from urllib3.exceptions import HTTPError

    offset, headers = _where_to_go_on(wish, part)
    if offset and offset == _total(wish, part):
        part.resumed = True
        return
    try:
        with ask(session, wish.address, headers, wish.limits, wish.guard, wish.token) as response:
            if _is_whole_already(response, offset, wish, part):
                return
            total = _accept(response, offset, wish, part)
            on_bytes(part.size, total)
            _receive_body(response, total, wish, part, pace, on_bytes)
    except (HTTPError, OSError) as error:  # requests' own are OSErrors
        if is_permanent(error):
            raise SourceFailed(reason_of(error)) from error
        raise TryAgain(reason_of(error), is_connected=not is_unconnected(error)) from error


def _where_to_go_on(wish: _Wish, part: Part) -> tuple[int, dict[str, str]]:
    """Gives the first byte to ask for and the headers that ask for it."""
    total = _total(wish, part)
    if not part.may_continue(wish.address, wish.file.sha256) or (total is not None and part.size > total):
        return 0, {}
    headers = {"Range": f"bytes={part.size}-"}
    if not _hash_will_tell(wish) and part.notes is not None:
        headers["If-Range"] = part.notes.validator
    return part.size, headers


def _hash_will_tell(wish: _Wish) -> bool:
    return len(wish.file.sha256 or "") == FULL_HASH


def _is_whole_already(response: requests.Response, offset: int, wish: _Wish, part: Part) -> bool:
    """Looks at the status; tells whether the server says that there is nothing left to send.

    Raises:
        TryAgain, SourceFailed: By what the status means.
    """
    status = response.status_code
    if status in (200, 206):
        return False
    if status == 416 and offset:
        length = _UNSATISFIED.fullmatch(response.headers.get("Content-Range", ""))
        if length and int(length[1]) == offset:
            part.resumed = True
            return True
        part.restart()
        raise TryAgain("the server has another version of the file", wait=0)
    reason = f"the server answered {status}"
    if status in _TRY_AGAIN or status >= 500:
        raise TryAgain(reason, retry_after(response.headers.get("Retry-After")))
    raise SourceFailed(reason + (hub_advice(response, bool(wish.token)) if wish.token is not None else ""))


def _accept(response: requests.Response, offset: int, wish: _Wish, part: Part) -> Optional[int]:
    """Reads the head of a file that is being sent, and makes the part ready for its body.

    Returns:
        Bytes of the whole file, where they are announced or known.
    """
    _refuse_other_contents(response, wish)
    known = wish.file.sha256 or ""
    linked = linked_sha256(response) if wish.token is not None else None
    if linked and not linked.startswith(known):
        raise SourceFailed(f"the hub has another file there: its SHA-256 is {linked}, not {known}")
    etag = response.headers.get("ETag", "")
    notes = Notes(wish.address, "" if etag.startswith("W/") else etag, response.headers.get("Last-Modified", ""),
                  None, known if len(known) == FULL_HASH else linked or known)
    if response.status_code == 206:
        total = _accept_range(response, offset, notes, wish, part)
        part.resumed = True
        return total
    total = _announced(response)
    if total == 0:
        raise SourceFailed("the file there is empty")
    _refuse_other_size(total, wish)
    if total is None and wish.file.size is None and not notes.sha256 and not _is_chunked(response):
        raise SourceFailed("it does not say how long the file is, and neither size nor SHA-256 is known")
    total = wish.file.size if total is None else total
    part.begin(Notes(notes.source, notes.etag, notes.last_modified, total, notes.sha256))
    return total


def _refuse_other_contents(response: requests.Response, wish: _Wish) -> None:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind in _PAGES and not wish.file.name.lower().endswith((".html", ".htm")):
        raise SourceFailed("it answered with a web page, not a file")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise SourceFailed(f"it sends the file compressed ({encoding}), which was not asked for")


def _refuse_other_size(total: Optional[int], wish: _Wish) -> None:
    size = wish.file.size
    if total is not None and size is not None and total != size:
        raise SourceFailed(f"it has another file there: of {total} bytes, not {size}")


def _accept_range(response: requests.Response, offset: int, notes: Notes, wish: _Wish, part: Part) -> Optional[int]:
    """Makes sure that the rest of the same version is coming; else the part is emptied for a new attempt."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not offset:
        raise SourceFailed("it sends a piece of the file where the whole was asked for")
    before = part.notes
    total = int(found[3]) if found and found[3] != "*" else None
    if total is not None:
        _refuse_other_size(total, wish)
    is_rest = found is not None and int(found[1]) == offset
    is_same = before is not None and (
        total is None or before.total is None or total == before.total) and (
        _hash_will_tell(wish) or not _differ(before, notes))
    if not is_rest or not is_same:
        part.restart()
        raise TryAgain("the server sent another piece than was asked for" if not is_rest else
                       "the file changed on the server", wait=0)
    return total if total is not None else _total(wish, part)


def _differ(before: Notes, now: Notes) -> bool:
    pairs = ((before.etag, now.etag), (before.sha256, now.sha256))
    if not (before.etag and now.etag):
        pairs += ((before.last_modified, now.last_modified),)
    return any(one and other and one != other for one, other in pairs)


def _is_chunked(response: requests.Response) -> bool:
    return "chunked" in response.headers.get("Transfer-Encoding", "").lower()


def _announced(response: requests.Response) -> Optional[int]:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not _is_chunked(response) else None


def _receive_body(response: requests.Response, total: Optional[int], wish: _Wish, part: Part, pace: Pace,
                  on_bytes: OnBytes) -> None:
    # Not iter_content: that waits until a block is full, on a slow line for minutes.
    while block := response.raw.read1(BLOCK_BYTES, decode_content=False):
        if total is not None and part.size + len(block) > total:
            part.restart()
            raise SourceFailed(f"it sends more than the {total} bytes of the file")
        part.write(block)
        on_bytes(part.size, total)
        pace.received(len(block), part.size)
    if total is not None and part.size < total:
        raise TryAgain(f"the connection broke off after {in_mb(part.size)} of {in_mb(total)}")
