"""What of a machine must not be published, and what looks like it and must."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.weights.release.machine_paths import ROOT, is_machine_path, machine_paths, without_machine_paths


@pytest.mark.parametrize("text, expected", [
    ("/home/bob/x.pth", True), ("~/x", True), ("~bob/x", True), ("C:\\Users\\bob", True), ("d:/data", True),
    ("\\\\server\\share", True), ("file:///home/bob/x", True), ("../../bob/cars/", True), ("data/../../bob", True),
    ("data/cars/", False), ("val_coco.json", False), ("https://host/x.pth", False), ("/", False), ("~", False),
    ("", False), ("coco/AP .5", False), ("a..b", False), (r"\d+\.bias", False), ("images/", False)])
def test_which_texts_are_paths_of_a_machine(text, expected):
    assert is_machine_path(text) is expected


def test_folders_of_data_are_named_after_the_set():
    clean = without_machine_paths({
        "dataset_name": "cars", "data_root": "/mnt/bob/cars/", "ann": "/mnt/bob/cars/val.json",
        "loader": {"dataset": [{"data_root": "/mnt/bob/cars/more", "ann_file": "/mnt/bob/cars/more/a.json"}]}})
    assert clean == {"dataset_name": "cars", "data_root": "data/cars/", "ann": "data/cars/val.json",
                     "loader": {"dataset": [{"data_root": "data/cars/", "ann_file": "data/cars/a.json"}]}}


@pytest.mark.parametrize("value, expected", [
    (f"{ROOT}/checkpoint/x.pth", "checkpoint/x.pth"), ("C:\\runs\\bob\\x.pth", "x.pth"),
    ("/home/bob/", ""), ("/home/bob", ""), ("~/", ""), ("C:/", ""), ("x/..", ""),
    (("/a/b.pth", 1, None), ("b.pth", 1, None)), ({"k": ["~/z.json"]}, {"k": ["z.json"]}),
    ("https://bob:secret@host/x.pth?y=1", "https://host/x.pth?y=1"), ("https://host/a@b.pth", "https://host/a@b.pth"),
    ("hf:USER/REPO#x.pth", "hf:USER/REPO#x.pth")])
def test_other_paths_keep_what_says_something(value, expected):
    assert without_machine_paths({"some": value}) == {"some": expected}


def test_a_name_of_a_set_that_is_none_for_a_folder_is_not_used():
    assert without_machine_paths({"dataset_name": "../bob", "data_root": "/x/bob/"})["data_root"] == "data/"


@pytest.mark.parametrize("key", ["classes", "keypoints", "dataset_info", "keypoint_metrics"])
def test_names_of_things_are_no_paths(key):
    values = {key: ["/left/front", {"name": "/x/y"}]}
    assert without_machine_paths(values) == values and machine_paths(values) == []


def test_paths_are_found_where_they_are():
    assert machine_paths([{"a": {"b": ("/x/y", 3)}}, "~/z", "plain"]) == ["/x/y", "~/z"]


PLAIN = st.recursive(st.none() | st.integers() | st.text("ab/.~C:\\", max_size=12),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner))


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), PLAIN, max_size=4))
def test_nothing_of_a_machine_is_left_and_nothing_else_changes(values):
    clean = without_machine_paths(values)
    assert machine_paths(clean) == []
    assert list(clean) == list(values)
    if not machine_paths(values):
        assert clean == values
    assert without_machine_paths(clean) == clean
