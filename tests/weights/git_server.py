"""Git repositories on this machine for tests: made by git, served over http(s) by git's own backend, badly if asked.

    origin = make_repository(tmp_path / "origin.git", {"a/x.pth": b"..."}, links={"a/link": "x.pth"})
    with GitServer(tmp_path) as server:
        server.status = [503]                       # the next answers
        print(server.url + "/origin.git", server.sent)
"""
from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

CLEAN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
         "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}


def git(*words, cwd=None, data=None):
    """Runs git for a test; gives what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *map(str, words)], cwd=cwd, input=data, check=True, capture_output=True,
                          env={**environment, **CLEAN}).stdout.decode().strip()


def make_repository(folder, files, links=(), submodules=(), branch="models", partial=True):
    """A bare repository with one commit: contents by path, link targets by path, names of submodules."""
    folder = Path(folder).absolute()
    if not folder.exists():
        git("init", "--quiet", "--bare", folder)
        if partial is not None:
            git("config", "uploadpack.allowFilter", "true" if partial else "false", cwd=folder)
    entries = [("100644", path, content) for path, content in files.items()]
    entries += [("120000", path, target.encode()) for path, target in dict(links).items()]
    index = {"GIT_INDEX_FILE": str(folder / "test-index")}
    lines = [f"{mode} {git('hash-object', '-w', '--stdin', cwd=folder, data=content)}\t{path}"
             for mode, path, content in entries]
    lines += [f"160000 {'1' * 40}\t{path}" for path in submodules]
    environment = {**os.environ, **CLEAN, **index}
    subprocess.run(["git", "update-index", "-z", "--index-info"], cwd=folder, env=environment, check=True,
                   input="".join(f"{line}\x00" for line in lines).encode())
    tree = subprocess.run(["git", "write-tree"], cwd=folder, env=environment, check=True,
                          capture_output=True).stdout.decode().strip()
    commit = git("commit-tree", tree, "-m", "models", cwd=folder)
    git("update-ref", f"refs/heads/{branch}", commit, cwd=folder)
    return folder


def pointer_to(content):
    """What Git LFS puts into a repository instead of a file."""
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body):
        owner = self.server.owner
        path = urlsplit(self.path).path
        owner.requests.append(f"{self.command} {path}")
        sent_with = self.headers.get("Authorization")
        login = "Basic " + base64.b64encode(owner.login.encode()).decode() if owner.login else None
        if login and sent_with != login:
            return self._plain(401, b"", {"WWW-Authenticate": 'Basic realm="t"'})
        if owner.status:
            status = owner.status.pop(0)
            if status != 200:
                return self._plain(status, b"no", {"Location": owner.location} if owner.location else {})
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if path in owner.files:
            return self._plain(200, owner.files[path])
        return self._backend(body)

    def _plain(self, status, data, headers=()):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.server.owner.sent += len(data)

    def _batch(self, wish):
        owner = self.server.owner
        owner.wishes.append(wish)
        if owner.batch is not None:
            return self._plain(200, owner.batch)
        objects = [{**each, "actions": {"download": {"href": f"{owner.url}/lfs/{each['oid']}"}}}
                   for each in wish["objects"]]
        return self._plain(200, json.dumps({"transfer": "basic", "objects": objects}).encode())

    def _backend(self, body):
        owner, parts = self.server.owner, urlsplit(self.path)
        environment = {**os.environ, **CLEAN, "GIT_PROJECT_ROOT": str(owner.folder), "GIT_HTTP_EXPORT_ALL": "1",
                       "PATH_INFO": parts.path, "QUERY_STRING": parts.query, "REQUEST_METHOD": self.command,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "REMOTE_ADDR": "127.0.0.1"}
        if owner.speaks_v2:
            environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        answer = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self._slowly(content)

    def _slowly(self, content):
        owner = self.server.owner
        step = owner.bytes_per_second // 20 if owner.bytes_per_second else 1 << 20 if owner.stall_at is None else 1000
        for start in range(0, len(content), step):
            if owner.stall_at is not None and owner.sent >= owner.stall_at:
                owner.stop.wait(30)
                return
            self.wfile.write(content[start:start + step])
            owner.sent += len(content[start:start + step])
            if owner.bytes_per_second:
                time.sleep(0.05)

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class GitServer:
    """Serves the repositories of a folder on 127.0.0.1, and Git LFS objects."""

    def __init__(self, folder, certificate=None, key=None):
        self.folder = Path(folder)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        self.requests, self.wishes, self.sent = [], [], 0
        self.files = {}                 # contents by path, for what git does not serve
        self.status = []                # of the next answers; 200 for a good one between them
        self.location = None            # where an answer of 3xx sends
        self.login = None               # "USER:PASSWORD" that is wanted
        self.batch = None               # what the LFS API answers instead of the truth
        self.bytes_per_second = None
        self.stall_at = None            # bytes of all answers, then silence
        self.speaks_v2 = True           # False: as servers before 2018
        self.stop = threading.Event()

    def put_lfs(self, content):
        self.files[f"/lfs/{hashlib.sha256(content).hexdigest()}"] = content

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
