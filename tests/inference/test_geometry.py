"""Boxes to crops and back: values by hand, a round trip, and upstream's formulas."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import UserError
from pose_tools.inference.runtime.geometry import boxes_to_crops, check_boxes, crops_to_image

sides = st.floats(1, 4000, width=32)
places = st.floats(-2000, 6000, width=32)


def to_crop(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_wide_box_is_heightened_and_a_high_one_widened():
    crops = boxes_to_crops(np.array([[10., 20, 110, 40], [0, 0, 10, 100]]), (200, 100), 1.25, False)
    assert crops.centers.tolist() == [[60, 30], [5, 50]]
    assert crops.scales.tolist() == [[125, 62.5], [250, 125]]
    # 125 px become 200 crop px; the centre goes to the middle.
    np.testing.assert_allclose(crops.matrices[0], [[1.6, 0, 100 - 1.6 * 60], [0, 1.6, 50 - 1.6 * 30]], rtol=1e-6)


def test_with_udp_the_outer_pixel_centres_meet():
    crop = boxes_to_crops(np.array([[0., 0, 100, 100]]), (51, 51), 1.0, True)
    corners = to_crop(crop.matrices[0], np.array([[0, 0], [100, 100.]]))
    np.testing.assert_allclose(corners, [[0, 0], [50, 50]], atol=1e-5)


@given(st.lists(st.tuples(places, places, sides, sides), min_size=1, max_size=5), st.floats(0.5, 2))
def test_crop_px_come_back_to_image_px(boxes, padding):
    array = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    crops = boxes_to_crops(array, (192, 256), padding, False)
    points = np.array([[0, 0], [17.5, 200], [192, 256]])
    image = crops_to_image(np.tile(points, (len(boxes), 1, 1)), crops.centers, crops.scales, (192, 256))
    for matrix, each, scale in zip(crops.matrices, image, crops.scales):
        # The corners of a small box far out are rounded to float32 before the matrix is made.
        np.testing.assert_allclose(to_crop(matrix, each.astype(np.float64)), points, atol=2 + 0.5 / scale.min() * 256)


@pytest.mark.slow
@pytest.mark.usefixtures("openmmlab")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("use_udp", [False, True])
@pytest.mark.parametrize("size", [(256, 256), (192, 256), (288, 96)])
def test_matrices_are_those_of_upstream(dtype, use_udp, size):
    from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

    rng = np.random.default_rng(1)
    corners = rng.uniform(-100, 3000, (200, 2))
    boxes = check_boxes(np.concatenate([corners, corners + rng.uniform(1, 900, (200, 2))], axis=1).astype(dtype))
    crops = boxes_to_crops(boxes, size, 1.25, use_udp)
    import mmpose.datasets.transforms.topdown_transforms as upstream

    for number, box in enumerate(boxes):
        result = GetBBoxCenterScale().transform({"bbox": box[None]})
        scale = TopdownAffine._fix_aspect_ratio(result["bbox_scale"], size[0] / size[1])[0]
        make = upstream.get_udp_warp_matrix if use_udp else upstream.get_warp_matrix
        assert crops.scales[number].tolist() == scale.tolist()
        assert crops.centers[number].tolist() == result["bbox_center"][0].tolist()
        expected = make(result["bbox_center"][0], scale, 0.0, output_size=size)
        np.testing.assert_allclose(crops.matrices[number], expected, rtol=1e-12, atol=1e-9)


def test_no_boxes_are_no_crops():
    for nothing in ([], np.zeros((0, 4)), ()):
        assert boxes_to_crops(check_boxes(nothing), (32, 32), 1.25, False).matrices.shape == (0, 2, 3)


@pytest.mark.parametrize("boxes", [[1, 2, 3, 4], [[1, 2, 3]], [["a"] * 4], [[0, 0, np.nan, 1]], [[0, 0, np.inf, 1]]])
def test_what_are_no_boxes_is_refused(boxes):
    with pytest.raises(UserError, match="expected boxes"):
        check_boxes(boxes)


def test_a_box_without_area_has_a_crop_and_no_warning(recwarn):
    for use_udp in (False, True):
        crops = boxes_to_crops(check_boxes([[5000, 5000, 5000, 5000], [9, 9, 3, 3]]), (64, 64), 1.25, use_udp)
        assert np.isfinite(crops.matrices).all()
    assert not recwarn.list
