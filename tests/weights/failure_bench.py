"""A bench on which faults of downloads are set up, and what a user then sees and finds on the disk.

    with Bench() as bench:
        bench.server.put(bench.path, status=404)
        seen = bench.fetch()
        print(seen.said, seen.code, seen.left)

The commands are the real ones. Only what differs from machine to machine is written as a placeholder: ``HOST``,
the first digits of a hash, the bench's own folder.
"""
from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.console import run
from pose_tools.weights.download import Limits, several
from pose_tools.weights.entries import WORK_FOLDER
from pose_tools.weights.hashes import SUMS

ROOT = Path(__file__).resolve().parents[2]
DATA = b"\x80\x02" + b"weights " * 375_000
SHA = hashlib.sha256(DATA).hexdigest()
NAME = f"net-{SHA[:8]}.pth"
MINE = b"what was here before"
CUT = 1_000_000
# Waits that a test can wait for; those of the command stand in the page.
SHORT = Limits(connect_seconds=2, silence_seconds=1, backoff_seconds=0.01, backoff_most=0.02, slow_seconds=1.5)
NOBODY = 65534
_COURSE = re.compile(r"fetching \S+( \(.*\))? from .*|\S+: [\d.]+ (bytes|MB), [\d.]+ s, .*/s")

WHOLE, PIECE, BEFORE, SHARED, OTHER = "whole", "piece", "before", "shared", "other"


@dataclass(frozen=True)
class Seen:
    """What a user sees and finds.

    Attributes:
        said: Lines on stderr, without those that a progress bar takes the place of.
        code: Exit code; -9 after a kill.
        left: For each file below checkpoint/ its path, what it is (a word of this module's), and its bytes.
    """

    said: tuple[str, ...]
    code: int
    left: tuple[tuple[str, str, int], ...]


@functools.cache
def script(path: str):
    """A script of the project as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    """A folder, a server, a catalog with one model called ``net``, and an environment without the machine's own."""

    def __enter__(self) -> Bench:
        self._ending = contextlib.ExitStack()
        self.folder = Path(self._ending.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.folder.chmod(0o755)
        self.patch = self._ending.enter_context(pytest.MonkeyPatch.context())
        without_network_settings(self.patch, self.folder / "home")
        self.patch.setenv("POSE_TOOLS_CHECKPOINTS", str(self.folder / "checkpoint"))
        self.patch.setattr(several, "Limits", lambda: SHORT)
        self.server = self.enter(BadServer())
        self.path = f"/{NAME}"
        self.target = self.folder / "checkpoint" / NAME
        self.catalog = self.folder / "my.yaml"
        self.write_catalog()
        return self

    def __exit__(self, *error) -> None:
        self._ending.close()

    def enter(self, manager):
        """Keeps something open as long as the bench."""
        return self._ending.enter_context(manager)

    def write_catalog(self, *sources: str, path: str = NAME, **facts) -> None:
        """Writes the catalog anew: by default the server is the source, and the hash is in the file's name."""
        sources = sources or (f"{self.server.url}/{path}",)
        fields = "".join(f", {key}: {value!r}" for key, value in facts.items())
        listed = ", ".join(f"'{source}'" for source in sources)
        self.catalog.write_text(f"net:\n  files: [{{path: {path}, sources: [{listed}]{fields}}}]\n", encoding="utf-8")
        self.target = self.folder / "checkpoint" / path

    def fetch(self, *words: str) -> Seen:
        """Calls ``python tools/download_weights.py net`` in this process."""
        return self.call("tools/download_weights.py", "net", "--catalog", str(self.catalog), *words)

    def call(self, path: str, *words: str) -> Seen:
        """Calls a script in this process."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run(script(path).main, list(words))
        return self.seen(said.getvalue(), code)

    def start(self) -> subprocess.Popen:
        """Starts the fetch as a process of its own, as patient as the command is by itself."""
        return subprocess.Popen([sys.executable, ROOT / "tools/download_weights.py", "net", "--catalog", self.catalog],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                preexec_fn=_with_ctrl_c)

    def seen(self, said: str, code: int) -> Seen:
        """What was seen, with placeholders, and what is left."""
        lines = [self._as_shown(line) for line in said.splitlines() if not _COURSE.fullmatch(line)]
        return Seen(tuple(lines), code, self.left())

    def _as_shown(self, line: str) -> str:
        line = line.replace(f"{self.folder}{os.sep}", "").replace(str(self.folder), ".")
        line = re.sub(r"127\.0\.0\.1(:\d+)?", "HOST", line)
        line = re.sub(r"\d+ bytes a second", "N bytes a second", line)
        line = re.sub(r"\d+ bytes of it are here", "N bytes of it are here", line)
        return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1…", line)

    def left(self) -> tuple[tuple[str, str, int], ...]:
        """What is below checkpoint/, without the notes beside a part; something shared, with all in it, is one."""
        top, found = self.folder / "checkpoint", {}
        for path in sorted(top.rglob("*")):
            shared = re.match(rf"{WORK_FOLDER}/shared-", path.relative_to(top).as_posix())
            if shared:
                found[shared[0] + "…"] = (SHARED, 0)
            elif path.is_file() and not (path.suffix == ".json" and path.with_suffix(".part").is_file()):
                found[path.relative_to(top).as_posix()] = _kind(path)
        models_first = sorted(found.items(), key=lambda item: item[0] == SUMS)
        return tuple((path, *what) for path, what in models_first)

    def until_stalled(self) -> None:
        """Waits until a download has all the bytes that the server sends before it stalls."""
        part = self.folder / "checkpoint" / WORK_FOLDER / f"{NAME}.part"
        until(lambda: part.is_file() and part.stat().st_size == CUT)

    def end_stall(self) -> None:
        """Lets the server break the connections that it keeps waiting."""
        self.server.stop.set()
        self.server.stop.clear()

    @contextlib.contextmanager
    def without_rights(self):
        """Takes the right to write from checkpoint/; a superuser, who has it everywhere, becomes nobody."""
        folder = self.folder / "checkpoint"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o555)
        is_superuser = os.geteuid() == 0
        try:
            if is_superuser:
                os.seteuid(NOBODY)
            yield
        finally:
            if is_superuser:
                os.seteuid(0)
            folder.chmod(0o755)


def _with_ctrl_c() -> None:
    # What is started in the background inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _kind(path: Path) -> tuple[str, int]:
    data = path.read_bytes()
    for kind, is_so in ((WHOLE, data == DATA), (BEFORE, data == MINE), (PIECE, data and DATA.startswith(data))):
        if is_so:
            return kind, len(data)
    return OTHER, len(data)


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something that another process does."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


_CA = """[ca]
default_ca=a
[a]
database=index.txt
new_certs_dir=.
rand_serial=yes
default_md=sha256
policy=p
copy_extensions=copy
[p]
commonName=supplied
"""


def certificate(folder: Path, host: str = "IP:127.0.0.1", until_year: int = 2049) -> tuple[Path, Path]:
    """A certificate that nobody but itself vouches for, and its key."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    (folder / "index.txt").touch()
    (folder / "ca.cnf").write_text(_CA)
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-addext", f"subjectAltName={host}",
            "-keyout", "server.key", "-out", "server.csr")
    openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-selfsign", "-keyfile", "server.key", "-in", "server.csr",
            "-startdate", "20200101000000Z", "-enddate", f"{until_year}0101000000Z", "-out", "server.pem")
    return folder / "server.pem", folder / "server.key"
