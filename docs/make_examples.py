"""Makes what the pages in docs/commands look at, out of the sound data set that make_demo.py's cars become.

Examples:
    python docs/make_examples.py spoiled data/carpose data/spoiled
    python docs/make_examples.py again data/carpose data/again
    python docs/make_examples.py leaky data/carpose data/leaky
    python docs/make_examples.py run data/carpose work_dirs/rtmpose-s-carpose
    python docs/make_examples.py models data/carpose models

``spoiled`` has five mistakes in its training labels, of kinds that people and converters make. ``again`` is the same
set as a second annotator might have labelled it: every point a little elsewhere, bumpers less surely than tires, left
and right of a car in each split confused. ``leaky`` has brighter copies of its first six training pictures among those
for validation. All come out the same every time. ``run`` is the work folder of a keypoint model after one epoch on
small pictures: ten seconds, in which it learns nothing, but its files are those of any run. ``models`` is a folder with
the checkpoints of such a run and of one of a detector, ``pose.pth`` and ``det.pth``.
"""
from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
Coco = dict[str, Any]
PARTS = ("front-bumper", "rear-bumper", "front-tire", "rear-tire")
# Standard deviation of a point on either axis, as a share of sqrt(area).
NOISE = {"bumper": 0.025, "tire": 0.01}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("spoiled", "again", "leaky", "run", "models"))
    parser.add_argument("src", metavar="SRC", type=Path, help="sound data set of cars")
    parser.add_argument("dst", metavar="DST", type=Path, help="data set or folder to make; must not be there")
    return parser.parse_args(argv)


def exchange_sides(annotation: Coco, names: Sequence[str]) -> None:
    """Gives the left keypoints the places of the right ones, and the other way round."""
    points = annotation["keypoints"]
    for part in PARTS:
        left, right = (slice(3 * i, 3 * i + 3) for i in (names.index(f"left-{part}"), names.index(f"right-{part}")))
        points[left], points[right] = points[right], points[left]


def spoil(data: Coco) -> None:
    """Makes five mistakes: one each in the first five pictures that have a car with all keypoints."""
    names = data["categories"][0]["keypoints"]
    cars: dict[int, Coco] = {}
    for annotation in data["annotations"]:
        if annotation["num_keypoints"] == len(names):
            cars.setdefault(annotation["image_id"], annotation)
    swapped, misplaced, doubled, flat, miscounted = list(cars.values())[:5]
    exchange_sides(swapped, names)
    x, y, w, h = misplaced["bbox"]
    place = 3 * names.index("left-front-tire")
    misplaced["keypoints"][place:place + 3] = [x + 0.5 * w, y + 0.05 * h, 2]
    # Far above the ids of the other splits.
    data["annotations"].append({**doubled, "id": 1000})
    flat["area"] = 1
    miscounted["num_keypoints"] = 3


def annotate_again(data: Coco, rng: np.random.Generator) -> None:
    """Moves every labelled point by normal noise, and exchanges the sides of one car."""
    names = data["categories"][0]["keypoints"]
    width = np.array([NOISE[name.rpartition("-")[2]] for name in names])[:, None]
    for annotation in data["annotations"]:
        points = np.array(annotation["keypoints"]).reshape(-1, 3)
        moved = points[:, :2] + rng.normal(size=(len(names), 2)) * width * np.sqrt(annotation["area"])
        points[:, :2] = np.where(points[:, 2:] > 0, moved.round(2), 0)
        annotation["keypoints"] = [value for x, y, v in points.tolist() for value in (x, y, int(v))]
    exchange_sides(next(a for a in data["annotations"] if a["num_keypoints"] == len(names)), names)


def leak(data: Coco, train: Coco, images: Path) -> None:
    """Adds copies of the first six training pictures, a tenth brighter, with their labels, to another split."""
    import cv2

    for image in train["images"][:6]:
        name = image["file_name"].replace(".jpg", "_bright.jpg")
        picture = cv2.imread(str(images / image["file_name"]))
        cv2.imwrite(str(images / name), cv2.convertScaleAbs(picture, alpha=1.1))
        data["images"].append({**image, "id": 1000 + image["id"], "file_name": name})
        data["annotations"] += [{**a, "id": 1000 + a["id"], "image_id": 1000 + image["id"]}
                                for a in train["annotations"] if a["image_id"] == image["id"]]


def train_briefly(src: Path, dst: Path, name: str = "rtmpose-s-carpose", size: tuple[int, int] = (64, 64)) -> None:
    """Trains a model for one epoch, as tools/train.py does."""
    from pose_tools.openmmlab.training import train
    from pose_tools.options.training import TrainOptions

    options: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        options[f"{split}_dataloader.dataset.data_root"] = f"{src}/"
        options[f"{split}_dataloader.num_workers"] = 0
        if split != "train":
            options[f"{split}_evaluator.ann_file"] = f"{src}/val_coco.json"
    train(TrainOptions(ROOT / f"configs/{name}.py", dst, pretrained=False, epochs=1, batch_size=8, input_size=size,
                       precision="fp32", device="cpu", options=options))


def train_two(src: Path, dst: Path) -> None:
    """Trains a detector and a keypoint model for one epoch, and keeps their checkpoints."""
    dst.mkdir(parents=True)
    for kind, name, size in (("det", "rtmdet-tiny-carpose", (128, 96)), ("pose", "rtmpose-s-carpose", (64, 64))):
        with tempfile.TemporaryDirectory() as folder:
            train_briefly(src, Path(folder) / name, name, size)
            shutil.copyfile(Path(folder) / name / "epoch_1.pth", dst / f"{kind}.pth")


def main(argv: Sequence[str] | None = None) -> int:
    """Copies the set and changes its labels, or trains on it."""
    args = parse_args(argv)
    if args.kind in ("run", "models"):
        (train_briefly if args.kind == "run" else train_two)(args.src, args.dst)
        print(f"wrote {args.dst}")
        return 0
    shutil.copytree(args.src, args.dst)
    files = {name: args.dst / f"{name}_coco.json" for name in ("train", "val")}
    train, val = (json.loads(path.read_text(encoding="utf-8")) for path in files.values())
    if args.kind == "spoiled":
        spoil(train)
    elif args.kind == "again":
        rng = np.random.default_rng(1)
        annotate_again(train, rng)
        annotate_again(val, rng)
    else:
        leak(val, train, args.dst / "images")
    for path, data in zip(files.values(), (train, val)):
        path.write_text(json.dumps(data), encoding="utf-8")
    print(f"wrote {args.dst}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
