"""A Hugging Face hub on this machine, as far as huggingface_hub needs one to make a repository and commit files.

    with FakeHub({"a-token": "bob"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        ...
        hub.repositories["bob/cars"].files["README.md"]

Large files come by git-lfs (batch, PUT, verify), small ones in the commit. What was committed is served at
``/USER/REPO/resolve/REVISION/PATH``, large files by a redirect with ``X-Linked-Etag``.
"""
from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import yaml


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    private: bool = False
    files: dict = field(default_factory=dict)  # path -> bytes
    large: set = field(default_factory=set)
    commits: list = field(default_factory=list)  # (message, paths)


def commit_of(repository):
    return hashlib.sha1(repr(repository.commits).encode()).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        hub, self.path = self.server.owner, unquote(self.path)
        path = urlsplit(self.path).path
        self.body = self.read_body()
        hub.asked.append(f"{self.command} {path}")
        for pattern, status in hub.broken.items():
            if re.search(pattern, f"{self.command} {path}"):
                return self.answer(status, {"error": f"the hub says {status}"})
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in hub.tokens:
            return self.answer(401, {"error": "Invalid"},
                               {"X-Error-Message": "Invalid credentials in Authorization header"})
        self.user = hub.tokens.get(token)
        for pattern, method in ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                return method(self, hub, *found.groups())
        return self.answer(404, {"error": "no such route"})

    do_GET = do_HEAD = do_POST = do_PUT = do

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, content=None, headers=None, data=None):
        data = json.dumps(content).encode() if data is None else data
        self.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def seen(self, hub, name):
        """The repository, where the token may see it; else the hub's answer to whoever may not."""
        repository = hub.repositories.get(name)
        if repository is None or (repository.private and self.user != name.split("/")[0]):
            self.answer(401 if self.user is None else 404, {"error": "Repository not found"},
                        {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def writable(self, hub, name):
        repository = self.seen(hub, name)
        if repository is not None and self.user != name.split("/")[0]:
            self.answer(403, {"error": "You don't have the rights"})
            return None
        return repository

    def create(self, hub):
        wanted = json.loads(self.body)
        name = f"{wanted['organization'] or self.user}/{wanted['name']}"
        if self.user is None or self.user != name.split("/")[0]:
            return self.answer(403, {"error": "You don't have the rights to create a model under this namespace"})
        if name in hub.repositories:
            return self.answer(409, {"error": "You already created this model repo", "url": f"{hub.url}/{name}"})
        hub.repositories[name] = Repository(wanted.get("visibility") == "private" or bool(wanted.get("private")))
        return self.answer(200, {"url": f"{hub.url}/{name}", "name": name})

    def info(self, hub, name, revision=None):
        if (repository := self.seen(hub, name)) is None:
            return None
        if revision not in (None, "main", commit_of(repository)):
            return self.answer(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": path, "size": len(data), "blobId": git_hash(data), **(
            {"lfs": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}}
            if path in repository.large else {})} for path, data in repository.files.items()]
        return self.answer(200, {"id": name, "private": repository.private, "sha": commit_of(repository),
                                 "siblings": siblings})

    def validate(self, hub):
        header = re.match(r"---\n(.*?)\n---\n", json.loads(self.body)["content"], re.DOTALL)
        good = header and isinstance(yaml.safe_load(header[1]), dict)
        errors = [] if good else [{"message": "there is no metadata"}]
        return self.answer(200 if good else 400, {"warnings": [], "errors": errors})

    def preupload(self, hub, name):
        if (repository := self.writable(hub, name)) is None:
            return None
        files = []
        for each in json.loads(self.body)["files"]:
            is_large = b"\0" in base64.b64decode(each["sample"])
            known = repository.files.get(each["path"])
            is_known_large = each["path"] in repository.large
            oid = None if known is None else hashlib.sha256(known).hexdigest() if is_known_large else git_hash(known)
            files.append({"path": each["path"], "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False,
                          "oid": oid})
        return self.answer(200, {"files": files})

    def batch(self, hub, name):
        if self.writable(hub, name) is None:
            return None
        objects = []
        for each in json.loads(self.body)["objects"]:
            actions = {} if each["oid"] in hub.stored else {"actions": {
                "upload": {"href": f"{hub.url}/store/{each['oid']}"}, "verify": {"href": f"{hub.url}/verify"}}}
            objects.append({**each, **actions})
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def store(self, hub, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self.answer(400, {"error": "not these bytes"})
        hub.stored[oid] = self.body
        return self.answer(200, {})

    def verify(self, hub):
        wanted = json.loads(self.body)
        return self.answer(200 if len(hub.stored.get(wanted["oid"], b"")) == wanted["size"] else 404, {})

    def commit(self, hub, name):
        if (repository := self.writable(hub, name)) is None:
            return None
        message, paths = "", []
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                message = value["summary"]
                continue
            paths.append(value["path"])
            if item["key"] == "lfsFile":
                repository.files[value["path"]] = hub.stored[value["oid"]]
                repository.large.add(value["path"])
            else:
                repository.files[value["path"]] = base64.b64decode(value["content"])
                repository.large.discard(value["path"])
        repository.commits.append((message, sorted(paths)))
        oid = commit_of(repository)
        return self.answer(200, {"commitUrl": f"{hub.url}/{name}/commit/{oid}", "commitOid": oid})

    def resolve(self, hub, name, _revision, path):
        if (repository := self.seen(hub, name)) is None:
            return None
        if path not in repository.files:
            return self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        data = repository.files[path]
        digest = hashlib.sha256(data).hexdigest()
        if path in repository.large:
            return self.answer(302, {}, {"Location": f"{hub.other_host}/cdn/{digest}", "X-Linked-Etag": f'"{digest}"',
                                         "X-Linked-Size": str(len(data)), "X-Repo-Commit": "0" * 40})
        return self.answer(200, data=data, headers={"ETag": f'"{git_hash(data)}"', "X-Repo-Commit": "0" * 40,
                                                    "Content-Type": "application/octet-stream"})

    def cdn(self, hub, oid):
        if self.headers.get("Authorization"):
            hub.leaked.append(self.headers["Authorization"])
        data = hub.stored[oid]
        return self.answer(200, data=data, headers={"ETag": f'"{oid}"', "Content-Type": "application/octet-stream"})


_NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    (r"POST /api/repos/create", _Handler.create), (rf"GET /api/models/{_NAME}(?:/revision/(\w+))?", _Handler.info),
    (r"POST /api/validate-yaml", _Handler.validate), (rf"POST /api/models/{_NAME}/preupload/main", _Handler.preupload),
    (rf"POST /{_NAME}\.git/info/lfs/objects/batch", _Handler.batch), (r"PUT /store/(\w+)", _Handler.store),
    (r"POST /verify", _Handler.verify), (rf"POST /api/models/{_NAME}/commit/main", _Handler.commit),
    (rf"(?:GET|HEAD) /{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve), (r"(?:GET|HEAD) /cdn/(\w+)", _Handler.cdn),
)


class FakeHub:
    """Args: tokens: Names of users by token."""

    def __init__(self, tokens):
        self.tokens, self.repositories, self.stored = tokens, {}, {}
        self.asked, self.leaked = [], []
        self.broken = {}  # regular expressions of "METHOD /path", and the status they are answered with

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.owner = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.other_host = self.url.replace("127.0.0.1", "localhost")  # which must not see a token
        threading.Thread(target=self.server.serve_forever, args=(0.01, ), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
