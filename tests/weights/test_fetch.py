"""Files from a server on this machine that behaves badly in every way that costs people days."""
import hashlib
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pose_tools.console import UserError
from pose_tools.weights import fetch
from pose_tools.weights.fetch import hash_in_name, name_of_address, resolve_weights

DATA = b"weights " * 5000
SHA8 = hashlib.sha256(DATA).hexdigest()[:8]
NAME = f"rtmpose-s-{SHA8}_20230126.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        folder = self.path.split("/")[1]
        if folder.isdigit():
            return self.send_error(int(folder))
        if folder == "moved":
            return self.redirect("/good/" + NAME)
        if folder == "downgrade":
            return self.redirect("http://192.0.2.1/weights.pth")
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if folder == "page" else "application/octet-stream")
        body = {"wrong": b"x" * 100, "page": b"<html>expired</html>"}.get(folder, DATA)
        if folder != "unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if folder == "cut":
            self.wfile.write(body[:1000])
        elif folder == "stall":
            self.wfile.write(body[:1000])
            self.wfile.flush()
            self.server.stop.wait(20)
        else:
            self.wfile.write(body)

    def redirect(self, where):
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.stop = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name, digits", [
    ("rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth", "78e30dcc"),
    ("rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth", "fcb2599b"),
    ("rtmpose-s-carpose-1a2b3c4d_20250101.pth", "1a2b3c4d"),
    ("resnet50-0676ba61.pth", "0676ba61"),
    ("x-1a2b3c4d_20220719_112030.pth", "1a2b3c4d"),
    ("x-" + "0f" * 32 + ".pth", "0f" * 32),
    ("cspnext-s_imagenet_600e.pth", None),
    ("model-20220902.pth", None),
    ("epoch_300.pth", None),
    ("best-1a2b3c4.pth", None),
])
def test_hash_in_name(name, digits):
    assert hash_in_name(name) == digits


def test_name_of_address():
    assert name_of_address("https://example.org/a/b%20c.pth?download=true#x") == "b c.pth"
    for bad in ("https://example.org", "https://example.org/a/", "https://example.org/..",
                "https://example.org/a%2F..", "https://example.org/a%5Cb.pth", "https://example.org/a%00.pth"):
        with pytest.raises(UserError):
            name_of_address(bad)


def test_a_local_path_is_itself(tmp_path):
    file = tmp_path / "x.pth"
    file.write_bytes(b"1")
    assert resolve_weights(file) == file
    with pytest.raises(UserError, match="no such file"):
        resolve_weights(tmp_path / "absent.pth")


def test_download_once(server, tmp_path):
    target = tmp_path / "checkpoint" / NAME
    for _ in range(2):
        assert resolve_weights(f"{server.url}/good/{NAME}", tmp_path / "checkpoint") == target
    assert target.read_bytes() == DATA
    assert server.asked == [f"/good/{NAME}"]
    assert os.listdir(tmp_path / "checkpoint") == [NAME]


@pytest.mark.parametrize("folder", ["moved", "unsized"])
def test_redirects_and_unknown_lengths_are_followed(folder, server, tmp_path):
    assert resolve_weights(f"{server.url}/{folder}/{NAME}", tmp_path).read_bytes() == DATA


def test_a_present_file_needs_no_network(tmp_path):
    (tmp_path / NAME).write_bytes(DATA)
    assert resolve_weights(f"https://192.0.2.1/{NAME}", tmp_path) == tmp_path / NAME


def test_a_wrong_present_file_is_set_aside(tmp_path):
    (tmp_path / NAME).write_bytes(b"half of it")
    with pytest.raises(UserError) as caught:
        resolve_weights(f"https://192.0.2.1/{NAME}", tmp_path)
    assert SHA8 in one_line(caught) and hashlib.sha256(b"half of it").hexdigest() in str(caught.value)
    assert os.listdir(tmp_path) == [NAME + ".suspect"]
    assert (tmp_path / (NAME + ".suspect")).read_bytes() == b"half of it"


def test_a_wrong_download_is_set_aside(server, tmp_path):
    with pytest.raises(UserError) as caught:
        resolve_weights(f"{server.url}/wrong/{NAME}", tmp_path)
    assert SHA8 in one_line(caught) and hashlib.sha256(b"x" * 100).hexdigest() in str(caught.value)
    assert os.listdir(tmp_path) == [NAME + ".suspect"]


@pytest.mark.parametrize("folder, word", [
    ("404", "404"), ("403", "403"), ("500", "500"), ("cut", "broke off|bytes came"), ("page", "web page"),
    ("stall", "no answer in time"),
])
def test_failures_are_one_line_and_leave_nothing(folder, word, server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "SILENCE_SECONDS", 0.5)
    with pytest.raises(UserError, match=word) as caught:
        resolve_weights(f"{server.url}/{folder}/{NAME}", tmp_path)
    assert NAME in one_line(caught)
    assert os.listdir(tmp_path) == []


def test_no_network_says_what_to_do_at_once(tmp_path, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/{NAME}"
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        resolve_weights(address, tmp_path)
    assert time.monotonic() - start < 5
    message = one_line(caught)
    assert address in message and str(tmp_path / NAME) in message and "--no-pretrained" in message
    assert len(message) < 500


def test_an_unknown_host_is_one_line(tmp_path, server):
    with pytest.raises(UserError, match="cannot download"):
        resolve_weights(f"https://nowhere.invalid/{NAME}", tmp_path)


def test_plain_http_needs_a_hash_except_on_this_machine(server, tmp_path):
    with pytest.raises(UserError, match="without encryption"):
        resolve_weights("http://192.0.2.1/weights.pth", tmp_path)
    assert resolve_weights(f"{server.url}/good/weights.pth", tmp_path).read_bytes() == DATA


def test_a_redirect_to_plain_http_is_refused(server, tmp_path):
    start = time.monotonic()
    with pytest.raises(UserError, match="192.0.2.1.*without encryption"):
        resolve_weights(f"{server.url}/downgrade/weights.pth", tmp_path)
    assert time.monotonic() - start < 5 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("address", ["http://[::1]/weights.pth", "http://localhost/weights.pth",
                                     "https://192.0.2.1/weights.pth", f"http://192.0.2.1/{NAME}"])
def test_sources_that_are_all_right(address):
    fetch._check_source(address, name_of_address(address))


def test_a_file_that_cannot_be_written_is_one_line(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot download"):
        resolve_weights(f"{server.url}/good/{NAME}", tmp_path / "file")


def test_a_killed_download_leaves_nothing_under_the_name(server, tmp_path):
    call = f"resolve_weights({server.url + '/stall/' + NAME!r}, {str(tmp_path)!r})"
    code = f"from pose_tools.weights.fetch import resolve_weights; {call}"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    deadline = time.monotonic() + 30
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = os.listdir(tmp_path)
    assert NAME not in left and all(re.fullmatch(r"\..*\.part", name) for name in left)
    assert resolve_weights(f"{server.url}/good/{NAME}", tmp_path).read_bytes() == DATA
