import json

import cv2
import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.dataset.demo import files as demo_files
from pose_tools.dataset.demo.cars import KEYPOINTS
from pose_tools.dataset.demo.files import write_labelme, write_unlabelled
from pose_tools.dataset.demo.scene import LEAST_VISIBLE

SIZE = (160, 120)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp('demo') / 'labelme'
    write_labelme(made, 3, SIZE, seed=4)
    return made


def test_labelme_can_open_what_is_written(folder):
    try:
        from labelme._label_file import LabelFile
    except ImportError:  # labelme 5
        from labelme.label_file import LabelFile
    file = LabelFile(str(folder / 'demo_00001.json'))
    assert file.imagePath == 'demo_00001.jpg'
    assert {shape['label'] for shape in file.shapes} <= {'car', *KEYPOINTS}
    content = json.loads((folder / 'demo_00001.json').read_text())
    assert content['imageData'] is None
    assert (content['imageWidth'], content['imageHeight']) == SIZE
    assert cv2.imread(str(folder / 'demo_00001.jpg')).shape == (120, 160, 3)


def test_shapes_of_a_car_share_a_group_and_hidden_points_are_flagged(folder):
    truth = [json.loads(line) for line in (folder / 'ground_truth.jsonl').read_text().splitlines()]
    assert [line['file_name'] for line in truth] == [f'demo_{i:05d}.jpg' for i in range(3)]
    hidden = 0
    for line in truth:
        shapes = json.loads((folder / line['file_name'].replace('.jpg', '.json')).read_text())['shapes']
        for car in line['cars']:
            own = [s for s in shapes if s['group_id'] == car['group_id']]
            box, *points = own
            assert (box['label'], box['shape_type'], len(box['points'])) == ('car', 'rectangle', 2)
            assert [p['label'] for p in points] == [n for n, v in zip(KEYPOINTS, car['visibility']) if v]
            flags = [{'occluded': True} if v == 1 else {} for v in car['visibility'] if v]
            assert [p['flags'] for p in points] == flags
            expected = [xy for xy, v in zip(car['keypoints'], car['visibility']) if v]
            assert np.array([p['points'][0] for p in points]) == pytest.approx(np.array(expected), abs=1e-4)
            hidden += sum(v == 1 for v in car['visibility'])
        assert len(line['cars']) == sum(s['label'] == 'car' for s in shapes)
    assert hidden


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    write_labelme(tmp_path / 'again', 2, SIZE, seed=4)
    again, first = contents(tmp_path / 'again'), contents(folder)
    assert again.pop('ground_truth.jsonl') in first.pop('ground_truth.jsonl')
    assert again.items() <= first.items() and len(again) == 4
    write_labelme(tmp_path / 'other', 1, SIZE, seed=5)
    assert contents(tmp_path / 'other')['demo_00000.jpg'] != first['demo_00000.jpg']


def test_unlabelled_pictures_are_others(folder, tmp_path):
    write_unlabelled(tmp_path / 'unseen', 2, SIZE, seed=4)
    unseen = contents(tmp_path / 'unseen')
    assert sorted(unseen) == ['unseen_00000.jpg', 'unseen_00001.jpg']
    assert not set(unseen.values()) & set(contents(folder).values())


def test_a_failure_leaves_everything_as_it_was(tmp_path, monkeypatch):
    write_labelme(tmp_path / 'demo', 1, SIZE)
    before = contents(tmp_path / 'demo')
    calls = []

    def fails(*args):
        calls.append(args)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_files, 'render_scene', fails)
    for dst in ('demo', 'new'):
        with pytest.raises(KeyboardInterrupt):
            write_labelme(tmp_path / dst, 2, SIZE, overwrite=True)
    assert len(calls) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['demo']
    assert contents(tmp_path / 'demo') == before


def test_only_an_earlier_rendering_is_replaced(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/thesis.txt').write_text('precious')
    with pytest.raises(UserError, match='--overwrite'):
        write_labelme(tmp_path / 'mine', 1, SIZE)
    with pytest.raises(UserError, match='thesis.txt'):
        write_labelme(tmp_path / 'mine', 1, SIZE, overwrite=True)
    assert contents(tmp_path / 'mine') == {'thesis.txt': b'precious'}
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='is a file'):
        write_labelme(tmp_path / 'file', 1, SIZE)
    write_labelme(tmp_path / 'demo', 2, SIZE)
    write_labelme(tmp_path / 'demo', 1, SIZE, overwrite=True)
    assert len(contents(tmp_path / 'demo')) == 3


def test_all_numbers_that_make_no_sense_are_named_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        write_labelme(tmp_path / 'demo', 0, (10, 9000), seed=-1)
    for words in ('0 images', '10 x 9000', 'seed -1'):
        assert words in str(error.value)
    assert not any(tmp_path.iterdir())


def test_views_take_turns_and_far_cars_have_boxes_only(tmp_path):
    write_labelme(tmp_path / 'mixed', 3, SIZE, seed=3, views=['street', 'traffic'])
    write_labelme(tmp_path / 'street', 3, SIZE, seed=3, views=['street'])
    mixed, street = contents(tmp_path / 'mixed'), contents(tmp_path / 'street')
    assert [mixed[n] == street[n] for n in (f'demo_{i:05d}.jpg' for i in range(3))] == [True, False, True]
    far = json.loads((tmp_path / 'mixed' / 'demo_00001.json').read_text())['shapes']
    assert {shape['shape_type'] for shape in far} == {'rectangle'}
    truth = [json.loads(line) for line in (tmp_path / 'mixed' / 'ground_truth.jsonl').read_text().splitlines()]
    assert len(truth[1]['cars']) == len(far) >= 1
    assert all(car['visible_share'] >= LEAST_VISIBLE for car in truth[1]['cars'])


@pytest.mark.parametrize('views', ['street', [], ['street', 'above']])
def test_views_that_are_none_are_refused(tmp_path, views):
    with pytest.raises(UserError, match='views'):
        write_labelme(tmp_path / 'made', 1, SIZE, views=views)
    assert not (tmp_path / 'made').exists()
