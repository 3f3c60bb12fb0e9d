import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from download_server import proxy, without_network_settings
from git_server import GitServer, git, make_repository, pointer_to
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.console import FaultsError, UserError
from pose_tools.weights.download import Job, download, git_command
from pose_tools.weights.download.failure import SourceFailed, Stopped
from pose_tools.weights.download.git import receive_from_git, remote_of
from pose_tools.weights.download.git_command import BareRepository, git_program
from pose_tools.weights.download.git_lfs import _server_of
from pose_tools.weights.download.git_reasons import reason_of
from pose_tools.weights.download.kept import end_sharing, holding, kept_name
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.entries import ModelFile, Source

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the git command is not installed")

HASTE = Limits(connect_seconds=2, silence_seconds=20, attempts=2, backoff_seconds=0.01)
SILENT = Limits(connect_seconds=2, silence_seconds=1, attempts=2, backoff_seconds=0.01)
X = random.Random(1).randbytes(300_000)
Y = random.Random(2).randbytes(200_000)
FILES = {"checkpoints/best model.pth": X, "checkpoints/deep/é[1].pth": Y, "GRU.h5": b"short"}
LINKS = {"checkpoints/link.pth": "best model.pth", "away": "/etc", "out": "../../etc/passwd"}


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """A home of its own, without the machine's settings."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    without_network_settings(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "origin.git"
    return make_repository(folder, FILES, LINKS, ["sub"])


@pytest.fixture
def server(origin):
    with GitServer(origin.parent) as running:
        yield running


def take(dest, address, path, sha256=None, size=None, revision="models", limits=HASTE, on_bytes=lambda *_: None):
    """Has one file; gives its bytes, and whether the part was continued."""
    file = ModelFile(Path(path).name, size, sha256)
    part = Part(dest, file.path)
    with part.locked(), part:
        receive_from_git(Source("git", str(address), path, revision), part, file, limits, on_bytes)
        data = part.path.read_bytes()
        part.close()
        part.remove()
    return data


def refusal(*args, **kwargs):
    with pytest.raises(SourceFailed) as failure:
        take(*args, **kwargs)
    return failure.value.reason


def left(dest):
    return sorted(path.name for path in dest.rglob("*") if path.is_file())


def end(dest):
    end_sharing(dest / ".downloads", all_done=True)


# What can be had

@pytest.mark.parametrize("path", list(FILES))
@pytest.mark.parametrize("how", ["path", "file", "http"])
def test_a_file_of_a_branch(tmp_path, origin, server, path, how):
    address = {"path": origin, "file": f"file://{origin}", "http": f"{server.url}/origin.git"}[how]
    seen = []
    assert take(tmp_path, address, path, size=len(FILES[path]), on_bytes=lambda *n: seen.append(n)) == FILES[path]
    assert seen[-1] == (len(FILES[path]), len(FILES[path]))
    assert [received for received, _ in seen] == sorted(received for received, _ in seen)
    end(tmp_path)
    assert left(tmp_path) == []


def test_branches_tags_and_commits(tmp_path, origin):
    commit = git("rev-parse", "models", cwd=origin)
    git("tag", "-f", "v1", commit, cwd=origin)
    git("tag", "-f", "-a", "-m", "two", "v2", commit, cwd=origin)
    for revision in ("models", "refs/heads/models", "v1", "v2", commit):
        assert take(tmp_path, origin, "GRU.h5", revision=revision) == b"short"
    assert refusal(tmp_path, origin, "GRU.h5", revision="master") == "there is no branch, tag or commit master"
    assert refusal(tmp_path, origin, "GRU.h5", revision="1" * 40) == f"there is no branch, tag or commit {'1' * 40}"


@pytest.mark.parametrize("path, reason", [
    ("checkpoints/link.pth", "checkpoints/link.pth is a link there, not a file"),
    ("out", "out is a link there, not a file"),
    ("away/passwd", "there is no away/passwd in models"),
    ("sub", "sub is a submodule there, not a file"),
    ("checkpoints", "checkpoints is a folder there, not a file"),
    ("gru.h5", "there is no gru.h5 in models"),
    ("../GRU.h5", "'../GRU.h5' is not a plain relative path"),
    ("/etc/passwd", "'/etc/passwd' is not a plain relative path"),
    ("", "'' is not a plain relative path"),
    (":(glob)*.h5", "':(glob)*.h5' is not a plain relative path"),
])
def test_what_is_no_file(tmp_path, origin, path, reason):
    assert refusal(tmp_path, origin, path) == reason
    end(tmp_path)
    assert left(tmp_path) == []


def test_another_size_is_noticed_before_a_byte_is_taken(tmp_path, origin):
    part = Part(tmp_path, "x.pth")
    with part:
        part.begin(Notes("https://elsewhere/x.pth", sha256="12345678", total=9))
        part.write(b"begun")
    reason = refusal(tmp_path, origin, "checkpoints/best model.pth", size=5)
    assert reason == "the file there has 300000 bytes and should have 5"
    assert part.path.read_bytes() == b"begun"


def test_a_copy_that_was_cut_short_is_continued(tmp_path, origin):
    source = Source("git", str(origin), "checkpoints/best model.pth", "models")
    part = Part(tmp_path, "best model.pth")
    blob = git("rev-parse", "models:checkpoints/best model.pth", cwd=origin)
    with part:
        part.begin(Notes(str(source), etag=blob, total=len(X)))
        part.write(X[:1000])
    with part:
        receive_from_git(source, part, ModelFile("best model.pth"), HASTE, lambda *_: None)
        assert part.resumed and part.path.read_bytes() == X


def test_a_bundle_of_a_branch_through_the_whole_engine(tmp_path, server):
    """Those that are there get their names; the fetch is kept while something of a file is."""
    def job(path, digest):
        file = ModelFile(path, None, digest, (Source("git", f"{server.url}/origin.git", path, "models"),))
        return Job(file, tmp_path / "dest" / path, file.sources)

    jobs = [job(path, hashlib.sha256(data).hexdigest()[:8]) for path, data in FILES.items()]
    half = Part(tmp_path / "dest", "nothing.pth")
    with half:
        half.begin(Notes("https://elsewhere", total=9))
        half.write(b"half")
    with pytest.raises(FaultsError, match="there is no nothing.pth in models"):
        download([*jobs, job("nothing.pth", "12345678")], limits=HASTE, say=print)
    assert {path: (tmp_path / "dest" / path).read_bytes() for path in FILES} == FILES
    assert len(list((tmp_path / "dest/.downloads").glob("shared-*/HEAD"))) == 1, "kept for the next try"
    shutil.rmtree(tmp_path / "dest/checkpoints")
    sent = server.sent
    half.remove()
    assert download(jobs, limits=HASTE, say=print) == [one.target for one in jobs]
    assert server.sent - sent < 10_000, "what was fetched then is used"
    with pytest.raises(FaultsError):
        download([job("nothing.pth", "12345678")], limits=HASTE, say=print)
    assert sorted(os.listdir(tmp_path / "dest")) == ["GRU.h5", "SHA256SUMS", "checkpoints"]


# What is fetched

def packed(dest):
    return sum(path.stat().st_size for path in dest.rglob("*.pack"))


def test_only_the_wanted_files_are_sent(tmp_path, server):
    address = f"{server.url}/origin.git"
    assert take(tmp_path, address, "GRU.h5") == b"short"
    assert server.sent < 10_000 and packed(tmp_path) < 10_000
    assert take(tmp_path, address, "checkpoints/deep/é[1].pth") == Y
    assert len(Y) < server.sent < len(Y) + 20_000, "neither the other file nor this one twice"


def test_a_repository_on_this_machine_sends_one_file_as_well(tmp_path, monkeypatch):
    """By default git's servers send all files; that of a path reads our settings."""
    origin = make_repository(tmp_path / "o.git", FILES, partial=None)
    monkeypatch.chdir(tmp_path)
    assert take(Path("dest"), origin, "GRU.h5") == b"short"
    assert packed(tmp_path / "dest") < 10_000


