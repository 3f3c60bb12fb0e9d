"""Pictures of every kind that OpenCV reads, with boxes in and over their edges, as a COCO set for carpose."""
import json

import cv2
import numpy as np
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from pose_tools.openmmlab.config import load_config
from pose_tools.openmmlab.image_cache.picture import Opener
from pose_tools.openmmlab.image_cache.plan import pictures_of, wishes
from pose_tools.openmmlab.image_cache.store import PartStore
from pose_tools.openmmlab.image_cache.swap import swap

# (x, y, w, h) for a picture of 400 x 300: inside, at two edges, over all, thin, and one pixel.
BOXES = [(120, 90, 60, 50), (0, 0, 40, 30), (370, 280, 60, 60), (-20, -10, 500, 400), (200, 5, 8, 200),
         (300, 200, 1, 1)]


def picture(seed):
    """Smooth shapes and noise, so that a pixel's shift shows."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 256, (12, 16, 3), np.uint8)
    return cv2.add(cv2.resize(coarse, (400, 300)), random.randint(0, 40, (300, 400, 3), np.uint8))


def write_pictures(folder):
    """Writes one picture of each kind; gives names and sizes (w, h) as cv2 sees them."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "plain.jpg"), picture(0))
    cv2.imwrite(str(folder / "plain.png"), picture(1))
    cv2.imwrite(str(folder / "grey.jpg"), picture(2)[..., 0])
    cv2.imwrite(str(folder / "deep.png"), picture(3).astype(np.uint16) * 257 + 99)
    Image.fromarray(picture(4)).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.dstack([picture(5), picture(6)[..., :1]])).save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(picture(7).transpose(1, 0, 2).copy()).save(folder / "turned.jpg", exif=exif)
    names = ["plain.jpg", "plain.png", "grey.jpg", "deep.png", "cmyk.jpg", "alpha.png", "turned.jpg"]
    return {name: cv2.imread(str(folder / name)).shape[1::-1] for name in names}


def write_set(root, boxes=BOXES):
    """Writes pictures and ``train_coco.json`` with all boxes in each picture."""
    images, annotations = [], []
    for image_id, (name, (width, height)) in enumerate(write_pictures(root / "images").items(), start=1):
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for x, y, w, h in boxes:
            points = [v for k in range(8) for v in (x + w * k / 8, y + h * (7 - k) / 8, k % 3)]
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0,
                                "bbox": [x, y, w, h], "area": w * h, "keypoints": points, "num_keypoints": 5,
                                "segmentation": []})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "car"}]}
    (root / "train_coco.json").write_text(json.dumps(data))
    return root


def build(root, name, pipeline, **changes):
    """A data set of a config's, over the pictures of ``root``, with one of the config's pipelines."""
    cfg = load_config(f"configs/{name}.py")
    init_default_scope(cfg.default_scope)
    import mmdet.datasets  # noqa: F401
    import mmpose.datasets  # noqa: F401

    steps = changes.pop("steps", None) or cfg[pipeline]
    made = dict(cfg.train_dataloader.dataset, data_root=f"{root}/", ann_file="train_coco.json", pipeline=steps)
    return DATASETS.build(dict(made, test_mode=pipeline == "test_pipeline", **changes))


def cached(dataset, folder, more=(), form="raw"):
    """Puts our transforms into a data set, with a cache that holds all that is wanted; gives the wishes."""
    transforms = dataset.pipeline.transforms
    found = pictures_of(dataset)
    asked = wishes(0, found, [transforms, *more], 1.0, form)
    opener = Opener(PartStore(folder, "test", form), {wish.path: wish.whats for wish in asked})
    dataset.pipeline.transforms = swap(transforms, opener)
    return asked, opener


def same(first, second, place=""):
    """Compares packed samples, down to each array; gives the places that differ."""
    import torch
    from mmengine.structures import BaseDataElement

    if isinstance(first, BaseDataElement):
        first, second = ({**dict(x.metainfo_items()), **dict(x.items())} for x in (first, second))
    if hasattr(first, "tensor") and not isinstance(first, torch.Tensor):  # boxes of mmdet
        first, second = first.tensor, second.tensor
    if type(first) is not type(second):
        return [f"{place}: {type(first)} and {type(second)}"]
    if isinstance(first, dict):
        keys = [] if first.keys() == second.keys() else [f"{place}: {first.keys()} and {second.keys()}"]
        return keys + [line for key in first.keys() & second.keys()
                       for line in same(first[key], second[key], f"{place}.{key}")]
    if isinstance(first, (list, tuple)):
        pairs = [] if len(first) == len(second) else [f"{place}: lengths"]
        return pairs + [line for i, (a, b) in enumerate(zip(first, second)) for line in same(a, b, f"{place}[{i}]")]
    if isinstance(first, torch.Tensor):
        equal = first.dtype == second.dtype and torch.equal(first, second)
    elif isinstance(first, np.ndarray):
        equal = first.dtype == second.dtype and np.array_equal(first, second)
    else:
        equal = first == second
    return [] if equal else [f"{place}: {first!r:.80} and {second!r:.80}"]
