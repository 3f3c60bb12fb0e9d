"""Prediction: ours on three backends beside the bare session, rtmlib and upstream's inference, call by call.

Examples:
    python benchmarks/runtime.py --short                                    # about a minute
    python benchmarks/runtime.py --rounds 15 --seconds 1 --json work_dirs/runtime.json
    python benchmarks/runtime.py --pose checkpoint/rtmpose-s-carpose-*.pth --det checkpoint/rtmdet-tiny-carpose-*.pth

Without --pose and --det the models are an RTMPose-S for 256x256 with 17 keypoints and an RTMDet-tiny for 640x640 with
seeded weights, exported by our own code: enough for time. Differences are shown for trained models alone: SimCC rows of
untrained weights are flat, and the scores of untrained boxes alike, so that rounding moves a maximum anywhere.

Every candidate goes from a picture and boxes to keypoints in image px (from a picture to boxes), except the bare
session, which gets the normalised batch and gives its outputs. Candidates take turns for a share of a second in every
round; a figure is the median of all calls, and `by bare` the median over the rounds of its ratio to the bare session of
ONNX Runtime in the same round. `px` is the largest difference to upstream's results (to ours in torch where upstream
is not installed). rtmlib takes what it is given for RGB, so it is given RGB.
"""
from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from pose_tools.benchmarking.machine import describe_machine, machine_line
from pose_tools.benchmarking.rounds import summary_of, time_calls
from pose_tools.benchmarking.seeded import seeded_model
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import run

Call = Callable[[], Any]
CROPS = (1, 4, 16)
SHORT = {"rounds": 3, "seconds": 0.25}
SETTLE = 0.02  # seconds between candidates: threads of a library spin for a while before they sleep
COMPARED = 20  # boxes of a detector, the best


def make_checkpoint(kind: str, folder: Path) -> Path:
    """Saves a model of the size that the figures of the project are about, with seeded weights.

    Args:
        kind: ``pose`` or ``detector``.
        folder: Where to write.
    """
    import torch

    from pose_tools.openmmlab.config import load_config

    name = "rtmpose-s-carpose" if kind == "pose" else "rtmdet-tiny-carpose"
    cfg = load_config(ROOT / f"configs/{name}.py")
    meta: dict[str, Any] = {}
    if kind == "pose":
        names = tuple(f"p{number}" for number in range(17))
        cfg.model.head.out_channels = cfg.num_keypoints = len(names)
        cfg.keypoints, cfg.swaps, cfg.links, cfg.sigmas = names, (("p1", "p2"),), (), (0.05,) * len(names)
        meta["dataset_meta"] = {"flip_indices": [0, 2, 1, *range(3, 17)], "num_keypoints": len(names)}
    model = seeded_model(cfg).eval()
    if kind == "detector":
        _make_decided(model)
    path = folder / f"{name}.pth"
    torch.save({"meta": {"cfg": cfg.pretty_text, **meta}, "state_dict": model.state_dict()}, path)
    return path


def _make_decided(model: Any) -> None:
    """Sets the biases of an untrained detector so that 300 places pass its threshold and boxes have an area."""
    import torch

    with torch.no_grad():
        for layer in model.bbox_head.rtm_reg:
            layer.bias.fill_(2.0)
        logits = torch.cat([each.flatten() for each in model.bbox_head(model.extract_feat(
            torch.from_numpy(picture(640, 640).transpose(2, 0, 1)[None]).float() / 58 - 2))[0]])
        wanted = float(np.log(0.001 / 0.999))
        for layer in model.bbox_head.rtm_cls:
            layer.bias += wanted - logits.sort().values[-300]


