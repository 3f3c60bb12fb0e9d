import warnings

import numpy as np
import pytest

from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.objects import read_objects
from pose_tools.dataset.stats.input_sizes import detector_advice, pose_advice
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet
from pose_tools.report import stats_plots, stats_style
from pose_tools.report.draw import imread

ALWAYS = ["objects.png", "boxes.png", "places.png", "keypoints.png", "keypoint_positions.png",
          "keypoint_model_input.png", "images.png"]


def objects_of(count, keypoints, classes, images=((640, 480), ), spread=True):
    """Objects of all classes in turn; keypoint k is visible, occluded or not labelled in turn."""
    rng = np.random.default_rng(0)
    names = KeypointSet(tuple(classes), tuple(keypoints))
    annotations = []
    for i in range(count):
        x, y, w, h = rng.uniform(0, 200, 4) + 10 if spread else (10, 20, 40, 80)
        points = [(x + rng.uniform(0, w), y + rng.uniform(0, h), (2, 1, 0)[(i + k) % 3])
                  for k in range(len(keypoints))]
        box = (x, y, x + w, y + h)
        annotations.append(coco_annotation(i + 1, i % len(images) + 1, i % len(classes) + 1, box, points))
    side = {"images": [coco_image(i, f"{i}.jpg", size) for i, size in enumerate(images, 1)],
            "annotations": annotations, "categories": coco_categories(names)}
    return read_objects(DataSet({}, {"train": side}, {}), names)


def subject_of(objects):
    names = stats_style.Names([*objects.classes, *objects.names.keypoints])
    return stats_plots.Subject(objects, pose_advice(objects), detector_advice(objects), names)


def draw(folder, objects):
    """Draws everything; a warning, as of a missing glyph, is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        return stats_plots.write_plots(folder, objects, pose_advice(objects), detector_advice(objects))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "keypoints", "classes"), [
    (1, ["a", "b"], ["thing"]),
    (5, ["$x_1$ {", "", "_hidden", "two\nlines", "x" * 200], ["<b>&", "$$", "\\frac"]),
    (500, ["左耳", "右耳", "しっぽ"], ["貓", "犬"]),
    (120, [f"k{k}" for k in range(133)], [f"class {c}" for c in range(54)]),
    (130, ["a"], [f"class {c}" for c in range(130)]),
])
def test_everything_is_drawn(tmp_path, count, keypoints, classes):
    found = draw(tmp_path, objects_of(count, keypoints, classes))
    wanted = {*ALWAYS, *(["keypoints_by_class.png"] if len(classes) > 1 else [])}
    assert set(found) == wanted == {path.name for path in tmp_path.iterdir()}
    for name in found:
        picture = imread(tmp_path / name)
        assert min(picture.shape[:2]) > 200 and max(picture.shape[:2]) < 4000, name
        assert picture.std() > 5, f"{name} is blank"


def test_only_what_there_is_something_for_is_drawn(tmp_path):
    assert set(draw(tmp_path, objects_of(3, [], ["thing"]))) == {"objects.png", "boxes.png", "places.png", "images.png"}
    assert draw(tmp_path, objects_of(0, ["a"], ["thing"])) == ["images.png"]


def test_boxes_that_are_all_the_same(tmp_path):
    assert set(draw(tmp_path, objects_of(4, ["a"], ["thing"], spread=False))) == set(ALWAYS)


def test_bars_of_keypoints_by_hand():
    # Three objects and two keypoints: 2 1, 1 0, 0 2.
    subject = subject_of(objects_of(3, ["a", "b"], ["thing"]))
    with stats_style.style(subject.names):
        panel = stats_plots.plot_keypoints(subject).axes[0]
    assert [round(bar.get_width(), 3) for bar in panel.patches] == pytest.approx([33.333] * 6)
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a", "b"]


def test_bars_of_classes_by_hand():
    subject = subject_of(objects_of(5, ["a"], ["cat", "dog", "none"][:2]))
    with stats_style.style(subject.names):
        drawn = stats_plots.plot_objects(subject)
    panel = next(axes for axes in drawn.axes if axes.get_title(loc="left") == "Objects by class")
    assert [bar.get_width() for bar in panel.patches] == [3, 2]


def test_many_classes_are_summed_up():
    subject = subject_of(objects_of(200, ["a"], [f"class {c}" for c in range(100)]))
    with stats_style.style(subject.names):
        drawn = stats_plots.plot_objects(subject)
    panel = next(axes for axes in drawn.axes if axes.get_title(loc="left") == "Objects by class")
    assert len(panel.patches) == stats_plots.MOST_CLASSES
    assert panel.get_yticklabels()[-1].get_text() == "41 more classes" and panel.patches[-1].get_width() == 82


def test_a_panel_for_each_keypoint_or_one_for_all():
    for count, panels in ((5, 5), (36, 36), (37, 1)):
        subject = subject_of(objects_of(4, [f"k{k}" for k in range(count)], ["thing"]))
        with stats_style.style(subject.names):
            drawn = stats_plots.plot_positions(subject)
        assert sum(axes.axison for axes in drawn.axes) == panels


def test_names_without_a_font_become_numbers(monkeypatch, tmp_path):
    chosen = stats_style.choose_font(set(range(32, 127)))
    monkeypatch.setattr(stats_style, "choose_font", lambda wanted: (chosen[0], {c for c in wanted if c > 127}))
    names = stats_style.Names(["nose", "左耳", "右"])
    assert names(["nose", "左耳", "右"]) == ["nose", "#2", "#3"]
    assert set(draw(tmp_path, objects_of(3, ["nose", "左耳"], ["貓"]))) == set(ALWAYS)


def test_a_font_that_cannot_be_drawn_with(monkeypatch, tmp_path):
    broken = tmp_path / "emoji.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(stats_style, "choose_font", lambda wanted: (broken, set()))
    names = stats_style.Names(["nose", "左耳"])
    assert names.families == ["DejaVu Sans"] and names(["nose", "左耳"]) == ["nose", "#2"]


def test_names_are_shortened_in_the_middle():
    assert stats_style.short("left-front-bumper") == "left-front-bumper"
    assert stats_style.short("a" * 20 + "b" * 20) == "a" * 12 + "…" + "b" * 12
    assert stats_style.short("two\nlines") == "two lines"


def test_rows_are_spread_over_columns():
    assert [len(column) for column in stats_style.columns_of(133, 45)] == [45, 45, 43]
    assert [len(column) for column in stats_style.columns_of(46, 45)] == [23, 23]
    assert [len(column) for column in stats_style.columns_of(2, 45)] == [2]


def test_bins_hold_all_values():
    for values in ([5.0], [1.0, 1.1], [0.01, 900.0]):
        bins = stats_style.log_bins(np.array(values))
        assert np.histogram(values, bins)[0].sum() == len(values)
