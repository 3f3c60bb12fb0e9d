"""Every row of the shipped catalog, and every source of it, fetched, checked, forced and verified.

The rows are the shipped ones, read from catalog.yaml: names, folders, files, order and kinds of sources. Only
what cannot be had without the internet is exchanged: hosts, for servers on this machine, and the files, for
small ones of the same form, with their own hashes, as many digits of them as the catalog has.
"""
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch
import yaml
from download_server import BadServer, without_network_settings
from safetensors.torch import save

from pose_tools.console import run
from pose_tools.weights import catalog, store
from pose_tools.weights.catalog import known
from pose_tools.weights.download import Limits
from pose_tools.weights.entries import parse_source
from pose_tools.weights.hashes import hash_in_name

ROOT = Path(__file__).resolve().parents[2]
ROWS = yaml.safe_load((ROOT / "pose_tools/weights/catalog.yaml").read_text(encoding="utf-8"))
IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": os.devnull}


def contents(path, name):
    """A small file of the form its name promises, another one for every path."""
    tensors = {"weight": torch.full((3, 3), float(len(path))), "bias": torch.zeros(1)}
    ending = path.rsplit(".", 1)[-1]
    buffer = io.BytesIO()
    if ending == "pth":
        torch.save({"meta": {"of": f"{name}/{path}"}, "state_dict": tensors}, buffer)
    elif ending == "safetensors":
        return save(tensors, {"of": f"{name}/{path}"})
    elif ending == "json":
        return json.dumps({"of": f"{name}/{path}"}).encode()
    elif ending in ("task", "zip"):
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("of.txt", f"{name}/{path}")
    elif ending == "h5":
        # Superblock of version 0, whose end-of-file address is this file's length; nothing reads further.
        body = bytes([0, 0, 0, 0, 0, 8, 8, 0]) + bytes(8) + bytes(8) + bytes([255] * 8) + (200).to_bytes(8, "little")
        return (b"\x89HDF\r\n\x1a\n" + body + f"{name}/{path}".encode()).ljust(200, b"\x00")
    else:
        return f"{name}/{path}".encode()
    return buffer.getvalue()


class Copy:
    """A row with its hosts and files exchanged, and where each of its sources is served."""

    def __init__(self, name, row, server, cdn, folder):
        self.name, self.row, self.server, self.cdn = name, json.loads(json.dumps(row)), server, cdn
        self.repository = folder / "remote.git"
        self.data = {}
        self.row["files"] = [self._file(file) for file in row["files"]]
        self.row["places"] = [self._place(place) for place in row.get("places", [])]
        self.catalog = folder / "catalog.yaml"
        self.catalog.write_text(yaml.safe_dump({name: self.row}, allow_unicode=True), encoding="utf-8")

    def _file(self, file):
        data = contents(file["path"], self.name)
        digest = hashlib.sha256(data).hexdigest()
        digits = hash_in_name(file["path"].rsplit("/", 1)[-1])
        new = dict(file, size=len(data)) if "size" in file else dict(file)
        if digits:
            new["path"] = file["path"].replace(digits, digest[:len(digits)])
        if "sha256" in file:
            new["sha256"] = digest[:len(file["sha256"])]
        self.data[new["path"]] = data
        self.renamed = {digits: digest[:8]} if digits else {}
        new["sources"] = [self._source(text, digits, digest) for text in file.get("sources", [])]
        return new

    def _source(self, text, digits, digest):
        if digits:
            text = text.replace(digits, digest[:len(digits)])
        source = parse_source(text)
        if source.kind == "url":
            parts = urlsplit(source.address)
            return f"{self.server.url}/{parts.netloc}{parts.path}"
        return self._place(text)

    def _place(self, text):
        source = parse_source(text)
        if source.kind == "url":
            parts = urlsplit(source.address)
            return f"{self.server.url}/{parts.netloc}{parts.path}"
        return str(source).replace(source.address, str(self.repository)) if source.kind == "git" else text

    def serve(self, only):
        """Answers for one source of every file, and with 404 for all others."""
        branches = {}
        for file in catalog.read_catalog(self.catalog, own=True)[self.name].files:
            source, data = file.sources[min(only, len(file.sources) - 1)], self.data[file.path]
            if source.kind == "url":
                self.server.put(unquote(urlsplit(source.address).path), data)
            elif source.kind == "hf":
                self.server.put_hub(source.address, source.path, data, self.cdn, source.revision or "main")
            elif source.kind == "git":
                branches.setdefault(source.revision, {})[source.path] = data
            else:
                raise AssertionError(f"how is {source} served?")
        for branch, files in branches.items():
            self._commit(branch, files)

    def _commit(self, branch, files):
        work = self.repository.with_name(f"work-{branch}")
        for path, data in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(data)
        for words in (["init", "-q", "-b", branch, str(work)], ["-C", str(work), "add", "."],
                      ["-C", str(work), "commit", "-q", "-m", "files"],
                      ["clone", "-q", "--bare", str(work), str(self.repository)]):
            subprocess.run(["git", *words], check=True, env={**os.environ, **IDENTITY})


