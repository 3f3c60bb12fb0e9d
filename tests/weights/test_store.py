"""fetch, is_present and verify: what lies where, and what is said of it."""
import hashlib
import os
from pathlib import Path

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.console import UserError
from pose_tools.weights import fetch, is_present, store, verify
from pose_tools.weights.catalog import Catalog
from pose_tools.weights.entries import Entry, ModelFile
from pose_tools.weights.store import folder_of, open_catalogs

DATA = b"\x80\x02" + b"weights " * 5000
SHA = hashlib.sha256(DATA).hexdigest()
NAME = f"net-{SHA[:8]}_20261121.pth"


@pytest.fixture
def server(monkeypatch, tmp_path):
    without_network_settings(monkeypatch, tmp_path / "home")
    with BadServer() as running:
        running.put(f"/{NAME}", DATA)
        running.put("/sub/labels.json", b'{"a": 1}')
        yield running


@pytest.fixture
def catalog(server, tmp_path):
    """Two models: of one file, and of two that lie in a folder of their own and share one with the first."""
    path = tmp_path / "my.yaml"
    path.write_text(f"""
net:
  files: [{{path: {NAME}, size: {len(DATA)}, sources: ['{server.url}/{NAME}']}}]
both:
  folder: both
  places: ['{server.url}']
  files: [{{path: {NAME}, sha256: '{SHA}'}}, {{path: sub/labels.json}}]
""", encoding="utf-8")
    return path


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHECKPOINTS", tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_fetched_once_and_then_without_network(server, catalog, checkpoints):
    assert not is_present("net", catalog=catalog)
    for _ in range(2):
        assert fetch("net", catalog=catalog) == (checkpoints / NAME,)
    assert (checkpoints / NAME).read_bytes() == DATA
    assert len(server.asked()) == 1
    assert is_present("net", catalog=catalog)
    assert sorted(os.listdir(checkpoints)) == ["SHA256SUMS", NAME]


def test_a_model_of_several_files_has_its_folder(catalog, checkpoints, tmp_path):
    paths = fetch("both", catalog=catalog)
    assert paths == (checkpoints / "both" / NAME, checkpoints / "both/sub/labels.json")
    assert fetch("both", tmp_path / "other", catalog)[1] == tmp_path / "other/both/sub/labels.json"
    assert [state.state for state in verify("both", catalog=catalog)] == ["ok", "ok"]  # the second by SHA256SUMS


def test_progress_is_told(catalog, tmp_path):
    told = []
    fetch("both", tmp_path, catalog, progress=told.append)
    last = {each.file: each for each in told}
    assert (last[NAME].received, last[NAME].total) == (len(DATA), len(DATA))
    assert (last["sub/labels.json"].received, last["sub/labels.json"].total) == (8, 8)


def test_force_fetches_again_and_keeps_what_differs(server, catalog, checkpoints, capsys):
    fetch("both", catalog=catalog)
    labels = checkpoints / "both/sub/labels.json"
    labels.write_bytes(b'{"mine": 2}')
    assert [state.state for state in verify("both", catalog=catalog)] == ["ok", "wrong"]
    before = len(server.asked())
    fetch("both", catalog=catalog, force=True)
    assert len(server.asked()) == before + 2
    assert labels.read_bytes() == b'{"a": 1}'
    assert labels.with_name("labels.json.suspect").read_bytes() == b'{"mine": 2}'


def test_a_wrong_file_is_replaced_and_kept_and_both_hashes_are_said(server, catalog, checkpoints, capsys):
    checkpoints.mkdir()
    (checkpoints / NAME).write_bytes(b"mine")
    assert not is_present("net", catalog=catalog)
    fetch("net", catalog=catalog)
    said = capsys.readouterr().err
    assert SHA[:8] in said and hashlib.sha256(b"mine").hexdigest() in said and "it has 4 bytes and should have" in said
    assert (checkpoints / NAME).read_bytes() == DATA
    assert (checkpoints / f"{NAME}.suspect").read_bytes() == b"mine"


def test_a_wrong_file_stays_where_nothing_better_can_be_had(catalog, checkpoints, capsys):
    checkpoints.mkdir()
    (checkpoints / NAME).write_bytes(b"mine")
    with pytest.raises(UserError):
        fetch("net", catalog=catalog, offline=True)
    assert (checkpoints / NAME).read_bytes() == b"mine" and SHA[:8] in capsys.readouterr().err


def test_what_verify_says(catalog, checkpoints, tmp_path):
    state, = verify("net", catalog=catalog)
    assert (state.state, state.wanted, state.wanted_size, state.found) == ("missing", SHA[:8], len(DATA), None)
    fetch("net", catalog=catalog)
    state, = verify("net", catalog=catalog)
    assert (state.state, state.wanted, state.found, state.size) == ("ok", SHA, SHA, len(DATA))  # from SHA256SUMS
    assert str(state).endswith(f"{NAME}: ok")


