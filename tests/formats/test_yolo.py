import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.formats.yolo import (
    YoloFacts,
    YoloObject,
    data_yaml,
    format_object,
    parse_labels,
    read_yolo_facts,
    swaps_of,
)

FACTS = YoloFacts("data.yaml", ("cat", "dog"), 2, 3, keypoints=("nose", "tail"))
FLAT = YoloFacts("data.yaml", ("cat", ), 2, 2)
SIZE = (200, 100)


def parse(text, facts=FACTS, **more):
    objects, faults = parse_labels(text, facts, SIZE, "a.txt", **more)
    return objects, [str(fault) for fault in faults]


def test_a_line_by_hand():
    # Centre (100, 50), 40 by 20 px; nose at (90, 45) hidden, tail at (110, 55) seen.
    objects, faults = parse("1 0.5 0.5 0.2 0.2 0.45 0.45 1 0.55 0.55 2\n\n")
    assert not faults
    (found, ) = objects
    assert found.class_index == 1
    assert found.box == pytest.approx((80, 40, 120, 60))
    assert [tuple(point) for point in found.keypoints] == [pytest.approx((90, 45, 1)), pytest.approx((110, 55, 2))]


def test_without_a_visibility_zero_and_negative_pairs_are_unlabelled():
    (found, ), faults = parse("0 0.5 0.5 0.2 0.2 0 0 0.5 0.5\n", FLAT)
    assert found.keypoints == ((0, 0, 0), (100, 50, 2)) and not faults
    (found, ), faults = parse("0 0.5 0.5 0.2 0.2 -1 -1 0 0.5\n", FLAT)
    assert found.keypoints == ((0, 0, 0), (0, 50, 2)) and not faults


def test_unlabelled_points_lose_their_coordinates():
    (found, ), _ = parse("0 0.5 0.5 0.2 0.2 0.4 7 0 0.5 0.5 2\n")
    assert found.keypoints[0] == (0, 0, 0)


@pytest.mark.parametrize(("line", "said"), [
    ("0 0.5 0.5 0.2 0.2 0.4 0.4 2", "has 8 columns; with kpt_shape [2, 3] it must have 11"),
    ("0 0.5 0.5 0.2 0.2 0.4 x 2 0 0 0", "'x' is not a number"),
    ("0 0.5 0.5 0.2 nan 0.4 0.4 2 0 0 0", "holds NaN or infinity"),
    ("2 0.5 0.5 0.2 0.2 0.4 0.4 2 0 0 0", "class 2 is not one of 0 to 1"),
    ("0.5 0.5 0.5 0.2 0.2 0.4 0.4 2 0 0 0", "class 0.5 is not one of 0 to 1"),
    ("0 0.5 0.5 0 0.2 0.4 0.4 2 0 0 0", "box is 0 by 0.2"),
    ("0 0.95 0.5 0.2 0.2 0.4 0.4 2 0 0 0", "box sticks 10.0 px out of the image"),
    ("0 1.5 0.5 0.2 0.2 0.4 0.4 2 0 0 0", "box lies outside the image"),
    ("0 0.5 0.5 0.2 0.2 -0.1 0.4 2 0 0 0", "keypoint nose lies 20.0 px outside the image"),
    ("0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.4 1.2 1", "keypoint tail lies 20.0 px outside the image"),
    ("0 0.5 0.5 0.2 0.2 0.4 0.4 3 0 0 0", "keypoint nose has visibility 3, not 0, 1 or 2"),
])
def test_every_fault_is_named_with_its_line(line, said):
    good = "0 0.5 0.5 0.2 0.2 0.4 0.4 2 0 0 0"
    objects, faults = parse(f"{good}\n{line}\n")
    assert faults == [f"a.txt: line 2: {said}"] and len(objects) == 1


def test_all_faults_of_a_line_come_at_once():
    _, faults = parse("9 0.5 0.5 -1 0.2 0.4 0.4 5 2 2 2")
    assert len(faults) == 4


def test_clipping_cuts_boxes_and_drops_points():
    (found, ), faults = parse("0 0.95 0.5 0.2 0.2 1.1 0.4 2 0.9 0.5 2", clip=True)
    assert not faults
    assert found.box == pytest.approx((170, 40, 200, 60)) and found.keypoints[0] == (0, 0, 0)


