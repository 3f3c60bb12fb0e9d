"""Start-up: --help of every script, from the command to the first training step, and to the first predicted picture.

Examples:
    python benchmarks/startup.py --short                                # about a minute and a half
    python benchmarks/startup.py --pairs 7 --json work_dirs/startup.json

Whole commands in fresh processes, in turn with upstream's; medians. The first step is when its log line appears, after
which the process is killed. Upstream is its Runner with its hooks in fp32 (benchmarks/upstream_train.py) under our
compatibility layer without what only makes it faster (benchmarks/plain_compat.py), because it does not start without.
For prediction it is mmpose's `init_model` and `inference_topdown` on the same checkpoint of seeded weights and picture.
"""
from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.machine import describe_machine, machine_line
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run

MODELS = {"rtmpose-s": (32, (256, 256)), "rtmdet-tiny": (8, (320, 320))}
FIRST_STEP = re.compile(r"Epoch\(train\).*\[ *1/ *\d+\]")
LONGEST = 180  # seconds to wait for a step
PREDICT_UPSTREAM = """
import sys
import pose_tools.openmmlab
from mmengine.registry import init_default_scope
from mmpose.apis import inference_topdown, init_model
model = init_model(sys.argv[1], sys.argv[2], device="cpu")
print(inference_topdown(model, sys.argv[3])[0].pred_instances.keypoints.shape)
"""


def seconds_of(words: Sequence[str]) -> float:
    """Runs a command to its end.

    Raises:
        UserError: It failed.
    """
    start = time.perf_counter()
    done = subprocess.run(list(words), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(words)} failed:\n{done.stderr[-800:]}")
    return time.perf_counter() - start


def seconds_to_first_step(words: Sequence[str]) -> float:
    """Starts a training, waits for the log line of its first step, and ends it.

    Raises:
        UserError: There was none.
    """
    start, said = time.perf_counter(), []
    process = subprocess.Popen(list(words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    try:
        for line in process.stdout or ():
            took = time.perf_counter() - start
            if FIRST_STEP.search(line):
                return took
            said.append(line)
            if took > LONGEST:
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its loader processes, too
        process.wait()
    raise UserError(f"{' '.join(words)} made no step:\n{''.join(said)[-800:]}")


def _help_times(repeats: int) -> dict[str, float]:
    scripts = sorted([*(ROOT / "tools").glob("*.py"), *(ROOT / "pose_tools").glob("[!_]*.py")])
    return {path.relative_to(ROOT).as_posix(): statistics.median(
        seconds_of([sys.executable, str(path), "--help"]) for _ in range(repeats)) for path in scripts}


def _training_commands(folder: Path) -> dict[str, dict[str, list[str]]]:
    from training import cars, words_of

    data, commands = cars(60), {}
    for model, (batch, size) in MODELS.items():
        commands[model] = {}
        for who in ("upstream", "ours"):
            words = words_of(model, data, batch, size, who == "upstream", "--recipe", "config",
                             config=["default_hooks.logger.interval=1"])
            at = words.index("--cfg-options")
            words[at:at] = ["--work-dir", str(folder / f"{model}-{who}")]
            if who == "upstream":
                words.insert(1, str(ROOT / "benchmarks/plain_compat.py"))
            commands[model][who] = words
    return commands


def _prediction_commands(folder: Path) -> dict[str, list[str]]:
    import cv2
    from runtime import make_checkpoint, picture

    checkpoint, image, script = make_checkpoint("pose", folder), folder / "picture.jpg", folder / "upstream.py"
    cv2.imwrite(str(image), picture())
    script.write_text(PREDICT_UPSTREAM, encoding="utf-8")
    config = folder / "rtmpose-s-17.py"
    import torch

    config.write_text(torch.load(checkpoint, weights_only=True)["meta"]["cfg"], encoding="utf-8")
    return {
        "upstream": [sys.executable, str(ROOT / "benchmarks/plain_compat.py"), str(script), str(config),
                     str(checkpoint), str(image)],
        "ours": [sys.executable, str(ROOT / "pose_tools/predict.py"), str(image), "--pose", str(checkpoint), "--out",
                 str(folder / "predicted"), "--device", "cpu"]}


def _paired(commands: dict[str, list[str]], pairs: int, measured: Any) -> dict[str, Any]:
    """Times of both in turn; where there are several, after one run of each that only warms the disk's cache."""
    for words in commands.values() if pairs > 1 else ():
        measured(words)
    times: dict[str, list[float]] = {who: [] for who in commands}
    for _ in range(pairs):
        for who, words in commands.items():
            times[who].append(measured(words))
    return {"times_s": times, **{f"{who}_s": statistics.median(values) for who, values in times.items()},
            "ratio": statistics.median(ours / theirs for ours, theirs in zip(times["ours"], times["upstream"]))}


def measure(pairs: int = 5, repeats: int = 3) -> dict[str, Any]:
    """Measures everything.

    Args:
        pairs: Of whole commands, ours and upstream's.
        repeats: Of every ``--help``.
    """
    result: dict[str, Any] = {"machine": describe_machine(), "pairs": pairs, "help_s": _help_times(repeats)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result["first_step"] = {model: _paired(commands, pairs, seconds_to_first_step)
                                for model, commands in _training_commands(folder).items()}
        result["first_picture"] = _paired(_prediction_commands(folder), pairs, seconds_of)
    return result


def as_markdown(result: dict[str, Any]) -> str:
    """Lays out what :func:`measure` gave."""
    rows = [(f"first step of {model}, batch {MODELS[model][0]} of {MODELS[model][1][0]}x{MODELS[model][1][1]}",
             each["upstream_s"], each["ours_s"], each["ratio"]) for model, each in result["first_step"].items()]
    picture = result["first_picture"]
    rows.append(("one picture predicted, RTMPose-S, torch", picture["upstream_s"], picture["ours_s"],
                 picture["ratio"]))
    slowest = max(result["help_s"], key=result["help_s"].get)
    median = statistics.median(result["help_s"].values())
    helps = (f"`--help` of {len(result['help_s'])} scripts: median {median:.2f} s, slowest "
             f"{result['help_s'][slowest]:.2f} s (`{slowest}`).")
    return "\n\n".join([
        f"{machine_line(result['machine'])}; medians of {result['pairs']} pairs, whole commands.",
        markdown_table(rows, ["from the command to", "upstream, s", "ours, s", "ratio"]), helps])


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="one pair, --help once")
    add("--pairs", type=int, default=5, help="of whole commands (5)")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the tables."""
    args = parse_args(argv)
    result = measure(1, 1) if args.short else measure(args.pairs)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
