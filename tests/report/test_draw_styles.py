"""Skeleton styles, sizes by instance, words in free places, tracks: by pixels computed by hand."""
import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet, read_meta
from pose_tools.report.draw import (
    BOX,
    LEFT,
    MIDDLE,
    RIGHT,
    DrawStyle,
    Palette,
    check_style,
    draw_heatmap,
    draw_instances,
    draw_vehicle_pose,
    track_colour,
)
from pose_tools.report.drawing import words
from pose_tools.report.drawing.palettes import (
    COCO_PERSON,
    OPENPOSE_LIMBS,
    OPENPOSE_POINTS,
    hue_circle,
    palette_of,
)
from pose_tools.report.drawing.style import choose_strokes
from pose_tools.report.drawing.words import FreePlaces, readable_names, text_size, write
from pose_tools.report.lettering import Lettering

GREY = np.full((60, 80, 3), 128, np.uint8)
FACE = KeypointSet(("cat", ), ("nose", "left-eye", "right-eye"), (("left-eye", "right-eye"), ),
                   (("nose", "left-eye"), ("left-eye", "right-eye")))
PERSON = KeypointSet(("person", ), COCO_PERSON,
                     tuple((name, name.replace("left", "right")) for name in COCO_PERSON if "left" in name))
BARE = DrawStyle(boxes=False)


def pixel(image, x, y):
    return tuple(image[y, x].tolist())


def near(image, x, y, colour):
    return np.abs(image[y, x].astype(int) - colour).max() <= 12


def changed(image, before=GREY):
    return (image != before).any(axis=2)


def at(**places):
    """Keypoints (1, 17, 2) of a person, NaN but for those given."""
    points = np.full((1, 17, 2), np.nan)
    for name, place in places.items():
        points[0, COCO_PERSON.index(name)] = place
    return points


def installed(name):
    spec = importlib.util.find_spec("mmpose")
    path = spec and Path(spec.origin).parent / ".mim/configs/_base_/datasets" / name
    if not path or not path.is_file():
        pytest.skip("mmpose's own configs are not on this machine")
    values = {}
    exec(path.read_text(), values)
    return values["dataset_info"]


def test_points_and_links_have_the_colours_of_a_style():
    points = np.array([[[10, 30], [40, 30], [70, 30]]], float)
    sides = draw_instances(GREY, None, points, None, FACE, style=BARE)
    # 60 px wide and flat: as large as a third of that, so points of radius 1.5 and no edges.
    assert [pixel(sides, x, 30) for x in (10, 40, 70)] == [MIDDLE, LEFT, RIGHT]
    assert near(sides, 25, 30, MIDDLE) and near(sides, 55, 30, MIDDLE)
    assert pixel(sides, 25, 33) == (128, 128, 128)
    own = draw_instances(GREY, None, points, None, FACE, style=DrawStyle(boxes=False, skeleton="mmpose"))
    assert [pixel(own, x, 30) for x in (10, 40, 70)] == [(80, 220, 100), (51, 153, 255), (255, 153, 51)]
    assert near(own, 25, 30, (0, 255, 0)) and near(own, 55, 30, (0, 255, 0))
    carried = replace(FACE, colours=((1, 2, 3), ) * 3, link_colours=((9, 9, 9), (200, 9, 9)))
    image = draw_instances(GREY, None, points, None, carried, style=DrawStyle(boxes=False, skeleton="mmpose"))
    assert pixel(image, 10, 30) == (3, 2, 1) and near(image, 25, 30, (9, 9, 9)) and near(image, 55, 30, (9, 9, 200))
    assert (draw_instances(GREY, None, points, None, carried, style=BARE) == sides).all()


def test_colours_of_people_are_those_of_mmpose():
    info = installed("coco.py")
    names = tuple(each["name"] for each in info["keypoint_info"].values())
    people = KeypointSet(("person", ), names, links=tuple(each["link"] for each in info["skeleton_info"].values()))
    found = palette_of("mmpose", people)
    assert found.points == tuple(tuple(each["color"])[::-1] for each in info["keypoint_info"].values())
    assert found.links == tuple(tuple(each["color"])[::-1] for each in info["skeleton_info"].values())


def test_colours_of_cars_are_those_of_their_meta(root):
    meta = root / "configs/_base_/carpose/meta.py"
    values = {}
    exec(meta.read_text(encoding="utf-8"), values)
    info = values["dataset_info"]
    found = palette_of("mmpose", read_meta(meta))
    assert found.points == tuple(each["color"][::-1] for each in info["keypoint_info"].values())
    assert found.links == tuple(each["color"][::-1] for each in info["skeleton_info"].values())


