import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import (
    BOX,
    LEFT,
    MIDDLE,
    PAPER,
    RIGHT,
    clip_segment,
    contact_sheet,
    draw_instances,
    imread,
    imwrite,
    keypoint_colours,
)

SET = KeypointSet(('car', ), ('nose', 'left-eye', 'right-eye'), swaps=(('left-eye', 'right-eye'), ),
                  links=(('nose', 'left-eye'), ('left-eye', 'right-eye')))
GREY = np.full((60, 80, 3), 128, np.uint8)


def pixel(image, x, y):
    return tuple(image[y, x].tolist())


def close(image, x, y, colour):
    """Smooth lines are not quite opaque."""
    return np.abs(image[y, x].astype(int) - colour).max() < 30


def changed(image):
    rows, columns = np.nonzero((image != 128).any(axis=2))
    return columns, rows


def test_a_side_keeps_its_colour_however_the_pair_is_written():
    assert keypoint_colours(SET) == [MIDDLE, LEFT, RIGHT]
    turned = KeypointSet(('car', ), SET.keypoints, swaps=(('right-eye', 'left-eye'), ))
    assert keypoint_colours(turned) == [MIDDLE, LEFT, RIGHT]
    unnamed = KeypointSet(('car', ), ('a', 'b'), swaps=(('b', 'a'), ))
    assert keypoint_colours(unnamed) == [RIGHT, LEFT]


def test_a_visible_point_is_a_disc_and_an_occluded_one_a_ring():
    points = np.array([[[20, 30], [40, 30], [60, 30]]], float)
    image = draw_instances(GREY, None, points, None, KeypointSet(SET.classes, SET.keypoints, SET.swaps),
                           visibility=np.array([[2, 1, 0]]))
    assert pixel(image, 20, 30) == MIDDLE
    assert pixel(image, 40, 30) == (128, 128, 128)
    blue, _, red = image[30, 44].astype(int)  # radius 4 at line width 1
    assert red - blue > 60
    assert pixel(image, 60, 30) == pixel(image, 63, 30) == (128, 128, 128)
    assert (GREY == 128).all()


def test_links_are_drawn_between_points_that_are_both_shown():
    points = np.array([[[10, 30], [40, 30], [70, 30]]], float)
    image = draw_instances(GREY, None, points, np.array([[.9, .9, .1]]), SET, kpt_thr=0.5)
    assert close(image, 25, 30, MIDDLE)
    assert pixel(image, 55, 30) == pixel(image, 70, 30) == (128, 128, 128)


def test_fractions_of_a_pixel_move_the_drawing():
    only = KeypointSet(('car', ), ('nose', ))

    def centre(x):
        image = draw_instances(GREY, None, np.array([[[x, 30]]]), None, only).astype(float)
        weight = np.abs(image - 128).sum(axis=2)
        return (weight.sum(axis=0) * np.arange(80)).sum() / weight.sum()

    assert centre(40) == pytest.approx(40, abs=.02)
    assert centre(40.5) == pytest.approx(40.5, abs=.1)


def test_a_box_is_drawn_where_it_is_and_its_score_written():
    plain = draw_instances(GREY, np.array([[10, 20, 60, 50]]), None, None, SET)
    columns, rows = changed(plain)
    assert all(close(plain, x, y, BOX) for x, y in ((30, 20), (10, 40), (60, 40), (30, 50)))
    assert pixel(plain, 30, 35) == (128, 128, 128)
    assert abs(columns.min() - 10) <= 1 and abs(rows.max() - 50) <= 1
    scored = draw_instances(GREY, np.array([[10, 20, 60, 50]]), None, None, SET, box_scores=np.array([0.87]))
    assert (scored[8:20] != 128).any() and not (plain[8:18] != 128).any()


@pytest.mark.parametrize('box', [(-500, -500, 1e9, 1e9), (np.nan, 0, 5, 5), (5, 5, 5, 5), (0, -30, 10, -20)])
@pytest.mark.parametrize('point', [(np.nan, 3), (1e12, -1e12), (-1e300, 5), (np.inf, 0), (-2, 61)])
def test_nothing_out_of_the_picture_crashes(box, point):
    points = np.array([[point, (40, 30), (1e7, 30)]], float)
    image = draw_instances(GREY, np.array([box]), points, None, SET, box_scores=np.array([np.nan]))
    assert image.shape == GREY.shape
    assert (image[28:33, 38:43] != 128).any()


