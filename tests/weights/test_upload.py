"""Uploading a release: to a hub on this machine, which keeps what it is sent and serves it again."""
import os

import pytest
from fake_hub import FakeHub, Repository, git_hash
from release_models import save_run

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError, run
from pose_tools.weights import fetch
from pose_tools.weights.release import command
from pose_tools.weights.release.upload import NEW, OTHER, SAME, look, repository_of, upload
from tools import publish_model

NAME = "rtmpose-s-carpose"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub, and whatever in the environment could lead to another."""
    from huggingface_hub import constants

    for name in ("POSE_TOOLS_OFFLINE", "HF_HUB_OFFLINE", "POSE_TOOLS_MIRROR", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "bobs-token")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # git-lfs, which needs no second server
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with FakeHub({"bobs-token": "bob", "eves-token": "eve"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    work = tmp_path_factory.mktemp("runs")
    assert publish_model.main([str(save_run(work, "pose")), str(work / "checkpoint") + "/"]) == 0
    [path] = (work / "checkpoint").iterdir()
    return path


@pytest.fixture
def folder(tmp_path):
    """A small release of no model."""
    made = tmp_path / "release"
    made.mkdir()
    (made / "README.md").write_text("---\nlicense: mit\n---\n\n# x\n")
    (made / "SHA256SUMS").write_text("")
    (made / "x-12345678_20250101.pth").write_bytes(b"\0weights" * 1000)
    return made


def test_it_is_sent_in_one_commit_and_fetched_back(hub, published, tmp_path, capsys):
    words = [str(published), "--local-dir", str(tmp_path / "out"), "--to", "hf:bob/cars", "--licence", "MIT",
             "--safetensors"]
    assert run(publish_model.main, [*words, "--upload"]) == 0
    assert "hf:bob/cars (public): 6 of 6 files sent, all compared" in capsys.readouterr().out
    there, made = hub.repositories["bob/cars"], {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert there.files == made and not there.private
    assert there.commits == [(f"Release {published.name}", sorted(made))]
    assert there.large == {name for name in made if name.endswith((".pth", ".safetensors"))}
    got = fetch(NAME, tmp_path / "got", "hf:bob/cars")
    assert {path.name: path.read_bytes() for path in got} == {name: made[name] for name in (
        published.name, f"{NAME}.py")}
    assert got[0].parent == tmp_path / "got" / NAME
    assert hub.leaked == [], "a token went to where the hub redirects"


def test_a_dry_run_sends_nothing(hub, published, tmp_path, capsys):
    hub.repositories["bob/cars"] = Repository(True, {"README.md": b"older", ".gitattributes": b"x"})
    words = [str(published), "--local-dir", str(tmp_path / "out"), "--to", "hf:bob/cars"]
    assert run(publish_model.main, words) == 0
    said = capsys.readouterr()
    assert "dry run, nothing was sent: --upload sends these to hf:bob/cars, which is private" in said.out
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in said.out.splitlines() if "  " in line}
    assert rows["README.md"][1] == OTHER and rows[published.name][1] == NEW
    assert rows[published.name][0] == str(published.stat().st_size)
    assert "no licence is stated" in said.err
    assert [each for each in hub.asked if not each.startswith("GET ")] == []
    assert hub.repositories["bob/cars"].files == {"README.md": b"older", ".gitattributes": b"x"}


@pytest.mark.parametrize("words, said", [
    ([], "which is to be made, public"), (["--private"], "which is to be made, private")])
def test_a_dry_run_says_who_would_see_it(words, said, hub, published, tmp_path, capsys):
    words = [str(published), "--local-dir", str(tmp_path / "out"), "--to", "hf:bob/new", *words]
    assert run(publish_model.main, words) == 0
    assert said in capsys.readouterr().out and hub.repositories == {}


def test_where_it_is_prepared_by_default(hub, published, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "RELEASES", tmp_path / "release")
    assert run(publish_model.main, [str(published), "--to", "hf:bob/cars"]) == 0
    assert (tmp_path / "release" / NAME / "catalog.yaml").is_file()
    catalog = (tmp_path / "release" / NAME / "catalog.yaml").read_text(encoding="utf-8")
    assert "places:\n  - .\n  - hf:bob/cars\n" in catalog
    card = (tmp_path / "release" / NAME / "README.md").read_text(encoding="utf-8")
    assert f"python tools/download_weights.py {NAME} --catalog hf:bob/cars\n" in card


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "POSE_TOOLS_OFFLINE"])
def test_offline_it_is_prepared_and_not_sent(variable, hub, published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(variable, "1")
    words = [str(published), "--local-dir", str(tmp_path / "out"), "--to", "hf:bob/cars"]
    assert run(publish_model.main, words) == 0
    assert f"what is there was not looked up: {variable} is set" in capsys.readouterr().out
    assert run(publish_model.main, [*words, "--upload"]) == 1
    assert f"error: {variable} is set" in capsys.readouterr().err
    assert (tmp_path / "out/catalog.yaml").is_file() and hub.asked == []


def test_what_is_there_is_not_sent_again(hub, folder):
    assert "3 of 3 files sent" in upload(folder, "bob/cars")
    hub.asked.clear()
    assert "nothing was sent" in upload(folder, "bob/cars")
    assert {each.split()[0] for each in hub.asked} == {"GET"}
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# y\n")
    hub.asked.clear()
    assert "1 of 3 files sent" in upload(folder, "bob/cars")
    assert [each for each in hub.asked if each.startswith("PUT ")] == []
    assert hub.repositories["bob/cars"].commits[-1][1] == ["README.md"]


def test_a_large_file_of_another_repository_is_not_sent_again(hub, folder):
    upload(folder, "bob/cars")
    hub.asked.clear()
    upload(folder, "bob/copy")
    assert [each for each in hub.asked if each.startswith("PUT ")] == []
    assert hub.repositories["bob/copy"].files == hub.repositories["bob/cars"].files


def test_after_a_failure_only_the_commit_is_left_to_do(hub, folder):
    hub.broken["POST .*commit"] = 500
    with pytest.raises(UserError, match="answered 500"):
        upload(folder, "bob/cars")
    assert hub.repositories["bob/cars"].files == {}
    hub.broken.clear()
    hub.asked.clear()
    assert "3 of 3 files sent" in upload(folder, "bob/cars")
    assert [each for each in hub.asked if each.startswith("PUT ")] == []


def test_files_of_others_are_left_alone(hub, folder):
    hub.repositories["bob/cars"] = Repository(False, {"old-00000000_20200101.pth": b"\0old", "README.md": b"old"})
    states = look("bob/cars").states(folder)
    assert states == {"README.md": OTHER, "SHA256SUMS": NEW, "x-12345678_20250101.pth": NEW}
    upload(folder, "bob/cars")
    assert hub.repositories["bob/cars"].files["old-00000000_20200101.pth"] == b"\0old"
    assert set(look("bob/cars").states(folder).values()) == {SAME}


def test_states_of_small_and_large_files(hub, folder):
    upload(folder, "bob/cars")
    hashes = look("bob/cars").hashes
    assert hashes["README.md"] == git_hash((folder / "README.md").read_bytes())
    assert len(hashes["x-12345678_20250101.pth"]) == 64


def test_private_is_private(hub, folder):
    assert "(private)" in upload(folder, "bob/secret", private=True)
    assert hub.repositories["bob/secret"].private
    assert "(private)" in upload(folder, "bob/secret"), "what exists stays as it is"
    hub.repositories["bob/open"] = Repository(False)
    with pytest.raises(UserError, match="is public, and --private was asked for"):
        upload(folder, "bob/open", private=True)
    assert hub.repositories["bob/open"].commits == []


def test_a_dry_run_warns_that_private_will_be_refused(hub, published, tmp_path, capsys):
    hub.repositories["bob/open"] = Repository(False)
    words = [str(published), "--local-dir", str(tmp_path / "out"), "--to", "hf:bob/open", "--private"]
    assert run(publish_model.main, words) == 0
    assert "is public and --private was asked for, so it will refuse" in capsys.readouterr().out


@pytest.mark.parametrize("token, repository, said", [
    ("", "bob/cars", "there is no token for the hub"), ("wrong", "bob/cars", "does not accept the token"),
    ("eves-token", "bob/cars", "may not write there"), ("bobs-token", "eve/cars", "may not write there")])
def test_tokens_that_do_not_suffice(token, repository, said, hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", token)
    hub.repositories["bob/cars"] = Repository()
    with pytest.raises(UserError, match=said) as caught:
        upload(folder, repository)
    assert "\n" not in str(caught.value)
    assert hub.repositories["bob/cars"].commits == [] and "eve/cars" not in hub.repositories


@pytest.mark.parametrize("broken, status, said", [
    ("GET /api/models", 500, "answered 500; try again later"), ("GET /api/models", 429, "asks to wait"),
    ("POST /api/repos", 400, "answered 400: "), ("POST .*validate", 500, "answered 500"),
    ("POST .*preupload", 403, "may not write there"), ("POST .*batch", 404, "none that this token can see"),
    ("PUT /store", 403, "may not write there"), ("POST .*commit", 409, "changed by somebody else"),
    ("POST .*commit", 413, "too large"), ("POST .*commit", 422, "answered 422: ")])
def test_refusals_of_the_hub_are_one_line_and_leave_no_commit(broken, status, said, hub, folder):
    hub.broken[broken] = status
    with pytest.raises(UserError, match=said) as caught:
        upload(folder, "bob/cars")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("hf:bob/cars: ")
    assert all(not each.commits for each in hub.repositories.values())


def test_no_hub_at_all(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the hub cannot be reached") as caught:
        upload(folder, "bob/cars")
    assert "\n" not in str(caught.value)


def test_a_token_is_not_sent_without_encryption(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(UserError, match="a token is not sent without encryption"):
        upload(folder, "bob/cars")


def test_a_hub_that_keeps_something_else_is_found_out(hub, folder):
    before = hub.stored

    class Losing(dict):
        def __setitem__(self, oid, data):
            super().__setitem__(oid, data[:-1] + b"?")

    hub.stored = Losing(before)
    with pytest.raises(UserError) as caught:
        upload(folder, "bob/cars")
    assert "what is there now is not what was sent: x-12345678_20250101.pth" in str(caught.value)


@pytest.mark.parametrize("text", ["hf:bob", "bob/cars", "hf:bob/cars/x", "hf:bob/cars@main", "hf:bob/cars#x",
                                  "hf:a/b--c", "https://host/bob/cars", "hf:-a/b", "hf:a/" + "b" * 97, "hf:", ""])
def test_what_is_no_repository(text):
    with pytest.raises(UserError, match="is no repository of the hub") as caught:
        repository_of(text)
    assert "\n" not in str(caught.value)


def test_a_repository():
    assert repository_of("hf:bob/cars-v1.0") == "bob/cars-v1.0"


def test_nothing_is_drawn_where_nobody_looks(hub, folder, capfd):
    from huggingface_hub.utils import are_progress_bars_disabled

    before = are_progress_bars_disabled()
    upload(folder, "bob/cars")
    assert capfd.readouterr().err == "" and are_progress_bars_disabled() == before
    assert os.listdir(folder)
