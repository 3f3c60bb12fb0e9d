"""What was found in one picture or frame, in every form in which it leaves."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pose_tools.formats.schema import KeypointSet

if TYPE_CHECKING:
    from pose_tools.inference.vehicle_pose import VehiclePose
    from pose_tools.report.draw import DrawStyle

SCORE_KINDS = ("raw", "probability")


@dataclass(frozen=True)
class Result:
    """N objects and their K keypoints in one picture; all coordinates in image px.

    Attributes:
        image: (H, W, 3) BGR uint8, as it was predicted: turned as its EXIF orientation says.
        keypoint_set: Names, links and swaps of the K keypoints.
        classes: Names of the labels.
        boxes: (N, 4) xyxy.
        box_scores: (N,) in [0, 1].
        labels: (N,) 0-based, of ``classes``.
        keypoints: (N, K, 2).
        scores: (N, K) of the keypoints; ``score_kind`` says what they mean.
        score_kind: ``raw``: maxima of the network's output, which can exceed 1 and are no probabilities.
            ``probability``: that the keypoint is where it should be, within the distance the model was calibrated for.
        track_ids: (N,) int64, from 1 in each video; None where nothing was tracked.
        source: File, address, ``webcam:0`` or ``array 3``.
        number: Frame of its source, from 0.
        time: Seconds in a video, or since a camera was opened; None for a picture.
        vehicle_poses: N headings and positions; None for an object that could not be placed, and where nobody asked.
        heatmap: (H, W) float32 in [0, 1], the network's output laid over the picture; None where nobody asked.
    """

    image: np.ndarray
    keypoint_set: KeypointSet
    classes: tuple[str, ...]
    boxes: np.ndarray
    box_scores: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    score_kind: str = "raw"
    track_ids: Optional[np.ndarray] = None
    source: str = ""
    number: int = 0
    time: Optional[float] = None
    vehicle_poses: Optional[tuple[Optional[VehiclePose], ...]] = None
    heatmap: Optional[np.ndarray] = None

    def __len__(self) -> int:
        """N, the number of objects."""
        return len(self.boxes)

    def draw(self, style: Optional[DrawStyle] = None) -> np.ndarray:
        """Draws what was found.

        Args:
            style: What is drawn, and how; None takes the defaults.

        Returns:
            A new picture (H, W, 3) BGR uint8; ``image`` stays as it is.
        """
        from pose_tools.report.draw import DrawStyle, draw_heatmap, draw_instances, draw_vehicle_pose

        image = self.image if self.heatmap is None else draw_heatmap(self.image, self.heatmap)
        image = draw_instances(
            image, self.boxes, self.keypoints, self.scores, self.keypoint_set, box_scores=self.box_scores,
            class_ids=self.labels, track_ids=self.track_ids, style=style or DrawStyle())
        for pose in self.vehicle_poses or ():
            if pose is not None:
                image = draw_vehicle_pose(image, pose)
        return image

    def to_coco(self, image_id: Optional[int] = None) -> list[dict[str, Any]]:
        """One COCO result an object, as :func:`pose_tools.inference.writers.coco_results` has it.

        Args:
            image_id: Of the picture in a data set; else ``file_name`` says which picture it is.
        """
        from pose_tools.inference.writers import coco_results

        return coco_results(self, image_id)

    def to_labelme(self, image_path: Optional[str] = None, kpt_thr: float = 0.3) -> dict[str, Any]:
        """The content of a labelme file, as :func:`pose_tools.inference.writers.labelme_content_of` has it.

        Args:
            image_path: Of the picture, relative to the file; the source's name by default.
            kpt_thr: Least score of a keypoint that is worth correcting.
        """
        from pose_tools.inference.writers import labelme_content_of

        return labelme_content_of(self, image_path, kpt_thr)
