"""tools/download_weights.py as people call it."""
import hashlib
import importlib.util
import json
import os
from pathlib import Path

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.console import run
from pose_tools.weights import store

ROOT = Path(__file__).resolve().parents[2]
DATA = b"\x80\x02" + b"weights " * 5000
SHA = hashlib.sha256(DATA).hexdigest()
NAME = f"net-{SHA[:8]}_20261121.pth"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("download_weights", ROOT / "tools/download_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def call(script, tmp_path, monkeypatch, capsys):
    """Runs the command: exit code, stdout, stderr."""
    monkeypatch.setattr(store, "CHECKPOINTS", tmp_path / "checkpoint")

    def called(*words):
        code = run(script.main, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


@pytest.fixture
def server(monkeypatch, tmp_path):
    without_network_settings(monkeypatch, tmp_path / "home")
    with BadServer() as running:
        running.put(f"/{NAME}", DATA)
        running.put("/more.bin", b"more")
        (tmp_path / "my.yaml").write_text(f"""
net:
  title: Nets of all kinds
  licence: MIT
  files: [{{path: {NAME}, size: {len(DATA)}, sources: ['{running.url}/{NAME}']}}]
more: {{folder: more, files: [{{path: more.bin, sources: ['{running.url}/more.bin']}}]}}
""", encoding="utf-8")
        yield running


@pytest.fixture
def mine(server, tmp_path):
    return "--catalog", tmp_path / "my.yaml"


def test_fetch_and_again(call, mine, server, tmp_path):
    code, out, err = call("net", "more", *mine)
    assert (code, out.split()) == (0, [str(tmp_path / "checkpoint" / NAME), str(tmp_path / "checkpoint/more/more.bin")])
    assert f"fetching {NAME}" in err
    assert (call("net", *mine)[2], len(server.asked())) == ("", 2)


def test_json_of_what_was_fetched(call, mine, tmp_path):
    code, out, _ = call("net", *mine, "--json", "--dest", tmp_path / "here")
    assert (code, json.loads(out)) == (0, {"net": [str(tmp_path / "here" / NAME)]})


def test_list_and_search(call, mine):
    code, out, _ = call("--list", *mine)
    assert code == 0 and "Nets of all kinds" in out and "rtmpose-s" in out and "--search WORDS" in out
    assert "td-hm_hrnet-w32_8xb64-210e_coco-256x192" not in out
    code, out, _ = call("--search", "hrnet-w32 coco 256x192", *mine)
    assert code == 0 and "td-hm_hrnet-w32_8xb64-210e_coco-256x192" in out and "Nets" not in out
    code, _, err = call("--list", "--search", "xyzzy")
    assert code == 1 and "no model has 'xyzzy'" in err


def test_list_as_json_has_everything(call, mine):
    code, out, _ = call("--list", "--json", *mine)
    models = {model["name"]: model for model in json.loads(out)}
    assert code == 0 and len(models) > 900
    assert models["net"]["files"][0]["size"] == len(DATA) and not models["net"]["present"]
    assert models["net"]["licence"] == "MIT"


def test_the_facts_of_a_model(call, mine, server):
    code, out, _ = call("--list", "rtmw3d", "net", *mine)
    assert code == 0 and "markers: COCO-WholeBody 133" in out and "hf:rbarac/rtmpose3d" in out
    assert f"{NAME}: {len(DATA)} bytes, SHA-256 {SHA[:8]}\n    {server.url}/{NAME}\n" in out
    assert json.loads(call("--list", "net", "--json", *mine)[1])[0]["title"] == "Nets of all kinds"


def test_check(call, mine, tmp_path):
    assert call("--check", "net", *mine)[0] == 1
    call("net", "more", *mine)
    assert call("--check", "net", "more", *mine) == (
        0, f"{tmp_path}/checkpoint/{NAME}: ok\n{tmp_path}/checkpoint/more/more.bin: ok\n", "")
    (tmp_path / "checkpoint" / NAME).write_bytes(b"x" * len(DATA))
    code, out, _ = call("--check", *mine)
    assert code == 1 and f"{NAME}: wrong: its SHA-256 is {hashlib.sha256(b'x' * len(DATA)).hexdigest()}" in out
    code, out, _ = call("--check", "net", *mine, "--json")
    assert code == 1 and [(each["state"], each["wanted"]) for each in json.loads(out)] == [("wrong", SHA)]
    assert (tmp_path / "checkpoint" / NAME).read_bytes() == b"x" * len(DATA)  # looked at, not touched


def test_check_takes_what_the_catalog_knows_of_a_file_that_an_index_has_too(call, server, tmp_path):
    """The index knows neither size nor hash of it."""
    name = "rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth"
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / name).write_bytes(DATA)
    code, out, _ = call("--check")
    assert code == 1 and out == (f"{tmp_path}/checkpoint/{name}: wrong: it has {len(DATA)} bytes and should have "
                                 "22007763\n")


def test_check_without_anything_here(call, server):
    assert call("--check")[:2] == (0, "no file of a known model is here\n")


def test_verify_any_file(call, mine, tmp_path):
    for name, data in ((NAME, DATA), ("other.pth", DATA)):
        (tmp_path / name).write_bytes(data)
    assert call("--verify", tmp_path / NAME, *mine)[0] == 0
    code, out, _ = call("--verify", tmp_path / NAME, tmp_path / "other.pth", *mine)
    assert code == 1 and "other.pth: nothing is known to check it by" in out and SHA in out
    code, _, err = call("--verify", tmp_path / "a.pth", tmp_path / "b.pth")
    assert code == 1 and "a.pth: no such file" in err and "b.pth: no such file" in err


def test_all_unknown_names_at_once(call, server):
    code, _, err = call("rtmdet-tinny", "rtmpose-z")
    assert code == 1 and "rtmdet-tinny" in err and "rtmpose-z" in err and "did you mean rtmdet-tiny" in err


def test_what_a_config_starts_from(call, server, tmp_path):
    code, out, _ = call("--check", "--all-for", ROOT / "configs/rtmpose-s-carpose.py")
    assert code == 1 and "fcb2599b_20230126.pth: missing" in out and out.count("\n") == 1
    address = f"{server.url}/rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth"
    (tmp_path / "mine.yaml").write_text(
        f"mine:\n  folder: own\n  files: [{{path: '{address.rsplit('/', 1)[1]}', sources: ['{address}']}}]\n")
    out = call("--check", "--all-for", ROOT / "configs/rtmpose-s-carpose.py", "--catalog", tmp_path / "mine.yaml")[1]
    assert "checkpoint/own/rtmpose-s" in out, "ones own catalog is looked into first"
    code, _, err = call("--all-for", ROOT / "configs/none.py")
    assert code == 1 and "no such config" in err


def test_failures_are_told_together_and_the_rest_is_there(call, mine, server, tmp_path):
    server.clear(f"/{NAME}")
    code, out, err = call("net", "more", *mine)
    assert code == 1 and "404" in err and str(tmp_path / "checkpoint" / NAME) in err and "POSE_TOOLS_MIRROR" in err
    assert (tmp_path / "checkpoint/more/more.bin").read_bytes() == b"more"
    assert "Traceback" not in err


def test_offline(call, mine, server):
    code, _, err = call("net", *mine, "--offline")
    assert code == 1 and "offline" in err and server.asked() == []


def test_prune_removes_what_is_unfinished_and_nothing_else(call, mine, server, tmp_path):
    server.clear(f"/{NAME}")
    server.put(f"/{NAME}", DATA, cut_at=1000)
    server.put(f"/{NAME}", status=404)
    assert call("net", "more", *mine)[0] == 1
    work = tmp_path / "checkpoint/.downloads"
    assert sum(path.stat().st_size for path in work.glob("*.part")) == 1000
    (tmp_path / "checkpoint/x.pth.suspect").write_bytes(b"mine")
    code, out, _ = call("--prune", *mine)
    assert code == 0 and "0.0 MB" in out and "x.pth.suspect" in out
    assert not work.exists() and (tmp_path / "checkpoint/more/more.bin").is_file()
    assert (tmp_path / "checkpoint/x.pth.suspect").read_bytes() == b"mine"


def test_prune_leaves_what_another_process_is_fetching(call, mine, server, tmp_path):
    from filelock import FileLock

    work = tmp_path / "checkpoint/.downloads"
    work.mkdir(parents=True)
    for name in ("held.pth", "left.pth"):
        (work / f"{name}.part").write_bytes(b"12345")
        (work / f"{name}.json").write_text("{}")
    with FileLock(str(work / "held.pth.lock")):
        code, out, _ = call("--prune", "--json", *mine)
        answer = json.loads(out)
        assert (code, answer["freed"]) == (0, 7) and [Path(path).name for path in answer["in_use"]] == ["held.pth"]
        assert sorted(path for path in os.listdir(work) if "left" in path) == []
        assert (work / "held.pth.part").read_bytes() == b"12345"


def test_nothing_asked_for(script, capsys):
    with pytest.raises(SystemExit) as ended:
        script.main([])
    assert ended.value.code == 2 and "--list" in capsys.readouterr().err


def test_a_folder_as_catalog(call, server, tmp_path):
    """What publish_model.py --local-dir writes is such a folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    (folder / "catalog.yaml").write_text(
        f"mine:\n  places: [.]\n  files: [{{path: {NAME}, size: {len(DATA)}, sha256: '{SHA}'}}]\n")
    code, out, _ = call("mine", "--catalog", folder, "--offline")
    assert (code, out.strip()) == (0, str(tmp_path / "checkpoint" / NAME))
    (folder / "catalog.yaml").write_text("mine:\n  files: [{path: ../a}, {path: b, size: x}]\n")
    code, _, err = call("mine", "--catalog", folder)
    assert code == 1 and "../a" in err and "size is 'x'" in err
