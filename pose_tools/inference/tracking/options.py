"""What makes an object, and what tells objects apart."""
from __future__ import annotations

from dataclasses import dataclass, field

from pose_tools.inference.tracking.motion import Noise


@dataclass(frozen=True)
class TrackOptions:
    """What makes an object.

    Attributes:
        first: Least similarity of an object and a detection of a good score; ByteTrack's 1 - 0.8.
        second: The same, of a low score; ByteTrack's is 1 - 0.5.
        new: The same, of an object that was seen once; ByteTrack's 1 - 0.7.
        again: The same, of an object that the detector missed and what is found where it is expected.
        keypoint_share: Share of the keypoints (OKS) in a similarity, the rest is of the boxes (IoU); less where the
            keypoints' scores are low. 0 looks at no keypoints at all.
        reach: A third of how far, in sizes, a box may lie from where it is expected, beyond what the motion leaves
            open.
        confirm: Detections in a row that make an object; those of a video's first frame are objects at once.
        lost_seconds: An object that was away for longer is gone; ByteTrack's is 30 frames, a second.
        collapse: An object is lost, in a frame without a detector, when the mean score of its keypoints is below this
            share of what it was in the last detection.
        look_seconds: An object that the detector missed once is looked for in frames without a detector for so long;
            not after a second miss, or keypoints found on nothing would keep it for ever.
        noise: Of motion and boxes.
        colour: Distance (1 - Bhattacharyya coefficient) of colours that makes a match e times less likely; 0 looks at
            none.
        colour_limit: The greatest such distance of an object and a detection that is not covered.
        returning: As ``reach``, of an object that was away for longer than ``brief_seconds``.
        brief_seconds: An object that was away for longer is taken for another one until it was found ``confirm``
            times, by where, how large and of what attitude and colours it is.
    """

    first: float = 0.2
    second: float = 0.7
    new: float = 0.3
    again: float = 0.5
    keypoint_share: float = 0.75
    reach: float = 0.06
    confirm: int = 2
    lost_seconds: float = 1.5
    collapse: float = 0.6
    look_seconds: float = 0.2
    noise: Noise = field(default_factory=Noise)
    colour: float = 0.15
    colour_limit: float = 0.3
    returning: float = 0.25
    brief_seconds: float = 0.15
