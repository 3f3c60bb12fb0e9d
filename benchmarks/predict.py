"""A video through ours, through upstream's topdown_demo_with_mmdet.py and through rtmlib: the same frames and weights.

Examples:
    python benchmarks/predict.py --short                               # about a minute
    python benchmarks/predict.py --frames 300 --pairs 5 --json work_dirs/predict.json           # half an hour
    python benchmarks/predict.py --det DET.pth --pose POSE.pth --det-size 320 320

Needs the models that `make demo` trains (checkpoint/), or --det and --pose; the detector is moved to --det-size, which
its weights allow. The video is rendered (`pose_tools/make_demo.py --video`), forth and back where more frames are asked
for.

Every candidate is a whole command in a fresh process that reads the video, finds, draws boxes and keypoints, and writes
a video and its predictions. They take turns, in another order in every round, on all frames and on the first few: what
a frame takes is the difference of the two by the frames between them, start-up is what is left of the shorter one.
Ratios are medians over the rounds. `px` compares keypoints with those of upstream that it scores at 0.3 or more, of
objects whose boxes overlap by half or more. Upstream is `upstream_predict.py` under `plain_compat.py`, rtmlib
`rtmlib_predict.py` with models that ours exported. All without flip test, which rtmlib has not; `--flip` adds it for
upstream and ours. NMS is the detector's own everywhere: that which upstream's demo adds is switched off. Peak memory is
that of the process.
"""
from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, Callable, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np
from predict_inputs import FEW, newest_model, prepared

from pose_tools.benchmarking.machine import describe_machine, machine_line
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import UserError, run
from pose_tools.formats.boxes import iou_xyxy

BOX_THRESHOLD, KEYPOINT_THRESHOLD = 0.3, 0.3
UPSTREAM, RTMLIB, OURS = "upstream", "rtmlib, onnxruntime", "ours, onnxruntime"
QUIET = {**os.environ, "PYTHONWARNINGS": "ignore"}
Frame = list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # of each object: box (4,) xyxy, points (K, 2), scores (K,)


@dataclass(frozen=True)
class Candidate:
    """A command and how its predictions are read.

    Attributes:
        words: From the video and an empty folder to the command, which writes into the folder.
        read: From the folder to the objects of each frame; None where they have no boxes to compare by.
        timing: Whether it leaves ``timing.json`` there.
    """

    words: Callable[[Path, Path], list[str]]
    read: Optional[Callable[[Path], list[Frame]]]
    timing: bool = False


def candidates(models: Path, intervals: Sequence[int], flip: bool, short: bool) -> dict[str, Candidate]:
    """All that is measured here, by the name in the table; upstream and rtmlib where they are installed."""
    found: dict[str, Candidate] = {}
    if find_spec("mmpose") and find_spec("mmdet"):
        found[UPSTREAM] = _upstream(models, "pose.py")
        if flip:
            found[f"{UPSTREAM}, flip test"] = _upstream(models, "pose-flip.py")
    if find_spec("rtmlib"):
        for backend in ("onnxruntime", ) if short else ("onnxruntime", "openvino"):
            found[f"rtmlib, {backend}"] = _rtmlib(models, backend, 1)
    for name, suffix in (("torch", ".pth"), ("onnxruntime", ".onnx"), ("openvino fp32", ".xml")):
        found[f"ours, {name}"] = _ours(models, suffix)
    if _openvino_has_bf16():
        found["ours, openvino bf16"] = _ours(models, ".xml", "--precision", "bf16")
    if flip:
        found["ours, torch, flip test"] = _ours(models, ".pth", "--flip-test", flip=True)
    if not short:
        found[f"{OURS}, tracks smoothed"] = _ours(models, ".onnx", "--track", "--smooth")
    for interval in intervals:
        if find_spec("rtmlib") and not short:
            found[f"{RTMLIB}, detection every {interval}"] = _rtmlib(models, "onnxruntime", interval)
        found[f"{OURS}, detection every {interval}"] = _ours(models, ".onnx", "--det-interval", str(interval))
    return found


