"""Makes the pictures of docs/commands anew, from rendered cars and by the commands they belong to.

Example:
    python docs/make_pictures.py

Those of show_coco.py and publish_model.py are screenshots and need a Chromium; those of publish_model.py, export.py,
predict.py and benchmark.py need the models that `make demo` leaves in checkpoint/. Without these they stay as they are.
That of benchmark.py shows times: make it while nothing else runs.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from label_files import labelme, yolo
from PIL import Image
from terminal_picture import interrupted_download, typed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PICTURES = ROOT / "docs/commands/pictures"
META = "configs/_base_/carpose/meta.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 1000  # px; pictures are reduced to it
FOLLOWED = (26, 34, 42, 50)  # frames of the video: one car drives behind the parked one
CARD_STYLE = ("body {font: 15px sans-serif; margin: 24px; color: #222} img {width: 560px} code {background: #f0f0f0}"
              "table {border-collapse: collapse} td, th {border: 1px solid #ccc; padding: 3px 10px; text-align: left}")


def call(line: str) -> None:
    """Runs a command line of a page, in the current folder."""
    script, *words = line.split()
    answer = subprocess.run([sys.executable, str(ROOT / script), *words], capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(f"{line}\n{answer.stdout}{answer.stderr}")


def drawn(data: str, name: str, words: str = "", has_text: bool = False) -> np.ndarray:
    """One picture of a data set with its labels as show_coco.py draws it, with or without the text it puts below."""
    call(f"pose_tools/show_coco.py {data} --image {name} --out drawn.png --max-side 640 {words}")
    picture = cv2.imread("drawn.png")
    height, width = cv2.imread(f"{data}/images/{name}").shape[:2]
    return picture if has_text else picture[:round(picture.shape[1] * height / width)]


def sheet(columns: int, *pictures: np.ndarray, titles: Sequence[str] | None = None) -> np.ndarray:
    """Pictures in rows, with or without titles."""
    from pose_tools.report.draw import contact_sheet

    return contact_sheet(pictures, columns, WIDTH // columns - 14, titles)


def screenshot(page: str, size: str) -> np.ndarray | None:
    """A page in a browser, or None where there is none."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return None
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--window-size={size}", "--screenshot=page.png", Path(page).absolute().as_uri()],
                   capture_output=True, check=True)
    return cv2.imread("page.png")


def labels_page() -> np.ndarray | None:
    """The page of show_coco.py."""
    call("pose_tools/show_coco.py data/spoiled --html labels.html --lang en")
    return screenshot("labels.html", "1200,760")


def demo_model(name: str) -> Path | None:
    """The newest model of that name that `make demo` left."""
    return max((ROOT / "checkpoint").glob(f"{name}-carpose-*.pth"), default=None, key=os.path.getmtime)


