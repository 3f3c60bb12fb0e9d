"""A detector: pictures in, boxes out."""
from __future__ import annotations

from typing import Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.backend import Backend
from pose_tools.inference.runtime.pixels import InputMemory, check_image, letterbox
from pose_tools.inference.runtime.stages import StageClock


class DetectorModel:
    """Finds objects.

    The results are those of mmdet's ``inference_detector``. Not for several threads at once: memory is kept between
    calls.

    Args:
        backend: Of a detector.
        score_threshold: Least score of a box; None keeps all that the model gives.

    Attributes:
        clock: Where the time went.

    Raises:
        UserError: The model is no detector.
    """

    def __init__(self, backend: Backend, score_threshold: Optional[float] = None) -> None:
        """Prepares."""
        if backend.facts.task != "detector":
            raise UserError(f"{backend.path}: is a {backend.facts.task} model, not a detector model")
        self.backend, self.facts, self.score_threshold = backend, backend.facts, score_threshold
        self.classes, self.keypoint_set = backend.facts.classes, backend.facts.keypoint_set
        self.clock = StageClock()
        self._memory = InputMemory(backend.facts)

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finds the objects in one picture.

        Args:
            image: (H, W, 3) BGR uint8.

        Returns:
            Boxes (N, 4) float32 xyxy, image px, which may reach over the border; scores (N,), falling; and labels (N,)
            from 0.

        Raises:
            UserError: The picture is of another kind.
        """
        self.clock.start()
        rows = self._memory.rows(self.facts.batch or 1)  # of a fixed batch the others keep what they held
        pixels = self._memory.pixels(0)
        factors = letterbox(check_image(image), pixels, self.facts.pad_value)
        self._memory.normalise(0, pixels)
        self.clock.stop("preprocess")
        dets, labels = self.backend.run(rows)
        self.clock.stop("network")
        keep = labels[0] >= 0
        if self.score_threshold is not None:
            keep &= dets[0, :, 4] >= self.score_threshold
        found, per_px = dets[0][keep], np.array(factors * 2)
        boxes = found[:, :4] * (1 / per_px).astype(np.float32)
        self.clock.stop("postprocess")
        self.clock.items += 1
        return boxes, found[:, 4], labels[0][keep]
