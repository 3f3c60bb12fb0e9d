import shutil

import numpy as np
import pytest
from PIL import Image

from pose_tools.dataset.data_set import read_data_set
from pose_tools.dataset.doctor.picture_checks import picture_findings
from pose_tools.formats.coco import save_coco

CATEGORY = {"id": 1, "name": "cat", "keypoints": ["nose"], "skeleton": []}


def picture(path, size=(40, 30), seed=0, orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Coarse patches, so that pictures differ in more than grain.
    patches = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    image = Image.fromarray(patches).resize(size, Image.NEAREST)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(path, exif=exif)


def write(folder, **splits):
    """COCO files without annotations; each image is (file name, width, height)."""
    for split, images in splits.items():
        entries = [{"id": i, "file_name": name, "width": w, "height": h} for i, (name, w, h) in enumerate(images, 1)]
        save_coco(folder / f"{split}_coco.json", {"images": entries, "annotations": [], "categories": [CATEGORY]})
    return read_data_set([folder])


def told(data_set, **options):
    return [(f.file.name[:5], f.rule, f.image, f.what) for f in picture_findings(data_set, **options)]


def test_sound_images(tmp_path):
    for number in range(4):
        picture(tmp_path / f"images/{number}.png", seed=number)
    data_set = write(tmp_path, train=[("0.png", 40, 30), ("1.png", 40, 30)], val=[("2.png", 40, 30), ("3.png", 40, 30)])
    assert told(data_set, decode=True) == []


@pytest.mark.parametrize(("content", "expected"), [(b"", "is empty"), (b"no picture at all", "is not an image")])
def test_files_that_are_no_images(tmp_path, content, expected):
    picture(tmp_path / "images/a.png")
    (tmp_path / "images/b.png").write_bytes(content)
    assert told(write(tmp_path, train=[("a.png", 40, 30), ("b.png", 40, 30)])) == [
        ("train", "image-broken", 2, expected)]


def test_a_truncated_image(tmp_path):
    picture(tmp_path / "images/a.jpg", (400, 300))
    data = (tmp_path / "images/a.jpg").read_bytes()
    (tmp_path / "images/a.jpg").write_bytes(data[:len(data) // 2])
    ((_, rule, image, what), ) = told(write(tmp_path, train=[("a.jpg", 400, 300)]))
    assert (rule, image) == ("image-broken", 1) and "truncated" in what


def test_damage_inside_is_found_by_decoding_only(tmp_path):
    picture(tmp_path / "images/a.png", (400, 300))
    data = bytearray((tmp_path / "images/a.png").read_bytes())
    data[len(data) // 2] ^= 0xff
    (tmp_path / "images/a.png").write_bytes(bytes(data))
    data_set = write(tmp_path, train=[("a.png", 400, 300)])
    assert told(data_set) == []
    assert [rule for _, rule, _, _ in told(data_set, decode=True)] == ["image-broken"]


def test_sizes_and_orientation(tmp_path):
    picture(tmp_path / "images/turned.jpg", orientation=6)  # 40x30 stored, 30x40 upright
    picture(tmp_path / "images/plain.png", seed=1)
    picture(tmp_path / "images/flag.webp", seed=2, orientation=6)
    data_set = write(tmp_path, train=[("turned.jpg", 30, 40), ("turned.jpg", 40, 30), ("plain.png", 80, 60),
                                      ("plain.png", 30, 40), ("flag.webp", 30, 40), ("plain.png", None, 0)])
    found = [entry for entry in told(data_set) if entry[1] != "copies"]
    assert [(rule, image) for _, rule, image, _ in found] == [
        ("exif", 2), ("size-mismatch", 3), ("size-mismatch", 4), ("exif", 5)]
    assert found[0][3] == ("the file says 40x30, as its rows are stored; EXIF orientation 6 turns it to 30x40 when it "
                           "is read")
    assert found[1][3] == "the file says 80x60; the image is 40x30, 0.5 times that"
    assert found[2][3] == "the file says 30x40; the image is 40x30"


def test_copies_within_a_split_and_leaks_between_two(tmp_path):
    for number in range(3):
        picture(tmp_path / f"images/{number}.png", seed=number)
    shutil.copy(tmp_path / "images/0.png", tmp_path / "images/0 again.png")
    shutil.copy(tmp_path / "images/1.png", tmp_path / "images/1 again.png")
    data_set = write(tmp_path, train=[("0.png", 40, 30), ("0 again.png", 40, 30), ("1.png", 40, 30)],
                     val=[("1 again.png", 40, 30), ("2.png", 40, 30)])
    assert told(data_set) == [
        ("train", "copies", 2, "is the same picture as 0.png"),
        ("val_c", "leak", 1, "is in val, and its copy 1.png in train")]


def test_nearly_the_same_picture_in_two_splits(tmp_path):
    picture(tmp_path / "images/a.png", (320, 240), seed=1)
    picture(tmp_path / "images/b.png", (320, 240), seed=2)
    Image.open(tmp_path / "images/a.png").resize((160, 120)).save(tmp_path / "images/small.jpg", quality=60)
    data_set = write(tmp_path, train=[("a.png", 320, 240)], val=[("small.jpg", 160, 120), ("b.png", 320, 240)])
    ((side, rule, image, what), ) = told(data_set)
    assert (side, rule, image) == ("val_c", "similar", 1) and "a.png in train" in what
    assert told(data_set, similar=False) == []
