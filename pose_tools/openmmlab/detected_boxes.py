"""A keypoint dataset whose boxes come from a detector, whatever category ids it uses.

Stands in for ``mmpose/datasets/datasets/base/base_coco_style_dataset.py:461``, which drops every detection
whose ``category_id`` is not 1, and for the category id missing from what it keeps, without which
``CocoMetric`` scores all predictions as category 1.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.fileio import load
from mmpose.datasets import CocoDataset
from mmpose.registry import DATASETS
from xtcocotools.coco import COCO


@DATASETS.register_module()
class DetectedBoxesDataset(CocoDataset):
    """Keypoint dataset over the detections in ``bbox_file`` (COCO results format: xywh, image px)."""

    def _load_detection_results(self) -> list[dict[str, Any]]:
        """Makes one sample a detection, with placeholder keypoints that no metric reads."""
        coco = COCO(self.ann_file)
        self._metainfo["CLASSES"] = coco.loadCats(coco.getCatIds())
        count = self.metainfo["num_keypoints"]
        samples = []
        for index, detection in enumerate(load(self.bbox_file)):
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
