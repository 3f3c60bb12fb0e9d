"""The demo: the project's own commands, one after the other, and a table of what came out.

Nothing here trains or converts; it only calls the scripts a person would call, in a process of their own.
"""
from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import UserError, table
from pose_tools.dataset.stats.input_sizes import closest_aspect

DET_BATCH, POSE_BATCH = 4, 16
POSE_SIZES = ((192, 96), (128, 128), (96, 192))  # small, so that the demo takes minutes
LEAST_SCORE = 0.05
BOX_THRESHOLD = 0.4  # for the pictures; a detector of a few minutes draws many boxes below it
VIDEO_THRESHOLD = 0.5  # for scores and overlaps in the video: its cars are smaller than those of the pictures
MARKER = "made_by_demo.txt"


@dataclass(frozen=True)
class Plan:
    """What to run; see ``tools/demo.py --help``."""

    data: Optional[Path] = None
    name: Optional[str] = None
    images: int = 1000
    det_size: tuple[int, int] = (256, 192)
    pose_size: Optional[tuple[int, int]] = None
    det_steps: int = 1100
    pose_steps: int = 950
    device: str = "auto"

    @property
    def set_name(self) -> str:
        """Name of the keypoint set, as it stands in the configs' names."""
        if self.data is None:
            return "carpose"
        return self.name or re.sub(r"[^a-z0-9_]+", "_", self.data.name.lower()).strip("_") or "own"


class Shell:
    """Runs commands from the repository's root, showing each and timing it."""

    def __init__(self, root: Path) -> None:
        """Starts with no step done."""
        self.root = root
        self.steps: list[tuple[str, float]] = []

    def _shown(self, word: object) -> str:
        inside = isinstance(word, Path) and word.is_absolute() and self.root in word.parents
        return str(word.relative_to(self.root) if inside else word)  # type: ignore[attr-defined]

    def __call__(self, *words: object, may_fail: bool = False) -> None:
        """Runs ``python WORDS``.

        Args:
            words: A script and its arguments.
            may_fail: Go on when it ends with 1.

        Raises:
            UserError: It failed; its own message stands above.
        """
        command = [self._shown(word) for word in words]
        print(f"\n$ python {shlex.join(command)}", flush=True)
        start = time.monotonic()
        code = subprocess.run([sys.executable, *command], cwd=self.root).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code and not (may_fail and code == 1):
            raise UserError(f"the demo stopped: {command[0]} failed (exit code {code}); what it said is above")
        self.steps.append((command[0], time.monotonic() - start))


def _convert(shell: Shell, plan: Plan, data: Path, unseen: Path) -> Path:
    """Makes ``data/NAME`` and, for a user's own folder, its configs; returns the folder of unseen pictures."""
    name, source = plan.set_name, plan.data
    if data.exists() and not (data / MARKER).exists():
        raise UserError(f"{data} is there and was not made by the demo; move it away, or give another --name")
    common = ["--split", "0.8" if plan.data else "0.9", "--overwrite"]
    if source is None:
        source = data.parent / "carpose_labelme"
        shell("pose_tools/make_demo.py", source, "--images", plan.images, "--unseen", unseen, "--unlabelled", 12,
              "--views", "street", "--overwrite")
        common += ["--meta", "configs/_base_/carpose/meta.py"]
    shell("pose_tools/labelme2coco.py", source, data, *common)
    (data / MARKER).write_text("tools/demo.py made this folder and may replace it.\n", encoding="utf-8")
    if plan.data is None:
        return unseen
    shell("tools/new_dataset.py", name, "--coco", data / "train_coco.json", "--data-root", data, "--force")
    shutil.rmtree(unseen, ignore_errors=True)
    unseen.mkdir(parents=True)
    for image in _read(data / "val_coco.json")["images"][:12]:
        (unseen / Path(image["file_name"]).name).write_bytes((data / "images" / image["file_name"]).read_bytes())
    return unseen


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _newest(folder: Path, pattern: str) -> Path:
    for wanted in pattern.split("|"):
        found = sorted(folder.glob(wanted), key=lambda path: path.stat().st_mtime)
        if found:
            return found[-1]
    raise UserError(f"{folder}: the demo expected a file like {pattern} there")


def crop_size(annotations: list[dict[str, Any]]) -> tuple[int, int]:
    """Width and height of crops, px, by the shape of the boxes: wide, high, or square."""
    return closest_aspect([a["bbox"][2] / a["bbox"][3] for a in annotations], POSE_SIZES)


def _epochs(steps: int, samples: int, batch: int) -> int:
    return max(1, round(steps / max(1, math.ceil(samples / batch))))


