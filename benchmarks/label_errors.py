"""How many wrong labels the doctor finds, and how many sound ones it accuses: labels are spoiled on purpose.

Examples:
    python pose_tools/make_demo.py photos --images 200 --size 320 240 --seed 5
    python pose_tools/labelme2coco.py photos data/cars --meta configs/_base_/carpose/meta.py
    python benchmarks/label_errors.py data/cars --meta configs/_base_/carpose/meta.py
    python benchmarks/label_errors.py --short                # cars like these, three seeds

One object in twenty gets one labelled point moved by a share of the object's scale (sqrt of its box's area), in any
direction; or a pair of labelled partners exchanged, or all of them. Each row is the mean of several seeds.
"""
from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run
from pose_tools.dataset.data_set import DataSet, find_keypoint_set, read_data_set
from pose_tools.dataset.doctor.instance_table import make_table
from pose_tools.dataset.doctor.shape_warnings import shape_warnings
from pose_tools.formats.schema import KeypointSet

Spoil = Callable[[np.ndarray, dict[str, Any], np.random.Generator], bool]


def mover(share: float) -> Spoil:
    """Moves one labelled point."""
    def move(points: np.ndarray, annotation: dict[str, Any], random: np.random.Generator) -> bool:
        seen = np.flatnonzero(points[:, 2] > 0)
        if not len(seen):
            return False
        turn, scale = random.uniform(0, 2 * np.pi), np.sqrt(annotation["bbox"][2] * annotation["bbox"][3])
        points[random.choice(seen), :2] += share * scale * np.array([np.cos(turn), np.sin(turn)])
        return True
    return move


def exchanger(names: KeypointSet, whole: bool) -> Spoil:
    """Exchanges one pair of which both are labelled, or every pair."""
    pairs = [[names.keypoints.index(name) for name in pair] for pair in names.swaps]

    def exchange(points: np.ndarray, annotation: dict[str, Any], random: np.random.Generator) -> bool:
        both = [pair for pair in pairs if (points[pair, 2] > 0).all()]
        if not both:
            return False
        for a, b in pairs if whole else [both[random.integers(len(both))]]:
            points[[a, b]] = points[[b, a]]
        return True
    return exchange


def trial(data_set: DataSet, names: KeypointSet, spoil: Spoil, seed: int) -> tuple[int, int, int, int]:
    """Spoils and looks: objects spoiled, those of them found, sound objects, those of them accused."""
    random, spoiled, total, tables = np.random.default_rng(seed), set(), 0, []
    for split, data in data_set.sides.items():
        data = copy.deepcopy(data)
        for annotation in data["annotations"]:
            points = np.array(annotation["keypoints"], float).reshape(-1, 3)
            if random.random() < 0.05 and spoil(points, annotation, random):
                annotation["keypoints"] = points.ravel().tolist()
                spoiled.add((split, annotation["id"]))
        total += len(data["annotations"])
        tables.append(make_table(data, Path(split), names))
    found = {(str(finding.file), finding.annotation) for finding in shape_warnings(tables, names)}
    return len(spoiled), len(found & spoiled), total - len(spoiled), len(found - spoiled)


def measure(source: Path, meta: Optional[Path] = None, seeds: int = 10) -> dict[str, Any]:
    """Spoils a data set in every way, and looks what is found.

    Args:
        source: A data set with sound labels.
        meta: Its meta.py.
        seeds: How often each way is tried.

    Returns:
        ``objects``, ``seeds``, and in ``rows`` by way: ``spoiled`` objects a seed, and the shares ``found`` of them
        and ``accused`` of the sound ones.
    """
    data_set = read_data_set([source])
    names, _ = find_keypoint_set(data_set, meta)
    ways = {f"a point moved by {share:g}": mover(share) for share in (0.1, 0.15, 0.25, 0.5)}
    if names.swaps:
        ways.update({"a pair exchanged": exchanger(names, False), "all pairs exchanged": exchanger(names, True)})
    rows = {}
    for way, spoil in ways.items():
        spoiled, found, sound, accused = np.sum([trial(data_set, names, spoil, seed) for seed in range(seeds)], axis=0)
        rows[way] = {"spoiled": spoiled / seeds, "found": found / max(spoiled, 1), "accused": accused / max(sound, 1)}
    return {"objects": sum(len(data["annotations"]) for data in data_set.sides.values()), "seeds": seeds, "rows": rows}


def as_markdown(result: dict[str, Any]) -> str:
    """The table of what :func:`measure` gives."""
    rows = [[way, f"{row['spoiled']:.1f}", f"{row['found']:.1%}", f"{row['accused']:.2%}"]
            for way, row in result["rows"].items()]
    return (f"{result['objects']} objects, {result['seeds']} seeds.\n\n"
            + markdown_table(rows, ("labels", "spoiled objects", "found", "sound ones accused")))


def rendered(folder: Path) -> tuple[Path, Path]:
    """Renders the cars of the example above: a data set and its meta.py."""
    meta = ROOT / "configs/_base_/carpose/meta.py"
    for words in (["make_demo.py", folder / "photos", "--images", 200, "--size", 320, 240, "--seed", 5],
                  ["labelme2coco.py", folder / "photos", folder / "cars", "--meta", meta]):
        script, *rest = map(str, words)
        command = [sys.executable, str(ROOT / "pose_tools" / script), *rest]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise UserError(f"{script} failed: {done.stderr.strip()[-500:]}")
    return folder / "cars", meta


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", help="a data set with sound labels (default: rendered cars)")
    parser.add_argument("--meta", type=Path, help="its meta.py")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="three seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        source, meta = (args.source, args.meta) if args.source else rendered(Path(folder))
        result = measure(source, meta, 3 if args.short else args.seeds)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
