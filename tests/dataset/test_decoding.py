import io
import os
import threading

import numpy as np
import pytest
from PIL import Image

from pose_tools.dataset.decoding import verify_image, verify_images


def picture(form="JPEG", size=(160, 120), seed=0, **more):
    """Noise on a slope: every block of a JPEG has something in it."""
    rng = np.random.default_rng(seed)
    pixels = np.linspace(0, 200, size[0])[None, :, None] + rng.integers(0, 55, (size[1], size[0], 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, form, **more)
    return buffer.getvalue()


def scan_start(data):
    return data.rindex(b"\xff\xda") + 14


def cut_inside(data):
    """Half of the scan is missing, and the end mark is there."""
    middle = (scan_start(data) + len(data)) // 2
    return data[:middle] + data[-2:]


def zeroed(data):
    middle = (scan_start(data) + len(data)) // 2
    return data[:middle] + bytes(500) + data[middle + 500:]


def flipped(data, count, seed):
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for at in rng.integers(scan_start(data), len(data) - 2, count):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


@pytest.mark.parametrize("data", [
    picture(), picture(progressive=True), picture(size=(1, 1)), picture("PNG"), picture("PNG", size=(3, 2)),
    picture("BMP"), picture("TIFF"), picture("WEBP"), picture("GIF"), picture("PPM")],
    ids=["jpeg", "progressive", "dot", "png", "small png", "bmp", "tiff", "webp", "gif", "ppm"])
def test_sound_images(tmp_path, data):
    (tmp_path / "照片.img").write_bytes(data)
    assert verify_image(data) == verify_image(tmp_path / "照片.img") == verify_image(str(tmp_path / "照片.img")) == ""


@pytest.mark.parametrize("make", [cut_inside, zeroed])
def test_jpegs_damaged_behind_a_sound_header_and_before_a_sound_end(make):
    for seed in range(10):
        damaged = make(picture(seed=seed))
        with Image.open(io.BytesIO(damaged)) as opened:
            opened.load()  # Pillow says nothing; should that ever change, this module can become shorter
        assert verify_image(damaged).startswith("is damaged inside: Corrupt JPEG data")


def test_flipped_bits_in_jpegs_are_found_the_surer_the_more_there_are():
    """A single one often leaves a file that is as valid as before."""
    found = [sum(bool(verify_image(flipped(picture(seed=seed), count, seed))) for seed in range(40))
             for count in (1, 32, 128)]
    assert 0 < found[0] < found[1] <= found[2] == 40


@pytest.mark.parametrize("seed", range(20))
def test_every_flipped_bit_in_the_pixels_of_a_png_is_found(seed):
    data = bytearray(picture("PNG"))
    data[data.index(b"IDAT") + 4 + seed * 50] ^= 1 << seed % 8
    assert verify_image(bytes(data)).startswith(("is damaged inside", "cannot be decoded"))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_missing_bytes_in_other_formats(form):
    data = picture(form)
    assert verify_image(data[:len(data) // 2] + data[len(data) // 2 + 300:])
    assert verify_image(data[:len(data) // 2])


def test_what_is_no_image_at_all(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "folder.jpg").mkdir()
    said = [verify_image(tmp_path / f"{name}.jpg") for name in ("empty", "text", "gone", "folder")]
    assert said == ["is empty", "is not an image", "is not there", "cannot be read: Is a directory"]


def test_stderr_is_as_before_and_says_nothing(capfd):
    verify_image(cut_inside(picture()))
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_threads_do_not_take_each_others_messages():
    sound, damaged = picture(), cut_inside(picture())
    wrong = []

    def check(data, expected):
        for _ in range(20):
            if bool(verify_image(data)) != expected:
                wrong.append(expected)

    threads = [threading.Thread(target=check, args=pair) for pair in [(sound, False), (damaged, True)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("workers", [1, 2])
def test_many_images_in_their_order(tmp_path, workers):
    for i in range(130):
        (tmp_path / f"{i}.jpg").write_bytes(picture(size=(16, 16)) if i % 7 else b"")
    paths = [tmp_path / f"{i}.jpg" for i in range(130)]
    assert list(verify_images(paths, workers=workers)) == ["" if i % 7 else "is empty" for i in range(130)]


def test_real_photographs_are_sound(real_data):
    paths = [path for path in real_data.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png")]
    assert len(paths) > 50 and not [told for told in verify_images(paths) if told]
