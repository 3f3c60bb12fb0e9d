import numpy as np
import pytest

from pose_tools.dataset.mirroring import mirrored_poses_occur
from pose_tools.formats.schema import KeypointSet

CLOCK = KeypointSet(("clock", ), ("twelve", "three", "middle"))
CAT = KeypointSet(("cat", ), ("left-ear", "right-ear", "nose"), (("left-ear", "right-ear"), ))


def coco(poses):
    """Annotations whose keypoints are given in shares of a box of 40x20 px at (100, 50)."""
    rows = []
    for number, pose in enumerate(poses):
        points = [v for x, y, seen in pose for v in ((100 + 40 * x, 50 + 20 * y, seen) if seen else (0, 0, 0))]
        rows.append({"id": number + 1, "bbox": [100, 50, 40, 20], "keypoints": points})
    return {"annotations": rows}


def shaken(pose, count=12):
    rng = np.random.default_rng(0)
    return [[(x + rng.normal(0, 0.02), y + rng.normal(0, 0.02), seen) for x, y, seen in pose] for _ in range(count)]


FACE = [(0.5, 0.0, 2), (1.0, 0.5, 2), (0.5, 0.5, 2)]  # three o'clock is always on the right
EARS = [(0.8, 0.1, 2), (0.2, 0.1, 2), (0.5, 0.6, 2)]  # seen from the front: the left ear is on the right


def test_an_object_with_a_sense_of_rotation_never_occurs_mirrored():
    assert not mirrored_poses_occur(coco(shaken(FACE)), CLOCK)


def test_one_clock_in_five_photographed_in_a_mirror_is_enough():
    in_mirror = [(1 - x, y, seen) for x, y, seen in FACE]
    assert mirrored_poses_occur(coco(shaken(FACE, 12) + shaken(in_mirror, 3)), CLOCK)


def test_swap_pairs_are_exchanged():
    assert mirrored_poses_occur(coco(shaken(EARS)), CAT)
    without = KeypointSet(CAT.classes, CAT.keypoints)
    assert not mirrored_poses_occur(coco(shaken(EARS)), without)


def test_a_symmetric_object_occurs_mirrored():
    assert mirrored_poses_occur(coco(shaken([(0.5, 0.1, 2), (0.5, 0.9, 2), (0.5, 0.5, 1)])), CLOCK)


def test_only_points_labelled_in_both_count():
    # "three" betrays the side, and it is never labelled.
    assert mirrored_poses_occur(coco(shaken([(0.5, 0, 2), (1, 0.5, 0), (0.5, 0.5, 2)])), CLOCK)


@pytest.mark.parametrize("data", [coco([]), coco(shaken(FACE, 9))])
def test_few_poses_tell_nothing(data):
    assert mirrored_poses_occur(data, CLOCK)


def test_crowds_and_empty_boxes_are_left_out():
    data = coco(shaken(FACE, 12))
    for annotation in data["annotations"][:3]:
        annotation.update(iscrowd=1)
    data["annotations"][3]["bbox"] = [0, 0, 0, 0]
    assert mirrored_poses_occur(data, CLOCK)  # 8 are left, too few to tell
