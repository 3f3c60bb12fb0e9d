"""A keypoint dataset whose boxes come from a detector, whatever category ids it uses.

Stands in for ``mmpose/datasets/datasets/base/base_coco_style_dataset.py:461``, which drops every detection
whose ``category_id`` is not 1, and for the category id missing from what it keeps, without which
``CocoMetric`` scores all predictions as category 1.
"""
from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from mmengine.fileio import load
from mmpose.datasets import CocoDataset
from mmpose.registry import DATASETS
from xtcocotools.coco import COCO


@DATASETS.register_module()
class DetectedBoxesDataset(CocoDataset):
    """Keypoint dataset over the detections in ``bbox_file`` (COCO results format: xywh, image px).

    Args:
        boxes_per_image: How many to take, the best first. COCO's keypoint evaluation counts 20 results an image,
            while RTMDet lists up to 300.
        bbox_thr: Boxes with a lower score are left out.
        **more: What upstream's ``CocoDataset`` takes.
    """

    def __init__(self, *, boxes_per_image: int = 20, bbox_thr: float = 0.0, **more: Any) -> None:
        """Loads the annotation file and the boxes."""
        self.boxes_per_image, self.bbox_thr = boxes_per_image, bbox_thr
        super().__init__(**more)

    def _chosen(self) -> list[dict[str, Any]]:
        """The boxes to use, those of an image together, in the order of their scores."""
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for detection in load(self.bbox_file):
            if detection["score"] >= self.bbox_thr:
                by_image[detection["image_id"]].append(detection)
        return [detection for found in by_image.values()
                for detection in sorted(found, key=lambda d: -d["score"])[:self.boxes_per_image]]

    def _load_detection_results(self) -> list[dict[str, Any]]:
        """Makes one sample a detection, with placeholder keypoints that no metric reads."""
        coco = COCO(self.ann_file)
        self._metainfo["CLASSES"] = coco.loadCats(coco.getCatIds())
        count = self.metainfo["num_keypoints"]
        samples = []
        for index, detection in enumerate(self._chosen()):
            image = coco.loadImgs(detection["image_id"])[0]
            x, y, w, h = detection["bbox"]
            samples.append({
                "id": index,
                "img_id": detection["image_id"],
                "img_path": f"{self.data_prefix['img'].rstrip('/')}/{image['file_name']}",
                "img_shape": (image["height"], image["width"]),
                "category_id": detection["category_id"],
                "bbox": np.array([[x, y, x + w, y + h]], dtype=np.float32),
                "bbox_score": np.array([detection["score"]], dtype=np.float32),
                "keypoints": np.zeros((1, count, 2), dtype=np.float32),
                "keypoints_visible": np.ones((1, count), dtype=np.float32),
            })
        return samples
