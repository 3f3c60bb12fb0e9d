from pathlib import Path

import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.formats.schema import KeypointSet, keypoint_set_from_dict, read_meta

CARPOSE = Path(__file__).resolve().parents[2] / "configs/_base_/carpose/meta.py"
CAT = KeypointSet(classes=("cat", ), keypoints=("nose", "left-ear", "right-ear"),
                  swaps=(("left-ear", "right-ear"), ), links=(("nose", "left-ear"), ), sigmas=(.1, .2, .3))


def whats(faults):
    return [f"{fault.where}: {fault.what}" for fault in faults]


def test_indices_are_derived_from_names():
    assert CAT.flip_indices == (0, 2, 1)
    assert CAT.skeleton == ((0, 1), )
    assert CAT.faults() == []


def test_carpose_mirrors_left_to_right():
    names = read_meta(CARPOSE)
    assert names.keypoints[0] == "left-front-bumper"
    assert names.flip_indices == (4, 5, 6, 7, 0, 1, 2, 3)
    assert len(names.sigmas) == 8


@pytest.mark.parametrize(("change", "expected"), [
    ({"keypoints": ("a", "a", "b")}, "keypoints: 'a' is listed 2 times"),
    ({"classes": ()}, "classes: is empty"),
    ({"keypoints": (1, 2)}, "keypoints: 1 is not a string"),
    ({"swaps": (("a", "c"), )}, "swaps: 'c' is no keypoint; there are: a, b"),
    ({"links": (("a", "a"), )}, "links: ('a', 'a') is not a pair of two different keypoints"),
    ({"links": (("a", "b", "a"), )}, "links: ('a', 'b', 'a') is not a pair of two different keypoints"),
    ({"swaps": (("a", "b"), ("b", "a"))}, "swaps: 'a' stands in more than one pair"),
    ({"sigmas": (.1, )}, "sigmas: has 1 values for 2 keypoints"),
    ({"sigmas": (.1, 0)}, "sigmas: 0 is not a positive number"),
])
def test_each_contradiction_is_named(change, expected):
    values = {"classes": ("x", ), "keypoints": ("a", "b"), **change}
    with pytest.raises(FaultsError) as caught:
        keypoint_set_from_dict(values, "meta.py")
    assert expected in whats(caught.value.faults)


def test_all_contradictions_are_listed_together():
    values = {"classes": ("x", "x"), "keypoints": (1, ), "links": (("q", "q"), ), "sigmas": (1, 2)}
    with pytest.raises(FaultsError) as caught:
        keypoint_set_from_dict(values, "meta.py")
    assert len(caught.value.faults) >= 4


def test_a_forgotten_comma_is_explained():
    with pytest.raises(UserError, match=r"write \('car', \) with the comma"):
        keypoint_set_from_dict({"classes": "car", "keypoints": ("a", )}, "meta.py")


@pytest.mark.parametrize(("text", "message"), [
    ("classes = ('a', )", "does not define keypoints"),
    ("classes = (", "does not run: SyntaxError"),
    ("1 / 0", "does not run: ZeroDivisionError"),
    ("classes = 5\nkeypoints = ('a', )", "must be lists"),
])
def test_a_meta_file_that_cannot_be_used_is_named(tmp_path, text, message):
    path = tmp_path / "meta.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_meta(path)
    assert str(path) in str(caught.value)


def test_a_missing_meta_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_meta(tmp_path / "meta.py")
