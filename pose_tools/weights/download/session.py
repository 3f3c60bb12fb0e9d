"""Connections: certificates, proxies, redirects, and what their errors mean in a few words."""
from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Optional
from urllib.parse import urljoin, urlsplit

from pose_tools.weights.addresses import is_encrypted_or_local, refusal_of
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits

if TYPE_CHECKING:
    import requests

REDIRECTS = 10


def open_session() -> requests.Session:
    """Opens a session; its proxies and certificate authorities are those of the environment.

    requests reads ``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE`` and so on by itself; OpenSSL's
    ``SSL_CERT_FILE``, which it does not read, counts where those are not set. Nothing skips certificates.
    """
    import requests

    session = requests.Session()
    session.max_redirects = REDIRECTS
    if not os.environ.get("REQUESTS_CA_BUNDLE") and not os.environ.get("CURL_CA_BUNDLE"):
        session.verify = os.environ.get("SSL_CERT_FILE") or True
    return session


def ask(session: requests.Session, address: str, headers: dict[str, str], limits: Limits, sha256: Optional[str],
        token: Optional[str] = None) -> requests.Response:
    """Asks for a file and reads the head of the answer.

    Args:
        session: From :func:`open_session`.
        address: Where.
        headers: Besides those that every request has.
        limits: How long to wait.
        sha256: What is known of the file, which decides whether plain http will do, here and after redirects.
        token: For the host of the address alone; requests drops it where a redirect leads elsewhere.

    Returns:
        The answer after redirects, its body still to be read.

    Raises:
        SourceFailed: The address, or one it redirects to, may not be asked.
        requests.RequestException: No connection or no answer; :func:`reason_of` says why.
    """
    _refuse(address, sha256)

    def at_redirect(response: requests.Response, **_: object) -> None:
        if response.is_redirect:
            _refuse(response.headers["Location"], sha256, response.url)
            response.close()  # requests would read its body, however long, before it goes on

    return session.get(address, stream=True, timeout=(limits.connect_seconds, limits.silence_seconds),
                       headers={"Accept-Encoding": "identity", **headers}, hooks={"response": at_redirect},
                       auth=_Bearer(token) if token and is_encrypted_or_local(address) else None)


class _Bearer:
    """Sends a token; given as ``auth``, because requests lets ``.netrc`` overwrite a mere header."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def _refuse(address: str, sha256: Optional[str], base: str = "") -> None:
    try:
        refusal = refusal_of(urljoin(base, address), sha256)
    except ValueError as error:
        raise SourceFailed(f"{address} is no address: {error}") from error
    if refusal:
        raise SourceFailed(f"it redirects to {urljoin(base, address)}, which {refusal}" if base else refusal)


def reason_of(error: Exception) -> str:
    """Says in a few words why there is no answer; the libraries' own texts run over several lines.

    Args:
        error: Of requests, of urllib3 below it, or of the system.
    """
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.exceptions.SSLError):
        return _ssl_reason(str(error))
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy wants a name and a password" if "407" in str(error) else "the proxy did not answer"
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return f"it redirects more than {REDIRECTS} times"
    if isinstance(error, (requests.Timeout, ReadTimeoutError)) or "Read timed out" in str(error):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return _connection_reason(error)
    if isinstance(error, requests.RequestException):
        return f"{type(error).__name__}: {error}"
    if type(error) is OSError and error.strerror is None:
        # requests: a certificate bundle of the environment that is not there.
        return f"{error} (see SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE)"
    return "the connection broke off"


# OpenSSL's and Python's words for what is wrong with a certificate.
_CERTIFICATE = (("expired", "has expired"), ("self-signed", "is self-signed"), ("self signed", "is self-signed"),
                ("doesn't match", "is another host's"), ("not valid for", "is another host's"),
                ("mismatch", "is another host's"), ("unable to get local issuer", "is of an unknown issuer"))


def _ssl_reason(text: str) -> str:
    for mark, reason in _CERTIFICATE:
        if mark in text:
            return f"the server's certificate {reason}"
    return "the server's certificate is not valid" if "CERTIFICATE" in text else "no encrypted connection can be made"


def _connection_reason(error: Exception) -> str:
    text = str(error)
    host = urlsplit(getattr(getattr(error, "request", None), "url", "") or "").hostname or "the host"
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return f"{host} is not known here"
    if "refused" in text:
        return f"{host} refuses connections"
    if "unreachable" in text or "No route" in text:
        return f"{host} cannot be reached"
    return "the connection broke off"


def is_unconnected(error: Exception) -> bool:
    """Tells errors before there was a connection: no such host, nobody there, no network."""
    import requests

    return isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError) and bool(re.search("NewConnection|NameResolution", repr(error))))


def is_permanent(error: Exception) -> bool:
    """Tells errors that another attempt will not change: certificates, redirects, addresses, settings."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE" in str(error) or "doesn't match" in str(error)
    lasting = (requests.TooManyRedirects, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema,
               requests.exceptions.MissingSchema, requests.exceptions.InvalidHeader)
    return isinstance(error, lasting) or (type(error) is OSError and error.strerror is None)
