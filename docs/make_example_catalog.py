"""Makes the folder of models that docs/commands/download_weights.md fetches from.

Example:
    python docs/make_example_catalog.py colleague

The two models are checkpoints by their form and hold nothing but numbers; they come out the same every time.
"""
from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MODELS = {"valve-det": ("RTMDet-tiny for valves", "detection", 300_000),
          "valve-pose": ("RTMPose-s for valves, 6 markers", "pose", 200_000)}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dst", metavar="DST", type=Path, help="folder to make; must not be there")
    parser.add_argument("--times", type=int, default=1, help="size of the files, as a multiple (default: %(default)s)")
    return parser.parse_args(argv)


def checkpoint(name: str, size: int) -> bytes:
    """A zip file as torch.save writes one, with random numbers in it."""
    member = zipfile.ZipInfo(f"{name}/data/0")
    member.create_system = 3  # as on Linux, so that the bytes are the same everywhere
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, np.random.default_rng(size).bytes(size))
    return buffer.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the models and their catalog."""
    args = parse_args(argv)
    args.dst.mkdir(parents=True)
    entries = []
    for name, (title, task, size) in MODELS.items():
        data = checkpoint(name, size * args.times)
        digest = hashlib.sha256(data).hexdigest()
        path = f"{name}-{digest[:8]}_20261121.pth"
        (args.dst / path).write_bytes(data)
        entries.append(f"{name}:\n  title: {title}\n  task: {task}\n  licence: Apache-2.0\n  places: [.]\n"
                       f"  files: [{{path: {path}, size: {len(data)}, sha256: '{digest}'}}]\n")
    (args.dst / "catalog.yaml").write_text("".join(entries), encoding="utf-8")
    print(f"wrote {args.dst}: {', '.join(MODELS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
