"""Every odd picture is read as it should look, or named in one line."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from pose_tools.console import UserError
from pose_tools.formats.headers import ImageError
from pose_tools.inference.media import read_picture
from pose_tools.inference.media.picture import as_bgr, decode_picture
from pose_tools.report.draw import imread

BGR = cv2.resize(np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8), (64, 48), interpolation=cv2.INTER_AREA)
PICTURE = Image.fromarray(BGR[..., ::-1].copy())
TURNED = np.rot90(BGR, -1)  # what EXIF orientation 6 asks for


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encoded(suffix, array):
    return cv2.imencode(suffix, array)[1].tobytes()


def with_alpha(image, alpha=60):
    image = image.convert("RGBA")
    image.putalpha(alpha)
    return image


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


@pytest.mark.parametrize("data", [
    saved(PICTURE, "JPEG"), saved(PICTURE, "JPEG", progressive=True), saved(PICTURE, "JPEG", exif=exif(6)),
    saved(PICTURE.convert("L"), "JPEG"), saved(PICTURE, "PNG"), saved(PICTURE.convert("P"), "PNG"),
    saved(with_alpha(PICTURE), "PNG"), saved(PICTURE.convert("CMYK"), "JPEG"),
    encoded(".png", BGR.astype(np.uint16) * 257), saved(PICTURE, "JPEG") + bytes(500),
], ids=["jpeg", "progressive", "turned", "grey", "png", "palette", "rgba", "cmyk", "16-bit", "bytes behind the end"])
def test_usual_files_give_the_very_pixels_of_imread(data, tmp_path):
    path = tmp_path / "föö bar"
    path.write_bytes(data)
    assert np.array_equal(read_picture(path), imread(path))


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TGA", {}), ("PCX", {}), ("PPM", {}), ("WEBP", {"lossless": True}),
    ("JPEG2000", {}), ("ICO", {"sizes": [(64, 48)]})])
def test_formats_without_loss(kind, options):
    assert np.array_equal(decode_picture(saved(PICTURE, kind, **options)), BGR)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "TGA"])
def test_transparency_is_passed_over(kind):
    data = saved(with_alpha(PICTURE), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(decode_picture(data), BGR)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_what_exif_says_is_done(kind, options):
    assert np.array_equal(decode_picture(saved(PICTURE, kind, exif=exif(6), **options)), TURNED)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_of_several_is_taken(kind):
    first, second = Image.new("RGB", (8, 6), (255, 0, 0)), Image.new("RGB", (8, 6), (0, 0, 255))
    data = saved(first, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(decode_picture(data), np.full((6, 8, 3), (0, 0, 255), np.uint8))


GREY = BGR[..., 0]


@pytest.mark.parametrize("data", [
    encoded(".png", GREY.astype(np.uint16) * 257), encoded(".tiff", GREY.astype(np.uint16) * 257),
    encoded(".tiff", GREY.astype(np.float32)), encoded(".tiff", GREY.astype(np.float32) / 255),
    saved(Image.fromarray(GREY.astype(np.int32) * 257), "TIFF"), saved(PICTURE.convert("CMYK"), "TIFF"),
], ids=["png16", "tiff16", "grey levels", "shares", "int32", "cmyk"])
def test_more_than_8_bits_are_scaled_and_not_cut(data):
    found = decode_picture(data)
    assert found.shape == (48, 64, 3) and found.dtype == np.uint8
    expected = np.repeat(GREY[..., None], 3, 2) if (found[..., 0] == found[..., 2]).all() else BGR
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_file_cut_short_is_named_in_one_line(kind, share, tmp_path):
    data = saved(PICTURE.resize((320, 240)), kind)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(UserError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize(("data", "what"), [(b"", "is empty"), (b"hello", "is not an image"),
                                            (b"\xff\xd8\xff\xe0 no more", "cannot be decoded")])
def test_what_is_no_picture_says_so(data, what, tmp_path):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(UserError, match=f"x.png: {what}"):
        read_picture(tmp_path / "x.png")


def test_a_folder_and_nothing_say_so(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_picture(tmp_path / "nothing.jpg")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


@pytest.mark.parametrize("limit", [89_478_485, None], ids=["of Pillow", "lifted by labelme"])
def test_a_small_file_that_claims_to_be_huge_is_refused(limit, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match="is too large: 3600000000 pixels"):
        decode_picture(png_header(60000, 60000) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b""))


@pytest.mark.slow
def test_a_picture_beyond_pillows_limit_is_read():
    width, height = 16320, 12240  # a telephone's 200 megapixels
    rows = zlib.compress(bytes((width + 1) * height), 1)
    data = png_header(width, height) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert decode_picture(data).shape == (height, width, 3)
    with pytest.raises(ImageError, match="cut short"):
        decode_picture(data[:-60])


def test_arrays_of_any_usual_form():
    assert as_bgr(BGR) is BGR
    assert np.array_equal(as_bgr(GREY), np.repeat(GREY[..., None], 3, 2))
    assert np.array_equal(as_bgr(np.dstack([BGR, GREY])), BGR)
    assert np.array_equal(as_bgr(np.array([[True, False]])), [[[255] * 3, [0] * 3]])
    assert as_bgr(np.array([[0, 65535, 256]], np.uint16))[0, :, 0].tolist() == [0, 255, 1]
    assert as_bgr(np.array([[np.nan, -3, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 0, 128, 255]
    assert as_bgr(np.array([[0, 500.0, 1000.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert as_bgr(BGR[::-1, ::2]).flags.c_contiguous
    for wrong in (np.zeros((2, 3, 5)), np.zeros((0, 4, 3)), np.zeros(7), np.zeros((1, 2, 3, 3))):
        with pytest.raises(ImageError, match="shape"):
            as_bgr(wrong)
    with pytest.raises(ImageError, match="expected uint8"):
        as_bgr(np.zeros((2, 2), complex))


def test_real_photographs_are_as_imread_has_them(real_data):
    paths = sorted(real_data.glob("*/*/*.jpg"))[:12] + sorted(real_data.glob("*/*/*.png"))[:6]
    assert paths
    for path in paths:
        assert np.array_equal(read_picture(path), imread(path)), path