def test_files_of_a_branch_share_one_fetch(tmp_path, server):
    address = f"{server.url}/origin.git"
    results = {}
    threads = [threading.Thread(target=lambda path=path: results.update({path: take(tmp_path, address, path)}))
               for path in FILES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == FILES
    assert server.sent < len(X) + len(Y) + 20_000
    assert len([path for path in (tmp_path / ".downloads").iterdir() if path.is_dir()]) == 1


def test_a_server_that_sends_everything_is_asked_once(tmp_path):
    make_repository(tmp_path / "all.git", FILES, partial=False)
    with GitServer(tmp_path) as server:
        for path in FILES:
            assert take(tmp_path / "dest", f"{server.url}/all.git", path) == FILES[path]
        assert server.sent < len(X) + len(Y) + 20_000


def test_a_server_that_leaves_out_what_it_will_not_send_by_name(tmp_path, origin, server):
    """Protocol 0 gives no object by its name, unless the server's owner allows it."""
    server.speaks_v2 = False
    assert take(tmp_path, f"{server.url}/origin.git", "GRU.h5") == b"short"
    assert take(tmp_path, f"{server.url}/origin.git", "checkpoints/best model.pth") == X


def test_a_branch_that_has_moved(tmp_path):
    origin, dest = make_repository(tmp_path / "o.git", {"a.pth": b"one", "b.pth": b"one"}), tmp_path / "dest"
    assert take(dest, origin, "a.pth") == b"one"
    make_repository(origin, {"a.pth": b"two", "b.pth": b"two"})
    assert take(dest, origin, "b.pth") == b"one", "files of one download are of one state of the branch"
    (dest / ".downloads/half.part").write_bytes(b"half")
    end_sharing(dest / ".downloads", all_done=False)
    assert len(left(dest)) > 1 and take(dest, origin, "b.pth") == b"two", "the next one asks again"
    end(dest)
    assert left(dest) == ["half.part"]


def test_what_another_process_uses_is_not_removed(tmp_path, origin):
    take(tmp_path, origin, "GRU.h5")
    kept = tmp_path / ".downloads" / kept_name("git", str(origin), "models")
    with holding(kept, lambda: None):
        end(tmp_path)
        assert (kept / "HEAD").is_file()
    end(tmp_path)
    assert not (tmp_path / ".downloads").exists()


@pytest.mark.parametrize("damage", ["shallow.lock", "HEAD", "objects", "half a pack"])
def test_what_a_killed_git_leaves_does_not_matter(tmp_path, origin, damage):
    take(tmp_path, origin, "GRU.h5")
    kept = tmp_path / ".downloads" / kept_name("git", str(origin), "models")
    half = kept.with_name("half.part")
    half.touch()
    end_sharing(kept.parent, all_done=False)
    half.unlink()
    if damage == "shallow.lock":
        (kept / damage).touch()
    elif damage == "HEAD":
        (kept / damage).write_text("")
    elif damage == "objects":
        shutil.rmtree(kept / damage)
    else:
        for pack in kept.rglob("*.pack"):
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[:50])
    assert take(tmp_path, origin, "checkpoints/best model.pth") == X
    end(tmp_path)
    assert left(tmp_path) == []


