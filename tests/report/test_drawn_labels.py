import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.dataset.findings import Finding
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import LEFT, MIDDLE
from pose_tools.report.labels import ERROR, WARNING, Label, Look, draw_labels, marks_of, read_label, widened
from pose_tools.report.lettering import Lettering, Text

FACE = KeypointSet(("cat", ), ("nose", "left", "right"), (("left", "right"), ), (("nose", "left"), ))
DEJAVU = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
PLAIN = Lettering([], [DEJAVU])
GREY = np.full((120, 160, 3), 128, np.uint8)
BARE = Look(boxes=False, outlines=False, links=False)


def cat(points=((20, 60, 2), (80, 60, 2), (140, 60, 2)), box=(10, 40, 150, 80), label_id=1):
    return Label(label_id, "cat", box, np.array(points, float).reshape(-1, 3))


def near(image, x, y, colour):
    return np.abs(image[y, x].astype(int) - colour).max() < 40


def drawn_colours(image):
    return {tuple(colour) for colour in image[(image != 128).any(axis=2)].tolist()}


def test_what_can_be_drawn_is_taken_and_the_rest_left():
    label = read_label({"id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "keypoints": [5, 6, 2, float("nan"), 8, 1],
                        "segmentation": [[0, 0, 4, 0, 4, 4], [1, 2]], "iscrowd": 1}, {2: "cat"})
    assert (label.id, label.category, label.box, label.crowd) == (7, "cat", (1, 2, 4, 6), True)
    assert label.points[0].tolist() == [5, 6, 2] and math.isnan(label.points[1, 0]) and label.points[1, 2] == 1
    assert [xy.tolist() for xy in label.outlines] == [[[0, 0], [4, 0], [4, 4]]]
    poor = read_label({"id": "x", "category_id": [], "bbox": [1, None, 3, 4], "keypoints": [1, 2]}, {2: "cat"})
    assert (poor.category, poor.box, poor.points.shape, poor.outlines) == ("category []", None, (0, 3), ())


def test_scaling_keeps_pixel_centres():
    # Doubling a picture puts the centre of pixel 0 at 0.5: pixels 0 and 1 of the larger one are pixel 0.
    label = Label(1, "cat", (0, 0, 9, 9), np.array([[0, 3, 2]], float), (np.array([[0.5, 1], [2, 2], [3, 0]]), ))
    larger = label.scaled(2, 4)
    assert larger.points.tolist() == [[0.5, 13.5, 2]]
    assert larger.box == (0.5, 1.5, 18.5, 37.5)
    assert larger.outlines[0][0].tolist() == [1.5, 5.5]
    back = larger.scaled(0.5, 0.25)
    assert back.points.tolist() == label.points.tolist() and back.box == label.box


def test_what_is_not_labelled_is_listed():
    assert cat(((1, 1, 2), (0, 0, 0), (5, 5, 1))).unlabelled(FACE) == ["left"]
    assert cat(()).unlabelled(FACE) == ["nose", "left", "right"]


def test_points_beyond_the_named_ones_get_numbers():
    assert widened(FACE, 5).keypoints == ("nose", "left", "right", "#4", "#5")
    assert widened(FACE, 2) is FACE


def test_errors_outweigh_warnings_in_marks():
    def finding(level, annotation, *keypoints):
        return Finding("f.json", "", rule="r", level=level, annotation=annotation, keypoints=keypoints)

    marks = marks_of([finding("error", 1, "nose"), finding("warning", 1, "nose", "left"), finding("warning", 2),
                      finding("error", None)])
    assert marks == {1: {"nose": "error", "left": "warning"}, 2: {"": "warning"}}


def test_discs_rings_and_what_is_not_labelled():
    label = cat(((20, 60, 2), (80, 60, 1), (140, 60, 0)))
    image = draw_labels(GREY, [label], FACE, PLAIN, BARE)
    assert near(image, 20, 60, MIDDLE)
    assert near(image, 80, 60, (128, ) * 3) and near(image, 84, 60, LEFT), "a ring of radius 4"
    assert near(image, 140, 60, (128, ) * 3) and near(image, 144, 60, (128, ) * 3)
    assert (GREY == 128).all()


def test_what_is_drawn_can_be_chosen():
    label = cat()
    assert near(draw_labels(GREY, [label], FACE, PLAIN, BARE), 50, 60, (128, ) * 3)
    linked = draw_labels(GREY, [label], FACE, PLAIN, Look(boxes=False))
    assert near(linked, 50, 60, MIDDLE) and near(linked, 110, 60, (128, ) * 3), "nose and left only"
    boxed = draw_labels(GREY, [label], FACE, PLAIN, Look())
    assert boxed[79:82, 60].max() > 200 and linked[79:82, 60].max() == 128
    outlined = Label(1, "cat", None, np.zeros((0, 3)), (np.array([[10, 10], [50, 10], [50, 50.]]), ))
    assert (draw_labels(GREY, [outlined], FACE, PLAIN, Look())[10, 30] != 128).any()
    assert (draw_labels(GREY, [outlined], FACE, PLAIN, BARE) == 128).all()