def card_page() -> np.ndarray | None:
    """The model card of the demo's keypoint model, as a site for code shows Markdown; None without that model."""
    from markdown_it import MarkdownIt

    models = [demo_model("rtmpose-s"), demo_model("rtmdet-tiny")]
    if None in models:
        return None
    call(f"tools/publish_model.py {models[0]} --local-dir release --licence CC-BY-4.0 --sample-images photos "
         f"--det {models[1]}")
    card = Path("release/README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    html = MarkdownIt("commonmark").enable("table").render(card)
    Path("release/card.html").write_text(f"<meta charset='utf-8'><style>{CARD_STYLE}</style>{html}", encoding="utf-8")
    return screenshot("release/card.html", "860,1240")


def exported_and_measured() -> dict[str, np.ndarray | None]:
    """An export that fails, and measured speed, of the demo's keypoint model under shorter names."""
    model = demo_model("rtmpose-s")
    if model is None:
        return {"export.png": None, "benchmark.png": None}
    name = model.name.replace("-carpose", "")
    shutil.copyfile(model, name)
    shutil.copyfile(model, "pose.pth")
    call("tools/export.py pose.pth")
    export = f"tools/export.py {name} --precision int8 --calibration data/carpose/train_coco.json --max-ap-drop 0.001"
    measure = "tools/benchmark.py pose.pth pose.onnx --batch 1 4"
    return {"export.png": typed(ROOT, f"python {export}", 134), "benchmark.png": typed(ROOT, f"python {measure}", 112)}


def followed() -> np.ndarray | None:
    """Four frames of the rendered video, with what the demo's models find in it; None without those."""
    models = [demo_model("rtmpose-s"), demo_model("rtmdet-tiny")]
    if None in models:
        return None
    call("pose_tools/make_demo.py --video traffic.mp4")
    call(f"pose_tools/predict.py traffic.mp4 --pose {models[0]} --det {models[1]} --smooth --bbox-thr 0.5 "
         "--nms-thr 0.5 --out followed")
    capture, frames = cv2.VideoCapture("followed/traffic.mp4"), []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return sheet(2, *(frames[number] for number in FOLLOWED))


def calibrated() -> np.ndarray | None:
    """The reliability plot of the demo's keypoint model on pictures it was not trained on; None without that model."""
    model = demo_model("rtmpose-s")
    if model is None:
        return None
    call("pose_tools/make_demo.py fresh --images 300 --views street --seed 101")
    call(f"pose_tools/labelme2coco.py fresh data/fresh --meta {META} --split 0.02")
    call(f"tools/calibrate.py configs/rtmpose-s-carpose.py {model} --labels data/fresh/val_coco.json --out calibration")
    return cv2.imread("calibration/reliability.png")


def keep(name: str, picture: np.ndarray | None) -> None:
    """Reduces a picture to the width of a page and writes it where the pages look for it."""
    if picture is None:
        print(f"{name}: what it takes is not here; left as it is")
        return
    if picture.shape[1] > WIDTH:
        height = round(picture.shape[0] * WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    if name.endswith("jpg"):
        cv2.imwrite(str(PICTURES / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    else:  # plots and terminals: a few colours and what lies between them
        few = Image.fromarray(picture[:, :, ::-1]).quantize(64, Image.Quantize.MAXCOVERAGE)
        few.save(PICTURES / name, optimize=True)
    print(f"{name}: {picture.shape[1]} x {picture.shape[0]} px, {(PICTURES / name).stat().st_size / 1000:.0f} kB")


def make_data() -> None:
    """The data sets of the pages, in the current folder."""
    shutil.copytree(ROOT / "configs", "configs")
    for line in (f"pose_tools/labelme2coco.py photos data/carpose --meta {META}",
                 f"pose_tools/labelme2coco.py street data/street --meta {META}",
                 "pose_tools/merge_coco.py data/carpose data/street --out data/both",
                 "pose_tools/crop_instances.py data/carpose data/crops",
                 "pose_tools/coco2yolo.py data/carpose yolo",
                 "pose_tools/yolo2coco.py yolo data/from_yolo",
                 "pose_tools/coco2labelme.py data/carpose/train_coco.json to_correct",
                 "pose_tools/labelme2coco.py photos data/mycars",
                 "tools/new_dataset.py mycars --coco data/mycars/train_coco.json --configs configs",
                 "docs/make_examples.py spoiled data/carpose data/spoiled",
                 "docs/make_examples.py again data/carpose data/again",
                 "docs/make_examples.py leaky data/carpose data/leaky",
                 "pose_tools/split_coco.py data/leaky data/fair",
                 "pose_tools/dataset_stats.py data/carpose --out stats",
                 f"pose_tools/estimate_sigmas.py data/carpose data/again --meta {META} --out sigmas"):
        call(line)


def pairs() -> np.ndarray:
    """Pictures above their brighter copies, with the split that each is in after dividing."""
    split_of = {image["file_name"]: split for split in ("train", "val")
                for image in json.loads(Path(f"data/fair/{split}_coco.json").read_text(encoding="utf-8"))["images"]}
    copies = sorted((name for name in split_of if "bright" in name), key=lambda name: (split_of[name], name))
    names = [copies[0], copies[1], copies[-1]]
    names = [name.replace("_bright", "") for name in names] + names
    return sheet(3, *(cv2.imread(f"data/fair/images/{name}") for name in names),
                 titles=[f"{split_of[name]}: {name}" for name in names])


def make_pictures() -> None:
    """All pictures, from the data in the current folder."""
    name = "demo_00003"
    coco, numbered = drawn("data/carpose", f"{name}.jpg"), yolo(f"yolo/labels/train/{name}.txt", f"photos/{name}.jpg")
    keep("labelme2coco.jpg", sheet(2, labelme(f"photos/{name}.json"), coco))
    keep("coco2yolo.jpg", sheet(2, coco, numbered))
    keep("yolo2coco.jpg", sheet(2, yolo("yolo/labels/train/demo_00011.txt", "photos/demo_00011.jpg"),
                                drawn("data/from_yolo", "train/demo_00011.jpg", "--names")))
    keep("coco2labelme.jpg", sheet(2, drawn("data/carpose", "demo_00008.jpg"), labelme("to_correct/demo_00008.json")))
    both = [f"carpose/demo_0000{i}.jpg" for i in (3, 4, 5)] + [f"street/demo_0000{i}.jpg" for i in (0, 1, 2)]
    keep("merge_coco.jpg", sheet(3, *(drawn("data/both", one) for one in both), titles=both))
    crops = [path.name for path in sorted(Path("data/crops/images").glob("*"))[:8]]
    keep("crop_instances.jpg", sheet(4, *(drawn("data/crops", one) for one in crops), titles=crops))
    keep("new_dataset.jpg", drawn("data/mycars", "demo_00011.jpg",
                                  "--names --swaps --meta configs/_base_/mycars/meta.py"))
    spoiled = [drawn("data/spoiled", f"demo_0000{i}.jpg", has_text=True) for i in (0, 2, 3, 4)]
    keep("check_coco.jpg", sheet(2, *spoiled))
    keep("split_coco.jpg", pairs())
    keep("show_coco.jpg", labels_page())
    keep("publish_model.jpg", card_page())
    keep("predict.jpg", followed())
    keep("calibrate.png", calibrated())
    keep("dataset_stats.png", cv2.imread("stats/keypoint_model_input.png"))
    keep("estimate_sigmas.png", cv2.imread("sigmas/ap_by_sigma.png"))
    call("docs/make_example_catalog.py shared --times 100")
    keep("download_weights.png", interrupted_download(ROOT, Path("shared")))
    for name, picture in exported_and_measured().items():
        keep(name, picture)


def main() -> int:
    """Works in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        call("pose_tools/make_demo.py photos --images 24")
        call("pose_tools/make_demo.py street --images 8 --views street --seed 5")
        make_data()
        make_pictures()
        os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
