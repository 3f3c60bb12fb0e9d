"""One file from one server, which cuts, stalls, lies, refuses and sends something else."""
import email.utils
import gzip
import hashlib
import os
import time
from types import SimpleNamespace

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.weights.download import pace
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.pace import Pace, TryAgain, retry_after
from pose_tools.weights.download.parts import Part
from pose_tools.weights.download.transfer import receive
from pose_tools.weights.entries import ModelFile

DATA = bytes(range(256)) * 4096  # 1 MiB
OTHER = DATA[::-1]
FULL = hashlib.sha256(DATA).hexdigest()
QUICK = Limits(connect_seconds=2, silence_seconds=1, attempts=3, backoff_seconds=0.01, backoff_most=0.02)
PATH = "/x.pth"


@pytest.fixture
def server(monkeypatch, tmp_path):
    without_network_settings(monkeypatch, tmp_path)
    with BadServer() as server:
        yield server


def get(server, folder, size=None, sha256=None, limits=QUICK, path=PATH, **more):
    """What is in the part afterwards, and the reason if it failed."""
    part, reason = Part(folder, "x.pth"), None
    with part:
        try:
            receive(server.url + path, part, ModelFile("x.pth", size, sha256), limits, lambda received, total: None,
                    **more)
        except SourceFailed as failure:
            reason = failure.reason
    return (part.path.read_bytes() if part.path.exists() else b""), reason


def left(folder, server, at=300_000, **known):
    """Leaves a part of the file as a killed process would."""
    server.put(PATH, DATA, cut_at=at)
    data, reason = get(server, folder, limits=Limits(attempts=1), **known)
    assert (data, "broke off" in reason) == (DATA[:at], True)
    server.clear(PATH)
    server.requests.clear()


def ranges(server):
    return [headers.get("Range") for headers in server.asked(PATH)]


@pytest.mark.parametrize("behaviour", [dict(), dict(chunked=True), dict(etag="", last_modified=""),
                                       dict(headers={"Content-Length": None}, unsized=True)])