def test_partners_are_joined_by_dashes():
    image = draw_labels(GREY, [cat()], FACE, PLAIN, Look(boxes=False, links=False, swaps=True))
    between = image[60, 86:134].min(axis=1)
    assert (between > 220).sum() > 10 and (between == 128).sum() > 5, "white and gaps"
    lone = cat(((20, 60, 2), (80, 60, 2), (140, 60, 0)))
    image = draw_labels(GREY, [lone], FACE, PLAIN, Look(boxes=False, links=False, swaps=True))
    assert (image[60, 90:] == 128).all()


def test_marks_are_red_and_purple():
    marks = {1: {"nose": "error", "left": "warning"}}
    image = draw_labels(GREY, [cat()], FACE, PLAIN, BARE, marks)
    assert near(image, 20, 51, ERROR) and near(image, 80, 51, WARNING), "circles of radius 9"
    assert near(image, 140, 51, (128, ) * 3)
    whole = draw_labels(GREY, [cat()], FACE, PLAIN, BARE, {1: {"": "error"}})
    assert near(whole, 60, 40, ERROR) and near(whole, 60, 80, ERROR)


def test_names_and_numbers_beside_points():
    look = Look(boxes=False, links=False, words="names")
    plain = draw_labels(GREY, [cat()], FACE, PLAIN, BARE)
    named = draw_labels(GREY, [cat()], FACE, PLAIN, look)
    numbered = draw_labels(GREY, [cat()], FACE, PLAIN, Look(boxes=False, links=False, words="numbers"))
    changed = [np.nonzero((image != plain).any(axis=(0, 2)))[0] for image in (named, numbered)]
    assert changed[0].size > changed[1].size > 0
    assert (named[:, 84:130] != plain[:, 84:130]).any(), "beside the second point"


def test_too_many_points_are_refused():
    with pytest.raises(ValueError, match="annotation 1 has 3 keypoints, and 1 have names"):
        draw_labels(GREY, [cat()], KeypointSet(("cat", ), ("nose", )), PLAIN)


def test_nothing_and_boxes_alone():
    assert (draw_labels(GREY, [], FACE, PLAIN) == GREY).all()
    nameless = KeypointSet(("cat", ), ())
    assert (draw_labels(GREY, [cat(())], nameless, PLAIN, Look(words="names")) != GREY).any()


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
                   st.integers(min_value=10**300, max_value=10**310))
lists = st.one_of(values, st.lists(values, max_size=9))


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({"id": st.integers()}, optional={
    "bbox": lists, "keypoints": lists, "category_id": values, "iscrowd": values,
    "segmentation": st.one_of(lists, st.lists(lists, max_size=3))}))
def test_nothing_in_an_annotation_stops_the_drawing(annotation):
    label = read_label(annotation, {1: "cat"})
    look = Look(swaps=True, words="names")
    image = draw_labels(GREY, [label.scaled(0.5, 2)], FACE, PLAIN, look, {annotation["id"]: {"": "error", "nose": "x"}})
    assert image.shape == GREY.shape


def test_a_font_is_chosen_by_its_characters(tmp_path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    letters = Lettering(["é 車"], [broken, DEJAVU])
    assert (letters.path, letters.lacking) == (DEJAVU, "車")
    assert letters.readable("é") and not letters.readable("車")
    assert letters.shown("é車\n") == "é? "


def test_chinese_where_the_machine_has_a_font():
    letters = Lettering(["左前輪"])
    if letters.lacking:
        pytest.skip("no font with Chinese characters on this machine (fonts-noto-cjk on Debian)")
    left, wheel = (letters.write(GREY, [Text(5, 5, text, 40, (0, 0, 0))]) for text in "左輪")
    assert (left != wheel).any() and drawn_colours(left), "not twice the sign for a missing character"


def test_names_without_a_font_become_numbers():
    chinese = KeypointSet(("貓", ), ("鼻", "左", "右"), (("左", "右"), ))
    letters = Lettering(["鼻左右貓"], [DEJAVU])
    look = Look(boxes=False, links=False, words="names")
    numbers = Look(boxes=False, links=False, words="numbers")
    images = [draw_labels(GREY, [cat()], chinese, letters, one) for one in (look, numbers)]
    assert (images[0] == images[1]).all()


@given(st.text(max_size=60), st.integers(8, 300))
@settings(deadline=None)
def test_lines_fit_and_nothing_is_lost(text, room):
    lines = PLAIN.wrapped(text, 12, room)
    assert all(PLAIN.width(line, 12) <= room or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(PLAIN.shown(text).split())


def test_text_is_drawn_where_it_is_wanted():
    image = PLAIN.write(GREY, [Text(40, 20, "x", 20, (0, 0, 255), (255, 255, 255))])
    rows, columns = np.nonzero((image != 128).any(axis=2))
    colours = drawn_colours(image)
    assert columns.min() >= 38 and columns.max() < 60 and rows.min() >= 20 and rows.max() <= 20 + PLAIN.height(20)
    assert (255, 255, 255) in colours and any(blue < 60 and red > 200 for blue, _, red in colours)
