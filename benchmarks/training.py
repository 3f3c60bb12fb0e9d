#!/usr/bin/env python
"""Training: speed, accuracy by number format, and time to a first useful model, against upstream.

    python benchmarks/training.py                        # img/s of both models, three pairs: 15 minutes on two cores
    python benchmarks/training.py --short
    python benchmarks/training.py --ap --model rtmdet-tiny --variants upstream fp32 a b c d --seeds 21 22 23 \\
        --steps 1200 --size 256 192 --batch 4            # hours
    python benchmarks/training.py --ap --model rtmpose-s --variants upstream fp32 backbone final all --steps 600 \\
        --size 192 96 --batch 16 --start CHECKPOINT
    python benchmarks/training.py --time-to-ap 0.5 --model rtmpose-s --size 192 96 --batch 16 --images 1000 --epochs 8

Speed is counted over whole iterations of real runs, in fresh processes in turn: waiting for samples, step, averaging of
the weights, hooks; without the first epoch, validation and checkpoints. Upstream is benchmarks/upstream_train.py under
benchmarks/plain_compat.py.
`--ap` trains every variant on the same rendered cars with the same schedule, from scratch or, as users do, from given
weights; its AP is the mean of the last three validations, which one lucky epoch does not move. From scratch, a keypoint
model sees nothing at first, for 150 to 600 steps as the seed has it: short runs then compare luck. `--time-to-ap` is
the wall time from the command to the first validation that reaches it: ours with `--epochs` and our schedule, upstream
with the config's own epochs and schedule, both validated every `--every` epochs.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.seeded import seeded_model
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run

DET_HEAD = ["bbox_head", "-bbox_head.rtm_cls", "-bbox_head.rtm_reg"]
# What trains in bf16; see REDUCED in pose_tools/openmmlab/step/precision.py.
VARIANTS: dict[str, dict[str, Optional[list[str]]]] = {
    "rtmdet-tiny": {"upstream": None, "fp32": None, "auto": None, "a": ["backbone"], "b": ["backbone", "neck"],
                    "c": ["backbone", "neck", *DET_HEAD], "d": ["backbone", "neck", "bbox_head"],
                    "e": ["neck", *DET_HEAD]},
    "rtmpose-s": {"upstream": None, "fp32": None, "auto": None, "backbone": ["backbone"],
                  "final": ["backbone", "head.final_layer"], "all": ["backbone", "head"]},
}
SPEED = {"rtmpose-s": (32, (256, 256)), "rtmdet-tiny": (8, (320, 320))}  # batch and input of the measured runs
SCORES = ("coco/AP", "coco/bbox_mAP")
QUIET = {**os.environ, "PYTHONWARNINGS": "ignore"}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="one pair of each model on fewer pictures")
    add("--json", type=Path, metavar="FILE", help="write what was measured")
    add("--images", type=int, default=400, help="rendered pictures, nine tenths to train on (default: %(default)s)")
    add("--pairs", type=int, default=3)
    add("--model", choices=tuple(VARIANTS), help="one model (default: both; needed for --ap and --time-to-ap)")
    add("--ap", action="store_true", help="train to the end and tell AP")
    add("--variants", nargs="+", default=["upstream", "fp32", "auto"])
    add("--seeds", type=int, nargs="+", default=[21, 22, 23], help="with --time-to-ap the first")
    add("--steps", type=int, default=900, help="of each run with --ap")
    add("--start", type=Path, metavar="CHECKPOINT", help="of all runs with --ap (default: from scratch)")
    add("--time-to-ap", type=float, metavar="AP")
    add("--epochs", type=int, default=60, help="of our run with --time-to-ap")
    add("--every", type=int, default=2, help="epochs between validations with --time-to-ap")
    add("--limit", type=float, default=120, metavar="MINUTES", help="given up after, with --time-to-ap")
    add("--size", type=int, nargs=2, metavar=("W", "H"))
    add("--batch", type=int)
    return parser.parse_args(argv)


def cars(images: int) -> Path:
    """Rendered cars as a COCO data set, kept between runs in the folder for temporary files."""
    folder = Path(tempfile.gettempdir()) / "pose_tools_benchmark_training" / f"cars-{images}"
    if not (folder / "coco" / "val_coco.json").is_file():
        meta = ROOT / "configs/_base_/carpose/meta.py"
        for words in (["make_demo.py", folder / "labelme", "--images", images, "--views", "street", "--overwrite"],
                      ["labelme2coco.py", folder / "labelme", folder / "coco", "--meta", meta, "--split", 0.9,
                       "--overwrite"]):
            subprocess.run([sys.executable, str(ROOT / "pose_tools" / words[0]), *map(str, words[1:])], check=True,
                           stdout=subprocess.DEVNULL)
    return folder / "coco"


def words_of(model: str, data: Path, batch: int, size: Sequence[int], theirs: bool, *more: str,
             config: Sequence[str] = (), start: Optional[Path] = None) -> list[str]:
    """The command of one training, without the work folder."""
    scripts = ("benchmarks/plain_compat.py", "benchmarks/upstream_train.py") if theirs else ("tools/train.py", )
    own = [f"{split}_dataloader.dataset.data_root={data}/" for split in ("train", "val", "test")]
    own += [f"{split}_evaluator.ann_file={data}/val_coco.json" for split in ("val", "test")]
    return [sys.executable, *(str(ROOT / script) for script in scripts), str(ROOT / f"configs/{model}-carpose.py"),
            *([] if start else ["--no-pretrained"]), "--batch-size", str(batch), "--input-size", *map(str, size), *more,
            "--cfg-options", *own, *([f"load_from={start.absolute()}"] if start else []), *config]


def train(words: list[str], work_dir: Path) -> None:
    """Runs a training to its end.

    Raises:
        UserError: It failed; says what it said last.
    """
    at = words.index("--cfg-options")
    done = subprocess.run([*words[:at], "--work-dir", str(work_dir), *words[at:]], capture_output=True, text=True,
                          env=QUIET)
    if done.returncode:
        raise UserError(f"{' '.join(words)} failed:\n{done.stderr[-800:]}")


def rows_of(work_dir: Path) -> list[dict[str, Any]]:
    """What a run logged: a row for each log line and validation."""
    return [json.loads(line) for log in sorted(work_dir.glob("*/vis_data/scalars.json"))
            for line in log.read_text(encoding="utf-8").splitlines()]


def scores_of(work_dir: Path) -> list[float]:
    """The main score of every validation; 0 where a detector found nothing and so has none."""
    return [row[key] for row in rows_of(work_dir) for key in SCORES if key in row]


def whole_epochs(samples: int, batch: int) -> list[str]:
    """Config entries by which the time of an iteration in a log line is the mean over an epoch, or over 50."""
    return [f"log_processor.window_size={min(50, math.ceil(samples / batch))}"]


def images_per_second(work_dir: Path, samples: int, batch: int) -> float:
    """Over whole iterations of the epochs after the first."""
    times = [row["time"] for row in rows_of(work_dir) if "time" in row and "loss" in row and row["epoch"] > 1]
    if not times:
        raise UserError(f"{work_dir}: logged no second epoch")
    return samples / (math.ceil(samples / batch) * statistics.mean(times))


def some_weights(model: str, folder: Path) -> Path:
    """Saves seeded weights to start from, as users start from trained ones: from scratch, RTMDet trains in fp32."""
    import torch

    from pose_tools.openmmlab.config import load_config

    path = folder / f"{model}.pth"
    weights = seeded_model(load_config(ROOT / f"configs/{model}-carpose.py")).state_dict()
    torch.save({"meta": {}, "state_dict": weights}, path)
    return path


def samples_in(data: Path, model: str) -> int:
    """Images for the detector, labelled cars for the keypoint model."""
    content = json.loads((data / "train_coco.json").read_text(encoding="utf-8"))
    return len(content["images"]) if "det" in model else sum(a["num_keypoints"] > 0 for a in content["annotations"])


def measure_speed(models: Sequence[str], images: int, pairs: int, epochs: int) -> list[dict[str, Any]]:
    """Images a second, by model: ``model``, ``batch``, ``size``, ``theirs``, ``ours``, ``ratio`` (median of pairs)."""
    data, found = cars(images), []
    for model in models:
        (batch, size), samples = SPEED[model], samples_in(data, model)
        each: dict[bool, list[float]] = {True: [], False: []}
        with tempfile.TemporaryDirectory() as folder:
            start = some_weights(model, Path(folder))
            for theirs in (True, False) * pairs:
                words = words_of(model, data, batch, size, theirs, "--epochs", str(epochs), "--no-validate",
                                 config=whole_epochs(samples, batch), start=start)
                work_dir = Path(folder) / str(len(each[True]) + len(each[False]))
                train(words, work_dir)
                each[theirs].append(images_per_second(work_dir, samples, batch))
        found.append({"model": model, "batch": batch, "size": size, "theirs": statistics.median(each[True]),
                      "ours": statistics.median(each[False]), "pairs": pairs,
                      "ratio": statistics.median(a / b for a, b in zip(each[False], each[True]))})
    return found


def _variant(model: str, name: str) -> tuple[bool, list[str], list[str]]:
    """Whether upstream trains it, its options and its config entries."""
    if name not in VARIANTS[model]:
        raise UserError(f"--variants {name}: for {model} there are {', '.join(VARIANTS[model])}")
    parts = VARIANTS[model][name]
    if parts is not None:
        return False, ["--precision", "bf16"], [f"reduced_parts={parts!r}"]
    return name == "upstream", ["--precision", "auto" if name == "auto" else "fp32"], []


def measure_ap(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Trains every variant with every seed, seed by seed; gives a row for each run as it ends."""
    data = cars(args.images)
    batch, size = args.batch or SPEED[args.model][0], args.size or SPEED[args.model][1]
    samples = samples_in(data, args.model)
    epochs = max(2, math.ceil(args.steps / math.ceil(samples / batch)))
    plans = {name: _variant(args.model, name) for name in args.variants}
    for seed in args.seeds:
        for name, (theirs, options, config) in plans.items():
            words = words_of(args.model, data, batch, size, theirs, "--epochs", str(epochs), "--seed", str(seed),
                             *options, config=[*config, *whole_epochs(samples, batch)], start=args.start)
            with tempfile.TemporaryDirectory() as folder:
                train(words, Path(folder))
                scores = scores_of(Path(folder)) or [0.0]
                row = {"variant": name, "seed": seed, "ap": statistics.mean(scores[-3:]), "best": max(scores),
                       "images_per_second": images_per_second(Path(folder), samples, batch)}
            print(json.dumps(row), file=sys.stderr, flush=True)
            yield row


