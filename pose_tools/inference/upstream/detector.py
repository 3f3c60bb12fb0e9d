"""Detectors of mmdet: Faster R-CNN, Cascade R-CNN, YOLOX, and what else runs without a compiled mmcv."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.pixels import check_image
from pose_tools.inference.runtime.stages import StageClock
from pose_tools.inference.source import ModelSource
from pose_tools.inference.upstream.network import Network

Found = tuple[np.ndarray, np.ndarray, np.ndarray]


class UpstreamDetector:
    """Any detector of mmdet; called as :class:`~pose_tools.inference.runtime.detector.DetectorModel` is.

    The results are those of mmdet's ``inference_detector``; masks are not computed. Not for several threads at once.

    Args:
        source: Its weights, and its config where they do not carry it.
        device: As for :class:`~pose_tools.inference.runtime.torch_backend.TorchBackend`.
        score_threshold: Least score of a box; None keeps all that the model gives.
        precision: Likewise; ``bf16`` and ``fp16`` are for backbone and neck only.

    Attributes:
        classes: Names in the order of the labels.
        keypoint_set: Of a detector of ours; else None.
        clock: Where the time went.

    Raises:
        UserError: It is no detector, or needs what is not here.
    """

    def __init__(self, source: Union[ModelSource, Path], device: str = "auto", score_threshold: Optional[float] = None,
                 precision: str = "auto") -> None:
        """Loads the network."""
        from pose_tools.openmmlab.config import keypoint_set_of

        source = source if isinstance(source, ModelSource) else ModelSource(source)
        self._network = Network(source, "detector", device, precision)
        self.path, self.score_threshold = source.path, score_threshold
        self.keypoint_set = keypoint_set_of(self._network.cfg)
        self.classes = _classes(self._network)
        self.clock = StageClock()
        self._pipeline = _pipeline(self._network.cfg)
        heads = getattr(self._network.model, "roi_head", None)
        if getattr(heads, "mask_head", None) is not None:
            heads.mask_head = None  # half the time of Mask R-CNN, and nobody looks at masks

    def __call__(self, image: np.ndarray) -> Found:
        """Finds boxes (N, 4) xyxy in image px, scores (N,) and labels (N,) in a BGR picture (H, W, 3) uint8."""
        import torch

        self.clock.start()
        data = self._pipeline({"img": check_image(image), "img_id": 0})
        batch = {"inputs": [data["inputs"]], "data_samples": [data["data_samples"]]}
        self.clock.stop("preprocess")
        with torch.no_grad():
            found = self._network.model.test_step(batch)[0].pred_instances
        self.clock.stop("network")
        boxes, scores, labels = (found[name].float().cpu().numpy() if name != "labels" else found[name].cpu().numpy()
                                 for name in ("bboxes", "scores", "labels"))
        if self.score_threshold is not None:
            keep = scores >= self.score_threshold
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        self.clock.stop("postprocess")
        self.clock.items += 1
        return boxes, scores, labels


def _pipeline(cfg: Any) -> Any:
    """The steps that prepare a picture, built once; those for annotations, of which there are none, are left out."""
    from mmcv.transforms import Compose
    from mmdet.utils import get_test_pipeline_cfg

    steps = [dict(step) for step in get_test_pipeline_cfg(cfg.copy())]
    steps[0]["type"] = "mmdet.LoadImageFromNDArray"
    return Compose([step for step in steps if step["type"].rpartition(".")[2] != "LoadAnnotations"])


def _classes(network: Network) -> tuple[str, ...]:
    from pose_tools.openmmlab.upstream_meta import class_count, upstream_classes

    count, said = class_count(network.cfg), network.model.dataset_meta.get("classes")
    said = (said, ) if isinstance(said, str) else tuple(map(str, said or ()))
    classes = said if said and count in (None, len(said)) else upstream_classes(network.cfg)
    if not classes:
        raise UserError(f"{network.source.path}: neither its weights nor its config name its classes"
                        + (f", of which there are {count}" if count else ""))
    return classes
