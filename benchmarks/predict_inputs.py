"""What benchmarks/predict.py predicts, and with what: a rendered video, and two trained models in every form."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import UserError

RENDERED, FEW = 90, 4  # frames: of the rendered video, and of the short one that tells the start-up


def newest_model(name: str) -> Path:
    """The newest model of that name that `make demo` left.

    Raises:
        UserError: There is none.
    """
    found = max((ROOT / "checkpoint").glob(f"{name}-carpose-*.pth"), default=None, key=os.path.getmtime)
    if found is None:
        raise UserError(f"checkpoint/{name}-carpose-*.pth: not there; `make demo` trains it, or give --det and --pose")
    return found


def make_models(det: Path, pose: Path, det_size: tuple[int, int], folder: Path) -> None:
    """Writes what the commands need: ``det`` and ``pose`` as ``.pth``, ``.py``, ``.onnx`` and ``.xml``, ``meta.json``.

    Args:
        det: Trained detector.
        pose: Trained keypoint model.
        det_size: Width and height of the detector's input, px.
        folder: Where to write.
    """
    import torch

    from pose_tools.export.exporting import export_model
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint, read_checkpoint_config
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
    from pose_tools.openmmlab.input_size import set_input_size
    from pose_tools.options.exporting import ExportOptions

    facts = {}
    for kind, path in (("det", det), ("pose", pose)):
        cfg, found = read_checkpoint_config(path)
        if found != {"det": "detector", "pose": "pose"}[kind]:
            raise UserError(f"--{kind} {path}: is a {found}")
        checkpoint = load_checkpoint_file(path)
        if kind == "det":
            set_input_size(cfg, det_size)
            checkpoint["meta"]["cfg"] = cfg.pretty_text
        torch.save(checkpoint, folder / f"{kind}.pth")
        (folder / f"{kind}.py").write_text(cfg.pretty_text, encoding="utf-8")
        if kind == "pose":
            for name, flip_test in (("pose", False), ("pose-flip", True)):
                cfg.model.test_cfg = {**(cfg.model.get("test_cfg") or {}), "flip_test": flip_test}
                (folder / f"{name}.py").write_text(cfg.pretty_text, encoding="utf-8")
        options = ExportOptions(folder / f"{kind}.pth", ("onnx", "openvino"), overwrite=True, check=False)
        export_model(options.checkpoint, options)
        facts[kind] = facts_of_checkpoint(folder / f"{kind}.pth")
    points = facts["pose"].keypoint_set
    (folder / "meta.json").write_text(json.dumps({
        "det_size": facts["det"].input_size, "pose_size": facts["pose"].input_size, "names": points.keypoints,
        "links": points.links, "models": [det.name, pose.name]}), encoding="utf-8")


def make_videos(frames: int, folder: Path) -> tuple[Path, Path]:
    """Renders cars in traffic; gives the video and one of its first few frames. Both stay for the next run."""
    import cv2

    rendered = folder / "rendered.mp4"
    if not rendered.is_file():
        words = ["pose_tools/make_demo.py", "--video", str(rendered), "--frames", str(RENDERED)]
        done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{' '.join(words)} failed:\n{done.stderr[-800:]}")
    capture, pictures = cv2.VideoCapture(str(rendered)), []
    while (answer := capture.read())[0]:
        pictures.append(answer[1])
    there_and_back = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    paths = []
    for count in (frames, FEW):
        paths.append(folder / f"street-{count}.mp4")
        writer = cv2.VideoWriter(str(paths[-1]), cv2.VideoWriter_fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS),
                                 pictures[0].shape[1::-1])
        for number in range(count):
            writer.write(pictures[there_and_back[number % len(there_and_back)]])
        writer.release()
    return paths[0], paths[1]


def cached(what: str) -> Path:
    """A folder for what is kept between runs."""
    folder = Path(tempfile.gettempdir()) / "pose_tools_benchmark_predict" / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepared(det: Path, pose: Path, det_size: tuple[int, int], frames: int) -> tuple[Path, tuple[Path, Path]]:
    """Models and videos, kept between runs; made in a process of their own, so that this one stays small.

    On Linux, the peak memory of a command is never less than what the process had that started it.
    """
    models = cached(f"{det.stem}-{pose.stem}-{det_size[0]}x{det_size[1]}")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        if not (models / "meta.json").is_file():
            pool.submit(make_models, det, pose, det_size, models).result()
        return models, pool.submit(make_videos, frames, cached("videos")).result()
