"""Top-down keypoint models of mmpose: heat maps, regression, and what else its heads decode."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.heatmaps import Response
from pose_tools.inference.runtime.facts import ModelFacts
from pose_tools.inference.runtime.geometry import Crops, boxes_to_crops, check_boxes, crops_to_image
from pose_tools.inference.runtime.pixels import InputMemory, check_image
from pose_tools.inference.runtime.stages import StageClock
from pose_tools.inference.source import ModelSource
from pose_tools.inference.upstream.network import Network, pose_facts


class UpstreamPose:
    """Any top-down model of mmpose; called as :class:`~pose_tools.inference.runtime.pose.PoseModel` is.

    The results are those of mmpose's ``inference_topdown``. Not for several threads at once.

    Args:
        source: Its weights, and its config where they do not carry it.
        device: As for :class:`~pose_tools.inference.runtime.torch_backend.TorchBackend`.
        flip_test: None does as the config says.
        batch_size: Most crops in one run.
        precision: Likewise; ``bf16`` and ``fp16`` are for backbone and neck only.

    Attributes:
        keypoint_set: What it finds.
        clock: Where the time went.

    Raises:
        UserError: It is no top-down keypoint model, does not name its keypoints, or needs what is not here.
    """

    def __init__(self, source: Union[ModelSource, Path], device: str = "auto", flip_test: Optional[bool] = None,
                 batch_size: int = 32, precision: str = "auto") -> None:
        """Loads the network."""
        source = source if isinstance(source, ModelSource) else ModelSource(source)
        if batch_size < 1:
            raise UserError(f"expected a batch of at least 1, got {batch_size}")
        self._network = Network(source, "pose", device, precision)
        self.facts: ModelFacts = pose_facts(self._network, flip_test)
        if self.facts.keypoint_set is None:
            raise UserError(f"{source.path}: its config does not name its keypoints")
        self.path, self.keypoint_set, self.flip_test = source.path, self.facts.keypoint_set, self.facts.flip_test
        self.clock = StageClock()
        self._limit = batch_size
        self._memory = InputMemory(self.facts)
        self._test_cfg = dict(self._network.model.test_cfg or {}, flip_test=self.flip_test)
        self._chosen = self._test_cfg.get("output_keypoint_indices")
        self._sample = self._network.pose_sample(self.facts.input_size)

    def __call__(self, image: np.ndarray, boxes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Finds keypoints (N, K, 2) in image px, and raw scores (N, K), in boxes (N, 4) xyxy of a BGR picture."""
        return self.many([image], [boxes])[0]

    def many(self, images: Sequence[np.ndarray], boxes_per_image: Sequence[Any],
             responses: Optional[list[Response]] = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds keypoints in several pictures, in common batches.

        Args:
            images: Each (H, W, 3) BGR uint8.
            boxes_per_image: For each picture (N, 4) xyxy, image px.
            responses: Gets the heat maps of each picture added.

        Returns:
            For each picture keypoints (N, K, 2) float32, image px, and raw scores (N, K).

        Raises:
            UserError: A picture or boxes are of another kind, there are more pictures than lists of boxes, or the model
                has no heat maps.
        """
        self.clock.start()
        if len(images) != len(boxes_per_image):
            raise UserError(f"expected boxes for each of {len(images)} pictures, got {len(boxes_per_image)}")
        boxes = [check_boxes(each) for each in boxes_per_image]
        pictures = [check_image(image) for image, own in zip(images, boxes) for _ in own]
        # Each on its own, since boxes of float32 and of float64 round otherwise.
        placed = [boxes_to_crops(own, self.facts.input_size, self.facts.bbox_padding, self.facts.use_udp)
                  for own in boxes]
        matrices = [matrix for crops in placed for matrix in crops.matrices]
        parts = [self._batch(pictures[start:start + self._limit], matrices[start:start + self._limit],
                             responses is not None) for start in range(0, len(pictures), self._limit)]
        found, start = [], 0
        keypoints, scores, maps = self._joined(parts)
        for crops in placed:
            own = slice(start, start + len(crops.centers))
            found.append((crops_to_image(keypoints[own], crops.centers, crops.scales, self.facts.input_size),
                          scores[own]))
            if responses is not None:
                responses.append(self._response(maps[own], crops))
            start = own.stop
        self.clock.stop("postprocess")
        self.clock.items += len(pictures)
        return found

    def _joined(self, parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        if parts:
            return tuple(map(np.concatenate, zip(*parts)))
        count = len(self.keypoint_set.keypoints)
        return (np.zeros((0, count, 2), np.float32), np.zeros((0, count), np.float32),
                np.zeros((0, count, 1, 1), np.float32))

    def _response(self, maps: np.ndarray, crops: Crops) -> Response:
        udp = self.facts.use_udp and self._network.codec != "SimCCLabel"
        return Response.from_heatmaps(maps, crops.centers, crops.scales, self.facts.input_size, udp)

    def _batch(self, pictures: Sequence[np.ndarray], matrices: Sequence[np.ndarray],
               with_maps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One run: keypoints (N, K, 2) in crop px, scores (N, K), and maps (N, K, h, w) or none (N, 0)."""
        import cv2
        import torch

        rows = self._memory.rows(len(pictures))
        for row, (picture, matrix) in enumerate(zip(pictures, matrices)):
            pixels = self._memory.pixels(row)
            cv2.warpAffine(picture, matrix, self.facts.input_size, dst=pixels, flags=cv2.INTER_LINEAR)
            self._memory.normalise(row, pixels)
        self.clock.stop("preprocess")
        with torch.no_grad():
            inputs = self._network.to_device(rows)
            features = self._network.model.extract_feat(inputs)
            if self.flip_test:
                features = [features, self._network.model.extract_feat(inputs.flip(-1))]
            found = self._network.model.head.predict(
                features, [self._sample] * len(rows), test_cfg=dict(self._test_cfg, output_heatmaps=with_maps))
        self.clock.stop("network")
        return self._read(found, with_maps)

    def _read(self, found: Any, with_maps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        instances, fields = found if isinstance(found, tuple) else (found, None)
        keypoints = np.concatenate([each.keypoints for each in instances])[..., :2]
        scores = np.concatenate([each.keypoint_scores for each in instances])
        maps = np.zeros((len(keypoints), 0), np.float32)
        if with_maps:
            if fields is None:
                raise UserError(f"{self.path}: answers with places, not with heat maps; there is nothing to draw")
            maps = np.stack([each.heatmaps.float().cpu().numpy() for each in fields])
            # A combined UDP head has a map and two of offsets for each keypoint.
            maps = maps[:, ::maps.shape[1] // keypoints.shape[1]]
        if self._chosen is not None:
            keypoints, scores = keypoints[:, self._chosen], scores[:, self._chosen]
            maps = maps[:, self._chosen] if with_maps else maps
        return keypoints, scores, maps