def sources_of(row):
    """How many sources the file with the most has."""
    return max(len(file.get("sources", [])) for file in row["files"]) + len(row.get("places", []))


CASES = [(name, only) for name, row in ROWS.items() for only in range(sources_of(row))]


@pytest.fixture
def called(monkeypatch, tmp_path, capsys):
    without_network_settings(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(store, "CHECKPOINTS", tmp_path / "checkpoint")
    spec = importlib.util.spec_from_file_location("download_weights", ROOT / "tools/download_weights.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def call(*words):
        code = run(script.main, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize("name, only", CASES, ids=[f"{name}-{only}" for name, only in CASES])
def test_row(name, only, called, tmp_path, monkeypatch):
    """Fetched from its source number ``only``, all others answering 404."""
    with BadServer() as server, BadServer() as cdn:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        copy = Copy(name, ROWS[name], server, cdn, tmp_path)
        monkeypatch.setattr(known, "OWN_CATALOG", copy.catalog)
        known.own_catalog.cache_clear()
        try:
            copy.serve(only)
            fetched_checked_forced_verified(copy, called, server, tmp_path)
        finally:
            known.own_catalog.cache_clear()


def fetched_checked_forced_verified(copy, called, server, tmp_path):
    folder = Path(copy.row.get("folder", ".").replace("~", str(tmp_path / "home")))
    paths = {tmp_path / "checkpoint" / folder / path: data for path, data in copy.data.items()}

    code, out, err = called(copy.name)
    assert code == 0, err
    assert out.splitlines() == [str(path) for path in paths]
    assert all(path.read_bytes() == data for path, data in paths.items())

    asked = len(server.requests)
    assert called(copy.name)[0] == 0 and len(server.requests) == asked, "what is there needs no network"
    assert called("--check", copy.name) == (0, "".join(f"{path}: ok\n" for path in paths), "")
    assert called("--verify", *paths)[0] == 0

    first = next(iter(paths))
    first.write_bytes(b"damaged")
    code, out, _ = called("--check", copy.name)
    assert code == 1 and out.count(": wrong: ") == 1
    code, _, err = called(copy.name, "--force")
    assert code == 0, err
    assert all(path.read_bytes() == data for path, data in paths.items())
    assert first.with_name(f"{first.name}.suspect").read_bytes() == b"damaged"


def test_the_rows_are_many_and_every_kind_of_source_is_among_them():
    kinds = {parse_source(text).kind for row in ROWS.values()
             for text in (*row.get("places", []), *(text for file in row["files"] for text in file.get("sources", [])))}
    assert kinds >= {"url", "hf", "git"} and len(ROWS) >= 25
    assert Limits().attempts > 1