@pytest.mark.parametrize("name, data, expected", [
    (NAME, DATA, "ok"), (NAME, b"cut", "wrong"), ("mine.pth", DATA, "unknown"),
    (f"other-{SHA[:8]}_20261121.pth", DATA, "ok"), (f"other-{'0' * 7}1_20261121.pth", DATA, "wrong"),
])
def test_any_file_is_checked_by_catalog_or_name(catalog, tmp_path, name, data, expected):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / name).write_bytes(data)
    state, = verify(str(tmp_path / "elsewhere" / name), catalog=catalog)
    assert state.state == expected and state.found == hashlib.sha256(data).hexdigest()


def test_a_list_of_sums_beside_a_file_counts(tmp_path):
    (tmp_path / "mine.bin").write_bytes(b"1")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'1').hexdigest()}  mine.bin\n")
    assert verify(str(tmp_path / "mine.bin"))[0].state == "ok"
    (tmp_path / "mine.bin").write_bytes(b"2")
    assert verify(str(tmp_path / "mine.bin"))[0].state == "wrong"


def test_what_was_fetched_before_counts_only_where_it_agrees_with_the_catalog(catalog, checkpoints):
    checkpoints.mkdir()
    (checkpoints / NAME).write_bytes(DATA)
    (checkpoints / "SHA256SUMS").write_text(f"{'0' * 64}  {NAME}\n")
    assert verify("net", catalog=catalog)[0].state == "ok"


def test_homes_and_absolute_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    entry = Entry("h", (ModelFile("a"),), folder="~/.humanpose3d/models")
    assert folder_of(entry) == tmp_path / "home/.humanpose3d/models"
    assert folder_of(entry, tmp_path / "here") == tmp_path / "here"
    assert folder_of(Entry("n", (), folder="sub"), "~/x") == tmp_path / "home/x/sub"
    assert folder_of(Entry("n", ())) == Path(store.CHECKPOINTS)


def test_a_mirror_is_asked_first(server, catalog, checkpoints, monkeypatch, tmp_path):
    monkeypatch.setenv("POSE_TOOLS_MIRROR", f"{server.url}/mirror")
    server.put(f"/mirror/both/{NAME}", DATA)
    fetch("both", catalog=catalog)
    paths = [path for path, _ in server.requests]
    assert f"/mirror/both/{NAME}" in paths and f"/{NAME}" not in paths
    assert paths.count("/mirror/both/sub/labels.json") == paths.count("/sub/labels.json") == 1  # not there: the next


def test_a_catalog_on_a_server(server, checkpoints):
    server.put("/pub/catalog.yaml", f"net:\n  places: [.]\n  files: [{{path: {NAME}}}]\n".encode())
    server.put(f"/pub/{NAME}", DATA)
    for place in (f"{server.url}/pub", f"{server.url}/pub/catalog.yaml"):
        entry = open_catalogs([place]).find("net")
        assert [str(source) for source in entry.files[0].sources] == [f"{server.url}/pub/{NAME}"]
    assert fetch("net", catalog=f"{server.url}/pub") == (checkpoints / NAME,)
    with pytest.raises(UserError, match="the server answered 404"):
        open_catalogs([f"{server.url}/nowhere"])


def test_unknown_names_and_catalogs(tmp_path):
    with pytest.raises(UserError, match="no model called"):
        fetch("nonsense-xyz")
    with pytest.raises(UserError, match="no such catalog"):
        is_present("net", catalog=tmp_path / "none.yaml")
    with pytest.raises(UserError, match="no model called"):
        verify("nonsense-xyz", catalog=Catalog())


def test_what_nothing_is_published_of_is_taken_on_trust_once(server, tmp_path, capsys):
    """And told so; from then on it is checked, and --force may take another one."""
    (tmp_path / "my.yaml").write_text(f"m:\n  files: [{{path: m.bin, sources: ['{server.url}/m.bin']}}]\n")
    server.put("/m.bin", b"one")
    fetch("m", tmp_path / "to", tmp_path / "my.yaml")
    first = hashlib.sha256(b"one").hexdigest()
    assert f"no SHA-256 of it is published; from now on it is {first}" in capsys.readouterr().err
    server.clear("/m.bin")
    server.put("/m.bin", b"two")
    (tmp_path / "to/m.bin").unlink()
    with pytest.raises(UserError, match=f"should be {first}"):
        fetch("m", tmp_path / "to", tmp_path / "my.yaml")
    assert not (tmp_path / "to/m.bin").exists() and (tmp_path / "to/m.bin.suspect").read_bytes() == b"two"
    assert fetch("m", tmp_path / "to", tmp_path / "my.yaml", force=True)[0].read_bytes() == b"two"
    assert verify("m", tmp_path / "to", tmp_path / "my.yaml")[0].state == "ok"


@pytest.mark.parametrize("folder, place", [
    (".", "a/x.pth"), ("own", "own/a/x.pth"), ("~/.humanpose3d/models", "humanpose3d/a/x.pth"),
    ("/opt/models", "humanpose3d/a/x.pth"),
])
def test_the_layout_of_a_mirror(folder, place, monkeypatch):
    monkeypatch.setenv("POSE_TOOLS_MIRROR", "/mnt/mirror")
    entry = Entry("humanpose3d", (ModelFile("a/x.pth"),), folder=folder)
    source, = store._mirror(entry, entry.files[0])
    assert (source.kind, Path(source.address)) == ("file", Path("/mnt/mirror") / place)