# Where git may go

@pytest.mark.parametrize("address", ["ext::sh -c 'touch pwned'", "fd::3", "git://127.0.0.1/x.git", "-u/bin/sh", "ftp://h/x",
                                     "https::x", "remote-helper::https://h/x"])
def test_other_ways_to_git_are_refused(tmp_path, address):
    assert refusal(tmp_path, address, "x") == "only https, ssh and paths are used for git"
    assert left(tmp_path) == []


def test_plain_http_needs_the_whole_hash(tmp_path):
    address = "http://example.org/x.git"
    assert "only 8 digits of its SHA-256 are known" in refusal(tmp_path, address, "x", sha256="12345678")
    assert "no SHA-256 is known" in refusal(tmp_path, address, "x")
    assert remote_of(address, "1" * 64) == (address, "http:https", True)
    assert remote_of("http://127.0.0.1/x.git", None).redirects is False


@pytest.mark.parametrize("address, protocols", [
    ("https://host/x.git", "https"), ("ssh://me@host:22/x", "ssh"), ("me@host:x/y.git", "ssh"), ("host.org:x", "ssh"),
    ("file:///x", "file"), (".", "file")])
def test_only_the_protocol_of_the_address_is_spoken(address, protocols):
    assert remote_of(address, None).protocols == protocols