def test_a_file(behaviour, server, tmp_path):
    server.put(PATH, DATA, **behaviour)
    assert get(server, tmp_path, size=len(DATA)) == (DATA, None)
    assert server.asked()[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("behaviour", [dict(), dict(chunked=True)])
@pytest.mark.parametrize("how", ["cut_at", "stall_at"])
def test_a_broken_connection_is_continued(how, behaviour, server, tmp_path):
    server.put(PATH, DATA, **{how: 100_000}, **behaviour)
    server.put(PATH, DATA, **{how: 200_000})
    server.put(PATH, DATA)
    assert get(server, tmp_path) == (DATA, None)
    assert ranges(server) == [None, "bytes=100000-", "bytes=300000-"]
    assert server.sent == len(DATA), "nothing came twice"


def test_what_a_killed_process_left_is_continued(server, tmp_path):
    left(tmp_path, server)
    server.put(PATH, DATA)
    assert get(server, tmp_path) == (DATA, None)
    assert ranges(server) == ["bytes=300000-"]
    assert server.asked()[0]["If-Range"] == f'"{hashlib.md5(DATA).hexdigest()}"'


def test_from_another_address_only_what_a_whole_hash_will_tell_is_continued(server, tmp_path):
    for known, wanted in ((FULL, "bytes=300000-"), (FULL[:8], None), (None, None)):
        folder = tmp_path / str(known)
        left(folder, server, sha256=known)
        server.put("/mirror", DATA)
        assert get(server, folder, sha256=known, path="/mirror") == (DATA, None)
        assert server.asked("/mirror")[-1].get("Range") == wanted
        assert "If-Range" not in server.asked("/mirror")[-1]


def test_a_file_without_version_is_fetched_anew(server, tmp_path):
    server.put(PATH, DATA, cut_at=300_000, etag="", last_modified="")
    server.put(PATH, DATA, etag="", last_modified="")
    assert get(server, tmp_path) == (DATA, None)
    assert ranges(server) == [None, None]


def test_a_weak_tag_is_no_version_but_the_date_is(server, tmp_path):
    server.put(PATH, DATA, cut_at=300_000, etag='W/"1"')
    server.put(PATH, DATA, etag='W/"1"')
    assert get(server, tmp_path) == (DATA, None)
    assert server.asked()[1]["If-Range"] == "Sat, 01 Jan 2022 00:00:00 GMT"


@pytest.mark.parametrize("behaviour", [dict(), dict(if_range=False), dict(ranges=False)])
@pytest.mark.parametrize("size", [len(OTHER), len(OTHER) - 1000])
def test_a_file_that_changed_is_fetched_anew(size, behaviour, server, tmp_path):
    left(tmp_path, server)
    server.put(PATH, OTHER[:size], **behaviour)
    assert get(server, tmp_path) == (OTHER[:size], None)


@pytest.mark.parametrize("content_range", ["bytes 0-1048575/1048576", "bytes 300001-1048575/1048576", "none", ""])
def test_another_range_than_asked_for_is_not_added(content_range, server, tmp_path):
    left(tmp_path, server)
    server.put(PATH, DATA, content_range=content_range or "bytes 5-6/7")
    server.put(PATH, DATA)
    assert get(server, tmp_path) == (DATA, None)
    assert ranges(server) == ["bytes=300000-", None]


def test_a_piece_that_was_not_asked_for_is_refused(server, tmp_path):
    server.put(PATH, DATA, unasked_start=7)
    assert get(server, tmp_path) == (b"", "it sends a piece of the file where the whole was asked for")


def test_a_whole_part_asks_nothing(server, tmp_path):
    server.put(PATH, DATA)
    get(server, tmp_path)
    server.requests.clear()
    assert get(server, tmp_path) == (DATA, None)
    assert server.asked() == []


def test_a_whole_part_of_unknown_length_is_whole_by_the_servers_416(server, tmp_path):
    server.put(PATH, DATA, chunked=True)
    get(server, tmp_path)
    assert get(server, tmp_path) == (DATA, None)
    assert ranges(server) == [None, f"bytes={len(DATA)}-"] and server.sent == len(DATA)


def test_a_part_longer_than_the_file_begins_again(server, tmp_path):
    server.put(PATH, DATA, chunked=True)
    get(server, tmp_path, sha256=FULL)
    server.clear(PATH)
    server.put(PATH, DATA[:1000], chunked=True)
    assert get(server, tmp_path, sha256=FULL) == (DATA[:1000], None), "its 416 gave another length"
    assert ranges(server) == [None, f"bytes={len(DATA)}-", None]


@pytest.mark.parametrize("behaviour, known, word", [
    (dict(announce=len(DATA) + 1), len(DATA), "another file there: of 1048577 bytes, not 1048576"),
    (dict(announce=5), len(DATA), "another file there: of 5 bytes, not 1048576"),
    (dict(chunked=True), 1000, "sends more than the 1000 bytes"),
    (dict(unsized=True), None, "does not say how long the file is"),
    (dict(content_type="text/html; charset=utf-8"), None, "answered with a web page"),
    (dict(headers={"Content-Encoding": "gzip"}), None, "compressed (gzip)"),
])
def test_what_is_refused_before_it_is_kept(behaviour, known, word, server, tmp_path):
    server.put(PATH, DATA, **behaviour)
    data, reason = get(server, tmp_path, size=known)
    assert (data, word in reason) == (b"", True), reason
    assert len(server.asked()) == 1


def test_compressed_bytes_are_never_taken_for_the_file(server, tmp_path):
    server.put(PATH, gzip.compress(DATA), headers={"Content-Encoding": "gzip"})
    assert get(server, tmp_path)[0] == b""


def test_more_announced_than_sent_is_a_cut_until_there_is_no_progress(server, tmp_path):
    server.put(PATH, DATA, announce=len(DATA) + 10)
    data, reason = get(server, tmp_path, limits=Limits(attempts=2, backoff_seconds=0.01))
    # The second request is answered by 416 with the true length: then the part is whole after all.
    assert (data, reason) == (DATA, None)


def test_less_announced_than_sent_is_what_was_announced(server, tmp_path):
    server.put(PATH, DATA, announce=1000)
    assert get(server, tmp_path) == (DATA[:1000], None), "the hash is for the caller"


def test_a_body_of_unknown_length_that_ends_early_is_continued(server, tmp_path):
    server.put(PATH, DATA, unsized=True, cut_at=1000)
    server.put(PATH, DATA)
    assert get(server, tmp_path, size=len(DATA)) == (DATA, None)


def test_an_empty_body_is_no_file_and_costs_nothing_that_is_here(server, tmp_path):
    server.put(PATH, b"")
    assert get(server, tmp_path) == (b"", "the file there is empty")
    server.clear(PATH)
    server.put(PATH, DATA, cut_at=1000)
    server.put(PATH, b"", ranges=False)
    assert get(server, tmp_path) == (DATA[:1000], "the file there is empty")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416, 451])