def _openvino_has_bf16() -> bool:
    from pose_tools.inference.runtime.quiet_openvino import openvino_core

    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _upstream(models: Path, pose_config: str) -> Candidate:
    def words(video: Path, out: Path) -> list[str]:
        scripts = [ROOT / "benchmarks/plain_compat.py", ROOT / "benchmarks/upstream_predict.py"]
        given = [models / "det.py", models / "det.pth", models / pose_config, models / "pose.pth"]
        return [sys.executable, *map(str, [*scripts, *given]), "--input", str(video), "--output-root", str(out),
                "--device", "cpu", "--draw-bbox", "--save-predictions", "--bbox-thr", str(BOX_THRESHOLD),
                "--nms-thr", "1", "--kpt-thr", str(KEYPOINT_THRESHOLD)]

    def read(out: Path) -> list[Frame]:
        content = json.loads(next(out.glob("results_*.json")).read_text(encoding="utf-8"))
        return [[(np.array(each["bbox"][0]), np.array(each["keypoints"]), np.array(each["keypoint_scores"]))
                 for each in frame["instances"]] for frame in content["instance_info"]]

    return Candidate(words, read)


def _rtmlib(models: Path, backend: str, interval: int) -> Candidate:
    def words(video: Path, out: Path) -> list[str]:
        given = [ROOT / "benchmarks/rtmlib_predict.py", video, models / "det.onnx", models / "pose.onnx",
                 out / video.name, out / "found.json", "--meta", models / "meta.json", "--backend", backend,
                 "--bbox-thr", BOX_THRESHOLD, "--kpt-thr", KEYPOINT_THRESHOLD, "--det-interval", interval]
        return [sys.executable, *map(str, given)]

    def read(out: Path) -> list[Frame]:
        frames = json.loads((out / "found.json").read_text(encoding="utf-8"))
        return [[(np.array(each["bbox"]), np.array(each["keypoints"]), np.array(each["scores"])) for each in frame
                 if each["bbox"]] for frame in frames]

    return Candidate(words, read if interval == 1 else None)


def _ours(models: Path, suffix: str, *more: str, flip: bool = False) -> Candidate:
    def words(video: Path, out: Path) -> list[str]:
        given = [ROOT / "pose_tools/predict.py", video, "--det", models / f"det{suffix}", "--pose",
                 models / f"pose{suffix}", "--out", out, "--device", "cpu", "--bbox-thr", BOX_THRESHOLD, "--kpt-thr",
                 KEYPOINT_THRESHOLD, "--timing", out / "timing.json", *more]
        given += [] if flip else ["--no-flip-test"]
        given += [] if {"--track", "--det-interval"} & set(more) else ["--no-track"]
        return [sys.executable, *map(str, given)]

    def read(out: Path) -> list[Frame]:
        frames: dict[int, Frame] = {}
        for each in json.loads((out / "predictions.json").read_text(encoding="utf-8")):
            x, y, w, h = each["bbox"]
            points = np.array(each["keypoints"]).reshape(-1, 3)
            frames.setdefault(each["frame"], []).append((np.array([x, y, x + w, y + h]), points[:, :2], points[:, 2]))
        return [frames.get(number, []) for number in range(max(frames, default=-1) + 1)]

    return Candidate(words, read, timing=True)


def _run(words: list[str], folder: Path) -> tuple[float, Optional[float]]:
    """Runs a command to its end; gives its seconds and its peak memory in MB (None where the system does not say).

    Raises:
        UserError: It failed; says what it said last.
    """
    start = time.perf_counter()
    with open(folder / "said.txt", "w+b") as said:
        process = subprocess.Popen(words, cwd=ROOT, stdout=said, stderr=said, env=QUIET)
        peak = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        code = process.wait()
        took = time.perf_counter() - start
        if code:
            said.seek(0)
            raise UserError(f"{' '.join(words)} failed:\n{said.read().decode(errors='replace')[-800:]}")
    return took, peak