def test_points_without_partners_have_a_hue_each():
    wheel = KeypointSet(("wheel", ), ("a", "b", "c"), (), (("b", "c"), ))
    assert palette_of("mmpose", wheel) == Palette(((0, 0, 255), (0, 255, 0), (255, 0, 0)), ((0, 255, 0), ))


def test_openpose_has_the_colours_of_openpose():
    info = installed("coco_openpose.py")
    assert tuple(each["name"] for each in info["keypoint_info"].values()) == OPENPOSE_POINTS
    hues = hue_circle(18)
    assert hues == tuple(tuple(each["color"])[::-1] for each in info["keypoint_info"].values())
    assert tuple(tuple(each["link"]) for each in info["skeleton_info"].values()) == OPENPOSE_LIMBS
    # mmpose's colours of the limbs differ from OpenPose's own, which are the points' in order, in two.
    differing = [number for number, each in enumerate(info["skeleton_info"].values())
                 if hues[number] != tuple(each["color"])[::-1]]
    assert differing == [9, 13]


def test_openpose_draws_limbs_to_a_neck_between_the_shoulders():
    image = draw_instances(GREY, None, at(right_shoulder=(10, 20), left_shoulder=(70, 20), nose=(40, 50)), None, PERSON,
                           style=DrawStyle(boxes=False, skeleton="openpose", radius=3, thickness=2))
    hues = dict(zip(OPENPOSE_POINTS, hue_circle(18)))
    assert pixel(image, 40, 20) == hues["neck"] == (0, 85, 255)
    assert pixel(image, 10, 20) == hues["right_shoulder"] and pixel(image, 40, 50) == hues["nose"]
    # Limbs 0, 1 and 12, red, orange and blue: 0.6 of the colour and 0.4 of grey 128, rounded.
    assert near(image, 25, 20, (51, 51, 204))
    assert near(image, 55, 20, (51, 102, 204))
    assert near(image, 40, 35, (204, 51, 51))
    # 2.5 px to either side, and OpenCV's smooth edges: the ellipse is widest in its middle.
    assert changed(image)[18:23, 25].all() and not changed(image)[25:, 25].any() and not changed(image)[:16, 25].any()
    assert np.count_nonzero(changed(image)[10:30, 15]) < np.count_nonzero(changed(image)[10:30, 25])
    alone = draw_instances(GREY, None, at(right_shoulder=(10, 20), nose=(40, 50)), None, PERSON,
                           style=DrawStyle(boxes=False, skeleton="openpose", radius=3))
    assert pixel(alone, 40, 20) == (128, 128, 128), "half a pair of shoulders has no neck"
    weak = np.full((1, 17), 0.9)
    weak[0, COCO_PERSON.index("left_shoulder")] = 0.1
    image = draw_instances(GREY, None, at(right_shoulder=(10, 20), left_shoulder=(70, 20)), weak, PERSON,
                           style=DrawStyle(boxes=False, skeleton="openpose", radius=3))
    assert pixel(image, 40, 20) == (128, 128, 128)


def test_openpose_takes_names_as_people_write_them():
    dashed = KeypointSet(("player", ), tuple(name.replace("_", "-").title() for name in reversed(COCO_PERSON)))
    assert check_style(DrawStyle(skeleton="openpose"), dashed).points[-1] == (0, 0, 255)


def test_what_cannot_be_drawn_is_said_in_one_line():
    for style, message in ((DrawStyle(skeleton="openpose"), "17 keypoints of COCO's persons, and these are 3: nose"),
                           (DrawStyle(skeleton="heap"), "no skeleton style 'heap'; there are: sides, mmpose, openpose"),
                           (DrawStyle(radius=0), "radius of at least 1 px, got 0"),
                           (DrawStyle(thickness=-1), "thickness of at least 1 px, got -1"),
                           (DrawStyle(alpha=0), "alpha above 0 and up to 1, got 0")):
        with pytest.raises(UserError, match=message) as error:
            draw_instances(GREY, None, None, None, FACE, style=style)
        assert "\n" not in str(error.value)