@given(st.data())
def test_what_is_written_is_read_again(data):
    side = st.floats(0, 1, allow_nan=False)
    left, right = sorted(data.draw(st.tuples(side, side).filter(lambda ab: abs(ab[0] - ab[1]) > 1e-6)))
    top, bottom = sorted(data.draw(st.tuples(side, side).filter(lambda ab: abs(ab[0] - ab[1]) > 1e-6)))
    points = tuple((x * 200, y * 100, v) if v else (0.0, 0.0, 0) for x, y, v in data.draw(
        st.lists(st.tuples(side, side, st.integers(0, 2)), min_size=2, max_size=2)))
    before = YoloObject(1, (left * 200, top * 100, right * 200, bottom * 100), points)
    line = format_object(before, SIZE)
    (after, ), faults = parse(line)
    assert not faults
    # Nine decimals of a share; a corner is a centre and half a side.
    assert after.box == pytest.approx(before.box, abs=2e-9 * 200)
    assert [v for *_, v in after.keypoints] == [v for *_, v in before.keypoints]
    assert all(math.dist(a[:2], b[:2]) < 2e-9 * 200 for a, b in zip(after.keypoints, before.keypoints))
    assert format_object(after, SIZE) == line


@given(st.text())
def test_no_text_breaks_the_parser(text):
    objects, faults = parse(text)
    assert len(objects) + len(faults) >= sum(bool(line.strip()) for line in text.splitlines())


def write(file, **content):
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return file


def test_a_data_yaml(tmp_path):
    facts = read_yolo_facts(write(tmp_path / "d.yaml", path="..", train="images/train", valid=["a", "b"], nc=1,
                                  names={0: "貓"}, kpt_shape=[3, 2], flip_idx=[1, 0, 2]))
    assert (facts.classes, facts.num_keypoints, facts.dims, facts.columns) == (("貓", ), 3, 2, 11)
    assert facts.splits == {"train": ("images/train", ), "val": ("a", "b")}
    assert swaps_of(facts.flip_idx, ("l", "r", "m")) == (("l", "r"), )


@pytest.mark.parametrize(("content", "said"), [
    ({"names": ["a"]}, "kpt_shape is missing"),
    ({"names": ["a"], "kpt_shape": [0, 3]}, "kpt_shape [0, 3] is not"),
    ({"names": ["a"], "kpt_shape": [2, 4]}, "kpt_shape [2, 4] is not"),
    ({"names": ["a"], "kpt_shape": "x"}, "kpt_shape 'x' is not"),
    ({"kpt_shape": [2, 3]}, "names is not a list"),
    ({"names": {0: "a", 2: "b"}, "kpt_shape": [2, 3]}, "names is not a list"),
    ({"names": ["a"], "kpt_shape": [3, 3], "flip_idx": [1, 2, 0]}, "mirrored twice, keypoint 0 becomes 2"),
    ({"names": ["a"], "kpt_shape": [2, 3], "flip_idx": [0, 0]}, "flip_idx is not a list of the numbers 0 to 1"),
    ({"names": ["a"], "kpt_shape": [2, 3], "flip_idx": [0, -1]}, "flip_idx is not a list of the numbers 0 to 1"),
    ({"names": ["a"], "kpt_shape": [2, 3], "kpt_names": {0: ["x"]}}, "kpt_names does not list the same 2 names"),
])
def test_faults_of_a_data_yaml(tmp_path, content, said):
    with pytest.raises(FaultsError) as error:
        read_yolo_facts(write(tmp_path / "d.yaml", **content))
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\t:"])
def test_what_is_no_data_yaml(tmp_path, text):
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(FaultsError, match=r"d\.yaml"):
        read_yolo_facts(tmp_path / "d.yaml")
    with pytest.raises(UserError, match="no such file"):
        read_yolo_facts(tmp_path / "e.yaml")


def test_a_written_data_yaml_is_read_again(tmp_path):
    names = KeypointSet(("cat", "dog"), ("l", "r", "nose"), (("l", "r"), ))
    (tmp_path / "d.yaml").write_text(data_yaml(names, {"train": "images/train"}), encoding="utf-8")
    facts = read_yolo_facts(tmp_path / "d.yaml")
    assert (facts.classes, facts.keypoints, facts.flip_idx) == (names.classes, names.keypoints, (1, 0, 2))
    assert facts.splits == {"train": ("images/train", )}
