import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from pose_tools.dataset.near_duplicates import Fingerprint, fingerprint, groups, hash_images, near_duplicates

TEXTURE = np.random.default_rng(0).integers(0, 256, 1024, dtype=np.uint8).tobytes()


def scene(seed, size=(320, 240)):
    """A picture of 8 x 6 coloured tiles."""
    tiles = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(tiles).resize(size, Image.BICUBIC)


def with_object(picture, left, top, size=40):
    picture = picture.copy()
    picture.paste((255, 255, 255), (left, top, left + size, top + size))
    return picture


def joined(tmp_path, pictures, distance=8):
    paths = []
    for i, (picture, options) in enumerate(pictures):
        paths.append(tmp_path / f"{i}.{options.pop('suffix', 'png')}")
        picture.save(paths[-1], **options)
    return groups(near_duplicates(list(hash_images(paths).values()), distance))


def test_copies_are_found_and_other_pictures_are_not(tmp_path):
    pictures = []
    for seed in range(5):
        one = scene(seed)
        pictures += [(one, {}), (one, {"suffix": "jpg", "quality": 50}), (one.resize((160, 120)), {"suffix": "jpg"}),
                     (ImageEnhance.Brightness(one).enhance(1.1), {}), (one.convert("L"), {})]
    assert joined(tmp_path, pictures) == [list(range(first, first + 5)) for first in range(0, 25, 5)]


def test_a_moved_object_before_a_fixed_camera_makes_another_picture(tmp_path):
    room = scene(1)
    frames = [with_object(room, 40, 40), with_object(room, 41, 40), with_object(room, 200, 120)]
    hashes = [p.hash for p in hash_images(save_all(tmp_path, frames)).values()]
    assert bin(hashes[0] ^ hashes[2]).count("1") <= 16, "the hash sees little of it"
    assert joined(tmp_path, [(frame, {}) for frame in frames], 16) == [[0, 1]]


def save_all(folder, pictures):
    paths = [folder / f"save{i}.png" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures):
        picture.save(path)
    return paths


def test_blank_frames_chain_nothing(tmp_path):
    blank = Image.new("RGB", (64, 48), (12, 12, 12))
    assert joined(tmp_path, [(blank, {}), (blank, {}), (scene(1), {})]) == []


def test_turned_and_16_bit_copies(tmp_path):
    upright = scene(3)
    turned = upright.transpose(Image.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    deep = Image.fromarray(np.asarray(upright.convert("L")).astype(np.uint16) * 257)
    assert joined(tmp_path, [(upright, {}), (turned, {"suffix": "jpg", "quality": 90, "exif": exif}),
                             (deep, {})]) == [[0, 1, 2]]
    assert joined(tmp_path, [(upright, {}), (turned, {})]) == [], "without the EXIF entry it is another picture"


def test_what_cannot_be_read_is_left_out(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    scene(1).save(tmp_path / "sound.png")
    paths = [tmp_path / name for name in ("missing.png", "sound.png", "broken.jpg")]
    assert list(hash_images(paths)) == [tmp_path / "sound.png"]
    assert fingerprint(paths[0]) is None
    assert near_duplicates([]) == [] and groups([]) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=6), st.lists(st.tuples(st.integers(0, 5), st.sets(
    st.integers(0, 63), max_size=12)), max_size=8), st.integers(0, 12))
def test_no_pair_of_hashes_is_missed(seeds, flips, distance):
    # Thumbs are all the same, so that the hashes alone decide; some are made of others by turning bits over.
    hashes = seeds + [seeds[i] ^ sum(1 << bit for bit in bits) for i, bits in flips if i < len(seeds)]
    wanted = groups((i, j) for i, j in itertools.combinations(range(len(hashes)), 2)
                    if bin(hashes[i] ^ hashes[j]).count("1") <= distance)
    pairs = near_duplicates([Fingerprint(value, TEXTURE) for value in hashes], distance)
    assert groups(pairs) == wanted
    assert len(pairs) == sum(len(group) - 1 for group in wanted)


def test_groups_join_what_shares_a_member():
    assert groups([(5, 3), (1, 2), (3, 9), (2, 0)]) == [[0, 1, 2], [3, 5, 9]]


def test_more_pictures_than_are_compared_at_a_time(monkeypatch):
    from pose_tools.dataset import near_duplicates as module

    monkeypatch.setattr(module, "_ROWS", 3)
    monkeypatch.setattr(module, "_COLUMNS", 4)
    hashes = [(i % 7) * 0x0F0F0F0F0F0F0F0F & (2**64 - 1) ^ (i % 7) << 40 for i in range(23)]
    prints = [Fingerprint(value, TEXTURE) for value in hashes]
    assert groups(near_duplicates(prints, 0)) == [list(range(first, 23, 7)) for first in range(7)]


def test_photographs(real_data):
    wheels = hash_images(sorted((real_data / "wheels_labelme").glob("*.jpg")))
    assert len(wheels) == 38 and near_duplicates(list(wheels.values())) == [], "38 different photographs"
    frames = hash_images(sorted((real_data / "badminton_yolo/test/images").glob("*.jpg")))
    names = [path.name[:17] for path in frames]
    found = [{names[i] for i in group} for group in groups(near_duplicates(list(frames.values())))]
    assert {"3_10_11_mp4-0082_", "3_10_11_mp4-0083_"} in found, "two frames in a row"
    assert sum(map(len, found)) < 12, "most frames of the camera that stands still show other poses"


@pytest.mark.slow
def test_copies_of_photographs(real_data, tmp_path):
    for path in sorted((real_data / "wheels_labelme").glob("*.jpg")):
        with Image.open(path) as opened:
            one = opened.convert("RGB")
        half = one.resize((one.width // 2, one.height // 2), Image.BICUBIC)
        copies = {"quality": one, "half": half, "bright": ImageEnhance.Brightness(one).enhance(1.1)}
        for name, copy in copies.items():
            copy.save(tmp_path / "copy.jpg", quality=50 if name == "quality" else 90)
            assert near_duplicates([fingerprint(path), fingerprint(tmp_path / "copy.jpg")]) == [(0, 1)], (path, name)