def test_paths(tmp_path, monkeypatch, origin):
    assert refusal(tmp_path, tmp_path / "nothing", "x") == "there is no such folder"
    assert refusal(tmp_path, tmp_path, "x") == "there is no git repository"
    monkeypatch.chdir(origin.parent)
    assert take(tmp_path, "origin.git", "GRU.h5") == b"short"
    monkeypatch.setenv("HOME", str(origin.parent))
    assert take(tmp_path, "~/origin.git", "GRU.h5") == b"short"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.from_regex(r"\A[a-z+-]{0,6}:{0,2}/{0,2}[a-z@:/.\\-]{0,15}\Z")))
def test_no_address_makes_git_speak_something_else(address):
    try:
        remote = remote_of(address, None)
    except SourceFailed:
        return
    assert remote.protocols in ("https", "ssh", "file", "http:https")
    assert "::" not in remote.address.split("/")[0] and not remote.address.startswith("-")
    assert (remote.protocols == "http:https") <= ("localhost" in address or "127." in address or "::1" in address)


def test_a_redirect_to_plain_http_is_refused(tmp_path, server, https, monkeypatch):
    secure, certificate = https
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.status, secure.location = [302], f"{server.url}/origin.git/info/refs?service=git-upload-pack"
    assert refusal(tmp_path, f"{secure.url}/origin.git", "GRU.h5") == "it redirects to where git may not go"
    assert server.requests == []


# The user's settings

HOSTILE = """
[core]
    hooksPath = {0}
    fsmonitor = {0}/run
    sshCommand = {0}/run
    askPass = {0}/run
[protocol "ext"]
    allow = always
[url "ext::{0}/run "]
    insteadOf = {1}
[http]
    sslVerify = false
[filter "x"]
    smudge = {0}/run
    process = {0}/run
[uploadpack]
    packObjectsHook = {0}/run
[include]
    path = {0}/more
"""


def test_nothing_of_the_repository_or_of_the_settings_runs(tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("run", "post-checkout", "reference-transaction", "post-index-change"):
        (trap / name).write_text(f"#!/bin/sh\ntouch {trap}/sprung\n")
        (trap / name).chmod(0o755)
    (trap / "more").write_text("[core]\n\tpager = x\n")
    origin = make_repository(tmp_path / "o.git", {"x.pth": b"x", ".gitattributes": b"*.pth filter=x\n",
                                                  ".gitmodules": b'[submodule "s"]\npath=s\nurl=ext::touch x\n'})
    (tmp_path / "home/.gitconfig").write_text(HOSTILE.format(trap, origin))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_ASKPASS", str(trap / "run"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(trap))
    assert take(tmp_path / "dest", origin, "x.pth") == b"x"
    assert not (trap / "sprung").exists() and not (tmp_path / "elsewhere").exists()


def test_a_login_is_taken_from_the_users_helper_and_never_asked_for(tmp_path, server):
    server.login = "me:secret word"
    address = f"{server.url}/origin.git"
    assert refusal(tmp_path, address, "GRU.h5") == "the server wants a login for it, or has no such repository"
    (tmp_path / "home/.gitconfig").write_text(
        '[credential]\n\thelper = "!f() { echo username=me; echo \'password=secret word\'; }; f"\n')
    assert take(tmp_path, address, "GRU.h5") == b"short"
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / ".downloads").rglob("*") if path.is_file())


