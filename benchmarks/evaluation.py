"""COCO evaluation and reading annotations: the time of ours, upstream and faster-coco-eval, and whether numbers agree.

Examples:
    python benchmarks/evaluation.py --short                             # a fifth of the data; under a minute
    python benchmarks/evaluation.py --pairs 5 --json work_dirs/evaluation.json

Random sets: 5,000 images with 35,000 boxes and 36,000 detections; 5,000 with 10,000 objects of 17 and of 133 keypoints,
a detection each; 200 with 400 objects, a user's size. Seconds of evaluate() and accumulate() in one process, in turn;
medians. Upstream is pycocotools for boxes and xtcocotools for keypoints. "same" compares precision, recall and scores
in every cell, bit for bit. faster-coco-eval is left out where it is not installed.
Reading: 100,000 annotations in 20,000 images, as mmpose's data set, mmdet's, our check before a training, our plan
of the picture cache.
"""
from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import io
import json
import os
import statistics
import subprocess
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
from pose_tools.benchmarking.tables import markdown_table, present
from pose_tools.console import run

Json = dict[str, Any]
TABLES = ("precision", "recall", "scores")
READ = """
import os, sys, time
{before}
import pose_tools.openmmlab
from pose_tools.openmmlab.config import load_config
from mmengine.registry import DATASETS, DefaultScope
config, folder, what = sys.argv[1:]
cfg = load_config(config)
cfg.train_dataloader.dataset.update(data_root=folder + "/", ann_file="big.json")
if what == "check":
    from pose_tools.openmmlab.preflight import check_before_run
    cfg.train_dataloader.dataset.data_prefix = dict(img="images/")
    begin = time.perf_counter()
    try:
        check_before_run(cfg, ("train", ))
    except Exception:  # the images are not there, which is found last
        pass
else:
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
    begin = time.perf_counter()
    data.full_init()
    if what == "plan":
        from pose_tools.openmmlab.image_cache.plan import pictures_of, wishes
        begin = time.perf_counter()
        wishes(0, pictures_of(data), [data.pipeline.transforms], 1.0)
print(time.perf_counter() - begin)
"""


def box_set(images: int, seed: int = 0) -> tuple[Json, list[Json]]:
    """Boxes of all sizes, some of them crowds, and detections: most near a box, the others anywhere."""
    random = np.random.default_rng(seed)
    annotations: list[Json] = []
    found: list[Json] = []
    for image in range(1, images + 1):
        true = [[*random.uniform(0, 600, 2), *np.exp(random.uniform(2, 6, 2))] for _ in range(random.poisson(7))]
        for box in true:
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": 1,
                                "bbox": list(map(float, box)), "area": float(box[2] * box[3]),
                                "iscrowd": int(random.random() < 0.03)})
        for _ in range(random.poisson(7.2)):
            box = np.array([*random.uniform(0, 600, 2), *np.exp(random.uniform(2, 6, 2))])
            if true and random.random() < 0.6:
                near = np.array(true[random.integers(len(true))])
                box = np.abs(near + random.normal(size=4) * 0.1 * near[[2, 3, 2, 3]])
            found.append({"image_id": image, "category_id": 1, "bbox": list(map(float, box)),
                          "score": round(float(random.random()), 3)})
    return _coco(images, annotations), found


def keypoint_set(images: int, objects: int, points: int, seed: int = 0) -> tuple[Json, list[Json]]:
    """Objects of which three points in ten are not labelled, and a detection of each, 0.05 of its size off."""
    random = np.random.default_rng(seed)
    annotations: list[Json] = []
    found: list[Json] = []
    for image in range(1, images + 1):
        for _ in range(objects):
            x, y = random.uniform(0, 600, 2)
            w, h = np.exp(random.uniform(3, 6, 2))
            true = np.column_stack([x + w * random.random(points), y + h * random.random(points),
                                    (random.random(points) < 0.7) * 2.0])
            true[true[:, 2] == 0] = 0
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": 1,
                                "bbox": list(map(float, (x, y, w, h))), "area": float(w * h), "iscrowd": 0,
                                "keypoints": true.round(2).ravel().tolist(),
                                "num_keypoints": int((true[:, 2] > 0).sum())})
            near = true + np.column_stack([random.normal(size=(points, 2)) * 0.05 * np.sqrt(w * h), np.ones(points)])
            found.append({"image_id": image, "category_id": 1, "keypoints": near.ravel().tolist(),
                          "score": round(float(random.random()), 3)})
    return _coco(images, annotations), found


def _coco(images: int, annotations: list[Json]) -> Json:
    return {"info": {}, "categories": [{"id": 1, "name": "car"}], "annotations": annotations,
            "images": [{"id": each, "width": 1200, "height": 1200, "file_name": f"{each:06d}.jpg"}
                       for each in range(1, images + 1)]}


