import pytest

from pose_tools.formats.coco_structure import file_name_fault, is_number, is_text, structure_faults


@pytest.mark.parametrize(("value", "finite"), [
    (0, True), (-1.5, True), (1e100, True), (1e101, False), (10**400, False), (-10**400, False), (float("nan"), False),
    (float("inf"), False), (True, False), ("1", False), (None, False), ([1], False)])
def test_numbers_to_calculate_with(value, finite):
    assert is_number(value) is finite


@pytest.mark.parametrize(("value", "text"), [("", True), ("車 é", True), ("😀", True), ("\ud83d", False), (7, False)])
def test_texts_that_can_be_written(value, text):
    assert is_text(value) is text


@pytest.mark.parametrize(("name", "said"), [
    ("a/b c.jpg", ""), ("x" * 255, ""), ("x" * 256, "too long"), ("a/" + "車" * 86 + "/b", "too long"),
    ("\\".join(["x" * 200] * 3), ""), ("a\0", "characters"), ("\udcff.jpg", "characters")])
def test_names_of_files(name, said):
    assert (said in file_name_fault(name)) if said else file_name_fault(name) == ""


def coco(**category):
    return {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat", **category}]}


@pytest.mark.parametrize("category", [{}, {"keypoints": None, "skeleton": [3, "x"]}, {
    "keypoints": ["a", "b"], "swap": [["a", "b"]], "sigmas": [0.1, 1]}])
def test_sound_categories(category):
    assert structure_faults(coco(**category), "f") == []


def test_all_faults_come_at_once():
    data = coco(name=" ", keypoints=["a", 3], skeleton="x", swap=[["a"]], sigmas=[float("nan")])
    data["images"] = [{"id": "1", "file_name": "\0"}]
    assert [str(fault) for fault in structure_faults(data, "f")] == [
        "f: category 1: its name ' ' is not a text", "f: category 1: skeleton is not a list: x",
        "f: category 1: keypoint '3' is not a text", "f: category 1: swap ['a'] is not a pair of names",
        "f: category 1: sigma nan is not a finite number",
        "f: image 1: file_name '\\x00' holds characters that no file's name can have"]


@pytest.mark.parametrize(("data", "said"), [
    ([], "it holds a list, as COCO results are"), (None, "it holds a NoneType"),
    ({"images": []}, "it has no list of annotations"), ({**coco(), "images": [{"id": True}]}, "images[0]: is not an"),
    ({**coco(), "annotations": [{"id": 1.0}]}, "annotations[0]: is not an object with an id")])
def test_what_is_no_coco_file(data, said):
    assert any(said in str(fault) for fault in structure_faults(data, "f"))
