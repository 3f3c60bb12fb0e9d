import base64
import json
import os

import pytest

from pose_tools.console import FaultsError
from pose_tools.formats.labelme import (
    find_files,
    natural_key,
    read_embedded_image,
    read_folder,
    read_labelme,
    scan_files,
    shape_from_json,
)


def write(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_version_3_without_shape_type_group_or_size(tmp_path):
    path = write(tmp_path / "a.json", version="3.4.1", flags={}, lineColor=[0, 255], imagePath="a.jpg",
                 shapes=[
                     {"label": "car", "line_color": None, "points": [[0, 0], [4, 0], [4, 4]]},
                     {"label": "nose", "points": [[1, 2]]}])
    file = read_labelme(path)
    assert [(s.label, s.kind, s.group, s.problem) for s in file.shapes] == [
        ("car", "polygon", None, ""), ("nose", "point", None, "")]
    assert file.size is None and not file.embeds_image and file.version == "3.4.1"


def test_version_6_keeps_group_flags_description(tmp_path):
    nose = {"label": " nose ", "points": [[1.5, 2]], "group_id": 7, "mask": None, "shape_type": "point",
            "flags": {"occluded": True}, "description": "1"}
    path = write(tmp_path / "a.json", version="6.1.3", imagePath="a.jpg", imageData="QUJD", imageHeight=50,
                 imageWidth=70, shapes=[nose])
    file = read_labelme(path)
    shape = file.shapes[0]
    assert (shape.label, shape.points, shape.group) == ("nose", ((1.5, 2.0), ), "7")
    assert shape.flags == {"occluded": True} and shape.description == "1"
    assert file.size == (70, 50) and file.embeds_image
    assert shape.place == "nose, group 7 (shape 1)"


@pytest.mark.parametrize(("group", "expected"), [(None, None), ("", None), (0, "0"), (2.0, "2"), ("2", "2")])
def test_group_ids_of_any_type_compare_equal(group, expected):
    raw = {"label": "a", "points": [[0, 0]], "shape_type": "point", "group_id": group}
    assert shape_from_json(raw, 1).group == expected


@pytest.mark.parametrize(("kind", "points", "sound"), [
    ("rectangle", 2, True), ("rectangle", 4, True), ("rectangle", 1, False), ("rectangle", 3, False),
    ("rectangle", 5, False), ("polygon", 2, False), ("polygon", 3, True), ("circle", 2, True),
    ("circle", 3, False), ("point", 1, True), ("point", 2, False), ("linestrip", 7, True)])
def test_number_of_points_of_each_kind(kind, points, sound):
    raw = {"label": "a", "points": [[i, i] for i in range(points)], "shape_type": kind}
    assert (shape_from_json(raw, 1).problem == "") == sound


@pytest.mark.parametrize("points", [None, "x", [[1]], [[1, 2, 3]], [[1, None]], [["1", 2]],
                                    [[1, float("nan")]], [[float("inf"), 1]], [[True, 1]], {"x": 1},
                                    [[10**400, 1]], [[1e300, 1]]])
def test_malformed_points_are_a_problem(points):
    problem = shape_from_json({"label": "a", "points": points, "shape_type": "point"}, 1).problem
    assert "not pairs of finite numbers" in problem


@pytest.mark.parametrize("raw", [5, None, [], {"points": [[0, 0]]}, {"label": "", "points": [[0, 0]]},
                                 {"label": 3, "points": [[0, 0]]}, {"label": "a\ud83d", "points": [[0, 0]]}])
def test_shapes_without_a_label_are_a_problem(raw):
    assert shape_from_json(raw, 1).problem


@pytest.mark.parametrize(("content", "message"), [
    (b"", "is empty"),
    (b'{"shapes": [', "truncated or not JSON"),
    (b"hello", "truncated or not JSON"),
    (b"[1, 2]", "not a labelme file"),
    (b'{"a": 1}', "not a labelme file"),
    (b'{"shapes": {}}', "not a labelme file"),
    (b'{"shapes": [' + b"9" * 5000 + b"]}", "is not JSON that can be read: Exceeds the limit"),
    (b'{"shapes": [' + b"[" * 100000, "nested too deeply"),
    (b'{"images": [], "annotations": []}', "is a COCO file"),
    ("{\"shapes\": [], \"x\": \"é\"}".encode("latin-1"), "not UTF-8"),
])
def test_files_that_are_not_labelme_are_named(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(FaultsError, match=message) as caught:
        read_labelme(path)
    assert caught.value.faults[0].file == path


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"shapes": []}')
    assert read_labelme(path).shapes == ()


def test_a_folder_gives_files_in_order_and_faults(tmp_path):
    write(tmp_path / "b/二.json", shapes=[])
    write(tmp_path / "a.JSON", shapes=[])
    write(tmp_path / ".hidden/x.json", shapes=[])
    write(tmp_path / "out/y.json", shapes=[])
    (tmp_path / "c.json").write_text("{")
    files, faults = read_folder(tmp_path, [(tmp_path / "out").resolve()])
    assert [file.path.name for file in files] == ["a.JSON", "二.json"]
    assert [fault.file.name for fault in faults] == ["c.json"]


def test_a_link_to_a_parent_folder_does_not_go_round(tmp_path):
    write(tmp_path / "a/x.json", shapes=[])
    os.symlink(tmp_path, tmp_path / "a" / "up")
    assert find_files(tmp_path, [".json"]) == [tmp_path / "a/x.json"]


def test_files_are_listed_with_the_place_they_really_are_at(tmp_path):
    for name in ("store/b.json", "src/x-y/1.json", "src/x/2.json", "src/x.json"):
        write(tmp_path / name, shapes=[])
    os.symlink(tmp_path / "store", tmp_path / "src/linked")
    os.symlink(tmp_path / "store/b.json", tmp_path / "src/x/3.json")
    os.symlink(tmp_path / "gone", tmp_path / "src/x/4.json")
    (tmp_path / "src/folder.json").mkdir()
    found = scan_files(tmp_path / "src", [".json"])
    # By the parts of the paths: the folder x comes before the folder x-y, and both before the file x.json.
    names = ["linked/b.json", "x/2.json", "x/3.json", "x/4.json", "x-y/1.json", "x.json"]
    assert [file.path for file in found] == [str(tmp_path / "src" / name) for name in names]
    assert [file.real for file in found] == [os.path.realpath(file.path) for file in found]


def test_natural_order():
    names = ["p10", "p2", "P1", "10", "9", "left"]
    assert sorted(names, key=natural_key) == ["9", "10", "left", "P1", "p2", "p10"]


def test_embedded_images_are_decoded(tmp_path):
    text = base64.b64encode(b"image").decode()
    assert read_embedded_image(write(tmp_path / "a.json", shapes=[], imageData=text)) == b"image"
    url = write(tmp_path / "b.json", shapes=[], imageData="data:image/png;base64," + text)
    assert read_embedded_image(url) == b"image"
    with pytest.raises(FaultsError, match="not base64"):
        read_embedded_image(write(tmp_path / "c.json", shapes=[], imageData="abcde"))
    with pytest.raises(FaultsError, match="no imageData"):
        read_embedded_image(write(tmp_path / "d.json", shapes=[], imageData=None))
