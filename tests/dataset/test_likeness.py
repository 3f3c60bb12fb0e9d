import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from pose_tools.dataset.likeness import (
    Prints,
    alike_groups,
    bits_apart,
    differences,
    hash_small,
    near_duplicates,
    take_prints,
)


def scene(seed, size=(320, 240)):
    """A picture of smooth blobs, as photographs are at this size."""
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


CHANGES = {
    "quality.jpg": lambda image: image,
    "half.png": lambda image: image.resize((160, 120)),
    "bright.png": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "flat.png": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "grey.png": lambda image: image.convert("L"),
    "turned.jpg": lambda image: image,
}


@pytest.fixture
def pictures(tmp_path):
    for seed in range(12):
        scene(seed).save(tmp_path / f"{seed}.png")
    for name, change in CHANGES.items():
        options = {"quality": 30} if name.endswith("jpg") else {}
        image = change(scene(3))
        if name.startswith("turned"):
            image, options["exif"] = image.transpose(Image.Transpose.ROTATE_90), Image.Exif()
            options["exif"][0x0112] = 6  # to be turned back when it is read
        image.save(tmp_path / name, **options)
    return tmp_path


def test_copies_are_found_and_other_pictures_are_not(pictures):
    groups, unreadable = near_duplicates(sorted(pictures.iterdir()))
    assert [{path.name for path in group} for group in groups] == [{"3.png", *CHANGES}] and not unreadable


def test_mirrored_pictures_and_other_objects_before_the_same_backdrop_are_different(tmp_path):
    scene(3).save(tmp_path / "a.png")
    scene(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    moved = scene(3)
    moved.paste((255, 0, 0), (160, 120, 220, 180))
    moved.save(tmp_path / "c.png")
    assert near_duplicates(sorted(tmp_path.iterdir())) == ([], [])


def test_blank_frames_go_by_their_brightness(tmp_path):
    for name, grey in (("black", 0), ("nearly", 4), ("white", 255)):
        Image.new("L", (64, 48), grey).save(tmp_path / f"{name}.png")
    groups, _ = near_duplicates(sorted(tmp_path.iterdir()))
    assert [[path.stem for path in group] for group in groups] == [["black", "nearly"]]


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    assert near_duplicates([tmp_path / "a.png", tmp_path / "gone.png"]) == (
        [], [tmp_path / "a.png", tmp_path / "gone.png"])


def test_hash_and_difference_by_hand():
    left = np.zeros((32, 32), np.uint8)
    left[:, :16] = 200
    # Only horizontal odd frequencies are in it: of 63 bits those of DCT terms (0, 1), (0, 5) are positive.
    assert [bin(int(h)).count("1") for h in hash_small(np.stack([left, np.full((32, 32), 90, np.uint8)]))] == [2, 0]
    assert bits_apart(np.uint64(0b1011), np.array([0b1011, 0b0010, 0], np.uint64)).tolist() == [0, 2, 3]
    changed = left.copy()
    changed[:4, :4] = 0
    # A block goes from one standard deviation above the mean to about one below.
    assert differences(left, np.stack([left, changed]))[1] == pytest.approx(2, abs=0.05)
    assert differences(left, left[None])[0] == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=12), st.data())
def test_no_pair_is_missed(numbers, data):
    """Against comparing all with all."""
    flips = data.draw(st.lists(st.sets(st.integers(0, 63), max_size=8), min_size=len(numbers), max_size=len(numbers)))
    hashes = np.array([*numbers, *(n ^ sum(1 << bit for bit in bits) for n, bits in zip(numbers, flips))], np.uint64)
    small = np.full((len(hashes), 32, 32), 50, np.uint8)
    found = alike_groups(Prints([None] * len(hashes), hashes, small, []), bits=8)
    near = [[bin(int(a) ^ int(b)).count("1") <= 8 for b in hashes] for a in hashes]
    together = {i: next((group for group in found if i in group), [i]) for i in range(len(hashes))}
    for i in range(len(hashes)):
        reached, new = {i}, {i}
        while new:
            new = {k for j in new for k in range(len(hashes)) if near[j][k]} - reached
            reached |= new
        assert set(together[i]) == reached


def test_many_pictures_of_one_scene_are_one_group():
    hashes, small = np.full(3000, 7, np.uint64), np.full((3000, 32, 32), 50, np.uint8)
    assert alike_groups(Prints([None] * 3000, hashes, small, [])) == [list(range(3000))]
    assert alike_groups(Prints([], np.zeros(0, np.uint64), np.zeros((0, 32, 32), np.uint8), [])) == []


def test_real_photographs_of_a_set_are_all_different(real_data):
    paths = sorted((real_data / "wheels_labelme").rglob("*.jpg"))
    assert len(paths) == 38 and near_duplicates(paths) == ([], [])


def test_frames_of_a_video_are_together(real_data):
    paths = sorted((real_data / "badminton_yolo/test/images").glob("*.jpg"))
    groups, _ = near_duplicates(paths)
    assert {path.name.split("_mp4")[0] for group in groups for path in group} == {"1_13_14", "3_10_11"}
    assert all(len({path.name.split("_mp4")[0] for path in group}) == 1 for group in groups)
    assert take_prints(paths[:2]).small.shape == (2, 32, 32)
