import ast
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.objects import read_objects
from pose_tools.dataset.stats.input_geometry import image_zooms, noise_oks, unused_shares, zooms
from pose_tools.dataset.stats.input_sizes import (
    DETECTOR_INPUT,
    POSE_INPUT,
    closest_aspect,
    detector_advice,
    pose_advice,
)
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet


def objects_of(boxes, images=((4000, 4000), ), sigmas=(), points=((1, 1, 2), )):
    """Objects with their left top corner at (100, 100), given as width and height, on each of the images in turn."""
    names = KeypointSet(("thing", ), tuple(f"k{k}" for k in range(len(points))), sigmas=sigmas)
    annotations = [coco_annotation(i + 1, i % len(images) + 1, 1, (100, 100, 100 + w, 100 + h),
                                   [(x + 100, y + 100, v) for x, y, v in points])
                   for i, (w, h) in enumerate(boxes)]
    side = {"images": [coco_image(i, f"{i}.jpg", size) for i, size in enumerate(images, 1)],
            "annotations": annotations, "categories": coco_categories(names)}
    return read_objects(DataSet({}, {"train": side}, {}), names)


def test_the_present_sizes_are_those_of_the_recipes(root):
    for recipe, size in (("rtmpose", POSE_INPUT), ("rtmdet", DETECTOR_INPUT)):
        tree = ast.parse(Path(root, f"configs/_base_/{recipe}.py").read_text(encoding="utf-8"))
        assert next(ast.literal_eval(node.value) for node in tree.body
                    if isinstance(node, ast.Assign) and node.targets[0].id == "input_size") == size


def test_zoom_and_unused_by_hand():
    sides = np.array([(80, 40), (80, 80), (40, 80)], float)  # with padding 100 x 50, 100 x 100, 50 x 100
    assert zooms(sides, (200, 100)) == pytest.approx([2, 1, 1])
    assert unused_shares(sides, (200, 100)) == pytest.approx([0, 0.5, 0.75])


@given(st.floats(1, 1000), st.floats(1, 1000), st.integers(1, 16), st.integers(1, 16))
def test_used_and_unused_make_up_the_input(w, h, across, down):
    sides, size = np.array([[w, h]]), (32 * across, 32 * down)
    used = zooms(sides, size)**2 * (1.25 * w) * (1.25 * h) / (size[0] * size[1])
    assert used + unused_shares(sides, size) == pytest.approx(1)


def test_oks_of_errors_by_hand():
    assert noise_oks(10, [0.05]) == pytest.approx(math.exp(-0.5))  # 1 / (8 * 100 * 0.0025)
    assert noise_oks(10, [0.05, 0.1], noise=2) == pytest.approx((math.exp(-2) + math.exp(-0.5)) / 2)


def test_images_are_scaled_long_side_to_long_side():
    images = np.array([(1280, 720), (720, 1280), (500, 500)], float)
    assert image_zooms(images, (640, 640)) == pytest.approx([0.5, 0.5, 1.28])
    assert image_zooms(images, (640, 480)) == pytest.approx([0.5, 0.5, 0.96])


def test_the_closest_aspect():
    few = ((192, 96), (128, 128), (96, 192))
    assert closest_aspect([2.0, 1.5, 0.1], few) == (192, 96)  # median 1.5, above the square root of 2
    assert closest_aspect([1.4], few) == closest_aspect([0.72], few) == (128, 128)
    assert closest_aspect([0.7], few) == (96, 192)


def test_wide_objects_get_a_wide_input():
    advice = pose_advice(objects_of([(400, 200)] * 5))
    # With padding 500 x 250. Up to 1.05 * 256 * 256 = 68812 px: 352 x 192 shows it at 0.704, the next best at 0.64.
    assert advice.best.size == (352, 192)
    assert advice.best.zoom == pytest.approx(0.704) and advice.best.cost == pytest.approx(352 * 192 / 65536)
    assert advice.best.unused == pytest.approx(1 - 352 / 192 / 2)
    assert advice.current.size == (256, 256) and advice.current.zoom == pytest.approx(0.512)
    assert advice.current.unused == pytest.approx(0.5)
    assert (advice.box, advice.aspect, advice.count) == ((400, 200), 2, 5)
    assert [fit.cost for fit in advice.table] == sorted(fit.cost for fit in advice.table)


def test_a_size_that_suits_is_kept():
    advice = pose_advice(objects_of([(400, 400), (440, 400), (400, 440)]))
    assert advice.best.size == (256, 256)
    assert pose_advice(objects_of([(300, 400)]), (192, 256)).best.size == (192, 256)


def test_the_median_object_decides_between_shapes():
    three_wide = [(400, 100)] * 3 + [(100, 400)] * 2
    w, h = pose_advice(objects_of(three_wide)).best.size
    assert w > h
    w, h = pose_advice(objects_of([(a, b) for b, a in three_wide])).best.size
    assert w < h