def test_sizes_follow_the_instance_and_the_picture():
    def strokes(box, picture=(1600, 900), **options):
        return choose_strokes(np.array(box, float), np.zeros((0, 2)), picture, DrawStyle(**options))

    # The picture is 1200 px by its area: lines of 3 px and letters of 16 at most.
    large, middle, tiny = strokes((0, 0, 400, 400)), strokes((0, 0, 112, 112)), strokes((0, 0, 12, 12))
    assert (large.width, large.radius, large.edge, large.capital) == (3, 7, 1, 16)
    assert (middle.width, middle.radius, middle.edge, middle.capital) == (1, 3, 1, 8)
    assert (tiny.width, tiny.radius, tiny.edge, tiny.capital) == (1, 1.5, 0, 7)
    assert strokes((0, 0, 12, 12), radius=6, thickness=4).radius == 6
    assert strokes((0, 0, 12, 12), radius=6, thickness=4).width == 4
    assert strokes((0, 0, 300, 3)).side == 100, "a thin one by a third of its length"
    assert strokes((-9e9, 0, 9e9, 900)).side == pytest.approx(1200), "what is out of the picture does not count"
    assert strokes((5, 5, 5, 5)).radius == strokes((np.nan, 5, 5, 5)).radius == 1.5


def test_given_sizes_are_drawn():
    points = np.array([[[40, 30]] + [[np.nan] * 2] * 2])
    image = draw_instances(GREY, None, points, None, FACE, style=DrawStyle(boxes=False, radius=8))
    # A disc of 8 px and an edge of 1: 19 px across.
    assert np.flatnonzero(changed(image)[30]).tolist() in (list(range(31, 50)), list(range(30, 51)))
    assert pixel(image, 33, 30) == MIDDLE and pixel(image, 47, 30) == MIDDLE


def test_many_small_instances_do_not_become_a_blob():
    columns, lines = np.meshgrid(np.arange(10, 310, 30.0), np.arange(10, 230, 30.0))
    corners = np.stack([columns.ravel(), lines.ravel()], 1)
    rng = np.random.default_rng(0)
    points = corners[:, None] + rng.uniform(0, 20, (len(corners), 17, 2))
    boxes = np.hstack([corners, corners + 20])
    picture = np.full((240, 320, 3), 128, np.uint8)
    small = draw_instances(picture, None, points, None, PERSON, style=DrawStyle(boxes=False))
    alike = draw_instances(picture, None, points, None, PERSON)
    share = [changed(image, picture)[10:230, 10:310].mean() for image in (small, alike)]
    assert share[0] < 0.33 < 0.55 < share[1]
    styled = draw_instances(picture, boxes, points, None, PERSON, style=DrawStyle(kpt_names=True))
    assert changed(styled, picture).mean() < 0.8, "names that find no place are left out"


def test_a_track_keeps_its_colour_and_others_have_their_own():
    colours = [track_colour(number) for number in range(1, 13)]
    assert colours == [track_colour(np.int64(number)) for number in range(1, 13)]
    apart = [np.abs(np.subtract(a, b)).max() for i, a in enumerate(colours) for b in colours[:i]]
    assert min(apart) > 30
    boxes = np.array([[10, 20, 70, 55]], float)
    image = draw_instances(GREY, boxes, None, None, FACE, track_ids=np.array([7]), box_scores=np.array([0.5]))
    assert pixel(image, 40, 55) == pixel(image, 10, 45) == pixel(image, 70, 45) == track_colour(7)
    other = draw_instances(GREY, boxes, None, None, FACE, track_ids=np.array([8]), box_scores=np.array([0.5]))
    assert pixel(other, 40, 55) == track_colour(8)
    plain = draw_instances(GREY, boxes, None, None, FACE, box_scores=np.array([0.5]), style=DrawStyle())
    assert pixel(plain, 40, 55) == BOX
    # The caption stands on the box: 7 px letters, 11 px high, in the track's colour.
    assert (image[9:20, 11:40] == track_colour(7)).all(axis=2).mean() > 0.4
    assert not changed(image)[:8].any()


def test_boxes_can_be_left_out():
    boxes = np.array([[10, 20, 70, 55]], float)
    image = draw_instances(GREY, boxes, None, None, FACE, box_scores=np.ones(1), style=BARE, track_ids=np.ones(1, int))
    assert (image == GREY).all()


def test_all_is_as_opaque_as_asked_but_words():
    points = np.array([[[40, 30]] + [[np.nan] * 2] * 2])
    image = draw_instances(GREY, None, points, None, FACE, style=DrawStyle(boxes=False, alpha=0.5))
    assert np.abs(np.subtract(pixel(image, 40, 30), (np.array(MIDDLE) + 128) / 2)).max() <= 1