def picture(height: int = 1080, width: int = 1920) -> np.ndarray:
    """A BGR picture of discs on a gradient, the same each time."""
    import cv2

    rng = np.random.default_rng(0)
    image = np.linspace(0, 220, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    for _ in range(80):
        place, colour = rng.integers(0, [width, height]), rng.integers(0, 256, 3)
        cv2.circle(image, place.tolist(), int(rng.integers(8, 120)), colour.tolist(), -1)
    return image


def boxes_in(image: np.ndarray, count: int) -> np.ndarray:
    """(count, 4) xyxy float32 in image px, the same each time."""
    rng = np.random.default_rng(1)
    height, width = image.shape[:2]
    corners = rng.uniform(0, [width * 0.7, height * 0.6], (count, 2))
    return np.concatenate([corners, corners + rng.uniform(80, [width * 0.3, height * 0.4], (count, 2))],
                          axis=1).astype(np.float32)


def export(checkpoint: Path, out: Path) -> dict[str, Path]:
    """Exports a checkpoint as ONNX and for OpenVINO, plain; as ONNX also end to end."""
    from pose_tools.export.exporting import export_model
    from pose_tools.options.exporting import ExportOptions

    files: dict[str, Path] = {}
    for end_to_end, formats in ((False, ("onnx", "openvino")), (True, ("onnx",))):
        options = ExportOptions(checkpoint, formats, end_to_end=end_to_end, out=out, check=False)
        for path in export_model(checkpoint, options):
            files[f"{'end2end' if end_to_end else 'plain'}{path.suffix}"] = path
    return files


def backends(checkpoint: Path, files: dict[str, Path], threads: Optional[int]) -> dict[str, Any]:
    """Opens all that ours runs, by the name in the table; bf16 only where the processor has it."""
    from pose_tools.console import UserError
    from pose_tools.inference.runtime import open_backend

    found = {"ours, onnxruntime": open_backend(files["plain.onnx"], threads=threads),
             "ours, onnxruntime, end to end": open_backend(files["end2end.onnx"], threads=threads),
             "ours, openvino fp32": open_backend(files["plain.xml"], precision="fp32", threads=threads),
             "ours, torch": open_backend(checkpoint, device="cpu", threads=threads)}
    with contextlib.suppress(UserError):
        found["ours, openvino bf16"] = open_backend(files["plain.xml"], precision="bf16", threads=threads)
    return found


def pose_candidates(checkpoint: Path, files: dict[str, Path], opened: dict[str, Any], image: np.ndarray,
                    boxes: np.ndarray) -> dict[str, Call]:
    """Calls by name; all but the bare session's give keypoints (N, K, 2) in image px first."""
    from pose_tools.inference.runtime import PoseModel

    plain = opened["ours, onnxruntime"]
    batch = np.random.default_rng(2).standard_normal((len(boxes), 3, *plain.facts.input_size[::-1])).astype(np.float32)
    calls: dict[str, Call] = {"bare session, onnxruntime": lambda: plain.run(batch)}
    for name, backend in opened.items():
        calls[name] = _call(PoseModel(backend), image, boxes)
    if find_spec("rtmlib"):
        from rtmlib import RTMPose

        rgb, listed = np.ascontiguousarray(image[..., ::-1]), boxes.tolist()
        for library in ("onnxruntime", "openvino"):
            model = RTMPose(str(files["plain.onnx"]), model_input_size=plain.facts.input_size, mean=plain.facts.mean,
                            std=plain.facts.std, backend=library)
            calls[f"rtmlib, {library}"] = _call(model, rgb, listed)
    if find_spec("mmpose"):
        calls["upstream, inference_topdown"] = _upstream_pose(checkpoint, image, boxes)
    return calls


def detector_candidates(checkpoint: Path, files: dict[str, Path], opened: dict[str, Any],
                        image: np.ndarray) -> dict[str, Call]:
    """Calls by name; all but the bare session's give boxes (N, 4) in image px first."""
    from pose_tools.inference.runtime import DetectorModel

    plain = opened["ours, onnxruntime"]
    models = {name: DetectorModel(backend) for name, backend in opened.items()}
    seen: list[np.ndarray] = []
    catching = DetectorModel(_Catch(plain, seen))
    catching(image)
    calls: dict[str, Call] = {"bare session, onnxruntime": lambda: plain.run(seen[0])}
    calls.update({name: _call(model, image) for name, model in models.items()})
    if find_spec("rtmlib"):
        from rtmlib import RTMDet

        for library in ("onnxruntime", "openvino"):
            model = RTMDet(str(files["plain.onnx"]), model_input_size=plain.facts.input_size[::-1], backend=library,
                           mean=plain.facts.mean, std=plain.facts.std, score_thr=plain.facts.score_threshold)
            calls[f"rtmlib, {library}"] = lambda model=model: (model(image),)
    if find_spec("mmdet"):
        calls["upstream, inference_detector"] = _upstream_detector(checkpoint, image)
    return calls


class _Catch:
    """Keeps the batch a model feeds: what an untrained detector finds, and so its time, depends on the picture."""

    def __init__(self, backend: Any, seen: list[np.ndarray]) -> None:
        self.facts, self.path, self._backend, self._seen = backend.facts, backend.path, backend, seen

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        self._seen.append(batch.copy())
        return self._backend.run(batch)


def _call(model: Callable[..., Any], *words: Any) -> Call:
    return lambda: model(*words)


def _upstream_pose(checkpoint: Path, image: np.ndarray, boxes: np.ndarray) -> Call:
    from mmengine.registry import DefaultScope
    from mmpose.apis import inference_topdown, init_model

    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    with DefaultScope.overwrite_default_scope("mmpose"):
        model = init_model(read_checkpoint_config(checkpoint)[0], str(checkpoint), device="cpu")
    model.test_cfg["flip_test"] = False

    def call() -> tuple[np.ndarray]:
        with DefaultScope.overwrite_default_scope("mmpose"):
            found = inference_topdown(model, image, boxes)
        return (np.concatenate([each.pred_instances.keypoints for each in found]),)

    return call


def _upstream_detector(checkpoint: Path, image: np.ndarray) -> Call:
    from mmdet.apis import inference_detector, init_detector
    from mmengine.registry import DefaultScope

    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    with DefaultScope.overwrite_default_scope("mmdet"):
        model = init_detector(read_checkpoint_config(checkpoint)[0], str(checkpoint), device="cpu")

    def call() -> tuple[np.ndarray]:
        with DefaultScope.overwrite_default_scope("mmdet"):
            return (inference_detector(model, image).pred_instances.bboxes.cpu().numpy(),)

    return call


def time_in_turn(calls: dict[str, Call], rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Times candidates in turn, a share of a second each, beginning with another one in every round.

    Gives what ``summary_of`` does, and ``by_bare``: the ratio to the first candidate, the median over the rounds.
    """
    taken: dict[str, list[list[float]]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        for name in names[number % len(names):] + names[:number % len(names)]:
            time.sleep(SETTLE)
            calls[name]()
            taken[name].append(time_calls(calls[name], seconds))
    bare = [statistics.median(each) for each in taken[names[0]]]
    return {name: {**summary_of(each), "by_bare": statistics.median(
        statistics.median(own) / base for own, base in zip(each, bare))} for name, each in taken.items()}


def differences(calls: dict[str, Call]) -> dict[str, Optional[float]]:
    """Largest difference to upstream in image px: of keypoints, or of the best boxes to the nearest box."""
    reference = next((name for name in calls if name.startswith("upstream")), "ours, torch")
    expected, found = np.asarray(calls[reference]()[0]), {}
    for name, call in calls.items():
        if name.startswith("bare"):
            continue
        own = np.asarray(call()[0])
        if expected.ndim == 3:
            found[name] = float(abs(own - expected).max())
        elif len(own) and len(expected):
            found[name] = float(abs(expected[:COMPARED, None] - own).max(-1).min(-1).max())
    return found


def measure(rounds: int = 7, seconds: float = 0.5, crops: Sequence[int] = CROPS, pose: Optional[Path] = None,
            det: Optional[Path] = None, threads: Optional[int] = None) -> dict[str, Any]:
    """Times all candidates.

    Args:
        rounds: How often each has its turn.
        seconds: Of a turn.
        crops: Boxes of a call of a keypoint model.
        pose: A trained keypoint model instead of the seeded one.
        det: A trained detector, likewise.
        threads: Of ours; None leaves it to the libraries, as all others do.

    Returns:
        ``machine``, ``settings``; in ``pose`` by number of crops and in ``detector`` a candidate's figures by its name,
        with ``px``; and the input sizes.
    """
    from pose_tools.inference.runtime.quiet_openvino import import_openvino

    import_openvino()  # before rtmlib does
    image = picture()
    result: dict[str, Any] = {
        "machine": describe_machine(threads), "trained": {"pose": pose is not None, "detector": det is not None},
        "settings": {"rounds": rounds, "seconds": seconds}, "pose": {}}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for kind, given in (("pose", pose), ("detector", det)):
            work = Path(folder) / kind
            work.mkdir()
            checkpoint = given or make_checkpoint(kind, work)
            files = export(checkpoint, work)
            opened = backends(checkpoint, files, threads)
            result[f"{kind}_input"] = opened["ours, torch"].facts.input_size
            if kind == "detector":
                result[kind] = _figures(detector_candidates(checkpoint, files, opened, image), rounds, seconds, given)
            for count in crops if kind == "pose" else ():
                calls = pose_candidates(checkpoint, files, opened, image, boxes_in(image, count))
                result[kind][str(count)] = _figures(calls, rounds, seconds, given)
    return result


def _figures(calls: dict[str, Call], rounds: int, seconds: float, trained: Optional[Path]) -> dict[str, Any]:
    apart = differences(calls) if trained else {}
    return {name: {**each, "px": apart.get(name)} for name, each in time_in_turn(calls, rounds, seconds).items()}


def as_markdown(result: dict[str, Any]) -> str:
    """The tables of what :func:`measure` gives."""
    counts = list(result["pose"])
    header = ["candidate", *(f"{count} crop{'s' * (count != '1')}, ms" if part == "ms" else "by bare"
                             for count in counts for part in ("ms", "ratio")), "px"]
    rows: list[list[object]] = []
    for name in result["pose"][counts[0]]:
        figures = [result["pose"][count][name] for count in counts]
        gaps = [each["px"] for each in figures if each["px"] is not None]
        rows.append([name, *(each[key] for each in figures for key in ("p50_ms", "by_bare")),
                     max(gaps) if gaps else None])
    found = [[name, each["p50_ms"], each["by_bare"], each["px"]] for name, each in result["detector"].items()]
    spread = statistics.median(each["spread"] for count in counts for each in result["pose"][count].values())
    weights = {kind: "trained" if trained else "seeded" for kind, trained in result["trained"].items()}
    sizes = {kind: "x".join(map(str, result[f"{kind}_input"])) for kind in ("pose", "detector")}
    return "\n\n".join([
        f"{machine_line(result['machine'])}; {result['settings']['rounds']} rounds, spread {spread:.0%}",
        f"Keypoints, input {sizes['pose']}, {weights['pose']} weights, no flip test:",
        _with_px(rows, header, result["trained"]["pose"]),
        f"Boxes, input {sizes['detector']}, {weights['detector']} weights, a 1920x1080 picture:",
        _with_px(found, ["candidate", "ms", "by bare", "px"], result["trained"]["detector"])])


def _with_px(rows: list[list[object]], header: list[str], trained: bool) -> str:
    """A table whose last column, the differences, is left out where the weights are seeded."""
    return markdown_table(rows, header) if trained else markdown_table([row[:-1] for row in rows], header[:-1])


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help=f"{SHORT['rounds']} rounds of {SHORT['seconds']} s")
    add("--rounds", type=int, default=7, help="turns of each candidate (7)")
    add("--seconds", type=float, default=0.5, help="of a turn (0.5)")
    add("--crops", type=int, nargs="+", default=list(CROPS), help="boxes of a call (1 4 16)")
    add("--pose", type=Path, metavar="CKPT", help="a trained keypoint model")
    add("--det", type=Path, metavar="CKPT", help="a trained detector")
    add("--threads", type=int, help="of ours (default: as each library chooses)")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the tables."""
    args = parse_args(argv)
    turns = SHORT if args.short else {"rounds": args.rounds, "seconds": args.seconds}
    result = measure(**turns, crops=args.crops, pose=args.pose, det=args.det, threads=args.threads)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