def test_a_refusal_ends_it_at_once(status, server, tmp_path):
    server.put(PATH, status=status)
    assert get(server, tmp_path) == (b"", f"the server answered {status}")
    assert len(server.asked()) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_trouble_is_tried_again(status, server, tmp_path):
    server.put(PATH, status=status)
    server.put(PATH, status=status)
    server.put(PATH, DATA)
    assert get(server, tmp_path) == (DATA, None)


def test_lasting_trouble_ends_and_keeps_the_part(server, tmp_path):
    left(tmp_path, server)
    server.put(PATH, status=503)
    assert get(server, tmp_path) == (DATA[:300_000], "the server answered 503, 3 times in a row")
    assert len(server.asked()) == 3


def test_attempts_count_anew_after_progress(server, tmp_path):
    for _ in range(8):
        server.put(PATH, DATA, cut_at=100_000)
        server.put(PATH, status=500)
    server.put(PATH, DATA)
    assert get(server, tmp_path) == (DATA, None), "never three failures in a row"


def test_starting_over_is_no_progress(server, tmp_path):
    server.put(PATH, DATA, cut_at=100_000, ranges=False)
    assert get(server, tmp_path)[1].endswith("3 times in a row")
    assert len(server.asked()) == 3, "the second and third brought nothing new"


def test_silence_is_left(server, tmp_path):
    server.put(PATH, DATA, stall_at=0)
    assert get(server, tmp_path) == (b"", "no answer in time, 3 times in a row")


def test_a_drip_is_left_and_kept(server, tmp_path):
    server.put(PATH, DATA, bytes_per_second=2000)
    data, reason = get(server, tmp_path, limits=Limits(slow_bytes_per_second=10_000, slow_seconds=0.3))
    assert "bytes a second, less than 10000" in reason
    assert DATA.startswith(data) and 0 < len(data) < 3000


def test_a_drip_by_many_short_connections_is_left_too(server, tmp_path):
    server.put(PATH, DATA, cut_at=10)
    limits = Limits(slow_bytes_per_second=100_000, slow_seconds=0.3, backoff_seconds=0.01)
    assert "bytes a second" in get(server, tmp_path, limits=limits)[1]


def test_retry_after_is_waited_for(server, tmp_path):
    server.put(PATH, status=429, headers={"Retry-After": "1"})
    server.put(PATH, DATA)
    start = time.monotonic()
    assert get(server, tmp_path) == (DATA, None)
    assert time.monotonic() - start >= 1


def test_a_wait_that_was_asked_for_is_not_slowness():
    pace = Pace(Limits(slow_seconds=0.5), 0)
    pace.wait(TryAgain("busy", wait=0.6), lambda: None)
    pace.received(1, 1)
    time.sleep(0.5)
    with pytest.raises(SourceFailed, match="bytes a second"):
        pace.received(1, 2)