def test_errors_of_a_pixel_call_for_a_larger_input():
    # In 256 x 256 the side is 204.8 px, OKS exp(-1 / (8 * 204.8^2 * 0.005^2)) = 0.888. 0.95 needs 312.2 px, an input of
    # 390.3 px.
    advice = pose_advice(objects_of([(1000, 1000)] * 4, sigmas=(0.005, )))
    assert advice.current.oks == pytest.approx(0.888, abs=0.001)
    assert advice.best.size == (416, 416) and advice.best.oks >= 0.95
    assert pose_advice(objects_of([(1000, 1000)] * 4, sigmas=(0.05, ))).best.size == (256, 256)


def test_pixels_that_are_not_there_are_not_bought():
    # With padding 125 x 62.5: 128 x 64 shows them as they are.
    assert pose_advice(objects_of([(100, 50)] * 4)).best.size == (128, 64)
    fine = pose_advice(objects_of([(100, 50)] * 4, sigmas=(0.0005, )))  # no size of the pixels' own would satisfy it
    assert fine.best.size == (128, 64) and fine.best.oks < 0.95


def test_shapes_beyond_all_sizes_get_the_closest():
    assert pose_advice(objects_of([(3000, 100)])).best.size == (512, 64)
    assert pose_advice(objects_of([(100, 3000)])).best.size == (64, 512)


def test_points_beyond_the_input_are_counted():
    # A box of 80 x 80 with padding reaches 10 px beyond its border on each side; in a wide input further to the sides.
    objects = objects_of([(80, 80)], points=((-9, 40, 2), (-11, 40, 1), (40, 91, 2), (0, 0, 0)))
    found = {fit.size: fit.cut_off for fit in pose_advice(objects).table}
    assert found[256, 256] == pytest.approx(2 / 3) and found[256, 192] == pytest.approx(1 / 3)


def test_only_objects_with_keypoints_count():
    assert pose_advice(objects_of([(10, 20)], points=((0, 0, 0), ))) is None
    assert detector_advice(objects_of([(10, 20)], points=((0, 0, 0), ))) is not None


def test_wide_images_get_a_wide_input():
    advice = detector_advice(objects_of([(300, 400)] * 10, [(1920, 1080)]))
    # Up to 430080 px the greatest zoom is 480 / 1080 = 0.444; at least 0.444 / 1.05 needs 813 x 458.
    assert advice.best.size == (832, 480)
    assert advice.best.zoom == pytest.approx(832 / 1920) and advice.best.side == pytest.approx(300 * 832 / 1920)
    assert advice.current.unused == pytest.approx(1 - 9 / 16)
    assert advice.image == (1920, 1080) and not advice.mixed


def test_images_are_not_enlarged_without_need():
    advice = detector_advice(objects_of([(60, 40)] * 10, [(256, 192)]))
    assert advice.best.size == (256, 192) and advice.best.zoom == 1 and advice.best.unused == 0
    assert advice.best.cost == pytest.approx(0.12)


def test_small_objects_call_for_a_larger_detector_input():
    # 16 of 20.5 px need a zoom of 0.7805: 1499 x 843.
    advice = detector_advice(objects_of([(300, 20.5)] * 10, [(1920, 1080)]))
    assert advice.best.size == (1504, 864) and advice.best.side == pytest.approx(20.5 * 1504 / 1920)
    assert advice.current.below_clear == 1 and advice.current.below_cell == 1  # 6.8 px
    one_in_twenty = [(300, 20.5)] + [(300, 100)] * 19
    assert detector_advice(objects_of(one_in_twenty, [(1920, 1080)])).best.size == (832, 480)


def test_objects_too_small_for_any_size_get_the_most():
    advice = detector_advice(objects_of([(300, 4)] * 10, [(1920, 1080)]))
    assert advice.best.side < 8 and advice.best.cost > 3


def test_wide_and_high_images_get_a_square():
    images = [(640, 480)] * 4 + [(480, 640)]
    advice = detector_advice(objects_of([(100, 100)] * 5, images))
    assert advice.mixed and advice.best.size[0] == advice.best.size[1]
    high = detector_advice(objects_of([(100, 100)], [(480, 640)]))
    assert high.best.size == (480, 640)


def test_images_without_sizes_or_objects():
    assert detector_advice(objects_of([])).best.side is None
    side = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
    assert detector_advice(read_objects(DataSet({}, {"train": side}, {}), KeypointSet(("a", ), ()))) is None


@pytest.mark.slow
def test_zoom_is_what_mmpose_and_mmcv_do():
    importlib.import_module("pose_tools.openmmlab")  # before anything of mm*
    from mmcv.image import rescale_size
    from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

    rng = np.random.default_rng(0)
    for size in ((256, 256), (192, 256), (352, 192)):
        corner, sides = rng.uniform(10, 50, 2), rng.uniform(20, 150, 2)
        box = np.concatenate([corner, corner + sides])[None].astype(np.float32)
        ends = np.stack([box[:, :2], box[:, 2:]], axis=1)
        sample = {"img": np.zeros((240, 320, 3), np.uint8), "bbox": box, "keypoints": ends}
        shown = TopdownAffine(input_size=size)(GetBBoxCenterScale()(sample))["transformed_keypoints"][0]
        assert shown[1] - shown[0] == pytest.approx(zooms(sides[None], size) * sides, rel=0.01)
        for image in ((1920, 1080), (480, 640)):
            _, scale = rescale_size(image, size, return_scale=True)
            assert image_zooms(np.array([image], float), size)[0] == pytest.approx(scale)