def evaluated(kind: Any, coco: Any, data: Json, found: list[Json], sigmas: Optional[np.ndarray],
              package: str) -> tuple[float, Any]:
    """Runs an evaluation: its seconds, and the object."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset, truth.anno_file = copy.deepcopy(data), [""]
        truth.createIndex()
        results, how = truth.loadRes(copy.deepcopy(found)), "bbox" if sigmas is None else "keypoints"
        evaluation = kind(truth, results, how, sigmas) if package == "xtcocotools" else kind(truth, results, how)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = sigmas
        begin = time.perf_counter()
        evaluation.evaluate()
        evaluation.accumulate()
    return time.perf_counter() - begin, evaluation


def measure_evaluation(what: str, data: Json, found: list[Json], sigmas: Optional[np.ndarray], pairs: int) -> Json:
    """Times the evaluations of one set in turn, and compares them with upstream's."""
    from pose_tools.openmmlab.evaluation import fast_box_evaluation, fast_keypoint_evaluation

    package = "pycocotools" if sigmas is None else "xtcocotools"
    coco = importlib.import_module(f"{package}.coco").COCO
    upstream = importlib.import_module(f"{package}.cocoeval").COCOeval
    make: Callable[[type], type] = fast_box_evaluation if sigmas is None else fast_keypoint_evaluation
    kinds = {"upstream": (upstream, coco, package), "ours": (make(upstream), coco, package)}
    if find_spec("faster_coco_eval"):
        faster = importlib.import_module("faster_coco_eval")
        kinds["faster_coco_eval"] = (faster.COCOeval_faster, faster.COCO, "faster_coco_eval")
    times: dict[str, list[float]] = {name: [] for name in kinds}
    last: Json = {}
    for _ in range(pairs):
        for name, (kind, api, origin) in kinds.items():
            seconds, last[name] = evaluated(kind, api, data, found, sigmas, origin)
            times[name].append(seconds)
    same = {name: all(np.array_equal(each.eval[key], last["upstream"].eval[key]) for key in TABLES if key in each.eval)
            for name, each in last.items() if name != "upstream"}
    return {"what": what, "same": same, **{f"{name}_s": statistics.median(each) for name, each in times.items()}}


def measure_reading(images: int, pairs: int) -> list[Json]:
    """Times reading annotations in fresh processes, with and without what of ours makes it fast."""
    data, _ = keypoint_set(images, 5, 8)
    plain = f"sys.path[:0] = [{str(ROOT / 'benchmarks')!r}]; import plain_compat as p; p.leave_out_what_is_faster()"
    configs = {"mmpose's data set": "rtmpose-s", "mmdet's data set": "rtmdet-tiny",
               "our check before a training": "rtmpose-s", "our plan of the picture cache": "rtmpose-s"}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "big.json").write_text(json.dumps(data), encoding="utf-8")
        Path(folder, "images").mkdir()
        for what, config in configs.items():
            job = "check" if "check" in what else "plan" if "plan" in what else "read"
            kinds = {"upstream": plain, "ours": ""} if job == "read" else {"ours": ""}
            times: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(pairs):
                for name, before in kinds.items():
                    done = subprocess.run(
                        [sys.executable, "-c", READ.format(before=before), str(ROOT / f"configs/{config}-carpose.py"),
                         folder, job], cwd=ROOT, check=True, capture_output=True,
                        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
                    times[name].append(float(done.stdout.splitlines()[-1]))
            rows.append({"what": what, **{f"{name}_s": statistics.median(each) for name, each in times.items()}})
    return rows


def measure(share: float = 1.0, pairs: int = 5) -> Json:
    """Measures everything.

    Args:
        share: Of the sizes in the docstring.
        pairs: How often each takes its turn.
    """
    count = round(5000 * share)
    rows = [measure_evaluation(f"boxes, {count:,} images", *box_set(count), None, pairs)]
    for points in (17, 133):
        rows.append(measure_evaluation(f"{points} keypoints, {2 * count:,} objects", *keypoint_set(count, 2, points),
                                       np.full(points, 0.05), pairs))
    rows.append(measure_evaluation("8 keypoints, 400 objects", *keypoint_set(200, 2, 8), np.full(8, 0.05), pairs))
    images = round(20000 * share)
    return {"machine": describe_machine(), "pairs": pairs, "annotations": 5 * images, "evaluation": rows,
            "reading": measure_reading(images, pairs)}


def as_markdown(result: Json) -> str:
    """Lays out what :func:`measure` gave."""
    rows = []
    for each in result["evaluation"]:
        faster = each.get("faster_coco_eval_s")
        says = "-" if faster is None else "yes" if each["same"]["faster_coco_eval"] else "no"
        rows.append((each["what"], each["upstream_s"], each["ours_s"], "yes" if each["same"]["ours"] else "NO", faster,
                     says))
    reading = [(each["what"], each.get("upstream_s"), each["ours_s"]) for each in result["reading"]]
    return "\n\n".join([
        f"{machine_line(result['machine'])}; medians of {result['pairs']}.",
        markdown_table(rows, ["evaluation of", "upstream, s", "ours, s", "same", "faster-coco-eval, s", "same "]),
        markdown_table(reading, [f"{result['annotations']:,} annotations read by", "upstream, s", "ours, s"])])


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="a fifth of the data, each once")
    add("--pairs", type=int, default=5, help="how often each takes its turn (5)")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints the tables."""
    args = parse_args(argv)
    result = measure(0.2, 1) if args.short else measure(1.0, args.pairs)
    present(as_markdown(result), result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