def test_no_instances_change_nothing():
    image = draw_instances(GREY, np.zeros((0, 4)), np.zeros((0, 3, 2)), np.zeros((0, 3)), SET,
                           box_scores=np.zeros(0))
    assert (image == GREY).all() and image is not GREY
    assert draw_instances(GREY[..., 0], None, None, None, SET).shape == GREY.shape


def test_a_larger_picture_has_wider_lines():
    def share(size):
        points = np.array([[[size / 4, size / 2], [size * 3 / 4, size / 2], [np.nan, 0]]])
        image = draw_instances(np.full((size, size, 3), 128, np.uint8), None, points, None, SET)
        return (image[:, size // 2] != 128).any(axis=1).sum()

    assert share(1600) > share(200) >= 1


def test_boxes_and_keypoints_must_belong_together():
    with pytest.raises(ValueError, match='2 boxes, but keypoints of 1'):
        draw_instances(GREY, np.zeros((2, 4)), np.zeros((1, 3, 2)), None, SET)


def test_a_clipped_segment_keeps_its_line():
    start, end = clip_segment((-10, 0), (30, 40), 0, 20)
    assert start.tolist() == [0, 10] and end.tolist() == [10, 20]
    assert clip_segment((-10, 0), (-10, 5), 0, 20) is None
    assert clip_segment((-10, 15), (15, -30), 0, 20) is None


def test_a_contact_sheet_letterboxes_pictures_of_any_size():
    red = np.zeros((30, 40, 3), np.uint8)
    red[:] = 0, 0, 255
    tall = np.full((80, 20, 3), 9, np.uint8)
    sheet = contact_sheet([red, red, tall], columns=2, cell_width=80)
    # Median proportion 3/4: cells of 80 x 60; gaps of 2.
    assert sheet.shape == (2 * 62 + 2, 2 * 82 + 2, 3)
    assert pixel(sheet, 2, 2) == pixel(sheet, 81, 61) == (0, 0, 255)
    assert pixel(sheet, 1, 1) == tuple(PAPER)
    # The tall one is 15 x 60, in the middle of the cell at (2, 64).
    assert pixel(sheet, 41, 90) == (9, 9, 9)
    assert pixel(sheet, 30, 90) == tuple(PAPER)
    assert pixel(sheet, 124, 90) == tuple(PAPER)


def test_titles_have_a_bar_of_their_own():
    black = np.zeros((60, 80, 3), np.uint8)
    sheet = contact_sheet([black], 3, 80, titles=['a very long title 東西 that cannot fit'])
    assert sheet.shape == (60 + 14 + 4, 84, 3)
    assert (sheet[2:16, 2:82] < 200).any()
    assert (sheet[16:76, 2:82] == 0).all()
    with pytest.raises(ValueError, match='1 titles for 2'):
        contact_sheet([black, black], 2, 80, titles=['x'])
    assert contact_sheet([], 4, 80).shape == (64, 84, 3)


def test_pictures_survive_writing_and_reading(tmp_path):
    path = tmp_path / 'neu' / '汽車 ü.png'
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    imwrite(path, image)
    assert (imread(path) == image).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_reading_turns_as_exif_says(tmp_path):
    from PIL import Image

    picture = Image.new('RGB', (20, 10), (255, 0, 0))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / 'turned.jpg', exif=exif)
    assert imread(tmp_path / 'turned.jpg').shape == (20, 10, 3)


def test_what_cannot_be_read_or_written_is_said_in_one_line(tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8 no picture')
    (tmp_path / 'empty.png').write_bytes(b'')
    for name in ('broken.jpg', 'empty.png', 'gone.png'):
        words = 'no such' if name == 'gone.png' else 'not a picture'
        with pytest.raises(UserError, match=words):
            imread(tmp_path / name)
    for name in ('x.unknown', 'x'):
        with pytest.raises(UserError, match='use .jpg or .png'):
            imwrite(tmp_path / name, GREY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['broken.jpg', 'empty.png']


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    imwrite(tmp_path / 'a.png', GREY)
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError):
        imwrite(tmp_path / 'a.png', 0 * GREY)
    assert [p.name for p in tmp_path.iterdir()] == ['a.png']
    assert (imread(tmp_path / 'a.png') == 128).all()
