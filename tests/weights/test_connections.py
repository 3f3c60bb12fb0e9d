"""Certificates, proxies, redirects, tokens: nothing is skipped, and nothing goes where it should not."""
import hashlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3.util.connection
from download_server import BadServer, proxy, without_network_settings

from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.hub import hub_address, hub_token
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.parts import Part
from pose_tools.weights.download.session import open_session
from pose_tools.weights.download.transfer import receive
from pose_tools.weights.entries import ModelFile, parse_source

DATA = b"weights " * 50_000
FULL = hashlib.sha256(DATA).hexdigest()
QUICK = Limits(connect_seconds=2, silence_seconds=10, attempts=2, backoff_seconds=0.01)
PATH = "/x.pth"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    without_network_settings(monkeypatch, tmp_path)


@pytest.fixture
def server():
    with BadServer() as server:
        yield server


@pytest.fixture
def other():
    with BadServer() as server:
        yield server


def get(address, folder, sha256=None, **more):
    """What is in the part afterwards, or the reason why not."""
    with Part(folder, "x.pth") as part:
        try:
            receive(address, part, ModelFile("x.pth", None, sha256), QUICK, lambda received, total: None, **more)
        except SourceFailed as failure:
            return failure.reason
        return part.path.read_bytes()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates signed by themselves, and keys: for this machine, for another host, and one that has expired."""
    if not shutil.which("openssl"):
        pytest.skip("the openssl command, which makes the certificates, is not on this machine")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    for name, host in (("good", "IP:127.0.0.1"), ("other", "DNS:example.org"), ("expired", "IP:127.0.0.1")):
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-addext", f"subjectAltName={host}", *(["-out", f"{name}.csr"] if name == "expired" else
                                                       ["-x509", "-days", "2", "-out", f"{name}.pem"]))
    (folder / "index.txt").touch()
    (folder / "ca.cnf").write_text("[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n"
                                   "default_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-selfsign", "-keyfile", "expired.key",
            "-in", "expired.csr", "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-out", "expired.pem")
    return folder


def https(certificates, name="good"):
    return BadServer(certificates / f"{name}.pem", certificates / f"{name}.key")


def test_an_unknown_certificate_is_refused_at_once(certificates, tmp_path):
    with https(certificates) as server:
        server.put(PATH, DATA)
        assert get(server.url + PATH, tmp_path, FULL) == "the server's certificate is self-signed"
        assert server.asked() == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_certificates_to_trust(variable, certificates, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, str(certificates / "good.pem"))
    with https(certificates) as server:
        server.put(PATH, DATA)
        assert get(server.url + PATH, tmp_path) == DATA


def test_requests_own_variable_comes_first(certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "good.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "other.pem"))
    with https(certificates) as server:
        server.put(PATH, DATA)
        assert "certificate" in get(server.url + PATH, tmp_path)


def test_another_hosts_certificate_is_refused(certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "other.pem"))
    with https(certificates, "other") as server:
        server.put(PATH, DATA)
        assert get(server.url + PATH, tmp_path, FULL) == "the server's certificate is another host's"


def test_an_expired_certificate_is_refused(certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "expired.pem"))
    with https(certificates, "expired") as server:
        server.put(PATH, DATA)
        assert get(server.url + PATH, tmp_path, FULL) == "the server's certificate has expired"
        assert server.asked() == []


def test_a_redirect_to_an_unknown_certificate_is_refused(certificates, server, tmp_path):
    with https(certificates) as secure:
        secure.put(PATH, DATA)
        server.put(PATH, location=secure.url + PATH)
        assert "certificate is self-signed" in get(server.url + PATH, tmp_path, FULL)


def test_a_certificate_file_that_is_not_there_is_one_line(certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    with https(certificates) as server:
        reason = get(server.url + PATH, tmp_path)
    assert "absent.pem" in reason and "\n" not in reason


def test_certificates_are_always_checked():
    with open_session() as session:
        assert session.verify is True


def test_a_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    server.put(PATH, DATA)
    with proxy() as (address, seen):
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("http_proxy", address)
        assert get(server.url + PATH, tmp_path / "1") == DATA
        assert seen == [("GET", server.url + PATH)]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert get(server.url + PATH, tmp_path / "2") == DATA
        assert len(seen) == 1


def test_https_goes_through_a_proxy_unopened(certificates, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "good.pem"))
    with https(certificates) as server, proxy() as (address, seen):
        monkeypatch.setenv("HTTPS_PROXY", address)
        server.put(PATH, DATA)
        assert get(server.url + PATH, tmp_path) == DATA
        assert seen == [("CONNECT", f"127.0.0.1:{server.port}")]


def test_a_proxy_that_is_not_there_is_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert get(server.url + PATH, tmp_path) == "the proxy did not answer, 2 times in a row"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_nobody_there(tmp_path):
    start = time.monotonic()
    assert get(f"http://127.0.0.1:{free_port()}/x.pth", tmp_path) == "127.0.0.1 refuses connections, 2 times in a row"
    assert time.monotonic() - start < 5


def test_nobody_there_is_not_asked_as_often_as_a_server_in_trouble(server, tmp_path):
    limits = Limits(attempts=4, connect_attempts=2, backoff_seconds=0.01)
    server.put(PATH, status=503)
    for address, times in ((f"http://127.0.0.1:{free_port()}/x.pth", 2), (server.url + PATH, 4)):
        with Part(tmp_path, "x.pth") as part, pytest.raises(SourceFailed, match=f"{times} times in a row"):
            receive(address, part, ModelFile("x.pth"), limits, lambda *_: None)


def test_an_unknown_host(tmp_path):
    assert get("https://nowhere.invalid/x.pth", tmp_path).startswith("nowhere.invalid is not known here")


@pytest.mark.parametrize("address", ["https://", "https://[::1/x", "http://127.0.0.1:99999/x", "https://a b/x.pth"])
def test_addresses_that_are_none(address, tmp_path):
    reason = get(address, tmp_path, FULL)
    assert isinstance(reason, str) and "\n" not in reason


# Redirects

def test_a_redirect_is_followed_and_ranges_with_it(server, other, tmp_path):
    server.put(PATH, location=other.url + "/y")
    other.put("/y", DATA, cut_at=100_000)
    other.put("/y", DATA)
    assert get(server.url + PATH, tmp_path) == DATA
    assert [headers.get("Range") for headers in other.asked()] == [None, "bytes=100000-"]
    assert len(server.asked()) == 2, "the address that was given is asked again, not where it led to"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect(status, server, tmp_path):
    server.put(PATH, location="/y", status=status)
    server.put("/y", DATA)
    assert get(server.url + PATH, tmp_path) == DATA


def test_ten_redirects_are_enough(server, tmp_path):
    server.put(PATH, location=PATH)
    assert get(server.url + PATH, tmp_path) == "it redirects more than 10 times"
    assert len(server.asked()) == 11


@pytest.mark.parametrize("sha256, is_asked", [(None, False), (FULL[:8], False), (FULL, True)])
def test_a_redirect_to_plain_http_needs_a_whole_hash(sha256, is_asked, server, tmp_path, monkeypatch):
    tried = []
    connect = urllib3.util.connection.create_connection

    def look(address, *args, **kwargs):
        if address[0].startswith("192.0.2."):
            tried.append(address)
            raise ConnectionRefusedError("refused")
        return connect(address, *args, **kwargs)

    monkeypatch.setattr("urllib3.util.connection.create_connection", look)
    server.put(PATH, location="http://192.0.2.1/x.pth")
    reason = get(server.url + PATH, tmp_path, sha256)
    assert bool(tried) is is_asked
    assert is_asked or ("192.0.2.1" in reason and "without encryption" in reason)


def test_plain_http_needs_a_whole_hash_or_one_of_what_is_inside(tmp_path, monkeypatch):
    def refuse(address, *args, **kwargs):
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    address = "http://192.0.2.1/x.zip"
    assert "without encryption" in get(address, tmp_path, FULL[:8])
    assert "refuses connections" in get(address, tmp_path, FULL)
    assert "refuses connections" in get(address, tmp_path, None, guard=FULL)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[bad", "//", "\\\\x"])
def test_redirects_to_nowhere_are_one_line(location, server, tmp_path):
    server.put(PATH, location=location)
    reason = get(server.url + PATH, tmp_path, FULL)
    assert isinstance(reason, str) and "\n" not in reason


def test_the_body_of_a_redirect_is_not_read(server, tmp_path):
    server.put(PATH, bytes(1000), location="/y", headers={"Content-Length": "1000000"}, stall_at=1000)
    server.put("/y", DATA)
    assert get(server.url + PATH, tmp_path) == DATA, "it would have been waited for"
    assert len(server.asked(PATH)) == 1


# The hub

@pytest.mark.parametrize("source, path", [
    ("hf:user/repo#x.pth", "/user/repo/resolve/main/x.pth"),
    ("hf:user/repo@v1.0#a/b c.pth", "/user/repo/resolve/v1.0/a/b%20c.pth"),
    ("hf:user/repo@refs/pr/1#x.pth", "/user/repo/resolve/refs%2Fpr%2F1/x.pth"),
])
def test_addresses_of_the_hub(source, path, monkeypatch):
    assert hub_address(parse_source(source)) == "https://huggingface.co" + path
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org/hf/")
    assert hub_address(parse_source(source)) == "https://mirror.example.org/hf" + path


def test_a_name_the_hub_cannot_have_is_one_line():
    with pytest.raises(SourceFailed, match="cannot be on the hub"):
        hub_address(parse_source("hf:user--x/re..po#x.pth"))


def test_the_token_of_the_environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub_token() == "hf_secret"


def test_a_token_goes_to_the_hub_and_not_where_it_redirects(server, other, tmp_path):
    server.put_hub("user/repo", "x.pth", DATA, cdn=other)
    assert get(f"{server.url}/user/repo/resolve/main/x.pth", tmp_path, token="hf_secret") == DATA
    assert [headers["Authorization"] for headers in server.asked()] == ["Bearer hf_secret"]
    assert len(other.asked()) == 1 and "Authorization" not in other.asked()[0]


def test_a_netrc_does_not_overwrite_the_token(server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.put(PATH, DATA)
    assert get(server.url + PATH, tmp_path, token="hf_secret") == DATA
    assert server.asked()[0]["Authorization"] == "Bearer hf_secret"


def test_no_token_is_sent_unencrypted(tmp_path, monkeypatch):
    sent = []

    def look(session, address, **words):
        sent.append(words["auth"])
        raise SourceFailed("seen")

    monkeypatch.setattr("requests.Session.get", look)
    assert get("http://192.0.2.1/x.pth", tmp_path, FULL, token="hf_secret") == "seen"
    assert get("https://192.0.2.1/x.pth", tmp_path, FULL, token="hf_secret") == "seen"
    assert sent[0] is None and sent[1].token == "hf_secret"


def test_the_hash_the_hub_has_on_record_is_noted_and_compared(server, other, tmp_path):
    server.put_hub("user/repo", "x.pth", DATA, cdn=other)
    address = f"{server.url}/user/repo/resolve/main/x.pth"
    with Part(tmp_path, "x.pth") as part:
        receive(address, part, ModelFile("x.pth", None, FULL[:8]), QUICK, lambda *_: None, "")
        assert part.notes.sha256 == FULL
    assert f"its SHA-256 is {FULL}, not 00000000" in get(address, tmp_path / "2", "00000000", token="")
    assert Part(tmp_path / "2", "x.pth").size == 0


@pytest.mark.parametrize("status, code, token, words", [
    (401, "RepoNotFound", "", ["401", "HF_TOKEN"]), (401, "GatedRepo", "", ["401", "HF_TOKEN"]),
    (403, "GatedRepo", "hf_secret", ["403", "accept the licence"]),
    (404, "EntryNotFound", "", ["404", "EntryNotFound"]),
    (404, "RevisionNotFound", "", ["404", "RevisionNotFound"]),
])
def test_the_hubs_refusals_come_with_advice(status, code, token, words, server, tmp_path):
    server.put(PATH, status=status, headers={"X-Error-Code": code})
    reason = get(server.url + PATH, tmp_path, token=token)
    assert all(word in reason for word in words) and len(server.asked()) == 1


def test_importing_the_hubs_library_touches_no_network(tmp_path):
    code = ("import socket\n"
            "def no(*a, **k): raise SystemExit('network')\n"
            "socket.socket.connect = no; socket.getaddrinfo = no\n"
            "from pose_tools.weights.download.hub import hub_address, hub_token\n"
            "from pose_tools.weights.entries import parse_source\n"
            "print(hub_address(parse_source('hf:a/b#c')), hub_token())")
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert answer.stdout.split() == ["https://huggingface.co/a/b/resolve/main/c", "None"], answer.stderr