def test_a_password_in_an_address_is_not_told(tmp_path, server):
    server.login = "me:right"
    address = server.url.replace("//", "//me:wrong@") + "/origin.git"
    assert "wrong" not in refusal(tmp_path, address, "GRU.h5")
    source = Source("git", "https://me:wrong@h/x", "x", "main")
    assert "wrong" not in reason_of("fatal: it broke at https://me:wrong@h/x", source)
    assert "wrong" not in reason_of("fatal: detected dubious ownership", source)
    assert take(tmp_path, address.replace("wrong", "right"), "GRU.h5") == b"short"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_other_peoples_repositories_are_the_users_to_trust(tmp_path, origin):
    theirs = tmp_path / "theirs.git"
    shutil.copytree(origin, theirs)
    for path in [theirs, *theirs.rglob("*")]:
        os.chown(path, 12345, 12345)
    reason = refusal(tmp_path / "dest", theirs, "GRU.h5")
    assert f"git config --global --add safe.directory {theirs}" in reason
    git("config", "--file", tmp_path / "home/.gitconfig", "--add", "safe.directory", theirs)
    assert take(tmp_path / "dest", theirs, "GRU.h5") == b"short"


@pytest.fixture
def https(tmp_path, origin):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    with GitServer(origin.parent, certificate, key) as running:
        yield running, certificate


def test_certificates_are_never_skipped(tmp_path, https, monkeypatch):
    server, certificate = https
    address = f"{server.url}/origin.git"
    for section in ("[http]", f'[http "{server.url}/"]'):
        with open(tmp_path / "home/.gitconfig", "a") as config:
            config.write(f"{section}\n\tsslVerify = false\n")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    assert refusal(tmp_path, address, "GRU.h5") == "the server's certificate is not valid"
    assert server.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert take(tmp_path, address, "GRU.h5") == b"short"


def test_the_users_own_authority_and_proxy(tmp_path, https, monkeypatch):
    server, certificate = https
    git("config", "--file", tmp_path / "home/.gitconfig", f"http.{server.url}.sslCAInfo", certificate)
    with proxy() as (address, seen):
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert take(tmp_path, f"{server.url}/origin.git", "GRU.h5") == b"short"
    assert seen[0] == ("CONNECT", server.url.rpartition("/")[2])


# Servers that fail

def test_a_server_in_trouble_is_asked_again(tmp_path, server):
    server.status = [503]
    assert take(tmp_path, f"{server.url}/origin.git", "GRU.h5") == b"short"
    end(tmp_path)
    server.status = [500, 502, 503]
    assert refusal(tmp_path, f"{server.url}/origin.git", "GRU.h5") == "the server answered 502, 2 times in a row"


@pytest.mark.parametrize("status, reason", [
    (403, "the server wants a login for it, or has no such repository"), (404, "there is no git repository"),
    (410, "the server answered 410")])
def test_a_server_that_refuses_is_not(tmp_path, server, status, reason):
    server.status = [status]
    assert refusal(tmp_path, f"{server.url}/origin.git", "GRU.h5") == reason
    assert len(server.requests) == 1


def test_nobody_there(tmp_path):
    with GitServer(tmp_path) as server:
        address = f"{server.url}/x.git"
    assert refusal(tmp_path, address, "x") == "its host refuses connections, 2 times in a row"


def test_silence(tmp_path, server):
    server.stall_at = 2000
    reason = refusal(tmp_path, f"{server.url}/origin.git", "checkpoints/best model.pth", limits=SILENT)
    assert reason == "no answer in time, 2 times in a row"
    server.stall_at = None
    assert take(tmp_path, f"{server.url}/origin.git", "checkpoints/best model.pth") == X


def test_a_server_that_never_answers_is_left_sooner(tmp_path, server):
    server.stall_at = 0
    limits = Limits(connect_seconds=0.3, silence_seconds=600, attempts=2, backoff_seconds=0.01)
    reason = refusal(tmp_path, f"{server.url}/origin.git", "GRU.h5", limits=limits)
    assert reason == "no answer in time, 2 times in a row"


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for ssh")
def test_ssh(tmp_path, origin, monkeypatch):
    """It may not ask, and may leave a process behind that holds git's stderr, as ControlPersist does."""
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nsleep 30 &\necho $! >> {tmp_path}/left\n'
                   'for last; do :; done\neval "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    try:
        assert take(tmp_path, f"me@host.org:{origin}", "GRU.h5") == b"short", "nobody waits for what ssh has left"
    finally:
        for process in (tmp_path / "left").read_text().split():
            os.kill(int(process), signal.SIGTERM)
    asked = (tmp_path / "asked").read_text()
    assert "-o BatchMode=yes -o ConnectTimeout=2" in asked and f"me@host.org git-upload-pack '{origin}'" in asked


