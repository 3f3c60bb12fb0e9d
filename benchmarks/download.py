"""Fetches a large file from a server on this machine with our command, with pooch and with curl, in turn.

Examples:
    python benchmarks/download.py
    python benchmarks/download.py --megabytes 100 --pairs 9 --json work_dirs/download.json
    python benchmarks/download.py --short                   # 100 MB, 3 of each: within a minute

Measured is the whole command in a fresh process, the file in the server's memory. Ours and pooch check the SHA-256;
ours also brings the file to the disk (fsync) before it gets its name, and notes its hash. curl writes the bytes, and
sha256sum reads them again. Then the same over a connection that breaks twice, after a third of the file each time: how
many bytes the server had to send, and whether the file is there in the end.

pooch is installed into a temporary virtual environment, which needs pip to reach an index.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/weights")]

from download_server import BadServer

from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run

POOCH = "import sys, pooch; pooch.retrieve(sys.argv[1], known_hash='sha256:' + sys.argv[2], path=sys.argv[3])"
CURL = 'mkdir -p "$2" && curl -sSf -o "$2/big.bin" "$1" && sha256sum "$2/big.bin"'
NAMES = ("ours", "pooch", "curl, then sha256sum")
SHORT = {"megabytes": 100, "pairs": 3}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="size of the file (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help=f"{SHORT['megabytes']} MB, {SHORT['pairs']} of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def commands(address: str, digest: str, folder: Path, python: Path) -> dict[str, list[str]]:
    """What is run, by name."""
    catalog = folder / "my.yaml"
    catalog.write_text(f"big:\n  files: [{{path: big.bin, sha256: '{digest}', sources: ['{address}']}}]\n")
    there = folder / "there"
    return {
        "ours": [sys.executable, str(ROOT / "tools/download_weights.py"), "big", "--catalog", str(catalog), "--dest",
                 str(there)],
        "pooch": [str(python), "-c", POOCH, address, digest, str(there)],
        "curl, then sha256sum": ["sh", "-c", CURL, "sh", address, str(there)],
    }


def fetched(command: list[str], folder: Path, digest: str) -> tuple[float, bool]:
    """Runs one into an empty folder: seconds, and whether the right file is there."""
    subprocess.run(["rm", "-rf", str(folder / "there")], check=True)
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, env={**os.environ, "NO_PROXY": "127.0.0.1"})
    seconds = time.perf_counter() - start
    files = [path for path in (folder / "there").rglob("*big.bin") if path.is_file()]
    return seconds, any(hashlib.sha256(path.read_bytes()).hexdigest() == digest for path in files)


def measure(megabytes: int = 300, pairs: int = 5) -> dict[str, Any]:
    """Fetches the file with each command, over a sound connection in turn, and over one that breaks twice.

    Args:
        megabytes: Size of the file, 10^6 bytes.
        pairs: Runs of each.

    Returns:
        ``megabytes``, ``pairs``, and in ``rows`` by command: ``seconds`` (median), ``ours_by_it`` (median of the
        pairs), ``is_there_after_breaks`` and ``sent_mb`` then.
    """
    data = os.urandom(megabytes * 1_000_000 - 1) + b"x"
    digest = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as temporary, BadServer() as server:
        folder = Path(temporary)
        each = commands(server.put("/big.bin", data), digest, folder, pooch_python(folder))
        seconds: dict[str, list[float]] = {name: [] for name in NAMES}
        for _ in range(pairs):
            for name in NAMES:
                took, is_right = fetched(each[name], folder, digest)
                if not is_right:
                    raise UserError(f"{name} did not fetch the file")
                seconds[name].append(took)
        rows: dict[str, dict[str, Any]] = {}
        for name in NAMES:
            server.clear("/big.bin")
            for _ in range(2):
                server.put("/big.bin", data, cut_at=len(data) // 3)
            server.put("/big.bin", data)
            before = server.sent
            is_there = fetched(each[name], folder, digest)[1]
            ratio = statistics.median(ours / other for ours, other in zip(seconds["ours"], seconds[name]))
            rows[name] = {"seconds": statistics.median(seconds[name]), "ours_by_it": ratio,
                          "is_there_after_breaks": is_there, "sent_mb": (server.sent - before) / 1e6}
    return {"megabytes": megabytes, "pairs": pairs, "rows": rows}


def pooch_python(folder: Path) -> Path:
    """A Python that has pooch, in a new virtual environment."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / ("venv/Scripts/python.exe" if os.name == "nt" else "venv/bin/python")
    done = subprocess.run([str(python), "-m", "pip", "install", "-q", "pooch==1.9.0"], capture_output=True)
    if done.returncode != 0:
        raise UserError("pip cannot install pooch==1.9.0, with which our command is compared")
    return python


def as_markdown(result: dict[str, Any]) -> str:
    """The table of what :func:`measure` gives."""
    rows = []
    for name, row in result["rows"].items():
        there = "the file is there" if row["is_there_after_breaks"] else "failed"
        by_it = None if name == "ours" else row["ours_by_it"]
        rows.append([name, row["seconds"], result["megabytes"] / row["seconds"], by_it, there, row["sent_mb"]])
    header = ("command", "s", "MB/s", "ours by it", "the connection breaks twice", "MB sent then")
    return f"{result['megabytes']} MB, medians of {result['pairs']}.\n\n{markdown_table(rows, header)}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measures and prints the table."""
    args = parse_args(argv)
    result = measure(**(SHORT if args.short else {"megabytes": args.megabytes, "pairs": args.pairs}))
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
