import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from pose_tools.formats.labelme import Shape
from pose_tools.formats.shapes import (
    circle_corners,
    contains,
    polygon_area,
    segmentation,
    shape_area,
    shape_bounds,
)

L_SHAPE = ((0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4))


def shape(kind, *points, **more):
    return Shape("x", kind, tuple((float(x), float(y)) for x, y in points), **more)


def mask_shape(pixels, left, top):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8) * 255).save(buffer, "PNG")
    height, width = np.shape(pixels)
    return shape("mask", (left, top), (left + width - 1, top + height - 1),
                 mask=base64.b64encode(buffer.getvalue()).decode())


def test_polygon_area_by_hand_in_both_directions():
    assert polygon_area([(0, 0), (4, 0), (4, 3)]) == 6
    assert polygon_area(L_SHAPE) == 12 == polygon_area(L_SHAPE[::-1])
    assert polygon_area([(1e6, 1e6), (1e6 + 2, 1e6), (1e6 + 2, 1e6 + 2), (1e6, 1e6 + 2)]) == 4


@pytest.mark.parametrize("corners", [((1, 2), (5, 8)), ((5, 8), (1, 2)), ((5, 2), (1, 8)), ((1, 8), (5, 2)),
                                     ((1, 2), (5, 2), (5, 8), (1, 8))])
def test_rectangle_corners_in_any_order(corners):
    assert shape_bounds([shape("rectangle", *corners)]) == (1, 2, 5, 8)
    assert shape_area(shape("rectangle", *corners)) == 24


def test_circle_is_its_centre_and_a_point_on_it():
    circle = shape("circle", (10, 10), (13, 14))
    assert shape_bounds([circle]) == (5, 5, 15, 15)
    corners = circle_corners((10, 10), (13, 14))
    assert max(x for x, _ in corners) == pytest.approx(15)
    assert polygon_area(corners) == pytest.approx(math.pi * 25, rel=2e-3)
    assert contains(circle, (13.5, 13.5)) and not contains(circle, (13.6, 13.6))


def test_a_point_in_the_notch_of_an_l_is_outside():
    polygon = shape("polygon", *L_SHAPE)
    assert contains(polygon, (1, 3)) and contains(polygon, (3, 1))
    assert not contains(polygon, (3, 3))
    assert contains(polygon, (2, 3)) and contains(polygon, (4, 0))
    assert not contains(polygon, (5, 1))


def test_rectangle_border_belongs_to_it():
    box = shape("rectangle", (1, 1), (3, 3))
    assert contains(box, (1, 3)) and not contains(box, (0.99, 2))


def test_segmentation_of_several_parts_adds_areas():
    parts = [shape("polygon", (0, 0), (2, 0), (2, 2)), shape("polygon", (5, 5), (9, 5), (9, 9), (5, 9))]
    flat, area = segmentation(parts, (20, 20))
    assert flat == [[0, 0, 2, 0, 2, 2], [5, 5, 9, 5, 9, 9, 5, 9]]
    assert area == 18
    assert shape_bounds(parts) == (0, 0, 9, 9)


def test_a_rectangle_has_no_segmentation():
    assert segmentation([shape("rectangle", (0, 0), (2, 2))], (9, 9)) == ([], 0)


def test_mask_becomes_runs_that_pycocotools_decodes():
    from pycocotools import mask as masks

    runs, area = segmentation([mask_shape([[1, 0, 1], [1, 1, 0]], 2, 1)], (6, 4))
    decoded = masks.decode(masks.frPyObjects(runs, 4, 6))
    expected = np.zeros((4, 6), int)
    expected[1:3, 2:5] = [[1, 0, 1], [1, 1, 0]]
    assert decoded.tolist() == expected.tolist() and area == 4
    assert shape_bounds([mask_shape([[1, 0, 1], [1, 1, 0]], 2, 1)]) == (2, 1, 5, 3)


def test_mask_that_reaches_the_first_and_last_pixel():
    from pycocotools import mask as masks

    runs, area = segmentation([mask_shape(np.ones((2, 3)), 0, 0)], (3, 2))
    assert masks.decode(masks.frPyObjects(runs, 2, 3)).sum() == 6 == area


def test_a_mask_that_cannot_be_decoded_is_an_error():
    with pytest.raises(ValueError, match="mask that cannot be decoded"):
        segmentation([shape("mask", (0, 0), (1, 1), mask="AAAA")], (9, 9))
