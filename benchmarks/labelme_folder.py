"""Converts a large labelme folder with our command and with the PyPI package labelme2coco, in pairs.

Examples:
    python benchmarks/labelme_folder.py --files 10000 --pairs 5 --json work_dirs/labelme_folder.json
    python benchmarks/labelme_folder.py --short              # 3000 files, 3 pairs: within a minute
    python benchmarks/labelme_folder.py --files 100000 --kinds keypoints --pairs 1
    python benchmarks/labelme_folder.py --theirs ~/other-venv/bin/python --photos ~/pictures

Measured is the whole command in a fresh process, files in the page cache, theirs and ours in turn; the ratio (ours by
theirs) is the median over the pairs. Ours reads every image's header, finds the owner of every keypoint, reports all
faults, divides the set, links the images into it and writes two COCO files. Theirs opens no image, checks nothing,
turns each point into a box of 1 x 1 px, and writes one file. What the hard links alone take is a column of its own.
Memory is the peak of all processes of the command together (PSS, Linux only), from a run of its own, not timed.

kinds: keypoints: 2 boxes with 8 points each; boxes: 2 boxes; embedded: as keypoints, with the image in imageData.
Without --theirs the package is installed into a temporary virtual environment, which needs pip to reach an index.
"""
from __future__ import annotations

import argparse
import base64
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run

PACKAGE = "labelme2coco==0.2.6"
SIZE = (640, 480)
KINDS = ("keypoints", "boxes", "embedded")
SHORT = {"files": 3000, "pairs": 3}
COLUMNS = ("files", "theirs_ms", "ours_ms", "ratio", "links_alone_ms", "their_cpu_ms", "our_cpu_ms", "their_peak_mb",
           "our_peak_mb")
_THEIRS = "import sys, labelme2coco; labelme2coco.convert(sys.argv[1], sys.argv[2])"


class Run(NamedTuple):
    """One conversion: wall time and processor time of all its processes, in seconds."""

    wall: float
    cpu: float


def pictures(photos: Optional[Path]) -> list[bytes]:
    """JPEG files of 640x480 px: photographs out of a folder, or else rendered cars."""
    import io

    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        if photos is None:
            from pose_tools.dataset.demo.files import write_labelme

            photos = Path(folder) / "cars"
            write_labelme(photos, 24, SIZE)
        found = []
        for path in sorted(photos.rglob("*.jpg"))[:200]:
            buffer = io.BytesIO()
            with Image.open(path) as image:
                image.convert("RGB").resize(SIZE).save(buffer, "JPEG", quality=90)
            found.append(buffer.getvalue())
    if not found:
        raise UserError(f"{photos}: there is no .jpg file in this folder or below")
    return found


def shapes(rng: random.Random, points: int) -> list[dict[str, object]]:
    """Two boxes as labelme writes them, with so many points each."""
    def shape(label: str, kind: str, corners: list[list[float]], group: int) -> dict[str, object]:
        return {"label": label, "points": corners, "group_id": group, "description": "", "shape_type": kind,
                "flags": {}, "mask": None}

    found = []
    for group in (1, 2):
        x, y = rng.uniform(0, 300), rng.uniform(0, 200)
        found.append(shape("car", "rectangle", [[x, y], [x + 300, y + 200]], group))
        found += [shape(f"point-{k}", "point", [[x + rng.uniform(0, 300), y + rng.uniform(0, 200)]], group)
                  for k in range(points)]
    return found


def make_folder(folder: Path, count: int, kind: str, images: Sequence[bytes]) -> None:
    """Writes labelme files and their images; beyond 1000, images are further names of the first ones."""
    rng = random.Random(0)
    folder.mkdir()
    for i in range(count):
        name, picture = f"{i:06d}", images[i % len(images)]
        if i < 1000:
            (folder / f"{name}.jpg").write_bytes(picture)
        else:
            os.link(folder / f"{i % 1000:06d}.jpg", folder / f"{name}.jpg")
            picture = images[i % 1000 % len(images)]
        data = base64.b64encode(picture).decode() if kind == "embedded" else None
        content = {"version": "5.5.0", "flags": {}, "shapes": shapes(rng, 0 if kind == "boxes" else 8),
                   "imagePath": f"{name}.jpg", "imageData": data, "imageHeight": SIZE[1], "imageWidth": SIZE[0]}
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")


def links_alone(source: Path, work: Path) -> float:
    """Seconds that hard-linking all images of a folder into another takes."""
    names = [name for name in os.listdir(source) if name.endswith(".jpg")]
    target = work / "links"
    target.mkdir()
    start = time.perf_counter()
    for name in names:
        os.link(f"{source}/{name}", f"{target}/{name}")
    taken = time.perf_counter() - start
    shutil.rmtree(target)
    return taken