def measure_in_turn(found: dict[str, Candidate], videos: tuple[Path, Path], frames: int, pairs: int,
                    folder: Path) -> dict[str, Any]:
    """Runs all candidates in every round; gives figures by name.

    Args:
        found: What is measured.
        videos: The long one and the short one.
        frames: Of the long one.
        pairs: Rounds.
        folder: For what the commands write.

    Returns:
        By name: ``fps`` (of the whole command), ``loop_fps`` (without start-up), ``start_s``, ``peak_mb``, ``rounds``
        (seconds of the long and the short command), and ``timing`` where the command tells it.
    """
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    peaks: dict[str, list[Optional[float]]] = {name: [] for name in found}
    timings: dict[str, list[dict[str, Any]]] = {name: [] for name in found}
    names = list(found)
    for number in range(pairs):
        for name in names[number % len(names):] + names[:number % len(names)]:
            took = []
            for video in videos:
                out = folder / f"{names.index(name)}-{number}-{video.stem}"
                out.mkdir()
                seconds, peak = _run(found[name].words(video, out), folder)
                took.append(seconds)
                if video == videos[0]:
                    peaks[name].append(peak)
                    if found[name].timing:
                        timings[name].append(json.loads((out / "timing.json").read_text(encoding="utf-8")))
            rounds[name].append((took[0], took[1]))
    return {name: _figures(rounds[name], frames, peaks[name], timings[name]) for name in names}


