"""What our transforms compute is what upstream's compute."""
import copy

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.image_cache import augmentation
from pose_tools.openmmlab.image_cache.collate import Batch, collate_in_one_piece
from pose_tools.openmmlab.image_cache.detector_transforms import half_and_half
from pose_tools.openmmlab.image_cache.picture import Picture
from pose_tools.openmmlab.image_cache.pose_transforms import flipped, get_warp_matrix, part_is_exact, warp

det, pose = augmentation.det, augmentation.pose  # mm* can be imported once our package has been
PICTURE = np.random.RandomState(1).randint(0, 256, (180, 240, 3), np.uint8)


def test_this_machine_takes_the_fast_ways():
    assert part_is_exact() and augmentation.normal_is_exact()


@settings(max_examples=150, deadline=None)
@given(st.integers(-80, 320), st.integers(-80, 260), st.integers(2, 400), st.sampled_from([0.0, 0.0, 17.5, -30.0]),
       st.sampled_from([None, "horizontal", "vertical", "diagonal"]), st.floats(0, 0.9375, width=16))
def test_a_warp_of_a_part_is_that_of_the_whole(x, y, side, angle, flip, fraction):
    """Coordinates of few binary places, as boxes of float32 have, make ties in OpenCV's rounding."""
    centre = np.array([x + fraction, y + 0.5], np.float32)
    matrix = get_warp_matrix(centre, np.array([side, side], np.float32), angle, (64, 48))
    theirs = cv2.warpAffine(np.ascontiguousarray(flipped(PICTURE, flip)), matrix, (64, 48), flags=cv2.INTER_LINEAR)
    picture = Picture((180, 240), lambda: pytest.fail("it is there"), whole=PICTURE)
    assert np.array_equal(warp(picture, matrix, (64, 48), flip), theirs)


def test_ties_are_rounded_as_for_the_whole(monkeypatch):
    from pose_tools.openmmlab.image_cache import pose_transforms

    stepped = []
    by_steps = pose_transforms.by_steps
    monkeypatch.setattr(pose_transforms, "by_steps", lambda *args: stepped.append(1) or by_steps(*args))
    picture = Picture((180, 240), lambda: PICTURE, whole=PICTURE)
    random = np.random.RandomState(0)
    for _ in range(400):
        box = random.randint(0, 150, 2).astype(np.float32) + random.randint(0, 64, 2) / np.float32(64)
        matrix = get_warp_matrix(box, np.array([20, 20], np.float32), random.uniform(-30, 30), (256, 256))
        assert np.array_equal(warp(picture, matrix, (256, 256)), cv2.warpAffine(PICTURE, matrix, (256, 256)))
    assert stepped, "the case that this is about came up"


@pytest.mark.parametrize("theirs,ours", [(det.YOLOXHSVRandomAug, augmentation.FastHSVOfDetector),
                                         (pose.YOLOXHSVRandomAug, augmentation.FastHSVOfPose)])
def test_colours(theirs, ours):
    for seed in range(30):
        images = []
        for kind in (theirs, ours):
            np.random.seed(seed)
            images.append(kind(hue_delta=40, saturation_delta=120)({"img": PICTURE.copy()})["img"])
            images.append(np.random.rand())
        assert np.array_equal(images[0], images[2]) and images[1] == images[3]


def test_random_boxes():
    for seed in range(300):
        made = []
        for kind in (pose.RandomBBoxTransform, augmentation.FastRandomBBoxTransform):
            np.random.seed(seed)
            step = kind()
            made.append((*step._get_transform_params(1), np.random.rand()))
        assert all(np.array_equal(a, b) for a, b in zip(*made))


@pytest.mark.parametrize("size,sigma,normalize", [((64, 64), (12.0, 12.0), False), ((48, 64), (4.9, 5.66), True),
                                                  ((64, 32), 6.0, False)])
def test_labels(size, sigma, normalize):
    theirs = augmentation.SimCCLabel(size, sigma=sigma, normalize=normalize)
    ours = augmentation.FastSimCCLabel(size, sigma=sigma, normalize=normalize)
    random = np.random.RandomState(0)
    for _ in range(50):
        points = random.uniform(-60, 130, (1, 9, 2)).astype(np.float32)
        visible = random.randint(0, 2, (1, 9)).astype(np.float32)
        one, two = theirs.encode(points, visible), ours.encode(points, visible)
        assert one.keys() == two.keys()
        for key in one:
            assert one[key].dtype == two[key].dtype and np.array_equal(one[key], two[key])


def test_half_and_half_for_all_values():
    first, second = (each.astype(np.uint8) for each in np.meshgrid(np.arange(256), np.arange(256)))
    upstream = (0.5 * first.astype(np.float32) + 0.5 * second.astype(np.float32)).astype(np.uint8)
    assert np.array_equal(half_and_half(first, second), upstream)


def test_planes():
    assert torch.equal(augmentation.planes(PICTURE), torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()))


class Samples:
    """As a packed sample of a keypoint model, with all that may be in one."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        from mmpose.structures import PoseDataSample

        sample = PoseDataSample(metainfo={"id": index, "ids": list(range(index)), "centre": np.full(2, index + 0.5)})
        sample.gt_instances = InstanceData(keypoints=np.full((1, 3, 2), index, np.float32), none=np.zeros((1, 0)))
        sample.gt_instance_labels = InstanceData(labels=torch.arange(7)[None] * index, turned=torch.ones(1, 3).double())
        return {"inputs": torch.full((3, 4, 5), index, dtype=torch.uint8), "data_samples": sample}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_in_one_piece_holds_the_same(workers):
    from cache_pictures import same

    theirs = list(DataLoader(Samples(), batch_size=2, collate_fn=pseudo_collate))
    ours = list(DataLoader(Samples(), batch_size=2, collate_fn=collate_in_one_piece, num_workers=workers))
    assert [type(batch) for batch in ours] == [dict if workers else Batch] * 3
    for one, two in zip(theirs, ours):
        assert same(one, dict(two)) == []
        two["inputs"][0].add_(1)  # it can be written to, and only it changes
        assert same(one["data_samples"], two["data_samples"]) == []


def test_somebody_elses_transforms_stay():
    from pose_tools.openmmlab.image_cache.swap import swap

    class Own(det.YOLOXHSVRandomAug):
        """Somebody's."""

    steps = [Own(), det.YOLOXHSVRandomAug(hue_delta=9), det.CachedMixUp(ratio_range=(0.5, 1.0))]
    before = copy.copy(steps)
    made = swap(steps, None)
    assert made[0] is steps[0] and made[2] is steps[2] and steps == before
    assert type(made[1]) is augmentation.FastHSVOfDetector and made[1].hue_delta == 9
