"""Machines on which the lines of docs/models.md and docs/offline.md are run, with small files in place of the models.

The catalog is the shipped one with its hosts exchanged for servers on this machine and its files for small ones of
the same form, so names have other digits; they are put back into what is shown. A block of a page says by a comment
``# on MACHINE`` (or ``# in``) where it is run; each machine has a folder, a ``checkpoint/`` and its own variables.
"""
from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from download_server import NETWORK_VARIABLES, BadServer, without_network_settings
from failure_bench import ROOT, script
from test_catalog_rows import ROWS, Copy

from pose_tools.console import run
from pose_tools.weights.catalog import known

OFFICIAL = "https://download.openmmlab.com/"
SERVE = re.compile(r"cd checkpoint && python -m http\.server (\d+)")
COPY = re.compile(r"scp (\S+):project/(\S+) (\S+)")
# Folders of a page that are not below the machine's own: a disk that is carried about, a folder of an image.
ELSEWHERE = ("/media/stick", "/models")
# Fetching is what the pages are about; these are only looked at.
PARSED_ONLY = ("tools/train.py", "tools/test.py", "pose_tools/predict.py")
VARIABLES = (*NETWORK_VARIABLES, "POSE_TOOLS_CHECKPOINTS")


class World:
    """Some machines, the servers of the models, and one that serves a mirror under a name of its own."""

    def __enter__(self) -> World:
        self._ending = contextlib.ExitStack()
        self.folder = Path(self._ending.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.patch = self._ending.enter_context(pytest.MonkeyPatch.context())
        without_network_settings(self.patch, self.folder / "home")
        self.server, self.cdn, self.mirror = (self._ending.enter_context(BadServer()) for _ in range(3))
        self.mirror_port = None
        self.variables = defaultdict(dict)
        self.patch.setattr(socket, "getaddrinfo", self._resolver(socket.getaddrinfo))
        self._make_models()
        (self.folder / "elsewhere/media/stick").mkdir(parents=True)
        return self

    def __exit__(self, *error) -> None:
        self._ending.close()

    def _make_models(self) -> None:
        rows, self.names = {}, {}
        for name, row in ROWS.items():
            folder = self.folder / "rows" / name
            folder.mkdir(parents=True)
            copy = Copy(name, row, self.server, self.cdn, folder)
            copy.serve(0)
            rows[name] = copy.row
            self.names.update({old["path"]: new["path"] for old, new in zip(row["files"], copy.row["files"])})
        self.catalog = self.folder / "catalog.yaml"
        self.catalog.write_text(yaml.safe_dump(rows, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _resolver(self, real):
        def getaddrinfo(host, port, *more, **options):
            if host == "mirror.example":
                assert str(port) == self.mirror_port, "the page's mirror listens on another port"
                return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", self.mirror.port))]
            return real(host, port, *more, **options)

        return getaddrinfo

    @property
    def asked(self) -> int:
        """Requests so far, of all servers."""
        return sum(len(server.requests) for server in (self.server, self.cdn, self.mirror))

    def machine(self, name: str) -> Path:
        """A machine's folder, with the configs in it, as they name the small files."""
        folder = self.folder / "machines" / name.replace(" ", "-")
        if not folder.exists():
            shutil.copytree(ROOT / "configs", folder / "configs", ignore=shutil.ignore_patterns("__pycache__"))
            for path in (folder / "configs").rglob("*.py"):
                text = path.read_text(encoding="utf-8")
                path.write_text(self._with_small_files(text), encoding="utf-8")
        return folder

    def _with_small_files(self, text: str) -> str:
        text = text.replace(OFFICIAL, f"{self.server.url}/{OFFICIAL.split('/')[2]}/")
        for old, new in self.names.items():
            text = text.replace(old, new)
        return text

    def _as_on_the_page(self, text: str, machine: Path) -> str:
        text = text.replace(f"{self.folder}/elsewhere", "").replace(f"{machine}/", "")
        text = text.replace(str(self.folder / "home"), "~")
        for old, new in self.names.items():
            text = text.replace(new, old)
        return text

    @contextlib.contextmanager
    def at(self, name: str):
        """Goes to a machine, with its variables as they were left; gives its folder."""
        folder = self.machine(name)
        variables = {"POSE_TOOLS_CHECKPOINTS": str(folder / "checkpoint"), "HF_ENDPOINT": self.server.url,
                     **self.variables[name]}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(known, "OWN_CATALOG", self.catalog)
            known.own_catalog.cache_clear()
            for variable in VARIABLES:
                patch.delenv(variable, raising=False)
            for variable, value in variables.items():
                patch.setenv(variable, value)
            yield folder
        known.own_catalog.cache_clear()

    def run_block(self, block: str) -> str:
        """Runs the lines of a bash block; gives what they print, as the page would have it."""
        lines = block.splitlines()
        name = lines.pop(0)[len("# on "):] if lines[0].startswith(("# on ", "# in ")) else "this machine"
        asked, printed = self.asked, []
        for line in lines:
            wanted = int(found[1]) if (found := re.search(r"# exit code (\d+)$", line)) else 0
            with self.at(name) as folder:
                code, said = self._run_line(line, name)
            assert code == wanted, f"{line}\n{said}"
            printed.append(self._as_on_the_page(said, folder))
        assert "without network" not in name or self.asked == asked, "there is no network on that machine"
        return "".join(printed)

    def _run_line(self, line: str, name: str) -> tuple[int, str]:
        for path in ELSEWHERE:
            line = re.sub(rf"(?<![\w/]){path}\b", f"{self.folder}/elsewhere{path}", line)
        line = self._with_small_files(line)
        if line.startswith("export "):
            variable, _, value = line[len("export "):].partition("=")
            assert variable in VARIABLES, variable
            self.variables[name][variable] = value
            return 0, ""
        if found := SERVE.fullmatch(line):
            self.mirror_port = found[1]
            self.mirror.put_folder(self.machine(name) / "checkpoint")
            return 0, ""
        if found := COPY.fullmatch(line):
            assert found[1] == "mirror.example"
            shutil.copy(self.machine("the server") / found[2], found[3])
            return 0, ""
        if line.startswith("python "):
            return self._run_script(line)
        assert line.startswith(("cp ", "mkdir ", "rm ")), f"a page may not show {line}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def _run_script(self, line: str) -> tuple[int, str]:
        _, path, *words = shlex.split(line, comments=True)
        words = [os.path.expanduser(word) for word in words]
        if path in PARSED_ONLY:
            script(path).parse_args(words)
            return 0, ""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = run(script(path).main, words)
            except SystemExit as stop:
                code = stop.code
        return code, said.getvalue()

    def write_file(self, block: str) -> None:
        """Writes a YAML block, whose first line is ``# NAME``, into the folder of this machine."""
        with self.at("this machine") as folder:
            (folder / block.splitlines()[0][len("# "):]).write_text(block, encoding="utf-8")

    def run_python(self, block: str) -> str:
        """Runs a Python block on this machine; gives what it prints."""
        said = io.StringIO()
        with self.at("this machine") as folder, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            exec(compile(block, "page", "exec"), {})
        return self._as_on_the_page(said.getvalue(), folder)
