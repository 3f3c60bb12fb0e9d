"""Statistics of differences, ties of argmax, and the way from image px to simcc bins."""
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pose_tools.export.parity.differences import CropSpace, Spread, curve_differences, shortfalls
from pose_tools.inference.runtime.geometry import boxes_to_crops, check_boxes, crops_to_image


def test_statistics_by_hand():
    spread = Spread.of(np.array([-4.0, 1.0, 0.0, 3.0]))
    assert (spread.count, spread.mean, spread.p95, spread.p99, spread.max) == (4, 2.0, 4.0, 4.0, 4.0)
    hundred = Spread.of(np.arange(101.0))
    assert (hundred.p95, hundred.p99, hundred.max) == (95.0, 99.0, 100.0)


def test_nothing_has_no_statistics_and_nan_is_not_hidden():
    assert Spread.of(np.zeros(0)).count == 0 and math.isnan(Spread.of(np.zeros(0)).max)
    broken = Spread.of(np.array([0.0, math.nan]))
    assert math.isnan(broken.max) and math.isnan(broken.p99)
    assert json.loads(json.dumps(broken.to_dict(), allow_nan=False))["max"] is None


@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e6)))
def test_statistics_are_in_order_and_occur(values):
    spread = Spread.of(values)
    assert spread.p95 <= spread.p99 <= spread.max == values.max()
    assert spread.p95 in values and spread.p99 in values


def test_the_shortfall_is_the_share_of_the_height_that_another_bin_lacks():
    curves = np.array([[[1.0, 5.0, 4.0], [2.0, 2.0, 2.0]]])  # two keypoints, three bins
    assert shortfalls(curves, np.array([[1, 0]])).tolist() == [[0.0, 0.0]]
    assert shortfalls(curves, np.array([[2, 2]])).tolist() == [[0.25, 0.0]]
    assert shortfalls(curves, np.array([[0, 1]])).tolist() == [[1.0, 0.0]]
    assert shortfalls(curves, np.array([[-1, 3]])).tolist() == [[1.0, 1.0]], "no bin at all"


def test_curves_differ_by_a_share_of_their_height():
    curves = np.array([[[0.0, 4.0], [3.0, 3.0], [3.0, 3.0]]])
    others = np.array([[[0.0, 3.0], [3.0, 3.0], [3.0, 3.5]]])
    assert curve_differences(curves, others).tolist() == [[0.25, 0.0, math.inf]]


def test_distances_in_image_and_input_px():
    # A box of 80 x 40 becomes, with padding 1.25, a crop of 100 x 100: a square of 50 px halves it.
    space = CropSpace(np.array([[10.0, 20.0, 90.0, 60.0]]), (50, 50), 1.25, 2.0)
    points, others = np.array([[[50.0, 40.0], [0.0, 0.0]]]), np.array([[[53.0, 44.0], [0.0, 0.0]]])
    in_image, in_input = space.distances(points, others)
    assert in_image.tolist() == [[5.0, 0.0]] and in_input.tolist() == [[2.5, 0.0]]
    assert space.image_to_crop(points)[0, 0].tolist() == [25.0, 25.0], "the middle of the box is that of the crop"
    assert space.image_to_bins(points)[0, 0].tolist() == [50, 50]
    assert space.image_to_bins(np.full((1, 1, 2), math.nan)).tolist() == [[[-2, -2]]]


@pytest.mark.parametrize("size", [(64, 64), (192, 256), (192, 96)])
def test_bins_survive_the_way_to_image_px_and_back(size):
    rng = np.random.default_rng(0)
    corners = rng.uniform(-50, 4000, (40, 2))
    boxes = check_boxes(np.concatenate([corners, corners + rng.uniform(5, 3000, (40, 2))], axis=1).astype(np.float32))
    bins = np.stack([rng.integers(0, 2 * side, (40, 9)) for side in size], axis=-1)
    crops = boxes_to_crops(boxes, size, 1.25, False)
    points = crops_to_image(bins / 2.0, crops.centers, crops.scales, size)
    assert (CropSpace(boxes, size, 1.25, 2.0).image_to_bins(points) == bins).all()