def test_a_stop_ends_git(tmp_path, server, monkeypatch):
    server.bytes_per_second = 20_000
    processes = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            processes.append(self)

    monkeypatch.setattr(git_command.subprocess, "Popen", Noted)

    def stop(received, total):
        if received > 8_000:
            raise Stopped

    with pytest.raises(Stopped):
        take(tmp_path, f"{server.url}/origin.git", "checkpoints/best model.pth", on_bytes=stop)
    assert processes and all(process.poll() is not None for process in processes)


KILLED = """
import sys
from pathlib import Path
from pose_tools.weights.download.git import receive_from_git
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Part
from pose_tools.weights.entries import ModelFile, Source

part = Part(Path(sys.argv[1]), "x.pth")
with part.locked(), part:
    receive_from_git(Source("git", sys.argv[2], "checkpoints/best model.pth", "models"), part,
                     ModelFile("x.pth"), Limits(), lambda received, total: print(received, flush=True))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_kill_in_the_middle_of_a_fetch_leaves_nothing_wrong(tmp_path, root, server):
    address = f"{server.url}/origin.git"
    server.bytes_per_second = 5_000  # a minute for the file
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, address], stdout=subprocess.PIPE, text=True,
                                 cwd=root)
        for line in child.stdout:
            if int(line) > 8_000:
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not (tmp_path / "x.pth").exists()
    deadline = time.monotonic() + 10
    while running_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running_in(tmp_path) == [], "git ends with the one who started it"
    server.bytes_per_second = None
    assert take(tmp_path, address, "checkpoints/best model.pth", sha256=hashlib.sha256(X).hexdigest()) == X
    end(tmp_path)
    assert [name for name in left(tmp_path) if not name.startswith("x.pth")] == []


def running_in(folder):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"git" in words and str(folder).encode() in words:
            found.append(words)
    return found


def test_without_git(tmp_path, origin, monkeypatch):
    git_program.cache_clear()
    old = tmp_path / "bin/git"
    old.parent.mkdir()
    monkeypatch.setenv("PATH", str(old.parent))
    assert refusal(tmp_path, origin, "x").startswith("the git command is not installed; install git")
    old.write_text("#!/bin/sh\necho git version 2.20.1\n")
    old.chmod(0o755)
    assert refusal(tmp_path, origin, "x") == "git version 2.20.1 is too old; 2.32 or newer is needed"
    git_program.cache_clear()


def test_a_full_disk_is_the_users(tmp_path, origin, monkeypatch):
    def fetch(self, *arguments, on_received):
        raise git_command.GitFailed("error: file write error: No space left on device\nfatal: index-pack failed")

    monkeypatch.setattr(BareRepository, "fetch", fetch)
    with pytest.raises(UserError, match="no space left on the disk"):
        take(tmp_path, origin, "GRU.h5")


# Git LFS

@pytest.fixture
def lfs(tmp_path):
    make_repository(tmp_path / "served/lfs.git", {"x.pth": pointer_to(X), "p.txt": b"version https://git-lfs\n"})
    with GitServer(tmp_path / "served") as running:
        running.put_lfs(X)
        running.address = f"{running.url}/lfs.git"
        yield running


def test_a_pointer_is_followed(tmp_path, lfs):
    digest = hashlib.sha256(X).hexdigest()
    assert take(tmp_path, lfs.address, "x.pth", sha256=digest[:8], size=len(X)) == X
    assert lfs.wishes == [{"operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
                           "objects": [{"oid": digest, "size": len(X)}]}]
    assert "POST /lfs.git/info/lfs/objects/batch" in lfs.requests
    assert take(tmp_path, lfs.address, "p.txt") == b"version https://git-lfs\n", "only looks like one"


def test_a_pointer_to_another_file(tmp_path, lfs):
    reason = refusal(tmp_path, lfs.address, "x.pth", sha256="12345678")
    assert reason == f"the file there has the SHA-256 {hashlib.sha256(X).hexdigest()} and should have 12345678"
    assert refusal(tmp_path, lfs.address, "x.pth", size=7) == "the file there has 300000 bytes and should have 7"
    assert lfs.wishes == []


@pytest.mark.parametrize("batch, reason", [
    (b"<html>", "its Git LFS server answered with something else than JSON"),
    (b"[]", "its Git LFS server gives no address for the file"),
    (b'{"objects": [{"oid": "%s"}]}', "its Git LFS server gives no address for the file"),
    (b'{"objects": [{"oid": "%s", "error": {"code": 404, "message": "Object does not exist"}}]}',
     "its Git LFS server does not have the file: Object does not exist"),
    (b'{"objects": [{"oid": "%s", "error": 404}]}', "its Git LFS server gives no address for the file"),
    (b'{"objects": [{"oid": "%s", "actions": {"download": {"href": "file:///etc/passwd"}}}]}',
     "its Git LFS server gives no address for the file"),
    (b'{"objects": [{"oid": "%s", "actions": {"download": {"href": "https://h", "header": {"Authorization": "x"}}}}]}',
     "its Git LFS server wants a login"),
])
def test_lfs_servers_that_answer_strangely(tmp_path, lfs, batch, reason):
    lfs.batch = batch.replace(b"%s", hashlib.sha256(X).hexdigest().encode())
    assert refusal(tmp_path, lfs.address, "x.pth") == reason


def lfs_status(server, *statuses):
    """The answers of the LFS server, after those that git gets: refs, listing, refs of the blob, blob."""
    server.status = [*[200] * (len(server.requests) - 2), *statuses]


@pytest.mark.parametrize("statuses, reason", [
    ([503], None), ([503, 503], "its Git LFS server answered 503, 2 times in a row"),
    ([401], "its Git LFS server wants a login"), ([404], "its Git LFS server answered 404"), ([307], None)])
def test_lfs_servers_that_fail(tmp_path, lfs, statuses, reason):
    assert take(tmp_path / "first", lfs.address, "x.pth") == X
    lfs_status(lfs, *statuses)
    lfs.location = "/lfs.git/info/lfs/objects/batch" if 307 in statuses else None
    if reason is None:
        assert take(tmp_path / "second", lfs.address, "x.pth") == X
    else:
        assert refusal(tmp_path / "second", lfs.address, "x.pth") == reason


def test_a_wrong_lfs_object_is_not_as_long_as_the_right_one(tmp_path, lfs):
    lfs.files = dict.fromkeys(lfs.files, Y)
    assert refusal(tmp_path, lfs.address, "x.pth") == "it has another file there: of 200000 bytes, not 300000"


def test_lfs_objects_of_a_repository_on_this_machine(tmp_path, lfs):
    repository = tmp_path / "served/lfs.git"
    assert refusal(tmp_path, repository, "x.pth") == "there is no such file"
    digest = hashlib.sha256(X).hexdigest()
    place = repository / "lfs/objects" / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(X)
    assert take(tmp_path, repository, "x.pth") == X
    assert take(tmp_path, f"file://{repository}", "x.pth") == X


@pytest.mark.parametrize("remote, server", [
    ("https://host.org/foo/bar", "https://host.org/foo/bar.git/info/lfs"),
    ("https://host.org/foo/bar.git/", "https://host.org/foo/bar.git/info/lfs"),
    ("git@host.org:foo/bar.git", "https://host.org/foo/bar.git/info/lfs"),
    ("ssh://git@host.org/foo/bar.git", "https://host.org/foo/bar.git/info/lfs"),
    ("ssh://git@host.org:2222/foo/bar", "https://host.org/foo/bar.git/info/lfs"),
    ("host.org:foo/bar", "https://host.org/foo/bar.git/info/lfs"),
])
def test_where_the_lfs_server_of_a_repository_is(remote, server):
    """As docs/api/server-discovery.md of git-lfs has it."""
    assert _server_of(remote) == server
