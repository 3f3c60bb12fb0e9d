import numpy as np
import pytest

from pose_tools.dataset.demo.camera import standing_camera
from pose_tools.dataset.demo.cars import BODIES, KEYPOINTS, CarShape, car_keypoints, car_mesh, sample_shape
from pose_tools.dataset.demo.mesh import MeshBuilder, face_normals, yaw_matrix
from pose_tools.dataset.demo.raster import (
    Light,
    hidden_points,
    render_meshes,
    silhouette_area,
    silhouette_box,
)
from pose_tools.dataset.demo.scene import label_car

SHAPE = CarShape('sedan', length=4.0, width=2.0, height=1.4, waist=0.95, sill=0.2, bumper=0.5, shoulder=0.75,
                 nose=0.8, taper=(0.9, 0.8), cabin=(-1.5, 0.9), roof=(-0.9, 0.2), axles=(-1.2, 1.3),
                 wheel_radius=0.3, wheel_width=0.2, spokes=5)
CAMERA = standing_camera((641, 481), focal=400, height=0.5, pitch=0.0)
LIGHT = Light(np.array([0, 0, 1.0]), 0.4, 0.6)


def place(yaw, x=10.0, y=0.0, others=(), camera=CAMERA):
    rotation, translation = yaw_matrix(yaw), np.array([x, y, 0.0])
    mesh = car_mesh(SHAPE, (200, 200, 200)).moved(rotation, translation)
    return label_car(camera, SHAPE, rotation, translation, mesh, others)


def seen(car):
    return {name for name, v in zip(KEYPOINTS, car.visibility) if v == 2}


def box_mesh(low, high):
    build = MeshBuilder()
    build.box(low, high, (9, 9, 9))
    return build.build()


def test_the_names_are_those_of_carpose():
    from pathlib import Path

    from pose_tools.formats.schema import read_meta
    meta = Path(__file__).parents[2] / 'configs/_base_/carpose/meta.py'
    assert read_meta(meta).keypoints == KEYPOINTS


def test_keypoints_of_a_car_driving_away_are_projected_as_computed_by_hand():
    car = place(yaw=0.0)
    pixels = dict(zip(KEYPOINTS, car.keypoints))
    # Rear bumper: 8 m ahead, 0.9 m to the side, at the camera's height.
    assert pixels['left-rear-bumper'] == pytest.approx((320 - 400 * .9 / 8, 240))
    assert pixels['right-rear-bumper'] == pytest.approx((320 + 400 * .9 / 8, 240))
    assert pixels['right-front-bumper'] == pytest.approx((320 + 400 * .8 / 12, 240))
    # Hub: 1.3 m before the middle, 1.015 m to the side, 0.2 m below the camera.
    assert pixels['left-front-tire'] == pytest.approx((320 - 400 * 1.015 / 11.3, 240 + 400 * .2 / 11.3))
    assert car.translation == pytest.approx((0, 0.5, 10))
    assert seen(car) == {'left-rear-bumper', 'right-rear-bumper'}


def test_a_mirrored_car_swaps_left_and_right():
    car, mirrored = place(0.7, 9, 1.5), place(-0.7, 9, -1.5)
    swapped = [4, 5, 6, 7, 0, 1, 2, 3]
    assert mirrored.keypoints[swapped, 0] == pytest.approx(640 - car.keypoints[:, 0])
    assert mirrored.keypoints[swapped, 1] == pytest.approx(car.keypoints[:, 1])
    assert mirrored.visibility[swapped].tolist() == car.visibility.tolist()
    assert mirrored.box[[0, 2]] == pytest.approx(640 - car.box[[2, 0]])


@pytest.mark.parametrize('yaw, visible', [
    (np.pi / 2, [name for name in KEYPOINTS if 'left' in name]),  # drives to the left in the picture
    (-np.pi / 2, [name for name in KEYPOINTS if 'right' in name]),
    (np.pi, ['left-front-bumper', 'right-front-bumper']),
])
def test_a_car_hides_its_far_side(yaw, visible):
    car = place(yaw)
    assert seen(car) == set(visible)
    assert set(car.visibility) == {1, 2}


def test_only_what_is_before_a_point_hides_it():
    # 1 m before the car, from the ground up to 2 m, over its left half in the picture.
    wall = box_mesh((7.5, 0.2, 0), (7.7, 4, 2))
    assert seen(place(np.pi / 2, others=[wall])) == {'left-rear-bumper', 'left-rear-tire'}
    behind = wall.moved(np.eye(3), np.array([8, 0, 0]))
    assert seen(place(np.pi / 2, others=[behind])) == seen(place(np.pi / 2))


