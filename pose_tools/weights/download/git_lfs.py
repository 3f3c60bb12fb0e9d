"""Git LFS: what to do where a repository holds a pointer instead of the file.

The pointer names the file's SHA-256 and size (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md); the
server says where the file is (docs/api/batch.md there). The ``git lfs`` command is not needed.
"""
from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from pose_tools.weights.addresses import is_address
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.pace import Pace, TryAgain, retry_after
from pose_tools.weights.download.parts import Part
from pose_tools.weights.download.place import receive_from_folder
from pose_tools.weights.download.pour import check_size
from pose_tools.weights.download.session import REDIRECTS, is_permanent, open_session, reason_of
from pose_tools.weights.download.transfer import OnBytes, receive
from pose_tools.weights.entries import ModelFile, Source

if TYPE_CHECKING:
    import requests

    from pose_tools.weights.download.git_command import BareRepository

_LONGEST_POINTER = 1024  # by the specification
_LONGEST_ANSWER = 1 << 20
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\r?\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\r?\n"
                      rb"size (\d+)\r?\n")
_SSH = re.compile(r"(?:ssh://)?(?:[^@/]+@)?([\w.-]+)(?::\d+(?=/))?[:/](.+)")
_JSON = "application/vnd.git-lfs+json"


class Pointer(NamedTuple):
    """What stands in a repository for a file.

    Attributes:
        sha256: 64 hex digits.
        size: Bytes.
    """

    sha256: str
    size: int


def pointer_of(repository: BareRepository, blob: str, size: int) -> Optional[Pointer]:
    """Reads a file of a repository as a pointer.

    Args:
        repository: Where it is.
        blob: Its object name.
        size: Its bytes.

    Returns:
        The pointer, or ``None`` where it is a file like any other.
    """
    if size >= _LONGEST_POINTER:
        return None
    found = _POINTER.match(repository.ask("cat-file", "blob", blob))
    return Pointer(found[1].decode("ascii"), int(found[2])) if found else None


def receive_from_lfs(pointer: Pointer, remote: str, part: Part, file: ModelFile, limits: Limits,
                     on_bytes: OnBytes) -> None:
    """Receives the file a pointer stands for.

    Args:
        pointer: From the repository.
        remote: The repository's address, as git takes it.
        part: Where the bytes go; open and locked.
        file: What is wanted.
        limits: How patient to be.
        on_bytes: Called with the bytes so far and the total.

    Raises:
        SourceFailed: The pointer is of another file, or the server does not give it.
    """
    if not pointer.sha256.startswith(file.sha256 or ""):
        raise SourceFailed(f"the file there has the SHA-256 {pointer.sha256} and should have {file.sha256}")
    check_size(pointer.size, file)
    exact = replace(file, sha256=pointer.sha256, size=pointer.size)
    server = _server_of(remote)
    if is_address(server):
        receive(_ask_where(server, pointer, limits, part, on_bytes), part, exact, limits, on_bytes)
    else:
        receive_from_folder(_in_folder(Path(server), pointer), part, exact, limits, on_bytes)


def _server_of(remote: str) -> str:
    """Finds the LFS server of a repository (docs/api/server-discovery.md), or the folder it is in on this machine."""
    if remote.startswith("file://"):
        return url2pathname(urlsplit(remote).path)
    if not is_address(remote):
        if Path(remote).is_dir():
            return remote
        found = _SSH.fullmatch(remote)
        remote = f"https://{found[1]}/{found[2].lstrip('/')}" if found else remote
    remote = remote.rstrip("/")
    return f"{remote}{'' if remote.endswith('.git') else '.git'}/info/lfs"


def _in_folder(repository: Path, pointer: Pointer) -> Source:
    inside = Path("lfs/objects", pointer.sha256[:2], pointer.sha256[2:4], pointer.sha256)
    places = [repository / inside, repository / ".git" / inside]
    return Source("file", str(next((place for place in places if place.is_file()), places[0])))


def _ask_where(server: str, pointer: Pointer, limits: Limits, part: Part, on_bytes: OnBytes) -> str:
    """Asks the batch API for the address of a file."""
    pace = Pace(limits, part.size)
    with open_session() as session:
        while True:
            try:
                return _address_in(_batch(session, f"{server}/objects/batch", pointer, limits), pointer)
            except TryAgain as again:
                pace.wait(again, lambda: on_bytes(part.size, pointer.size))


def _batch(session: requests.Session, address: str, pointer: Pointer, limits: Limits) -> Any:
    wish = {"operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": pointer.sha256, "size": pointer.size}]}
    try:
        for _ in range(REDIRECTS):
            # requests would follow a redirect with a GET.
            with session.post(address, data=json.dumps(wish), allow_redirects=False, stream=True,
                              timeout=(limits.connect_seconds, limits.silence_seconds),
                              headers={"Accept": _JSON, "Content-Type": _JSON}) as response:
                if not response.is_redirect:
                    _refuse_status(response)
                    return json.loads(response.raw.read(_LONGEST_ANSWER, decode_content=True))
                address = urljoin(address, response.headers["Location"])
        raise SourceFailed(f"its Git LFS server redirects more than {REDIRECTS} times")
    except ValueError as error:
        raise SourceFailed("its Git LFS server answered with something else than JSON") from error
    except OSError as error:
        if is_permanent(error):
            raise SourceFailed(reason_of(error)) from error
        raise TryAgain(reason_of(error)) from error


def _refuse_status(response: requests.Response) -> None:
    status = response.status_code
    reason = f"its Git LFS server answered {status}"
    if status in (408, 425, 429) or status >= 500:
        raise TryAgain(reason, retry_after(response.headers.get("Retry-After")))
    if status in (401, 403):
        raise SourceFailed("its Git LFS server wants a login")
    if status != 200:
        raise SourceFailed(reason)


def _address_in(answer: Any, pointer: Pointer) -> str:
    try:
        found = next(each for each in answer["objects"] if each["oid"] == pointer.sha256)
        if "error" in found:
            raise SourceFailed(f"its Git LFS server does not have the file: {found['error']['message']}")
        action = found["actions"]["download"]
        address, headers = action["href"], action.get("header") or {}
    except (KeyError, TypeError, StopIteration, AttributeError):
        raise SourceFailed("its Git LFS server gives no address for the file") from None
    if not isinstance(address, str) or not is_address(address):
        raise SourceFailed("its Git LFS server gives no address for the file")
    if any(str(name).lower() == "authorization" for name in headers):
        raise SourceFailed("its Git LFS server wants a login")
    return address