def time_to(words: list[str], target: float, limit: float) -> Optional[float]:
    """Seconds from the command to the first validation that reaches a score; None where the limit came first.

    Raises:
        UserError: The training failed before.
    """
    at = words.index("--cfg-options")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen([*words[:at], "--work-dir", folder, *words[at:]], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=QUIET, start_new_session=True)
        try:
            while process.poll() is None and time.perf_counter() - start < limit:
                if any(score >= target for score in scores_of(Path(folder))):
                    return time.perf_counter() - start
                time.sleep(0.5)
            if process.returncode:
                raise UserError(f"{' '.join(words)} failed")
            reached = any(score >= target for score in scores_of(Path(folder)))
            return time.perf_counter() - start if reached else None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its loader processes
            process.wait()


def measure_time(args: argparse.Namespace) -> dict[str, Any]:
    """Time to an AP, ours and upstream's: ``ours`` and ``theirs`` in seconds, None where ``limit`` came first."""
    data = cars(args.images)
    batch, size = args.batch or SPEED[args.model][0], args.size or SPEED[args.model][1]
    every, limit, seed = [f"train_cfg.val_interval={args.every}"], 60 * args.limit, ["--seed", str(args.seeds[0])]
    ours = words_of(args.model, data, batch, size, False, "--epochs", str(args.epochs), *seed, config=every)
    theirs = words_of(args.model, data, batch, size, True, "--recipe", "config", *seed, config=every)
    return {"ap": args.time_to_ap, "model": args.model, "every": args.every, "epochs": args.epochs, "limit": limit,
            "images": args.images, "seed": args.seeds[0],
            "ours": time_to(ours, args.time_to_ap, limit), "theirs": time_to(theirs, args.time_to_ap, limit)}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measures what the command line asks for.

    Returns:
        ``speed``, ``ap`` or ``time``, each as its own function gives it.
    """
    if args.ap or args.time_to_ap:
        if not args.model:
            raise UserError("--ap and --time-to-ap need a --model")
        return {"time": measure_time(args)} if args.time_to_ap else {
            "model": args.model, "steps": args.steps, "start": args.start and args.start.name,
            "ap": list(measure_ap(args))}
    images, pairs, epochs = (90, 1, 2) if args.short else (args.images, args.pairs, 3)
    models = [args.model] if args.model else list(SPEED)
    return {"images": images, "speed": measure_speed(models, images, pairs, epochs)}


def _ap_table(runs: Sequence[dict[str, Any]]) -> str:
    rows = []
    for name in dict.fromkeys(row["variant"] for row in runs):
        mine = [row for row in runs if row["variant"] == name]
        aps = [row["ap"] for row in mine]
        rows.append([name, " ".join(f"{ap:.3f}" for ap in aps), statistics.mean(aps),
                     statistics.stdev(aps) if len(aps) > 1 else None,
                     statistics.median(row["images_per_second"] for row in mine)])
    return markdown_table(rows, ("variant", "AP by seed", "mean", "spread", "img/s"))


def as_markdown(result: dict[str, Any]) -> str:
    """The tables of what :func:`measure` gives."""
    if "speed" in result:
        rows = [[row["model"], "{} x {}".format(*row["size"]), row["batch"], row["theirs"], row["ours"], row["ratio"]]
                for row in result["speed"]]
        return (f"Rendered cars, {result['images']} pictures; medians of {result['speed'][0]['pairs']}.\n\n"
                + markdown_table(rows, ("model", "input", "batch", "upstream img/s", "ours img/s", "ours / upstream")))
    if "time" in result:
        found = result["time"]
        said = {name: f"{found[name]:.0f}" if found[name] else f"not within {found['limit']:.0f}"
                for name in ("ours", "theirs")}
        return (f"Rendered cars, {found['images']} pictures, from scratch, seed {found['seed']}.\n\n" + markdown_table(
            [[found["model"], found["ap"], said["theirs"], said["ours"]]],
            ("model", "AP", "upstream's defaults, s", "ours, s")))
    start = result["start"] or "scratch"
    return f"{result['model']}, {result['steps']} steps from {start}.\n\n{_ap_table(result['ap'])}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measures and prints the table."""
    args = parse_args(argv)
    result = measure(args)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
