"""The rendered video: what its truth says is what can be seen."""
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.demo.backdrop import paint_backdrop
from pose_tools.dataset.demo.cars import KEYPOINTS
from pose_tools.dataset.demo.layout import rectangles_touch
from pose_tools.dataset.demo.traffic import sample_street
from pose_tools.dataset.demo.video import LEAST_LABELLED, _Stage, render_video
from pose_tools.dataset.demo.video_files import NAMES, write_video
from pose_tools.formats.schema import read_meta

ROOT = Path(__file__).resolve().parents[2]
SIZE = (192, 144)


@pytest.fixture(scope='module')
def frames():
    return list(render_video(3, 45, SIZE, 15))


def spans(frames):
    """Numbers of the frames each track is labelled in."""
    found = {}
    for frame in frames:
        for track in frame.track_ids.tolist():
            found.setdefault(track, []).append(frame.number)
    return found


def test_the_same_seed_gives_the_same_frames(frames):
    again = render_video(3, 45, SIZE, 15)
    for first, second in zip(frames[:3], again):
        assert (first.scene.image == second.scene.image).all()
        assert (first.track_ids == second.track_ids).all()
    other = next(render_video(4, 45, SIZE, 15))
    assert (other.scene.image != frames[0].scene.image).any()


def test_cars_come_leave_and_disappear_for_a_while(frames):
    tracks = spans(frames)
    assert len(tracks) >= 6
    assert any(numbers[0] > 15 for numbers in tracks.values()), 'one comes late'
    assert any(numbers[0] == 0 and numbers[-1] < 30 for numbers in tracks.values()), 'one leaves'
    assert any((np.diff(numbers) > 2).any() for numbers in tracks.values()), 'one is hidden and comes back'
    for frame in frames:
        assert len(set(frame.track_ids.tolist())) == len(frame.scene.cars)
        assert all(LEAST_LABELLED <= car.visible_share <= 1 for car in frame.scene.cars)


def test_pose_and_camera_give_the_keypoints_and_tracks_move_steadily(frames):
    last = {}
    for frame in frames:
        for track, car in zip(frame.track_ids.tolist(), frame.scene.cars):
            seen = (car.keypoints_3d @ car.rotation.T + car.translation) @ frame.scene.camera_matrix.T
            assert seen[:, :2] / seen[:, 2:] == pytest.approx(car.keypoints)
            if track in last and last[track][0] == frame.number - 1:
                # 25 m in an act of 3 s is 8.3 m/s; 0.56 m a frame of 1/15 s, and a little for drifting.
                assert np.linalg.norm(car.translation - last[track][1]) < 0.6
            last[track] = frame.number, car.translation


def test_the_backdrop_stays_the_same_but_for_noise(frames):
    first, last = frames[0].scene.image.astype(int), frames[-1].scene.image.astype(int)
    sky = np.s_[:30]
    assert abs(first[sky] - last[sky]).mean() < 8
    assert (first[sky] != last[sky]).any(), 'the noise is of each frame'


def test_backdrop_with_shadows_is_what_painting_them_would_give():
    rng = np.random.default_rng(8)
    street = sample_street(rng, SIZE, 3.0)
    state = rng.bit_generator.state
    stage = _Stage(street, rng)
    shadows = np.random.default_rng(1).uniform(0, 1, SIZE[::-1]).astype(np.float32)
    rng.bit_generator.state = state
    painted = paint_backdrop(rng, street.camera, street.road.ground, shadows)
    assert stage.lit + stage.fall * shadows[..., None] == pytest.approx(painted, abs=1e-2)


@pytest.mark.parametrize('seed', range(6))
def test_cars_never_drive_into_each_other(seed):
    street = sample_street(np.random.default_rng(seed), SIZE, 9.0)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    for time in np.arange(0, 9, 0.2):
        rectangles = []
        for vehicle in street.vehicles:
            rotation, translation = vehicle.pose(street.road, time)
            sides = corners * (vehicle.shape.length, vehicle.shape.width)
            rectangles.append(sides @ rotation[:2, :2].T + translation[:2])
        for i, first in enumerate(rectangles):
            assert not any(rectangles_touch(first, second) for second in rectangles[i + 1:]), (seed, time)


def test_cars_point_where_they_drive():
    street = sample_street(np.random.default_rng(2), SIZE, 3.0)
    for vehicle in street.vehicles:
        (rotation, here), (_, there) = (vehicle.pose(street.road, time) for time in (1.0, 1.001))
        if vehicle.speed:
            way = (there - here) / np.linalg.norm(there - here)
            assert rotation[:, 0] == pytest.approx(way, abs=1e-3)
            assert np.linalg.norm(there - here) == pytest.approx(0.001 * vehicle.speed, rel=0.01)
        else:
            assert (here == there).all()


def test_the_names_are_those_of_carpose():
    meta = read_meta(ROOT / 'configs/_base_/carpose/meta.py')
    assert meta == NAMES and meta.keypoints == KEYPOINTS


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'street.mp4'
    tracks = write_video(path, 12, SIZE, seed=3, frame_rate=4)
    return path, tracks, json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))


def test_the_file_has_the_frames_that_its_truth_is_about(written):
    path, tracks, truth = written
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == 4
    rendered = list(render_video(3, 12, SIZE, 4))
    for frame in rendered:
        read, image = video.read()
        assert read and image.shape == (144, 192, 3)
        assert abs(image.astype(int) - frame.scene.image).mean() < 12
    assert not video.read()[0]
    assert [image['frame_id'] for image in truth['images']] == list(range(12))
    assert [image['time'] for image in truth['images']] == [i / 4 for i in range(12)]
    assert truth['videos'][0]['frames'] == 12
    assert not list(coco_faults(truth, path, NAMES))
    labelled = [(a['image_id'] - 1, a['track_id']) for a in truth['annotations']]
    assert labelled == [(f.number, t) for f in rendered for t in f.track_ids.tolist()]
    assert tracks == len({track for _, track in labelled})
    for annotation in truth['annotations']:
        seen = np.array(annotation['keypoints_3d']) @ np.array(annotation['rotation']).T + annotation['translation']
        seen = seen @ np.array(truth['videos'][0]['camera_matrix']).T
        keypoints = np.array(annotation['keypoints']).reshape(8, 3)
        inside = keypoints[:, 2] > 0
        assert (seen[:, :2] / seen[:, 2:])[inside] == pytest.approx(keypoints[inside, :2])


def test_nothing_is_left_beside_the_two_files_and_nothing_is_replaced_unasked(written):
    path = written[0]
    assert sorted(file.name for file in path.parent.iterdir()) == ['street.json', 'street.mp4']
    with pytest.raises(UserError, match='street.mp4 and .*street.json: exists already'):
        write_video(path, 2, SIZE)


def test_numbers_that_make_no_sense_are_all_named(tmp_path):
    with pytest.raises(UserError) as caught:
        write_video(tmp_path / 'street.mkv', 0, (641, 20), seed=-1, frame_rate=0)
    for said in ('.mp4 or .avi', '0 frames', '641 x 20', 'seed -1', '0 frames a second'):
        assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_script_renders_a_video_and_wants_something_to_do(tmp_path):
    script = [sys.executable, str(ROOT / 'pose_tools/make_demo.py')]
    asked = subprocess.run([*script, '--video', 'out/a.avi', '--frames', '2', '--size', '128', '96'], cwd=tmp_path,
                           capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert 'out/a.avi: 2 frames with' in asked.stdout.replace('\\', '/')
    assert (tmp_path / 'out/a.json').is_file()
    nothing = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert nothing.returncode == 1 and 'nothing to render' in nothing.stderr
