import numpy as np
import pytest

from pose_tools.dataset.demo.camera import clip_polygon, clip_to_picture, polygon_to_image, standing_camera

CAMERA = standing_camera((101, 81), focal=100, height=1.0, pitch=0.0)


@pytest.mark.parametrize('point, pixel', [
    ((10, 0, 1), (50, 40)),  # straight ahead: the middle
    ((10, 1, 1), (40, 40)),  # to the left
    ((10, 0, 0), (50, 50)),  # on the ground
    ((4, -2, 3), (100, -10)),
])
def test_points_are_seen_where_a_pinhole_shows_them(point, pixel):
    assert CAMERA.world_to_image(np.array(point)) == pytest.approx(pixel)


def test_a_camera_tilted_down_sees_the_ground_it_aims_at_in_the_middle():
    camera = standing_camera((101, 81), 100, height=3.0, pitch=np.arctan2(3, 4))
    assert camera.world_to_image(np.array([4.0, 0, 0])) == pytest.approx((50, 40))
    assert camera.world_to_camera(np.array([4.0, 0, 0])) == pytest.approx((0, 0, 5))
    assert camera.position == pytest.approx((0, 0, 3))


def test_a_quarter_roll_turns_the_picture_anticlockwise():
    camera = standing_camera((101, 81), 100, 1.0, 0.0, roll=np.pi / 2)
    assert camera.world_to_image(np.array([10.0, -1, 1])) == pytest.approx((50, 30))


def test_a_polygon_is_cut_where_the_limit_is():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
    assert clip_polygon(square, 0, 1.0, keep_above=True).tolist() == [[1, 0], [4, 0], [4, 4], [1, 4]]
    assert clip_polygon(square, 1, -1.0, keep_above=False).shape == (0, 2)
    assert clip_polygon(square, 0, -1.0, keep_above=True) is square
    triangle = np.array([[-10, 5], [10, 5], [10, 25]], float)
    assert clip_to_picture(triangle, (9, 11)).tolist() == [[0, 5], [8, 5], [8, 10], [0, 10]] or \
        sorted(map(tuple, clip_to_picture(triangle, (9, 11)).tolist())) == [(0, 5), (0, 10), (8, 5), (8, 10)]


def test_what_is_behind_the_camera_is_cut_off():
    strip = np.array([[-50, 1, 0], [10, 1, 0], [10, -1, 0], [-50, -1, 0]], float)
    pixels = polygon_to_image(CAMERA, strip)
    assert len(pixels) == 4
    assert sorted(pixels[:, 1])[:2] == pytest.approx([50, 50])
    assert max(pixels[:, 1]) == pytest.approx(40 + 100 / .3)
    assert polygon_to_image(CAMERA, strip - (20, 0, 0)).shape == (0, 2)