def test_a_threshold_of_the_style_takes_the_place_of_the_other():
    points = np.array([[[10, 30], [40, 30], [70, 30]]], float)
    scores = np.array([[0.9, 0.2, 0.6]])
    image = draw_instances(GREY, None, points, scores, FACE, 0.95, style=DrawStyle(0.5, boxes=False))
    assert changed(image)[30, [10, 70]].all() and not changed(image)[30, 40]


@pytest.mark.parametrize("style", [DrawStyle(kpt_index=True), DrawStyle(kpt_names=True),
                                   DrawStyle(kpt_names=True, kpt_index=True)])
def test_labels_leave_their_points_to_be_seen_and_stay_in_the_picture(style):
    picture = np.full((150, 200, 3), 128, np.uint8)
    for places in ([[0, 0], [199, 149], [199, 0]], [[100, 75], [0, 149], [30, 30]], [[100, 0], [100, 149], [0, 75]]):
        points = np.array([places], float)
        labelled = draw_instances(picture, None, points, None, FACE, style=style)
        plain = draw_instances(picture, None, points, None, FACE, style=BARE)
        for x, y in places:
            assert pixel(labelled, x, y) == pixel(plain, x, y)
            near_it = np.s_[max(0, y - 25):y + 25, max(0, x - 90):x + 90]
            assert (labelled[near_it] != plain[near_it]).any(), "its label"


def test_numbers_are_from_zero_beside_their_points():
    points = np.array([[[20, 30], [60, 30], [np.nan] * 2]])
    plain = draw_instances(GREY, None, points, None, FACE, style=BARE)
    image = draw_instances(GREY, None, points, None, FACE, style=DrawStyle(boxes=False, kpt_index=True))
    # Outwards of what is shown, 1 px from a point of 1.5 px: the first to its left, the second to its right.
    (first, down), (second, _) = text_size("0", 7), text_size("1", 7)
    write(plain, "0", round(20 - 2.5 - first), round(30 - down / 2), 7, MIDDLE, (30, 30, 30))
    write(plain, "1", round(60 + 2.5), round(30 - down / 2), 7, LEFT, (30, 30, 30))
    assert (image == plain).all() and second < 12


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-20, 200), st.floats(-20, 150)), max_size=25),
       st.lists(st.tuples(st.lists(st.tuples(st.floats(-30, 220), st.floats(-30, 160)), min_size=1, max_size=4),
                          st.integers(1, 60), st.integers(1, 20)), max_size=25))
def test_words_never_cover_each_other_nor_leave_the_picture(points, wanted):
    places = FreePlaces((180, 130), np.array(points).reshape(-1, 2), np.full(len(points), 3.0))
    taken = np.zeros((130, 180), int)
    for corners, width, height in wanted:
        place = places.take(corners, width, height)
        if place is not None:
            left, top = place
            assert min(left, top) >= 0 and left + width <= 180 and top + height <= 130
            assert place in [(round(x), round(y)) for x, y in corners]
            taken[top:top + height, left:left + width] += 1
    assert taken.max() <= 1


def test_words_go_where_points_are_not():
    places = FreePlaces((100, 60), np.array([[20.0, 20]]), np.array([4.0]))
    assert places.take([(10, 15), (50, 15)], 20, 10) == (50, 15)
    assert places.take([(10, 15)], 20, 10) == (10, 15), "there is no better place"
    assert places.take([(12, 16)], 20, 10) is None, "taken"
    again = FreePlaces((100, 60), np.array([[20.0, 20]]), np.array([4.0]))
    assert again.take([(14, 15)], 12, 10, most=0.3) is None, "a disc of 9 px covers two thirds of that"


def test_outlined_words_are_read_on_any_ground():
    for ground in (0, 128, 255):
        canvas = np.full((30, 90, 3), ground, np.uint8)
        write(canvas, "left-eye", 4, 5, 12, LEFT, (30, 30, 30))
        across, down = text_size("left-eye", 12)
        drawn = np.argwhere(changed(canvas, np.full_like(canvas, ground)))
        assert drawn.min(axis=0).tolist() >= [4, 3] and (drawn.max(axis=0) <= (5 + down, 4 + across)).all()
        colours = canvas[5:5 + down, 4:4 + across].reshape(-1, 3).astype(int)
        assert (np.abs(colours - LEFT).max(axis=1) < 40).any() and (np.abs(colours - 30).max(axis=1) < 20).any()


