"""A keypoint model: pictures and boxes in, keypoints out."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.heatmaps import Response
from pose_tools.inference.runtime.backend import Backend
from pose_tools.inference.runtime.geometry import Crops, boxes_to_crops, check_boxes, crops_to_image
from pose_tools.inference.runtime.pixels import InputMemory, check_image
from pose_tools.inference.runtime.simcc import average_mirrored, simcc_to_keypoints
from pose_tools.inference.runtime.stages import StageClock


class PoseModel:
    """Finds the keypoints of the objects in boxes.

    The results are those of mmpose's ``inference_topdown``. Not for several threads at once: memory is kept between
    calls.

    Args:
        backend: Of a keypoint model.
        flip_test: Whether to average with the mirrored crops, which costs a second run.
        batch_size: Most crops in one run, where the file does not fix their number.

    Attributes:
        clock: Where the time went.

    Raises:
        UserError: The model is a detector, or its graph decodes by itself and can take no flip test.
    """

    def __init__(self, backend: Backend, flip_test: bool = False, batch_size: int = 32) -> None:
        """Prepares."""
        facts = backend.facts
        if facts.task != "pose" or facts.keypoint_set is None:
            raise UserError(f"{backend.path}: is a {facts.task} model, not a pose model")
        if flip_test and facts.end_to_end:
            raise UserError(f"{backend.path}: decodes keypoints in its graph, so that a flip test has nothing to "
                            "average; take the file that was exported without --end2end")
        if batch_size < 1:
            raise UserError(f"expected a batch of at least 1, got {batch_size}")
        self.backend, self.facts, self.flip_test = backend, facts, flip_test
        self.keypoint_set = facts.keypoint_set
        self.clock = StageClock()
        self._limit = facts.batch or batch_size
        self._flip_indices = self.keypoint_set.flip_indices
        self._memory = InputMemory(facts)

    def __call__(self, image: np.ndarray, boxes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Finds keypoints in one picture.

        Args:
            image: (H, W, 3) BGR uint8.
            boxes: (N, 4) xyxy, image px; may reach over the border. None of them, none found.

        Returns:
            Keypoints (N, K, 2) float32, image px, and raw SimCC scores (N, K).

        Raises:
            UserError: The picture or the boxes are of another kind.
        """
        return self.many([image], [boxes])[0]

    def many(self, images: Sequence[np.ndarray], boxes_per_image: Sequence[Any],
             responses: Optional[list[Response]] = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds keypoints in several pictures, in common batches.

        Args:
            images: Each as for a call.
            boxes_per_image: Each as for a call.
            responses: Gets the SimCC rows of each picture added, which heat maps are drawn from.

        Returns:
            For each picture what a call returns.

        Raises:
            UserError: As for a call; or there are more pictures than lists of boxes; or there are no SimCC rows.
        """
        self.clock.start()
        if responses is not None and self.facts.end_to_end:
            raise UserError(f"{self.backend.path}: decodes keypoints in its graph, so that there are no SimCC rows to "
                            "draw heat maps from; take the file that was exported without --end2end")
        if len(images) != len(boxes_per_image):
            raise UserError(f"expected boxes for each of {len(images)} pictures, got {len(boxes_per_image)}")
        boxes = [check_boxes(each) for each in boxes_per_image]
        counts = [len(each) for each in boxes]
        pictures = [check_image(image) for image, count in zip(images, counts) for _ in range(count)]
        crops = boxes_to_crops(np.concatenate(boxes) if boxes else check_boxes([]), self.facts.input_size,
                               self.facts.bbox_padding, self.facts.use_udp)
        simcc: Optional[list[tuple[np.ndarray, ...]]] = None if responses is None else []
        parts = [self._batch(pictures, crops, start, simcc) for start in range(0, len(pictures), self._limit)]
        if not parts:
            count = len(self.keypoint_set.keypoints)
            parts = [(np.zeros((0, count, 2), np.float32), np.zeros((0, count), np.float32))]
        keypoints, scores = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts))
        keypoints = crops_to_image(keypoints, crops.centers, crops.scales, self.facts.input_size)
        ends = np.cumsum(counts)[:-1]
        found = list(zip(np.split(keypoints, ends), np.split(scores, ends))) if len(counts) > 1 else \
            [(keypoints, scores)] * len(counts)
        if responses is not None:
            responses += self._responses(simcc, crops, ends)[:len(counts)]
        self.clock.stop("postprocess")
        self.clock.items += len(pictures)
        return found

    def _responses(self, simcc: Sequence[tuple[np.ndarray, ...]], crops: Crops, ends: np.ndarray) -> list[Response]:
        """What runs answered, by picture: ``ends`` are the crops at which a picture begins, save the first."""
        if not simcc:
            count = len(self.keypoint_set.keypoints)
            simcc = [(np.zeros((0, count, 1), np.float32), ) * 2]
        x, y = (np.split(np.concatenate(each), ends) for each in zip(*simcc))
        places = zip(np.split(crops.centers, ends), np.split(crops.scales, ends))
        return [Response.from_simcc(*rows, self.facts.simcc_split_ratio, *place, self.facts.input_size)
                for rows, place in zip(zip(x, y), places)]

    def _batch(self, pictures: Sequence[np.ndarray], crops: Crops, start: int,
               simcc: Optional[list[tuple[np.ndarray, ...]]] = None) -> tuple[np.ndarray, np.ndarray]:
        """One run: keypoints (N, K, 2) in crop px and scores (N, K) of up to ``batch_size`` crops.

        SimCC rows are added to ``simcc`` where it is given.
        """
        count = min(self._limit, len(pictures) - start)
        rows = self._memory.rows(self.facts.batch or count)
        for row in range(count):
            self._draw(pictures[start + row], crops.matrices[start + row], row)
        self.clock.stop("preprocess")
        if not self.flip_test:
            outputs = self._run(rows)
        else:
            outputs = average_mirrored(*self._run_mirrored(len(rows)), self._flip_indices)
        outputs = tuple(each[:count] for each in outputs)
        if simcc is not None:
            simcc.append(outputs)
        keypoints, scores = outputs if self.facts.end_to_end else \
            simcc_to_keypoints(*outputs, self.facts.simcc_split_ratio)
        self.clock.stop("postprocess")
        return keypoints, scores

    def _draw(self, picture: np.ndarray, matrix: np.ndarray, row: int) -> None:
        import cv2

        pixels = self._memory.pixels(row)
        cv2.warpAffine(picture, matrix, self.facts.input_size, dst=pixels, flags=cv2.INTER_LINEAR)
        self._memory.normalise(row, pixels)

    def _run(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = self.backend.run(rows)
        self.clock.stop("network")
        return outputs

    def _run_mirrored(self, count: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Runs crops and mirrored crops: in one go, unless the file fixes how many a run takes."""
        both = self._memory.mirror(count)
        self.clock.stop("preprocess")
        if self.facts.batch:
            return self._run(both[:count]), self._run(both[count:])
        outputs = self._run(both)
        return tuple(each[:count] for each in outputs), tuple(each[count:] for each in outputs)
