"""A set the project has never seen goes from labelme to training runs by the commands alone, without an edit."""
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("螺旋槳", "hélice à pas", "пропеллер 3")
PARTS = ("翼尖", "翼根", "爪 №1", "爪 №2", "眼", "耳", "鰭", "腳")
SIDES = [f"{side}{part}" for part in PARTS for side in ("左", "右")]
MIDDLE = ["鼻", "tail tip", "œil", "dos (haut)", "dos (bas)", "ventre"]


def creature(draw, rng, kind, centre, group):
    """Draws an ellipse with a dot for each keypoint; gives its labelme shapes."""
    (x, y), width, height = centre, rng.uniform(18, 24), rng.uniform(12, 16)
    colour = ((200, 40, 40), (40, 160, 60), (50, 60, 200))[kind]
    draw.ellipse((x - width, y - height, x + width, y + height), fill=colour)
    shapes = [{"label": CLASSES[kind], "shape_type": "rectangle", "group_id": group, "flags": {},
               "points": [[x - width, y - height], [x + width, y + height]]}]
    for number, name in enumerate([*SIDES, *MIDDLE]):
        side = {"左": -1, "右": 1}.get(name[0], 0)
        angle = number * 0.35
        point = [x + side * width * 0.9 * abs(math.cos(angle)), y + height * 0.9 * math.sin(angle)]
        draw.ellipse((point[0] - 1, point[1] - 1, point[0] + 1, point[1] + 1), fill=(255, 255, 9 * number))
        if rng.random() < 0.9:
            shapes.append({"label": name, "shape_type": "point", "group_id": group, "points": [point],
                           "flags": {"occluded": bool(rng.random() < 0.2)}})
    return shapes


@pytest.fixture(scope="module")
def labelme(tmp_path_factory):
    folder = tmp_path_factory.mktemp("資料") / "фото 1"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        image = Image.fromarray(rng.integers(90, 110, (96, 128, 3), np.uint8))
        draw = ImageDraw.Draw(image)
        shapes = [shape for group, x in enumerate((32, 94), 1)
                  for shape in creature(draw, rng, int(rng.integers(3)), (x, rng.uniform(30, 66)), group)]
        image.save(folder / f"圖 {number}.png")
        (folder / f"圖 {number}.json").write_text(json.dumps(
            {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"圖 {number}.png", "imageData": None,
             "imageHeight": 96, "imageWidth": 128}, ensure_ascii=False), encoding="utf-8")
    return folder


def run(*words):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("first", ["convert", "scaffold"])
def test_from_labelme_to_training_runs(labelme, tmp_path, first):
    data, configs = tmp_path / "數據", tmp_path / "configs"
    make_configs = ["tools/new_dataset.py", "unseen", "--configs", configs, "--data-root", data]
    convert = ["pose_tools/labelme2coco.py", labelme, data, "--split", "0.75"]
    if first == "convert":
        run(*convert)
        said = run(*make_configs[:-2], "--coco", data / "train_coco.json")
        assert f"next: python tools/train.py {configs}/rtmdet-tiny-unseen.py" in said
    else:
        said = run(*make_configs, "--labelme", labelme)
        run(*convert, "--meta", configs / "_base_/unseen/meta.py")
    assert "左翼尖 <-> 右翼尖" in said and said.count("<->") == 8
    meta = configs / "_base_/unseen/meta.py"
    assert "0 errors" in run("pose_tools/check_coco.py", data, "--meta", meta)
    coco = json.loads((data / "train_coco.json").read_text(encoding="utf-8"))
    assert {category["name"] for category in coco["categories"]} == set(CLASSES)
    assert sorted(coco["categories"][0]["keypoints"]) == sorted([*SIDES, *MIDDLE])
    if first == "scaffold":
        return
    for leaf, size in (("rtmpose-s-unseen", 64), ("rtmdet-tiny-unseen", 96)):
        said = run("tools/train.py", configs / f"{leaf}.py", "--no-pretrained", "--epochs", 1, "--batch-size", 8,
                   "--input-size", size, size, "--work-dir", tmp_path / leaf)
        assert "trained:" in said and list((tmp_path / leaf).glob("*.pth"))