@pytest.mark.parametrize("place", [(-5, -4), (75, 55), (500, 0), (-500, 3), (0, 900)])
@pytest.mark.parametrize("text", ["nose", "Nase é", ""])
def test_words_beyond_the_picture_are_cut(place, text):
    canvas = GREY.copy()
    write(canvas, text, *place, 10, LEFT, (30, 30, 30))
    assert changed(canvas).any() == bool(text and -50 < place[0] < 80 and place[1] < 60)


def test_names_in_any_script_or_numbers_without_a_font(monkeypatch):
    import matplotlib

    plain = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    monkeypatch.setattr(words, "_lettering", lambda texts: Lettering(texts, [plain]))
    words._sprite.cache_clear()
    assert readable_names(("nose", "œil", "左眼")) == ("nose", "œil", "2")
    french = KeypointSet(("chat", ), ("nez", "œil", "左眼"))
    points = np.array([[[10, 30], [40, 12], [70, 30]]], float)
    named = draw_instances(GREY, None, points, None, french, style=DrawStyle(boxes=False, kpt_names=True))
    bare = draw_instances(GREY, None, points, None, french, style=BARE)
    assert (named != bare).any(axis=2)[:, 25:60].any()
    words._sprite.cache_clear()


@pytest.mark.parametrize("skeleton", ["sides", "mmpose", "openpose"])
@pytest.mark.parametrize("place", [(np.nan, 3), (1e12, -1e12), (-1e300, 5), (np.inf, 0), (-2, 61)])
def test_nothing_out_of_the_picture_crashes_in_a_style(skeleton, place):
    points = np.tile(np.array([place, (40, 30), (1e7, 30)]), (6, 1))[:17][None]
    for box in ((-500, -500, 1e9, 1e9), (np.nan, 0, 5, 5), (5, 5, 5, 5), (0, -30, 10, -20), (60, 50, 10, 9)):
        image = draw_instances(GREY, np.array([box]), points, None, PERSON, box_scores=np.array([np.nan]),
                               style=DrawStyle(skeleton=skeleton, kpt_names=True), track_ids=np.array([3]))
        assert image.shape == GREY.shape and changed(image)[28:33, 38:43].any()


def test_no_instances_change_nothing_in_a_style():
    image = draw_instances(GREY, np.zeros((0, 4)), np.zeros((0, 3, 2)), np.zeros((0, 3)), FACE, box_scores=np.zeros(0),
                           track_ids=np.zeros(0, int), style=DrawStyle(alpha=0.5, kpt_index=True))
    assert (image == GREY).all() and image is not GREY
    assert draw_instances(GREY[..., 0], None, None, None, FACE, style=DrawStyle()).shape == GREY.shape


def test_heat_is_laid_where_it_is():
    heat = np.zeros((60, 80), np.float32)
    heat[10, 20], heat[30, 40], heat[5, 5], heat[6, 6] = 1, 2, np.nan, -1
    image = draw_heatmap(GREY, heat, alpha=0.5)
    # The hottest of OpenCV's "jet" is the dark red (128, 0, 0).
    assert pixel(image, 20, 10) == pixel(image, 40, 30) == (64, 64, 128)
    assert changed(image).sum() == 2 and (GREY == 128).all()
    assert draw_heatmap(GREY[..., 0], heat).shape == GREY.shape
    assert (draw_heatmap(GREY, heat, alpha=0) == GREY).all()
    with pytest.raises(ValueError, match="heat map of"):
        draw_heatmap(GREY, heat[:5])


def test_a_vehicle_shows_its_front_and_where_it_is_heading():
    # Seen from above, heading right: the front's edges are those at x = 60.
    floor = np.array([[60, 15], [60, 45], [20, 45], [20, 15]], float)
    pose = SimpleNamespace(corners=np.concatenate([floor, floor]), heading_arrow=np.array([[40, 30], [70, 30.0]]),
                           heading_deg=90.4)
    picture = np.full((120, 200, 3), 128, np.uint8)
    image = draw_vehicle_pose(picture, pose)
    assert near(image, 60, 40, (60, 60, 240)) and near(image, 20, 30, MIDDLE) and near(image, 40, 45, MIDDLE)
    assert near(image, 50, 30, (250, 250, 250)) and changed(image, picture)[25:36, 75:].any()
    assert (picture == 128).all()
    nothing = SimpleNamespace(corners=np.full((8, 2), np.nan), heading_arrow=np.full((2, 2), np.nan), heading_deg=0.0)
    assert (draw_vehicle_pose(GREY, nothing) == GREY).all()
