import base64
import io
import itertools
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pose_tools.formats.images import ImageError, ImageIndex, find_image, read_header, write_image
from pose_tools.formats.labelme import read_labelme


def picture(size=(40, 20), orientation=1, form="JPEG"):
    """Red, with a blue left half when upright pixels are not turned."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0] = 255
    pixels[:, :size[0] // 2] = (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(buffer, form, **({"exif": exif} if orientation != 1 else {}))
    return buffer.getvalue()


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def label(path, image_path, size=(40, 20), embed=None):
    data = base64.b64encode(embed).decode() if embed else None
    content = {"shapes": [], "imagePath": image_path, "imageData": data}
    if size:
        content.update(imageWidth=size[0], imageHeight=size[1])
    return read_labelme(put(path, json.dumps(content).encode()))


def find(root, file, *more):
    return find_image(file, ImageIndex([root, *more]))


@pytest.mark.parametrize(("image_path", "where"), [
    ("a.jpg", "a.jpg"),
    ("..\\pictures\\a.jpg", "pictures/a.jpg"),
    ("C:\\Users\\me\\old\\a.jpg", "moved/deep/a.jpg"),
    ("/home/me/old/a.jpg", "moved/a.jpg"),
    ("a.jpg", "A.JPG"),
    ("a.jpg", "a.JPEG"),
    ("a.png", "a.jpg"),
    ("照片 1.jpg", "x/照片 1.jpg"),
    ("renamed.jpg", "json/a.jpg"),
])
def test_images_are_found(tmp_path, image_path, where):
    path = put(tmp_path / where, picture())
    file = label(tmp_path / "json/a.json", image_path)
    source, _, claimed, faults = find(tmp_path, file)
    assert not faults
    assert Path(source.origin).resolve() == path and source.size == (40, 20) and not source.note
    assert claimed == (str(path), )


def test_images_in_another_folder(tmp_path):
    path = put(tmp_path / "pictures/a.jpg", picture())
    file = label(tmp_path / "json/a.json", "a.jpg")
    assert find(tmp_path / "json", file).faults[0].what.startswith("its image 'a.jpg' is nowhere below")
    assert Path(find(tmp_path / "json", file, tmp_path / "pictures").source.origin) == path


def test_namesakes_are_told_apart_by_folder(tmp_path):
    for folder in ("x", "y"):
        put(tmp_path / "pictures" / folder / "1.jpg", picture())
    for folder in ("x", "y"):
        file = label(tmp_path / "json" / folder / "1.json", "1.jpg")
        assert Path(find(tmp_path, file).source.origin) == tmp_path / "pictures" / folder / "1.jpg"
    file = label(tmp_path / "json/1.json", "D:\\set\\y\\1.jpg")
    assert Path(find(tmp_path, file).source.origin) == tmp_path / "pictures/y/1.jpg"


def test_namesakes_that_cannot_be_told_apart_are_a_fault(tmp_path):
    for folder in ("x", "y"):
        put(tmp_path / "pictures" / folder / "1.jpg", picture())
    _, _, _, faults = find(tmp_path, label(tmp_path / "json/1.json", "1.jpg"))
    assert "may be" in faults[0].what and "x/1.jpg" in faults[0].what and "y/1.jpg" in faults[0].what


def test_namesakes_of_another_size_do_not_count(tmp_path):
    put(tmp_path / "pictures/x/1.jpg", picture((30, 30)))
    right = put(tmp_path / "pictures/y/1.jpg", picture())
    assert find(tmp_path, label(tmp_path / "json/1.json", "1.jpg")).source.origin == str(right)


def test_a_file_of_another_size_is_not_used_when_the_right_one_is_embedded(tmp_path):
    wrong = put(tmp_path / "a.png", picture((30, 60), form="PNG"))
    file = label(tmp_path / "a.json", "a.png", embed=picture(form="PNG"))
    source, _, claimed, faults = find(tmp_path, file)
    assert not faults and claimed == (str(wrong), )
    assert source.embedded and source.size == (40, 20) and source.name == "a.png"
    assert "a.png is 30x60" in source.note
    write_image(source, tmp_path / "out/a.png")
    assert cv2.imread(str(tmp_path / "out/a.png")).shape == (20, 40, 3)


def test_a_file_of_another_size_is_a_fault_otherwise(tmp_path):
    put(tmp_path / "a.png", picture((30, 60), form="PNG"))
    source, _, _, faults = find(tmp_path, label(tmp_path / "a.json", "a.png"))
    assert source is None and len(faults) == 1
    assert "(40x20)" in faults[0].what and "a.png is 30x60" in faults[0].what


def test_embedded_data_of_another_size_is_a_fault(tmp_path):
    file = label(tmp_path / "a.json", "a.png", embed=picture((30, 60)))
    assert "imageData is 30x60" in find(tmp_path, file).faults[0].what


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_embedded_images_get_the_ending_of_their_format(tmp_path, form):
    source, *_ = find(tmp_path, label(tmp_path / "j.json", "folder\\a.jpg", embed=picture(form=form)))
    assert source.name == {"JPEG": "a.jpg", "PNG": "a.png"}[form] and not source.note


@pytest.mark.parametrize("size", [(40, 20), None])
def test_a_labelme_file_may_not_know_its_size(tmp_path, size):
    put(tmp_path / "a.jpg", picture())
    assert find(tmp_path, label(tmp_path / "a.json", "a.jpg", size))[0].size == (40, 20)


@pytest.mark.parametrize(("form", "orientation"), [
    *itertools.product(["JPEG", "PNG", "TIFF", "WEBP"], [1, 3, 6, 8]), ("BMP", 1), ("GIF", 1)])
def test_opencv_reads_the_size_and_pixels_that_labelme_shows(tmp_path, form, orientation):
    data = picture(orientation=orientation, form=form)
    shown = (20, 40) if orientation in (6, 8) else (40, 20)
    put(tmp_path / f"a.{form.lower()}", data)
    source, _, _, faults = find(tmp_path, label(tmp_path / "a.json", f"a.{form.lower()}", shown))
    assert not faults and source.size == shown and not source.note
    write_image(source, tmp_path / "out" / source.name)
    read = cv2.imread(str(tmp_path / "out" / source.name))
    assert read.shape[1::-1] == shown
    # Blue (BGR 255, 0, 0) is where the left half goes when turned as EXIF says.
    blue = {1: (5, 10), 3: (35, 10), 6: (10, 5), 8: (10, 35)}[orientation]
    assert read[blue[1], blue[0]].argmax() == 0
    assert read[shown[1] - 1 - blue[1], shown[0] - 1 - blue[0]].argmax() == 2


@pytest.mark.parametrize("embed", [False, True])
def test_annotations_made_without_exif_get_an_image_without_it(tmp_path, embed):
    data = picture(orientation=6)
    if not embed:
        put(tmp_path / "a.jpg", data)
    file = label(tmp_path / "a.json", "a.jpg", (40, 20), embed=data if embed else None)
    source, _, _, faults = find(tmp_path, file)
    assert not faults and source.size == (40, 20) and source.name == "a.png"
    write_image(source, tmp_path / "out/a.png")
    read = cv2.imread(str(tmp_path / "out/a.png"))
    assert read.shape == (20, 40, 3) and read[10, 5].argmax() == 0 and read[10, 35].argmax() == 2


@pytest.mark.parametrize(("data", "message"), [
    (b"", "is empty"), (b"hello", "is not an image"), (picture()[:-200], "cannot be decoded"),
    (picture(form="PNG")[:-30], "cannot be decoded"), (picture(form="TIFF")[:-100], "cannot be decoded")])
def test_images_that_cannot_be_used(tmp_path, data, message):
    with pytest.raises(ImageError, match=message):
        read_header(data)
    with pytest.raises(ImageError, match=message):
        read_header(put(tmp_path / "a.jpg", data))
    _, _, _, faults = find(tmp_path, label(tmp_path / "a.json", "a.jpg"))
    assert message in faults[0].what


def test_trailing_bytes_after_a_whole_image_are_harmless():
    assert read_header(picture() + b"\0" * 500).stored == (40, 20)


def test_images_are_hard_linked_where_possible_else_copied(tmp_path, monkeypatch):
    path = put(tmp_path / "a.jpg", picture())
    source, *_ = find(tmp_path, label(tmp_path / "a.json", "a.jpg"))
    write_image(source, tmp_path / "out/linked.jpg")
    assert os.path.samefile(path, tmp_path / "out/linked.jpg")

    def refuse(*args):
        raise OSError("other device")

    monkeypatch.setattr(os, "link", refuse)
    write_image(source, tmp_path / "out/copied.jpg")
    assert not os.path.samefile(path, tmp_path / "out/copied.jpg")
    assert (tmp_path / "out/copied.jpg").read_bytes() == path.read_bytes()


def test_a_linked_image_is_put_in_as_a_file(tmp_path):
    put(tmp_path / "store/x.bin", picture())
    (tmp_path / "src").mkdir()
    os.symlink("../store/x.bin", tmp_path / "src/a.jpg")
    source, *_ = find(tmp_path / "src", label(tmp_path / "src/a.json", "a.jpg"))
    write_image(source, tmp_path / "out/a.jpg")
    assert not (tmp_path / "out/a.jpg").is_symlink() and (tmp_path / "out/a.jpg").read_bytes() == picture()


def test_an_index_lists_each_image_once(tmp_path):
    put(tmp_path / "p/a.jpg", picture())
    put(tmp_path / "p/b.txt", b"")
    assert [file.path for file in ImageIndex([tmp_path, tmp_path / "p"]).files] == [str(tmp_path / "p/a.jpg")]


def test_an_image_under_two_names_is_one(tmp_path):
    real = put(tmp_path / "src/a.jpg", picture())
    os.symlink("a.jpg", tmp_path / "src/b.jpg")
    os.symlink(tmp_path / "src", tmp_path / "again")
    index = ImageIndex([tmp_path / "src", tmp_path / "again"])
    assert [file.path for file in index.files] == [str(real)]
    for name in ("b.jpg", "../again/a.jpg", "..\\src\\b.jpg"):
        found = find_image(label(tmp_path / "src/b.json", name), index)
        assert not found.faults and found.real == str(real) and found.claimed == (str(real), )


def test_candidates_are_looked_for_only_as_far_as_needed(tmp_path):
    put(tmp_path / "a.jpg", picture())
    put(tmp_path / "deep/a.jpg", picture((30, 30)))
    file = label(tmp_path / "a.json", "a.jpg")
    assert [[os.path.relpath(found.path, tmp_path) for found in rank]
            for rank in ImageIndex([tmp_path]).candidates(file)] == [["a.jpg"], ["deep/a.jpg"]]
    assert find(tmp_path, file).claimed == (str(tmp_path / "a.jpg"), )