def test_who_asks_for_too_long_a_wait_is_left(server, tmp_path):
    server.put(PATH, status=429, headers={"Retry-After": "3600"})
    assert get(server, tmp_path) == (b"", "the server answered 429 and asks to come back in 3600 s")


@pytest.mark.parametrize("text, seconds", [("7", 7), (" 7 ", 7), ("", None), (None, None), ("soon", None), ("-3", None),
                                           ("Sat, 01 Jan 2022 00:00:00 GMT", 0)])
def test_retry_after(text, seconds):
    assert retry_after(text) == seconds


def test_retry_after_as_a_date():
    text = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 55 < retry_after(text) <= 60


def test_the_wait_doubles_up_to_a_limit_and_is_drawn(monkeypatch):
    drawn, slept = [], []
    monkeypatch.setattr("random.uniform", lambda low, high: drawn.append((low, high)) or 0)
    monkeypatch.setattr("time.sleep", slept.append)
    pace = Pace(Limits(attempts=7, backoff_seconds=1, backoff_most=10), 0)
    for _ in range(6):
        pace.wait(TryAgain("broken"), lambda: None)
    assert drawn == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 10), (0, 10)]
    with pytest.raises(SourceFailed, match="broken, 7 times in a row"):
        pace.wait(TryAgain("broken"), lambda: None)


def test_a_fast_beginning_does_not_excuse_a_drip():
    pace = Pace(Limits(slow_seconds=0.2), 0)
    pace.received(10**9, 10**9)
    time.sleep(0.2)
    pace.received(1, 10**9 + 1)
    time.sleep(0.2)
    with pytest.raises(SourceFailed, match="bytes a second"):
        pace.received(1, 10**9 + 2)


def test_without_any_connection_fewer_attempts_are_made():
    pace = Pace(Limits(attempts=5, connect_attempts=2, backoff_seconds=0.01), 0)
    pace.wait(TryAgain("nobody there", is_connected=False), lambda: None)
    with pytest.raises(SourceFailed, match="nobody there, 2 times in a row"):
        pace.wait(TryAgain("nobody there", is_connected=False), lambda: None)


def test_what_on_bytes_raises_ends_a_wait(server, tmp_path):
    server.put(PATH, status=429, headers={"Retry-After": "60"})

    def stop(received, total):
        raise KeyError

    with Part(tmp_path, "x.pth") as part, pytest.raises(KeyError):
        receive(server.url + PATH, part, ModelFile("x.pth"), Limits(), stop)


def test_progress_is_told_in_order_with_the_total(server, tmp_path):
    server.put(PATH, DATA, cut_at=500_000)
    server.put(PATH, DATA)
    seen = []
    with Part(tmp_path, "x.pth") as part:
        receive(server.url + PATH, part, ModelFile("x.pth"), QUICK, lambda *pair: seen.append(pair))
    assert seen[0] == (0, len(DATA)) and seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_a_slow_line_is_written_as_it_comes(server, tmp_path):
    server.put(PATH, DATA, bytes_per_second=50_000)
    sizes = []

    class Enough(Exception):
        pass

    def look(received, total):
        sizes.append(os.path.getsize(tmp_path / ".downloads" / "x.pth.part"))
        assert sizes[-1] == received
        if len(sizes) > 5:
            raise Enough

    with Part(tmp_path, "x.pth") as part, pytest.raises(Enough):
        receive(server.url + PATH, part, ModelFile("x.pth"), Limits(), look)
    assert 0 < sizes[2] < 10_000, "not when a block is full"


def test_a_long_wait_is_told(monkeypatch):
    now, said, ticks = [0.0], [], []
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(pace, "time", clock)
    waiting = Pace(Limits(), 0, said.append)
    waiting.wait(TryAgain("the server answered 429", wait=4), lambda: ticks.append(1))
    waiting.wait(TryAgain("the server answered 429", wait=90), lambda: ticks.append(1))
    assert said == ["the server answered 429; trying again in 90 s"]
    assert now[0] == pytest.approx(94) and len(ticks) > 90 / 0.2
