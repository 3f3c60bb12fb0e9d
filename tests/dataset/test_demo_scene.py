import numpy as np
import pytest

from pose_tools.dataset.demo.layout import polygon_area, rectangles_touch, sample_layout
from pose_tools.dataset.demo.props import STANDING, TALL, sample_prop
from pose_tools.dataset.demo.raster import SUPERSAMPLING, render_meshes
from pose_tools.dataset.demo.scene import LEAST_VISIBLE, label_car, render_scene

SIZE = (256, 192)


@pytest.fixture(scope='module')
def scenes():
    return [render_scene(np.random.default_rng([5, i]), SIZE) for i in range(12)]


def test_the_same_seed_gives_the_same_picture(scenes):
    again = render_scene(np.random.default_rng([5, 0]), SIZE)
    assert (again.image == scenes[0].image).all()
    assert (again.cars[0].keypoints == scenes[0].cars[0].keypoints).all()
    assert (again.image != scenes[1].image).any()


def test_every_car_is_large_and_visible_enough_and_its_box_in_the_picture(scenes):
    for scene in scenes:
        assert scene.image.shape == (192, 256, 3) and scene.image.dtype == np.uint8
        assert 1 <= len(scene.cars) <= 4
        for car in scene.cars:
            x0, y0, x1, y1 = car.box
            assert 0 <= x0 < x1 <= 255 and 0 <= y0 < y1 <= 191
            assert x1 - x0 > 14 and y1 - y0 > 8
            assert LEAST_VISIBLE <= car.visible_share <= 1


def test_pose_and_camera_matrix_give_the_keypoints(scenes):
    for scene in scenes:
        for car in scene.cars:
            seen = (car.keypoints_3d @ car.rotation.T + car.translation) @ scene.camera_matrix.T
            assert seen[:, :2] / seen[:, 2:] == pytest.approx(car.keypoints)
            assert car.rotation @ car.rotation.T == pytest.approx(np.eye(3))
            assert np.linalg.det(car.rotation) == pytest.approx(1)


def test_labelled_points_lie_in_the_picture_and_in_their_box(scenes):
    for car in (car for scene in scenes for car in scene.cars):
        inside = ((car.keypoints >= 0) & (car.keypoints <= (255, 191))).all(axis=1)
        assert ((car.visibility > 0) == inside).all()
        # Tire points stand out of nothing: all eight are on the silhouette or within it.
        assert (car.keypoints[inside] >= car.box[:2] - 1e-6).all()
        assert (car.keypoints[inside] <= car.box[2:] + 1e-6).all()


def test_rays_and_depth_buffer_agree_on_what_is_visible():
    checked = 0
    for seed in range(8):
        layout = sample_layout(np.random.default_rng([6, seed]), SIZE)
        meshes = [*(car.mesh for car in layout.cars), *layout.props]
        owner = render_meshes(layout.camera, meshes, layout.light).owner
        for i, car in enumerate(layout.cars):
            others = meshes[:i] + meshes[i + 1:]
            labels = label_car(layout.camera, car.shape, car.rotation, car.translation, car.mesh, others)
            for point in labels.keypoints[labels.visibility == 2]:
                x, y = np.round((point + 0.5) * SUPERSAMPLING - 0.5).astype(int)
                around = owner[max(y - 2, 0):y + 3, max(x - 2, 0):x + 3]
                assert (around == i).any(), (seed, i, point)
                checked += 1
    assert checked > 30


def test_cars_and_things_do_not_stand_in_each_other():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    assert rectangles_touch(square, square + (1.9, 0))
    assert not rectangles_touch(square, square + (2.1, 0))
    diamond = np.array([[3.2, 0.8], [5, 2.6], [3.2, 4.4], [1.4, 2.6]])
    assert not rectangles_touch(square, diamond + (0.2, 0.2))  # their bounding boxes overlap
    assert rectangles_touch(square, diamond - (0.7, 0.7))
    assert polygon_area(square) == 4
    for seed in range(5):
        layout = sample_layout(np.random.default_rng([7, seed]), SIZE)
        corners = [car.mesh.points[:, :2] for car in layout.cars]
        for i, first in enumerate(corners):
            for second in corners[i + 1:]:
                assert np.linalg.norm(first[:, None] - second[None], axis=2).min() > 0.02


@pytest.mark.parametrize('name', STANDING + TALL)
def test_every_thing_stands_on_the_ground_within_its_footprint(name):
    prop = sample_prop(np.random.default_rng(1), (name, ))
    assert prop.name == name
    assert prop.mesh.points[:, 2].min() == pytest.approx(0, abs=0.15)
    low = prop.mesh.points[prop.mesh.points[:, 2] < 1.0]
    assert (np.abs(low[:, :2]).max(axis=0) <= np.array(prop.footprint) + 0.25).all()


def test_in_a_street_the_cars_pass_by_in_both_directions():
    """The camera looks along the world's x axis; a road crosses it at 60 degrees or more."""
    ahead = [car.rotation[:, 0] for seed in range(25)
             for car in sample_layout(np.random.default_rng([9, seed]), SIZE, 'street').cars]
    # 30 degrees and three standard deviations of 0.05 rad: sin(0.674) = 0.62.
    assert max(abs(x) for x, _, _ in ahead) < 0.63
    assert {np.sign(y) for _, y, _ in ahead} == {-1, 1}
