#!/usr/bin/env python
"""Fetch model files by name, check them, list what there is.

    python tools/download_weights.py --list --search rtmpose
    python tools/download_weights.py rtmdet-tiny rtmpose-s                  # into checkpoint/
    python tools/download_weights.py rtmpose-m_8xb256-420e_coco-256x192     # any name of mmdet's and mmpose's indexes
    python tools/download_weights.py --all-for configs/rtmpose-s-carpose.py
    python tools/download_weights.py --check                                # are they what they should be?
    python tools/download_weights.py NAME --catalog FOLDER                  # a published folder, or hf:USER/REPO

Downloads go on where they stopped, are checked by SHA-256, and have their name only when they are whole.
POSE_TOOLS_MIRROR (a folder or an address with a copy of checkpoint/), POSE_TOOLS_CHECKPOINTS (another place for
it), POSE_TOOLS_OFFLINE, HF_ENDPOINT, HF_TOKEN, HTTPS_PROXY and SSL_CERT_FILE are honoured: docs/offline.md.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="models, as --list shows them")
    add("--all-for", action="append", default=[], metavar="CONFIG", help="also what a config starts from")
    add("--dest", type=Path, help="folder to put them into (default: checkpoint/, or the model's own)")
    add("--catalog", action="append", default=[], metavar="WHERE",
        help="a catalog of your own, looked into first: a file, a published folder, or hf:USER/REPO")
    add("--force", action="store_true", help="fetch again what is there")
    add("--offline", action="store_true", default=None, help="never use the network")
    add("--workers", type=int, default=4, help="files at the same time (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of text")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list what there is (--search: all), or all facts of NAME")
    what.add_argument("--check", action="store_true", help="check files that are here; without NAME all that are known")
    what.add_argument("--verify", nargs="+", type=Path, metavar="FILE", help="check these files, wherever they lie")
    what.add_argument("--prune", action="store_true", help="remove unfinished downloads; no finished file")
    add("--search", metavar="WORDS", help="list only what has these words in name, title, task, classes or files")
    args = parser.parse_args(argv)
    if args.search is not None and not (args.names or args.check or args.verify or args.prune):
        args.list = True
    if not (args.names or args.all_for or args.list or args.check or args.verify or args.prune):
        parser.error("name a model to fetch (--list shows them), or give --list, --check, --verify or --prune")
    return args


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Does what is asked; 1 where a file is missing or wrong."""
    args = parse_args(argv)
    from pose_tools.weights import command
    from pose_tools.weights.store import open_catalogs

    catalog = open_catalogs(args.catalog, args.offline)
    if args.list and args.names:
        return command.describe(command.entries_for(catalog, args.names, []), args.dest, args.json)
    if args.list:
        return command.list_models(catalog, args.search, args.dest, args.json)
    if args.verify:
        return command.verify_files(catalog, args.verify, args.json)
    if args.prune:
        return command.prune(catalog, args.dest, args.json)
    entries = command.entries_for(catalog, args.names, args.all_for)
    if args.check:
        return command.check(catalog, entries, args.dest, args.json)
    return command.fetch_models(entries, args.dest, args.json, force=args.force, offline=args.offline,
                                workers=args.workers)


if __name__ == "__main__":
    sys.exit(run(main))
