import numpy as np

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.augment import RandomCropBlur, RandomCropDropout


def test_dropout_blacks_out_one_rectangle_of_the_stated_size():
    np.random.seed(0)
    image = np.full((100, 200, 3), 255, np.uint8)
    for _ in range(50):
        holes = RandomCropDropout(prob=1.0, side=(0.2, 0.4)).transform({"img": image})["img"][..., 0] == 0
        rows, columns = np.flatnonzero(holes.any(1)), np.flatnonzero(holes.any(0))
        assert 20 <= len(rows) <= 40
        assert 40 <= len(columns) <= 80
        assert holes.sum() == len(rows) * len(columns)
    assert (image == 255).all()  # the cached picture is not drawn upon


def test_probability_zero_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for transform in (RandomCropDropout(prob=0.0), RandomCropBlur(prob=0.0)):
        assert np.array_equal(transform.transform({"img": image.copy()})["img"], image)


def test_blur_smooths_and_keeps_shape_and_type():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = RandomCropBlur(prob=1.0).transform({"img": image.copy()})["img"]
    assert (blurred.shape, blurred.dtype) == (image.shape, image.dtype)
    assert blurred.astype(float).std() < image.astype(float).std()
