"""Finding model files: in ``checkpoint/`` first, on the network when they are not there.

Official and our own file names carry the first eight hex digits of the file's SHA-256; a file whose contents
do not match its name is never handed out. A download has its final name only when it is whole and checked.
"""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

from pose_tools.console import UserError, progress
from pose_tools.console.atomic import temporary_beside, to_disk

if TYPE_CHECKING:
    import requests

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoint"
CONNECT_SECONDS, SILENCE_SECONDS = 10, 60
CHUNK_BYTES = 1 << 20

# rtmdet_..._20220902_112414-78e30dcc.pth, rtmpose-...-fcb2599b_20230126.pth, X-<sha8>_<date>.pth
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:_\d{8}(?:_\d{6})?)?\.(?:pth|pt|onnx|safetensors)$")


def is_address(text: str | Path) -> bool:
    """Tells an http(s) address from a path."""
    return str(text).lower().startswith(("http://", "https://"))


def hash_in_name(name: str) -> str | None:
    """Finds the leading hex digits of the SHA-256 that a file name carries.

    Args:
        name: A file name without folders.

    Returns:
        8 to 64 lower-case hex digits, or ``None``; eight digits that make a date are taken for a date.
    """
    found = _HASH_IN_NAME.search(name)
    if not found:
        return None
    digits = found[1]
    with contextlib.suppress(ValueError):
        datetime.datetime.strptime(digits, "%Y%m%d")
        return None
    return digits


def name_of_address(address: str) -> str:
    """Gives the file name at the end of an address, without query.

    Raises:
        UserError: The address has none that could be used on this machine.
    """
    name = unquote(urlsplit(address).path).rsplit("/", 1)[-1]
    if name in ("", ".", "..") or re.search(r"[\\:\x00-\x1f]", name):
        raise UserError(f"{address}: does not end in a file name")
    return name


def sha256_of(file: str | Path) -> str:
    """Computes the SHA-256 of a file as 64 hex digits."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        while block := opened.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def resolve_weights(address_or_path: str | Path, folder: str | Path = CHECKPOINTS) -> Path:
    """Turns a path or an address into a file on this machine.

    Args:
        address_or_path: A local file, or an http(s) address.
        folder: Where files from the network are looked for and put.

    Returns:
        The file: the path itself; for an address ``folder/NAME``, without touching the network when it is
        there and agrees with the hash in its name.

    Raises:
        UserError: There is no such file; or it cannot be downloaded, in one line that says where to put it;
            or it is not what its name says, and then it lies aside as ``NAME.suspect``.
    """
    if not is_address(address_or_path):
        file = Path(address_or_path).expanduser()
        if not file.is_file():
            raise UserError(f"{file}: no such file")
        return file
    address = str(address_or_path)
    target = Path(folder) / name_of_address(address)
    if target.is_file():
        _check_hash(target, target, f"remove or replace it; it comes from {address}")
        return target
    return _download(address, target)


def _check_hash(file: Path, target: Path, advice: str) -> None:
    """Compares a file with the hash in its final name, and sets it aside when they differ."""
    wanted = hash_in_name(target.name)
    if wanted is None:
        return
    found = sha256_of(file)
    if found.startswith(wanted):
        return
    suspect = target.with_name(target.name + ".suspect")
    os.replace(file, suspect)
    raise UserError(f"{target}: its SHA-256 should start with {wanted} and is {found}; "
                    f"the file was set aside as {suspect.name}; {advice}")


def _check_source(address: str, name: str) -> None:
    """Refuses unencrypted sources of files that could not be checked; this machine's own are all right."""
    parts = urlsplit(address)
    if parts.scheme.lower() == "https" or hash_in_name(name):
        return
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host == "localhost":
        return
    raise UserError(f"{address}: http without encryption, and no hash in the name to check the file by; "
                    "use an https address or download it yourself")


def _download(address: str, target: Path) -> Path:
    """Downloads to a temporary file beside the target, checks it and renames it."""
    import requests

    _check_source(address, target.name)
    try:
        with temporary_beside(target) as (temporary, file):
            _receive(address, target.name, file)
            file.close()  # Windows renames no open file
            _check_hash(temporary, target, "the server did not send the file of that name; try again later")
            os.replace(temporary, target)
    except (requests.RequestException, OSError) as error:
        raise UserError(
            f"cannot download {target.name} ({_reason(error)}); put the file from {address} at {target}, "
            "or go on without pretrained weights: --no-pretrained") from error
    return target


def _receive(address: str, name: str, file: BinaryIO) -> None:
    """Writes what the server sends.

    Raises:
        requests.RequestException: No connection, an error status, silence, or fewer bytes than announced.
        UserError: It redirects to a source that :func:`_check_source` refuses, or sends a web page.
    """
    import requests

    # Certificates are checked; proxies and further CAs come from the environment (HTTPS_PROXY, ...).
    def check_redirect(response: requests.Response, **_: object) -> None:
        if response.is_redirect:
            _check_source(urljoin(response.url, response.headers["Location"]), name)

    with requests.get(address, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
                      headers={"Accept-Encoding": "identity"},
                      hooks={"response": check_redirect}) as response:
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise UserError(f"cannot download {name}: {response.url} is a web page, not a file")
        announced = int(response.headers.get("Content-Length") or 0)
        received = 0
        for block in _blocks(response, name, announced):
            file.write(block)
            received += len(block)
        if announced and received != announced:
            raise requests.ConnectionError(f"{received} of {announced} bytes came")
        to_disk(file)


def _blocks(response: requests.Response, name: str, announced: int) -> Iterator[bytes]:
    blocks = response.iter_content(CHUNK_BYTES)
    total = -(-announced // CHUNK_BYTES) or None
    yield from progress(blocks, f"{name} (MiB)", total=total)


def _reason(error: Exception) -> str:
    """Says in a few words what went wrong; requests' own texts run over several lines."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not valid"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not answer"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        text = str(error)
        if "bytes came" in text:
            return text
        return "the connection broke off" if "Read timed out" not in text else "no answer in time"
    if isinstance(error, requests.RequestException):
        return type(error).__name__
    return getattr(error, "strerror", None) or str(error)
