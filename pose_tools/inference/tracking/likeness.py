"""How much a detection is like an object: place, box, keypoints, colours. Image px."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from pose_tools.formats.boxes import areas_xyxy, iou_xyxy, shared_xyxy
from pose_tools.inference.tracking.association import keypoint_similarity
from pose_tools.inference.tracking.options import TrackOptions
from pose_tools.inference.tracking.track import SURE, Look, Track

CERTAIN = 0.7  # IoU and OKS of an object that is where it was expected, whatever its colours
USUAL = 0.1  # distance of colours that says nothing: that of one object, when it is seen badly
HALF_COVERED = 0.5  # share from which the colours in a box are not the object's
ATTITUDE = 0.1  # by how much, in sizes, keypoints may move within an object from sight to sight
ALIKE, ALIKE_AGAIN = 0.15, 0.3  # least OKS of poses that are laid over each other: next frame, and after a while
SPEED_LIMIT = 2.5  # standard deviations by which the speeds of who was away and of who is found may differ
SPEED_SLACK = 0.5  # sizes per second of them that may be wrong besides
SAME_COLOURS = 0.08  # distance of colours up to which they speak for one object
BESIDE = 0.2  # IoU from which one may be mistaken for another
JERK, JERK_SPREAD = 0.15, 0.06  # sizes; what is less is left to each object's motion, what agrees no better is none
JERK_ALIKE = 0.5
HELD = 0.9  # share of a box in another that counts as all of it
COPY_IOU = 0.5  # of two detections of one object


class Likeness:
    """Compares looks with objects and with each other.

    Args:
        options: What counts how much.
        sigmas: (K,) of the keypoints.
    """

    def __init__(self, options: TrackOptions, sigmas: np.ndarray) -> None:
        """Keeps both."""
        self.options, self._sigmas = options, sigmas

    def similarity(self, tracks: Sequence[Track], looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
        """(tracks, looks) twice.

        First, who fits best: the mean of IoU and OKS, less of the latter where keypoint scores are low, times what the
        colours say. Second, who can be meant at all: the greater of the two, since OKS falls off much sooner, after a
        jerk of the camera say; 0 for what is out of reach, of another pose or size, or of other colours.
        """
        boxes = np.array([track.motion.box for track in tracks])
        weights = np.sqrt(np.array([t.look.weights for t in tracks])[:, None] * [look.weights for look in looks])
        oks = keypoint_similarity(
            np.array([track.expected_keypoints for track in tracks]), np.array([look.keypoints for look in looks]),
            weights, areas_xyxy(boxes), self._sigmas, np.array([track.motion.variance for track in tracks]))
        share = self.options.keypoint_share * weights.mean(axis=2)
        found = np.array([look.box for look in looks])
        iou = iou_xyxy(boxes, found)
        alike = self._alike(tracks, looks, scaled=False)
        possible = np.maximum(iou * (1 - share + share * alike), oks) if self.options.keypoint_share else iou
        differ = self._colour_distance(tracks, looks)
        # Who is exactly where it must be stays who it is when the light changes.
        same = (differ <= self.options.colour_limit) | ((iou >= CERTAIN) & (oks >= CERTAIN))
        same &= (alike >= ALIKE) | ((iou >= CERTAIN) & (_nobody_else(iou) | (differ <= SAME_COLOURS)))
        off = self._centres_off(tracks, looks) / self._reach(tracks, self.options.reach)[:, None]
        return ((1 - share) * iou + share * oks) * self._likely(differ), np.where(same & (off <= 1), possible, 0)

    def jerk(self, tracks: Sequence[Track], looks: Sequence[Look]) -> Optional[np.ndarray]:
        """How far (2,) px the camera, and with it everything, moved beyond what was expected; None where it did not.

        Two objects at least, and half of them all, must say the same.
        """
        if len(tracks) < 2 or len(looks) < 2:
            return None
        boxes, found = (np.array(each) for each in ([t.motion.box for t in tracks], [look.box for look in looks]))
        iou = iou_xyxy(boxes, found)
        best = (iou == iou.max(axis=1, keepdims=True)) & (iou == iou.max(axis=0, keepdims=True)) & (iou >= BESIDE)
        i, j = np.nonzero(best & (self._alike(tracks, looks, scaled=False) >= JERK_ALIKE))
        if len(i) < max(2, len(tracks) / 2):
            return None
        off = ((found[j, :2] + found[j, 2:]) - (boxes[i, :2] + boxes[i, 2:])) / 2
        shift, size = np.median(off, axis=0), np.median([track.motion.size for track in tracks])
        same = np.median(np.linalg.norm(off - shift, axis=1)) <= JERK_SPREAD * size
        return np.asarray(shift) if same and np.linalg.norm(shift) > JERK * size else None

    def returning(self, tracks: Sequence[Track], found: Sequence[Track]) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`similarity`, of objects that were away and new ones.

        How near, how alike in size, attitude, colours and speed: a parked car does not come back as one that drives.
        """
        looks = [track.look for track in found]
        sizes = np.array([track.motion.size for track in tracks])
        ratio = np.sqrt(areas_xyxy(np.array([look.box for look in looks])))[None] / sizes[:, None]
        far = self._centres_off(tracks, looks) / self._reach(tracks, self.options.returning)[:, None]
        differ = self._colour_distance(tracks, looks)
        alike, speed = self._alike(tracks, looks), self._speeds_off(tracks, found)
        likely = np.exp(-0.5 * ((3 * far) ** 2 + speed ** 2)) * self._likely(differ) * alike
        can = (far <= 1) & (ratio > 0.5) & (ratio < 2) & (differ <= self.options.colour_limit)
        can &= (alike >= ALIKE_AGAIN) & (speed <= SPEED_LIMIT)
        return likely, np.where(can, 1.0, 0.0)

    def _likely(self, differ: np.ndarray) -> np.ndarray:
        return np.exp(-differ / self.options.colour) if self.options.colour > 0 else np.ones_like(differ)

    def _colour_distance(self, tracks: Sequence[Track], looks: Sequence[Look]) -> np.ndarray:
        """(tracks, looks) 1 - Bhattacharyya coefficient, drawn to what is usual where a look is covered in part."""
        distance = np.full((len(tracks), len(looks)), USUAL)
        for i, track in enumerate(tracks):
            for j, look in enumerate(looks):
                if track.colours is not None and look.colours is not None:
                    clear = max(0.0, 1 - look.cover / HALF_COVERED)
                    distance[i, j] += clear * (1 - float(track.colours @ look.colours) - USUAL)
        return distance

    def _reach(self, tracks: Sequence[Track], share: float) -> np.ndarray:
        """(tracks,) px from where it is expected that an object's centre can have got to.

        An object that stands still and was missed once must not run off with a box that only overlaps its own.
        """
        return np.array([3 * np.sqrt(track.motion.variance + (share * track.motion.size) ** 2) for track in tracks])

    def _centres_off(self, tracks: Sequence[Track], looks: Sequence[Look]) -> np.ndarray:
        """(tracks, looks) px."""
        boxes = np.array([look.box for look in looks])
        places = np.array([track.motion.place[:2] for track in tracks])
        return np.asarray(np.linalg.norm(((boxes[:, :2] + boxes[:, 2:]) / 2)[None] - places[:, None], axis=2))

    def _speeds_off(self, tracks: Sequence[Track], found: Sequence[Track]) -> np.ndarray:
        """(tracks, found) by how many standard deviations their speeds differ."""
        here, there = ([track.motion for track in each] for each in (tracks, found))
        differ = np.array([a.speed[:2] for a in here])[:, None] - np.array([b.speed[:2] for b in there])[None]
        slack = np.array([a.speed_variance + (SPEED_SLACK * a.size) ** 2 for a in here])
        return np.asarray(np.linalg.norm(differ, axis=2)
                          / np.sqrt(slack[:, None] + np.array([b.speed_variance for b in there])[None]))

    def _alike(self, tracks: Sequence[Track], looks: Sequence[Look], scaled: bool = True) -> np.ndarray:
        """(tracks, looks) OKS of poses that are laid over each other: moved, ``scaled`` or not, but not turned.

        1 where keypoints are too unsure for a pose to be told from another.
        Not by their boxes: those change when something else, or the edge of the picture, cuts an object off.
        """
        weights = np.sqrt(np.array([t.look.weights for t in tracks])[:, None] * [look.weights for look in looks])
        share = (weights / np.maximum(weights.sum(axis=2, keepdims=True), 1e-9))[..., None]
        sizes = np.array([track.motion.size for track in tracks])[:, None, None, None]

        def centred(points: np.ndarray) -> np.ndarray:
            return np.asarray((points - (share * points).sum(axis=2, keepdims=True)) / sizes)

        before = centred(np.array([track.expected_keypoints for track in tracks])[:, None])
        now = centred(np.array([look.keypoints for look in looks])[None])
        scale = np.ones(weights.shape[:2])
        if scaled:
            scale = (share * before * now).sum(axis=(2, 3)) / np.maximum((share * before ** 2).sum(axis=(2, 3)), 1e-9)
        off = ((np.clip(scale, 0.5, 2)[..., None, None] * before - now) ** 2).sum(axis=3)
        each = np.exp(-off / (2 * ((2 * self._sigmas) ** 2 + ATTITUDE ** 2)))
        return np.where(weights.mean(axis=2) < SURE, 1.0, (each * share[..., 0]).sum(axis=2))

    def oks(self, of: Look, others: Sequence[Look]) -> np.ndarray:
        """(M,) similarity of two poses in one frame, on the scale of the smaller: nothing was predicted."""
        weights = np.sqrt(of.weights * np.array([look.weights for look in others]))
        area = np.minimum(areas_xyxy(of.box[None]), areas_xyxy(np.array([look.box for look in others])))
        return np.array([keypoint_similarity(
            of.keypoints[None], look.keypoints[None], weight[None, None], scale[None], self._sigmas, np.zeros(1))[0, 0]
            for look, weight, scale in zip(others, weights, area)])

    def shows(self, look: Look, others: Sequence[Look], keypoints: tuple[float, float]) -> bool:
        """Whether a detection is one of the others again: about the same box, and an OKS of so much at least.

        Args:
            look: The detection.
            others: Those it may show.
            keypoints: Least OKS, where boxes stand side by side as those of two people do, and where one holds the
                other: a box of an object and of something beside it.
        """
        if not others:
            return False
        boxes = np.array([other.box for other in others])
        near = np.flatnonzero(iou_xyxy(look.box[None], boxes)[0] >= COPY_IOU)
        if not len(near):
            return False
        least = np.where(_held(look.box, boxes[near]), keypoints[1], keypoints[0])
        return bool((self.oks(look, [others[i] for i in near]) >= least).any())


def _held(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) bool: whether nearly all of the smaller of two boxes lies in the greater."""
    return np.asarray(shared_xyxy(box[None], others)[0] >= HELD * np.minimum(areas_xyxy(box[None]), areas_xyxy(others)))


def _nobody_else(iou: np.ndarray) -> np.ndarray:
    """(tracks, looks) bool: no other object is expected there, and nothing else was found.

    Keypoints of what is half hidden may be anywhere; where nobody else can be meant, they need not tell.
    """
    beside = iou >= BESIDE
    return np.asarray((beside.sum(axis=1) <= 1)[:, None] & (beside.sum(axis=0) <= 1)[None])