def test_points_outside_the_picture_are_not_labelled():
    car = place(np.pi / 2, x=6.0, y=4.0)  # the picture is 9.6 m wide there, so up to 4.8 m to the left
    pixels = dict(zip(KEYPOINTS, car.visibility))
    assert pixels['left-front-bumper'] == pixels['right-front-bumper'] == pixels['left-front-tire'] == 0
    assert pixels['left-rear-tire'] == 2
    assert car.box[0] == 0  # exactly
    assert car.box[2] == pytest.approx(car.keypoints[:, 0].max(), abs=2)


def test_the_box_is_the_hull_of_what_is_drawn():
    camera = standing_camera((320, 240), 300, 2.0, 0.2)
    mesh = car_mesh(SHAPE, (200, 200, 200)).moved(yaw_matrix(0.8), np.array([7.0, 0.3, 0]))
    owner = render_meshes(camera, [mesh], LIGHT).owner
    rows, columns = np.nonzero(owner == 0)
    drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) / 2 - 0.25
    assert silhouette_box(camera, mesh) == pytest.approx(drawn, abs=0.8)
    assert silhouette_area(camera, mesh) == pytest.approx((owner == 0).sum() / 4, rel=.04)


def test_the_box_of_a_car_cut_by_the_border_fits_the_part_that_is_left():
    camera = standing_camera((320, 240), 300, 2.0, 0.2)
    mesh = car_mesh(SHAPE, (200, 200, 200)).moved(yaw_matrix(0.8), np.array([6.0, 3.2, 0]))
    rows, columns = np.nonzero(render_meshes(camera, [mesh], LIGHT).owner == 0)
    drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) / 2 - 0.25
    whole = camera.world_to_image(mesh.points)
    assert whole[:, 0].min() < -20  # it is cut
    assert silhouette_box(camera, mesh) == pytest.approx(drawn, abs=0.8)
    assert np.isnan(silhouette_box(camera, mesh.moved(np.eye(3), np.array([0, 30, 0])))).all()


def test_the_nearer_of_two_meshes_is_drawn_whatever_the_order():
    camera = standing_camera((101, 81), 100, 1.0, 0.0)
    near, far = box_mesh((5, -.5, .5), (6, .5, 1.5)), box_mesh((8, -2, 0), (9, 2, 2))
    for meshes, expected in (([near, far], 0), ([far, near], 1)):
        owner = render_meshes(camera, meshes, LIGHT).owner
        assert owner[80, 100] == expected
        assert owner[80, 70] == 1 - expected  # 15 px to the left: beside the near one
        assert owner[10, 100] == -1


@pytest.mark.parametrize('body', BODIES)
def test_every_body_is_closed_and_holds_its_keypoints(body):
    rng = np.random.default_rng(3)
    shape = next(s for s in (sample_shape(rng) for _ in range(500)) if s.body == body)
    mesh = car_mesh(shape, (100, 100, 100))
    assert np.abs(mesh.points[:, 0]).max() == pytest.approx(shape.length / 2)
    assert mesh.points[:, 2].min() == pytest.approx(0, abs=1e-9)
    assert mesh.points[:, 2].max() == pytest.approx(shape.height)
    corners = car_keypoints(shape)[[0, 1, 4, 5]]
    gaps = np.linalg.norm(mesh.points[None] - corners[:, None], axis=2).min(axis=1)
    assert gaps == pytest.approx(0, abs=1e-9)
    # From anywhere around, something is seen in every direction of the body's middle: no face looks inwards.
    camera = standing_camera((64, 48), 60, 1.5, 0.1)
    for yaw in np.arange(8) * np.pi / 4:
        owner = render_meshes(camera, [mesh.moved(yaw_matrix(yaw), np.array([8.0, 0, 0]))], LIGHT).owner
        filled = owner == 0
        rows = np.flatnonzero(filled.any(axis=1))
        middle = filled[(rows[0] + rows[-1]) // 2]
        columns = np.flatnonzero(middle)
        assert middle[columns[0]:columns[-1] + 1].all()


def test_faces_of_a_box_look_outwards():
    mesh = box_mesh((-1, -2, -3), (1, 2, 3))
    normals = face_normals(mesh.points, mesh.sizes)
    centres = np.add.reduceat(mesh.points, mesh.starts, axis=0) / 4
    assert ((normals * centres).sum(axis=1) > 0).all()
    assert np.abs(normals).sum() / 2 == pytest.approx(2 * (2 * 4 + 2 * 6 + 4 * 6))
    assert mesh.triangles.shape == (12, 3, 3)


def test_a_point_on_a_surface_is_not_hidden_by_it():
    triangle = np.array([[[5, -1, -1], [5, 1, -1], [5, 0, 2]]], float)
    points = np.array([[5, 0, 0], [5.01, 0, 0], [5.05, 0, 0], [4, 0, 0], [9, 9, 0]], float)
    assert hidden_points(np.zeros(3), points, triangle).tolist() == [False, False, True, False, False]