def _train(shell: Shell, config: str, work_dir: Path, size: tuple[int, int], epochs: int, batch: int,
           device: str) -> Path:
    """Trains, and returns the published file."""
    stem = Path(config).stem
    shutil.rmtree(work_dir, ignore_errors=True)
    shell("tools/train.py", config, "--work-dir", work_dir, "--no-pretrained", "--input-size", *size,
          "--epochs", epochs, "--batch-size", batch, "--device", device)
    # There is no best one as long as a detector finds nothing at all.
    best = _newest(work_dir, "best_*.pth|epoch_*.pth")
    shell("tools/test.py", work_dir / f"{stem}.py", best, "--work-dir", work_dir / "test", "--device", device)
    shell("tools/publish_model.py", best, f"checkpoint/{stem}", "--metrics", work_dir / "test" / "metrics.json")
    return _newest(shell.root / "checkpoint", f"{stem}-*.pth").relative_to(shell.root)


def _summary(shell: Shell, out: Path, det: Path, pose: Path, works: tuple[Path, Path], seconds: float) -> str:
    scores = [_read(shell.root / work / "test" / "metrics.json") for work in works]
    detected = shell.root / works[1] / "test_detected" / "metrics.json"
    video = out / "video" / "street.mp4"
    on_boxes = f"AP {_read(detected)['metrics']['coco/AP']:.3f}" if detected.is_file() else "the detector found nothing"
    rows = [
        ["detector", f"bbox mAP {scores[0]['metrics']['coco/bbox_mAP']:.3f}", str(det)],
        ["keypoints, true boxes", f"AP {scores[1]['metrics']['coco/AP']:.3f}", str(pose)],
        ["keypoints, detected boxes", on_boxes, ""],
        ["labels, the suspicious first", "open it", str(out / "labels.html")],
        ["predictions on unseen pictures", "look at it", str(out / "predictions.jpg")],
        *([["a video, objects followed", "look at it", str(video)]] if (shell.root / video).is_file() else []),
        ["whole demo", f"{seconds / 60:.1f} min", str(out)],
    ]
    steps = table([[name, round(taken, 1)] for name, taken in shell.steps], ["step", "seconds"])
    return f"\n{steps}\n\n{table(rows, ['what', 'result', 'where'])}"


def walk(root: Path, plan: Plan) -> None:
    """Runs the demo and prints what it made.

    Args:
        root: The repository.
        plan: What to run.

    Raises:
        UserError: A step failed.
    """
    start, shell = time.monotonic(), Shell(root)
    name = plan.set_name
    out, data = Path("work_dirs/demo"), Path("data") / name
    unseen = _convert(shell, plan, root / data, root / out / "unseen")
    # What is wrong should be seen, but whether it stops a training is for the training to say.
    shell("pose_tools/check_coco.py", data, "--meta", f"configs/_base_/{name}/meta.py", may_fail=True)
    shell("pose_tools/show_coco.py", data, "--meta", f"configs/_base_/{name}/meta.py", "--html", out / "labels.html")
    train = _read(root / data / "train_coco.json")
    labelled = sum(1 for annotation in train["annotations"] if annotation["num_keypoints"])
    det_work, pose_work = out / f"rtmdet-tiny-{name}", out / f"rtmpose-s-{name}"
    det = _train(shell, f"configs/rtmdet-tiny-{name}.py", det_work, plan.det_size,
                 _epochs(plan.det_steps, len(train["images"]), DET_BATCH), DET_BATCH, plan.device)
    pose = _train(shell, f"configs/rtmpose-s-{name}.py", pose_work,
                  plan.pose_size or crop_size(train["annotations"]),
                  _epochs(plan.pose_steps, labelled, POSE_BATCH), POSE_BATCH, plan.device)
    boxes = det_work / "test" / "results.json"
    if any(box["score"] >= LEAST_SCORE for box in _read(root / boxes)):
        shell("tools/test.py", pose_work / f"rtmpose-s-{name}.py", pose, "--boxes", boxes, "--bbox-thr", LEAST_SCORE,
              "--work-dir", pose_work / "test_detected", "--device", plan.device)
    shell("pose_tools/predict.py", unseen, "--det", det, "--pose", pose, "--out", out / "predictions", "--sheet",
          "--bbox-thr", BOX_THRESHOLD, "--device", plan.device)
    shutil.copyfile(root / out / "predictions" / "contact_sheet.jpg", root / out / "predictions.jpg")
    shutil.rmtree(root / out / "video", ignore_errors=True)
    if plan.data is None:
        street = out / "street.mp4"
        shell("pose_tools/make_demo.py", "--video", street, "--overwrite")
        shell("pose_tools/predict.py", street, "--det", det, "--pose", pose, "--out", out / "video", "--smooth",
              "--bbox-thr", VIDEO_THRESHOLD, "--nms-thr", VIDEO_THRESHOLD, "--device", plan.device)
    print(_summary(shell, out, det, pose, (det_work, pose_work), time.monotonic() - start))
