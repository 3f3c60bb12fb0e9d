"""Objects on known paths, and a detector of them with seeded faults."""
import numpy as np

from pose_tools.formats.schema import KeypointSet

CARS = KeypointSet(("car", "truck"), ("front", "rear", "roof", "floor"), sigmas=(0.05,) * 4)
LAYOUT = np.array([[0.9, 0.5], [0.1, 0.5], [0.5, 0.1], [0.5, 0.9]])  # of keypoints in a box, looking to the right
RATE = 30.0


def box_at(x, y, width=80.0, height=40.0):
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def keypoints_in(box, left=False):
    layout = LAYOUT * (-1, 1) + (1, 0) if left else LAYOUT
    return box[:2] + layout * (box[2:] - box[:2])


class Frame:
    """What update() takes, of (id, box, looks left) objects; faults are applied by the caller."""

    def __init__(self, objects, scores=None, labels=None, keypoint_score=0.9):
        self.truth = [name for name, _, _ in objects]
        self.boxes = np.array([box for _, box, _ in objects]).reshape(-1, 4)
        self.keypoints = np.array([keypoints_in(box, left) for _, box, left in objects]).reshape(-1, 4, 2)
        self.box_scores = np.full(len(objects), 0.9) if scores is None else np.array(scores, float)
        self.labels = np.zeros(len(objects), int) if labels is None else np.array(labels)
        self.scores = np.full((len(objects), 4), keypoint_score)

    def noisy(self, rng, box=0.02, keypoints=0.02):
        size = np.sqrt(np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1))
        self.boxes = self.boxes + rng.normal(0, box, self.boxes.shape) * size[:, None]
        self.keypoints = self.keypoints + rng.normal(0, keypoints, self.keypoints.shape) * size[:, None, None]
        return self

    def given_to(self, tracker, time=None):
        found = tracker.update(self.boxes, self.box_scores, self.labels, self.keypoints, self.scores, time=time)
        return {name: int(i) for name, i, keep in zip(self.truth, found.ids, found.keep) if keep}


def ids_of(tracker, frames):
    """Ids that each object had, in order, without repetitions."""
    seen = {}
    for frame in frames:
        for name, number in frame.given_to(tracker).items():
            if number not in seen.setdefault(name, []):
                seen[name].append(number)
    return seen