def timed(command: Sequence[str], out: Path) -> Run:
    """Runs a command in a fresh process and removes what it wrote."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run([*command, str(out)], capture_output=True, text=True)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    shutil.rmtree(out)
    return Run(wall, after.children_user + after.children_system - before.children_user - before.children_system)


def peak_memory(command: Sequence[str], out: Path) -> float:
    """Peak of the memory of all processes of a command together (proportional set size), in MB; NaN if not Linux."""
    if not Path("/proc/self/smaps_rollup").exists():
        return float("nan")
    process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_pss, _session(process.pid))))
        time.sleep(0.05)
    shutil.rmtree(out, ignore_errors=True)
    return peak / 1000


def _session(leader: int) -> list[str]:
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # has ended meanwhile
            continue
        if int(fields[3]) == leader:
            found.append(pid)
    return found


def _pss(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def their_python(work: Path) -> str:
    """A Python that has the package, in a new virtual environment."""
    venv.create(work / "theirs", with_pip=True)
    python = work / "theirs" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = subprocess.run([str(python), "-m", "pip", "install", "-q", PACKAGE], capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"pip cannot install {PACKAGE}; name a Python that has it with --theirs")
    return str(python)


def compare(source: Path, work: Path, theirs: Sequence[str], ours: Sequence[str], pairs: int) -> dict[str, Any]:
    """Figures of one kind of folder, by the names of :data:`COLUMNS`: times are milliseconds a file."""
    count = sum(name.endswith(".json") for name in os.listdir(source))
    runs = []
    for _ in range(pairs):
        runs.append((timed([*theirs, str(source)], work / "out"), timed([*ours, str(source)], work / "out")))

    def median(side: int, what: str) -> float:
        return statistics.median(getattr(pair[side], what) for pair in runs) * 1000 / count

    ratio = statistics.median(our.wall / their.wall for their, our in runs)
    memory = [peak_memory([*command, str(source)], work / "out") for command in (theirs, ours)]
    # There is no NaN in JSON.
    found = [count, median(0, "wall"), median(1, "wall"), ratio, links_alone(source, work) * 1000 / count,
             median(0, "cpu"), median(1, "cpu"), *(None if each != each else float(each) for each in memory)]
    return dict(zip(COLUMNS, found))


def measure(files: int = 10000, pairs: int = 5, kinds: Sequence[str] = KINDS[:2], theirs: Optional[str] = None,
            photos: Optional[Path] = None, ours: Sequence[str] = ()) -> dict[str, Any]:
    """Converts folders of each kind with both commands, in turn.

    Args:
        files: labelme files in a folder.
        pairs: Timed runs of each command.
        kinds: Of :data:`KINDS`.
        theirs: A Python that has the package; None installs it into a temporary environment.
        photos: A folder of JPEG files to use; None renders cars.
        ours: More options for our command.

    Returns:
        ``pairs``, and in ``rows`` the figures by kind.
    """
    images = pictures(photos)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        their_command = [theirs or their_python(work), "-c", _THEIRS]
        our_command = [sys.executable, str(ROOT / "pose_tools/labelme2coco.py"), *ours]
        for kind in kinds:
            make_folder(work / kind, files, kind, images)
            rows[kind] = compare(work / kind, work, their_command, our_command, pairs)
            shutil.rmtree(work / kind)
    return {"pairs": pairs, "rows": rows}


def as_markdown(result: dict[str, Any]) -> str:
    """The table of what :func:`measure` gives."""
    rows = [[kind, *(row[key] for key in COLUMNS)] for kind, row in result["rows"].items()]
    header = ("in each file", "files", "theirs, ms a file", "ours", "ours by theirs", "hard links alone",
              "processor time, theirs", "ours", "peak memory, theirs, MB", "ours")
    return f"Medians of {result['pairs']} pairs.\n\n{markdown_table(rows, header)}"


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--files", type=int, default=10000, help="labelme files to make (10000)")
    add("--kinds", nargs="+", choices=KINDS, default=["keypoints", "boxes"], help="what is in them")
    add("--pairs", type=int, default=5, help="timed pairs (5)")
    add("--short", action="store_true", help=f"{SHORT['files']} files and {SHORT['pairs']} pairs")
    add("--theirs", metavar="PYTHON", help=f"a Python that has {PACKAGE}")
    add("--photos", type=Path, metavar="DIR", help="JPEG files to use as images; default: rendered cars")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--ours", nargs=argparse.REMAINDER, default=[], help="more options for labelme2coco.py, such as --workers 1")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints a row for each kind of folder."""
    args = parse_args(argv)
    size = SHORT if args.short else {"files": args.files, "pairs": args.pairs}
    result = measure(**size, kinds=args.kinds, theirs=args.theirs, photos=args.photos, ours=args.ours)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