def _figures(rounds: list[tuple[float, float]], frames: int, peaks: list[Optional[float]],
             timings: list[dict[str, Any]]) -> dict[str, Any]:
    loops = [_loop_fps(each, frames) for each in rounds]
    starts = [short - FEW / fps for (_, short), fps in zip(rounds, loops)]
    known = [peak for peak in peaks if peak is not None]
    return {"fps": statistics.median(frames / whole for whole, _ in rounds), "loop_fps": statistics.median(loops),
            "start_s": statistics.median(starts), "peak_mb": statistics.median(known) if known else None,
            "rounds": rounds, "timing": timings[len(timings) // 2] if timings else None}


def _loop_fps(times: tuple[float, float], frames: int) -> float:
    return (frames - FEW) / max(1e-3, times[0] - times[1])


def ratios(own: dict[str, Any], base: dict[str, Any], frames: int) -> dict[str, float]:
    """How many times as fast as another candidate: medians over the rounds, of whole commands and of the loop."""
    pairs = list(zip(own["rounds"], base["rounds"]))
    return {"whole": statistics.median(theirs[0] / ours[0] for ours, theirs in pairs),
            "loop": statistics.median(_loop_fps(ours, frames) / _loop_fps(theirs, frames) for ours, theirs in pairs)}


def compare(expected: list[Frame], found: list[Frame]) -> dict[str, Any]:
    """Distances of keypoints that are sure in ``expected``, of objects whose boxes overlap by half or more.

    Returns:
        ``objects`` expected, ``matched``, ``extra`` found beside them; ``median_px``, ``p99_px``, ``max_px`` (None
        where nothing matched) in image px.
    """
    apart: list[float] = []
    counts = {"objects": 0, "matched": 0, "extra": 0}
    for theirs, own in zip(expected, [*found, *[[]] * (len(expected) - len(found))]):
        left = list(own)
        for box, points, scores in theirs:
            counts["objects"] += 1
            overlaps = iou_xyxy(box, [each[0] for each in left])[0]
            if len(left) and overlaps.max() >= 0.5:
                _, match, _ = left.pop(int(np.argmax(overlaps)))
                counts["matched"] += 1
                apart += np.linalg.norm(points - match, axis=1)[scores >= KEYPOINT_THRESHOLD].tolist()
        counts["extra"] += len(left)
    median, p99, most = np.percentile(apart, [50, 99, 100]).tolist() if apart else (None, None, None)
    return {**counts, "points": len(apart), "median_px": median, "p99_px": p99, "max_px": most}


def measure(frames: int = 300, pairs: int = 3, intervals: Sequence[int] = (3, ), det: Optional[Path] = None,
            pose: Optional[Path] = None, det_size: tuple[int, int] = (320, 320), flip: bool = False,
            short: bool = False) -> dict[str, Any]:
    """Measures everything.

    Args:
        frames: Of the video.
        pairs: Rounds in which every candidate has its turn.
        intervals: Also with a detection in every Nth frame.
        det: A trained detector (None: of the demo).
        pose: A trained keypoint model (None: of the demo).
        det_size: Width and height of the detector's input, px.
        flip: Also with flip test.
        short: Only what the questions need that are asked most.

    Returns:
        ``machine``, ``settings``; ``candidates`` by name with their figures, ``px`` (see :func:`compare`),
        ``by_upstream`` and ``by_rtmlib`` (see :func:`ratios`).
    """
    det, pose = det or newest_model("rtmdet-tiny"), pose or newest_model("rtmpose-s")
    models, videos = prepared(det, pose, det_size, frames)
    found = candidates(models, intervals, flip, short)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_in_turn(found, videos, frames, pairs, Path(folder))
        outs = {name: Path(folder) / f"{number}-0-{videos[0].stem}" for number, name in enumerate(found)}
        frames_of = {name: each.read(outs[name]) for name, each in found.items() if each.read}
    for name, each in figures.items():
        each["px"] = compare(frames_of[UPSTREAM], frames_of[name]) if UPSTREAM in figures and name in frames_of \
            and name != UPSTREAM else None
        for base in (UPSTREAM, RTMLIB):
            each[f"by_{base.partition(',')[0]}"] = ratios(each, figures[base], frames) if base in figures else None
    return {"machine": describe_machine(packages=("torch", "onnxruntime", "openvino", "mmpose", "mmdet", "rtmlib",
                                                  "opencv-python")),
            "settings": {"frames": frames, "pairs": pairs, "ffmpeg": which("ffmpeg") is not None,
                         **json.loads((models / "meta.json").read_text(encoding="utf-8"))},
            "candidates": figures}


def as_markdown(result: dict[str, Any]) -> str:
    """The tables of what :func:`measure` gives."""
    settings, rows, apart, stages = result["settings"], [], [], []
    for name, each in result["candidates"].items():
        by_upstream, by_rtmlib = each["by_upstream"] or {}, each["by_rtmlib"] or {}
        rows.append([name, each["loop_fps"], by_upstream.get("loop"), by_rtmlib.get("loop"), each["fps"],
                     by_upstream.get("whole"), by_rtmlib.get("whole"), each["start_s"], each["peak_mb"]])
        if each["px"]:
            px = each["px"]
            apart.append([name, px["objects"], px["matched"], px["extra"], px["median_px"], px["p99_px"], px["max_px"]])
        if each["timing"]:
            stages.append([name, *_stage_cells(each["timing"])])
    sizes = {kind: "x".join(map(str, settings[f"{kind}_size"])) for kind in ("det", "pose")}
    encoder = "; ours writes H.264 by ffmpeg, the others MPEG-4" if settings["ffmpeg"] else ""
    parts = [
        f"{machine_line(result['machine'])}; medians of {settings['pairs']}.",
        f"{settings['frames']} frames of 640x480, {settings['models'][0]} at {sizes['det']}, {settings['models'][1]} "
        f"at {sizes['pose']}, no flip test where nothing is said{encoder}:",
        markdown_table(rows, ["candidate", "frames/s", "by upstream", "by rtmlib", "with start-up", "by upstream",
                              "by rtmlib", "start-up, s", "peak MB"])]
    if apart:
        parts += ["Keypoints beside upstream's, image px:", markdown_table(apart, [
            "candidate", "upstream's objects", "found", "others", "median", "99 %", "most"])]
    if stages:
        parts += ["Where a frame's time goes, ms (the stages work side by side):", markdown_table(stages, [
            "candidate", *_STAGES, "a frame"])]
    return "\n\n".join(parts)


_STAGES = ("read", "detect", "pose", "follow", "draw", "write")


def _stage_cells(timing: dict[str, Any]) -> list[Optional[float]]:
    busy = [timing["stages"].get(stage) for stage in _STAGES]
    return [None if seconds is None else 1000 * seconds / timing["frames"] for seconds in [*busy, timing["wall_s"]]]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="60 frames, one round, fewer candidates")
    add("--frames", type=int, default=300, help="of the video (300)")
    add("--pairs", type=int, default=3, help="rounds (3)")
    add("--det-interval", type=int, nargs="*", default=[3], metavar="N", help="also with these (3)")
    add("--det", type=Path, metavar="CKPT", help="a trained RTMDet (default: of the demo)")
    add("--pose", type=Path, metavar="CKPT", help="a trained RTMPose (default: of the demo)")
    add("--det-size", type=int, nargs=2, default=(320, 320), metavar=("W", "H"), help="input (320 320)")
    add("--flip", action="store_true", help="upstream and ours also with flip test")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the tables."""
    args = parse_args(argv)
    frames, pairs = (60, 1) if args.short else (args.frames, args.pairs)
    if frames <= FEW or pairs < 1:
        raise UserError(f"--frames {frames} --pairs {pairs}: more than {FEW} frames and at least one round")
    result = measure(frames, pairs, args.det_interval, args.det, args.pose, tuple(args.det_size), args.flip, args.short)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
