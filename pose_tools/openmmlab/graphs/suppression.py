"""NMS in plain torch that TorchScript compiles, for files that run where torch is and nothing else."""
from __future__ import annotations

from typing import Tuple  # TorchScript on Python 3.9 knows no tuple[...]

import torch
from torch import Tensor, nn

from pose_tools.openmmlab.graphs.models import Suppression


def greedy_detections(boxes: Tensor, scores: Tensor, score_threshold: float, iou_threshold: float, most: int,
                      class_agnostic: bool) -> Tuple[Tensor, Tensor]:
    """Suppresses boxes class by class as ``mmcv.ops.batched_nms`` does, image after image.

    The best box is kept, those of its class that overlap it by more than the threshold go, and so on. Classes are
    moved apart by more than an image, so that their boxes do not meet.

    Args:
        boxes: (N, P, 4) x1 y1 x2 y2, input px, not negative.
        scores: (N, C, P).
        score_threshold: Boxes of this score or less do not count.
        iou_threshold: Of NMS.
        most: M, detections of an image.
        class_agnostic: Whether boxes suppress those of other classes too.

    Returns:
        (N, M, 5) x1 y1 x2 y2 score, best first, and labels (N, M) int64; rows beyond the last detection are 0 and
        have label -1.
    """
    count = boxes.shape[1]
    dets = torch.zeros([boxes.shape[0], most, 5], dtype=boxes.dtype, device=boxes.device)
    labels = torch.full([boxes.shape[0], most], -1, dtype=torch.int64, device=boxes.device)
    for image in range(boxes.shape[0]):
        flat = scores[image].reshape(-1)
        left = torch.nonzero(flat > score_threshold).squeeze(1)
        left = left[torch.argsort(flat[left], descending=True)]
        own = boxes[image][left % count]
        label = torch.div(left, count, rounding_mode="floor")
        apart = own if class_agnostic else own + (label * (boxes.max() + 1)).unsqueeze(1).to(own.dtype)
        areas = (apart[:, 2] - apart[:, 0]) * (apart[:, 3] - apart[:, 1])
        there = torch.arange(left.shape[0], device=boxes.device)
        kept = 0
        while kept < most and there.shape[0] > 0:
            best, there = there[0], there[1:]
            dets[image, kept, :4] = own[best]
            dets[image, kept, 4] = flat[left[best]]
            labels[image, kept] = label[best]
            kept += 1
            others = apart[there]
            sides = torch.minimum(others[:, 2:], apart[best, 2:]) - torch.maximum(others[:, :2], apart[best, :2])
            shared = sides[:, 0].clamp(min=0.0) * sides[:, 1].clamp(min=0.0)
            there = there[shared / (areas[there] + areas[best] - shared) <= iou_threshold]
    return dets, labels


class SuppressedDetector(nn.Module):
    """A detector's graph with NMS in it; can be traced, since the loop is compiled, not recorded.

    Args:
        graph: Gives boxes and scores, as ``DetectorGraph``.
        suppression: How they become detections.
    """

    output_names = ("dets", "labels")

    def __init__(self, graph: nn.Module, suppression: Suppression) -> None:
        """Wraps a graph."""
        super().__init__()
        self.graph, self.suppression = graph, suppression
        self.detections = torch.jit.script(greedy_detections)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Gives what :func:`greedy_detections` gives for these images."""
        boxes, scores = self.graph(images)
        s = self.suppression
        return self.detections(boxes, scores, s.score_threshold, s.iou_threshold,
                               min(s.max_per_image, scores.shape[1] * scores.shape[2]), s.class_agnostic)
