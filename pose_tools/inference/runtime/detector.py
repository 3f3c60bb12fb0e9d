"""A detector: pictures in, boxes out."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.boxes import iou_xyxy
from pose_tools.inference.runtime.backend import Backend
from pose_tools.inference.runtime.pixels import InputMemory, check_image, letterbox
from pose_tools.inference.runtime.stages import StageClock

Found = tuple[np.ndarray, np.ndarray, np.ndarray]


class DetectorModel:
    """Finds objects.

    The results are those of mmdet's ``inference_detector``. Not for several threads at once: memory is kept between
    calls. Several of them may share a backend, one for each thread.

    Args:
        backend: Of a detector.
        score_threshold: Least score of a box; None keeps all that the model gives.
        batch_size: Most pictures in one run, where the file does not fix their number.

    Attributes:
        clock: Where the time went.

    Raises:
        UserError: The model is no detector.
    """

    def __init__(self, backend: Backend, score_threshold: Optional[float] = None, batch_size: int = 8) -> None:
        """Prepares."""
        if backend.facts.task != "detector":
            raise UserError(f"{backend.path}: is a {backend.facts.task} model, not a detector model")
        self.backend, self.facts, self.score_threshold = backend, backend.facts, score_threshold
        self.classes, self.keypoint_set = backend.facts.classes, backend.facts.keypoint_set
        self.clock = StageClock()
        self._limit = backend.facts.batch or batch_size
        self._memory = InputMemory(backend.facts)

    def __call__(self, image: np.ndarray) -> Found:
        """Finds the objects in one picture.

        Args:
            image: (H, W, 3) BGR uint8.

        Returns:
            Boxes (N, 4) float32 xyxy, image px, which may reach over the border; scores (N,), falling; and labels (N,)
            from 0.

        Raises:
            UserError: The picture is of another kind.
        """
        return self._batch([image])[0]

    def many(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Finds the objects in several pictures, in common batches.

        Args:
            images: Each as for a call; they may differ in size.

        Returns:
            For each picture what a call returns.

        Raises:
            UserError: As for a call.
        """
        return [found for start in range(0, len(images), self._limit)
                for found in self._batch(images[start:start + self._limit])]

    def _batch(self, images: Sequence[np.ndarray]) -> list[Found]:
        self.clock.start()
        rows = self._memory.rows(self.facts.batch or len(images))  # of a fixed batch the others keep what they held
        factors = []
        for row, image in enumerate(images):
            pixels = self._memory.pixels(row)
            factors.append(letterbox(check_image(image), pixels, self.facts.pad_value))
            self._memory.normalise(row, pixels)
        self.clock.stop("preprocess")
        dets, labels = self.backend.run(rows)
        self.clock.stop("network")
        found = [self._boxes(*each) for each in zip(dets, labels, factors)]
        self.clock.stop("postprocess")
        self.clock.items += len(images)
        return found

    def _boxes(self, dets: np.ndarray, labels: np.ndarray, factors: tuple[float, float]) -> Found:
        keep = labels >= 0
        if self.score_threshold is not None:
            keep &= dets[:, 4] >= self.score_threshold
        found, labels, per_px = dets[keep], labels[keep], np.array(factors * 2)
        boxes = found[:, :4] * (1 / per_px).astype(np.float32)
        return boxes, found[:, 4], labels


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression over all classes together.

    Args:
        boxes: (N, 4) xyxy, of any unit.
        scores: (N,).
        threshold: A box whose IoU with a better one is above it is dropped.

    Returns:
        Indices of those that stay, the best first.
    """
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou_xyxy(boxes[best][None], boxes[order])[0] <= threshold]
    return np.array(kept, int)
