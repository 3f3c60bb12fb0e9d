"""A server on this machine that misbehaves in every way that costs people days; a proxy; a hub.

    with BadServer() as server:
        server.put("/x.pth", data, cut_at=1000)            # the first answer; the last one given stays
        server.put("/x.pth", data)
        download([... server.url + "/x.pth" ...])
        print(server.asked("/x.pth"), server.sent)

``put`` queues answers of a path. What an :class:`Answer` can do wrong stands at its fields.
"""
from __future__ import annotations

import contextlib
import hashlib
import http.server
import re
import select
import socket
import ssl
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urlsplit

BLOCK = 64 * 1024


@dataclass
class Answer:
    data: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)   # replace those that would be sent
    content_type: str = "application/octet-stream"
    etag: Optional[str] = None                    # by default, of the data; "" sends none
    last_modified: str = "Sat, 01 Jan 2022 00:00:00 GMT"
    location: Optional[str] = None                # redirects
    ranges: bool = True                           # False: answers 200 with everything
    if_range: bool = True                         # False: sends a range of another version all the same
    unasked_start: Optional[int] = None           # sends the rest from here on, whatever was asked for
    content_range: Optional[str] = None           # what a 206 says instead of the truth
    announce: Optional[int] = None                # a lie about the length
    unsized: bool = False                         # says no length; the end of the connection is the end
    chunked: bool = False                         # says no length; chunks end by themselves
    cut_at: Optional[int] = None                  # bytes of the body, then the connection ends
    stall_at: Optional[int] = None                # bytes of the body, then silence
    pause: float = 0.0                            # seconds before anything is said
    bytes_per_second: Optional[float] = None

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"' if self.etag is None else self.etag


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        path = unquote(urlsplit(self.path).path)
        server = self.server.owner
        answer = server.take(path, dict(self.headers))
        if answer is None:
            return self.send_error(404)
        if server.stop.wait(answer.pause):
            return None
        with contextlib.suppress(OSError):  # who asked may have gone
            if answer.location is not None or answer.status >= 400:
                self._short(answer)
            else:
                self._file(answer, path)
        return None

    def _short(self, answer):
        self.send_response(302 if answer.location is not None and answer.status == 200 else answer.status)
        fields = {"Content-Length": str(len(answer.data)), "Content-Type": answer.content_type}
        if answer.location is not None:
            fields["Location"] = answer.location
        self._fields({**fields, **answer.headers})
        self.wfile.write(answer.data)
        if answer.stall_at is not None:
            self.server.owner.stop.wait(60)

    def _fields(self, fields):
        for name, value in {**fields, "Connection": "close"}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _start(self, answer):
        """The first byte to send as a range; None where everything is sent."""
        if answer.unasked_start is not None:
            return answer.unasked_start
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        is_same = condition is None or condition in (answer.tag, answer.last_modified) or not answer.if_range
        return int(found[1]) if found and answer.ranges and is_same else None

    def _file(self, answer, path):
        start, size = self._start(answer), len(answer.data)
        fields = {"Content-Type": answer.content_type, "ETag": answer.tag or None,
                  "Last-Modified": answer.last_modified or None}
        if start is not None and start >= size:
            self.send_response(416)
            return self._fields({**fields, "Content-Range": f"bytes */{size}", "Content-Length": "0"})
        self.send_response(200 if start is None else 206)
        if start is not None:
            fields["Content-Range"] = answer.content_range or f"bytes {start}-{size - 1}/{size}"
        body = answer.data[start or 0:]
        if answer.chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif not answer.unsized:
            fields["Content-Length"] = str(len(body) if answer.announce is None else answer.announce)
        self._fields({**fields, **answer.headers})
        return self._body(answer, memoryview(body), path)

    def _body(self, answer, body, path):
        ends = [end for end in (answer.cut_at, answer.stall_at) if end is not None]
        body = body[:min(ends)] if ends else body
        speed = answer.bytes_per_second
        step = max(1, min(BLOCK, int(speed / 100))) if speed else BLOCK
        began, done = time.monotonic(), 0
        while done < len(body) and not self.server.owner.stop.is_set():
            block = body[done:done + step]
            self.server.owner.count(path, len(block))  # before: who has received all may ask at once
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if answer.chunked else block)
            done += len(block)
            if speed:
                time.sleep(max(0.0, began + done / speed - time.monotonic()))
        if answer.stall_at is not None:
            self.server.owner.stop.wait(60)
        elif answer.chunked and answer.cut_at is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class BadServer:
    """Listens on 127.0.0.1; with a certificate and its key (files) by https."""

    def __init__(self, certificate: Optional[Path] = None, key: Optional[Path] = None):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.requests = []  # (path, headers)
        self.stop = threading.Event()
        self._answers = defaultdict(list)
        self._sent = defaultdict(int)
        self._lock = threading.Lock()

    def put(self, path: str, data: bytes = b"", **behaviour) -> str:
        """Queues an answer; gives the address."""
        with self._lock:
            self._answers[path].append(Answer(data, **behaviour))
        return self.url + path

    def put_folder(self, folder: Path, below: str = "/") -> None:
        """Answers with the files of a folder, as a plain server would."""
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                self.put(below + file.relative_to(folder).as_posix(), file.read_bytes())

    def put_hub(self, repository: str, path: str, data: bytes, cdn: BadServer, revision: str = "main",
                linked: Optional[str] = None, **behaviour) -> None:
        """Behaves as the hub does for a large file: says its SHA-256 and sends on to another host."""
        digest = linked or hashlib.sha256(data).hexdigest()
        cdn.put(f"/blobs/{digest}", data, **behaviour)
        self.put(f"/{repository}/resolve/{revision}/{path}", location=f"{cdn.url}/blobs/{digest}",
                 headers={"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))})

    def clear(self, path: str) -> None:
        """Forgets the answers of a path."""
        with self._lock:
            self._answers.pop(path, None)

    def take(self, path: str, headers: dict) -> Optional[Answer]:
        with self._lock:
            self.requests.append((path, headers))
            answers = self._answers.get(path)
            if not answers:
                return None
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def count(self, path: str, size: int) -> None:
        with self._lock:
            self._sent[path] += size

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(self._sent.values())

    def asked(self, path: Optional[str] = None) -> list:
        """The headers of the requests so far, of one path or of all."""
        return [headers for asked, headers in self.requests if path in (None, asked)]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    """Passes on what it is asked, by GET for http and by CONNECT for https."""

    def do_GET(self):
        self.server.seen.append(("GET", self.path))
        parts = urlsplit(self.path)
        with socket.create_connection((parts.hostname, parts.port or 80)) as there:
            head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()
                           if not name.lower().startswith("proxy-") and name.lower() != "connection")
            there.sendall(f"GET {parts.path or '/'} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            while block := there.recv(BLOCK):
                self.wfile.write(block)

    def do_CONNECT(self):
        self.server.seen.append(("CONNECT", self.path))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            pairs = {self.connection: there, there: self.connection}
            while True:
                for one in select.select(list(pairs), [], [], 5)[0]:
                    block = one.recv(BLOCK)
                    if not block:
                        return
                    pairs[one].sendall(block)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def proxy():
    """A proxy; gives its address and the list of what it saw."""
    server = _Server(("127.0.0.1", 0), _ProxyHandler)
    server.seen = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.seen
    finally:
        server.shutdown()
        server.server_close()


NETWORK_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HF_ENDPOINT", "HF_TOKEN",
                     "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "POSE_TOOLS_OFFLINE", "POSE_TOOLS_MIRROR")


def without_network_settings(monkeypatch, home: Path) -> None:
    """Takes the machine's own proxies, certificates, tokens and mirrors out of a test's environment."""
    import os

    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in NETWORK_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "no-netrc"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(home / "no-token"))
