"""Two hundred kills at random moments: never a wrong file under its name, and the bytes are not lost."""
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from download_server import BadServer, without_network_settings

from pose_tools.weights.hashes import sha256_of

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200
SIZE = 3_000_000
# Imports everything once; each round is a fork of it, killed from outside. It has one thread, so it may fork.
DRIVER = """
import os, json, random, signal, sys, time
from pathlib import Path
import filelock, huggingface_hub, requests, tqdm
from pose_tools.weights.download import Job, Limits, download
from pose_tools.weights.entries import ModelFile, parse_source
requests.Session()

def child(task):
    jobs = [Job(ModelFile(path, None, sha256), Path(task["folder"]) / path, (parse_source(address),))
            for path, sha256, address in task["files"]]
    try:
        download(jobs, limits=Limits(attempts=3, backoff_seconds=0.01), say=lambda line: None)
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)

for line in sys.stdin:
    task = json.loads(line)
    pid = os.fork()
    if not pid:
        child(task)
    if task["seconds"] is not None:
        time.sleep(task["seconds"])
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def driver():
    process = subprocess.Popen([sys.executable, "-c", DRIVER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    yield process
    process.stdin.close()
    process.wait(30)


def run(driver, folder, files, seconds):
    """Downloads for so long, or to the end; gives the exit code, -9 when killed."""
    driver.stdin.write(json.dumps({"folder": str(folder), "files": files, "seconds": seconds}) + "\n")
    driver.stdin.flush()
    return int(driver.stdout.readline())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_200_kills(driver, tmp_path, monkeypatch):
    without_network_settings(monkeypatch, tmp_path)
    draw = random.Random(20230126)
    kills = rounds = completed = 0
    grown = {}
    with BadServer() as server:
        while kills < KILLS:
            rounds += 1
            folder = tmp_path / str(rounds)
            files = serve(server, draw, rounds)
            while True:
                code = run(driver, folder, files, draw.uniform(0.0, 0.25) if kills < KILLS else None)
                kills += code == -9
                assert code in (0, -9)
                check_places(folder, files)
                check_growth(folder, files, grown)
                if code == 0:
                    break
            assert sorted(path.name for path in folder.iterdir() if path.name != ".downloads") == sorted(
                ["SHA256SUMS", *(path for path, _, _ in files)])
            assert not list(folder.glob(".downloads/[0-9]*"))
            completed += len(files)
        lost = server.sent / (completed * SIZE)
    print(f"{kills} kills, {completed} files complete, {lost:.2f} times their bytes sent")
    assert lost < 3


def serve(server, draw, number):
    """One to three files at a random speed; with a whole hash, the start of one, or none."""
    files = []
    for index in range(draw.choice([1, 1, 2, 3])):
        # Without zeros, which a part does not count at its end.
        data = b"\x80\x02" + draw.randbytes(SIZE - 2).replace(b"\x00", b"\x01")
        digest = hashlib.sha256(data).hexdigest()
        address = server.put(f"/{number}/{index}", data, bytes_per_second=draw.choice([3e6, 6e6, 1e7, 3e7]))
        TRUE[str(number), f"{index}.pth"] = digest
        files.append([f"{index}.pth", draw.choice([digest, digest[:8], None]), address])
    return files


TRUE = {}  # SHA-256 by round and file


def check_places(folder, files):
    for path, _, _ in files:
        file = folder / path
        if file.exists():
            assert sha256_of(file) == TRUE[folder.name, path], "a wrong file under its name"
    assert not list(folder.glob("*.suspect*")), "nobody sent a wrong file"


def check_growth(folder, files, grown):
    for path, _, _ in files:
        part = folder / ".downloads" / f"{path}.part"
        size = SIZE if (folder / path).exists() else part.stat().st_size if part.exists() else 0
        assert size >= grown.get((folder.name, path), 0), "bytes that were here are gone"
        grown[folder.name, path] = size
