"""What a fault of downloads is, and the list of them: the rows of the table in docs/downloads.md.

A case is a function that takes a :class:`~failure_bench.Bench` and yields what was seen, once a run of the command;
its titles, in English and Traditional Chinese, name the fault. Further runs are rows of their own.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from download_server import BadServer
from failure_bench import CUT, DATA, NAME, Bench, Seen, certificate

AGAIN = ("… and the next run", "……再執行一次")


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes:
        name: Of the function that sets it up.
        group: Heading of the part of the table.
        titles: Of each run, in English and Traditional Chinese.
        set_up: Takes a bench and yields what each run showed.
        needs: A program without which it cannot be set up, or empty.
    """

    name: str
    group: str
    titles: tuple[tuple[str, str], ...]
    set_up: Callable[[Bench], Iterator[Seen]]
    needs: str = ""


GROUPS = {
    "way": ("No way to the server", "連不上伺服器"),
    "server": ("The server does not give the file", "伺服器不給檔案"),
    "cut": ("It does not come to an end", "傳到一半"),
    "wrong": ("Something else comes", "傳來的是別的東西"),
    "here": ("On this machine", "這台電腦上"),
    "hostile": ("Somebody means harm", "有人惡意"),
}
CASES: list[Case] = []


def case(group: str, *titles: tuple[str, str], needs: str = ""):
    """Puts a function into the table."""
    def put(set_up):
        CASES.append(Case(set_up.__name__, group, titles, set_up, needs))
        return set_up

    return put


def trusted_server(bench, *host: str, until_year: int = 2049) -> BadServer:
    """An https server that the catalog names, and whose certificate this machine is told to trust."""
    pem, key = certificate(bench.folder, *host, until_year=until_year)
    server = bench.enter(BadServer(pem, key))
    bench.patch.setenv("SSL_CERT_FILE", str(pem))
    bench.write_catalog(f"{server.url}/{NAME}")
    return server


def cut_before(bench, data=DATA) -> None:
    """An earlier run has the first bytes."""
    bench.server.put(bench.path, data, cut_at=CUT)
    bench.server.put(bench.path, status=404)
    bench.fetch()
    bench.server.clear(bench.path)
