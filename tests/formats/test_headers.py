import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_tools.formats import headers
from pose_tools.formats.headers import ImageError, ImageHeader, plain_header, read_header


def encoded(form, mode="RGB", size=(40, 20), orientation=1, maker="", **more):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    if maker:
        exif[0x010F] = maker
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, form, **({"exif": exif} if len(exif) else {}), **more)
    return buffer.getvalue()


def segment(kind, data):
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data


XMP = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
                    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
                    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
PLAIN = {
    "baseline": (encoded("JPEG"), ImageHeader((40, 20), 1, "JPEG")),
    "progressive": (encoded("JPEG", progressive=True), ImageHeader((40, 20), 1, "JPEG")),
    "grey": (encoded("JPEG", "L", (7, 9)), ImageHeader((7, 9), 1, "JPEG")),
    "cmyk": (encoded("JPEG", "CMYK"), ImageHeader((40, 20), 1, "JPEG")),
    "turned": (encoded("JPEG", orientation=6), ImageHeader((40, 20), 6, "JPEG")),
    "maker": (encoded("JPEG", orientation=3, maker="Camera"), ImageHeader((40, 20), 3, "JPEG")),
    "long exif": (encoded("JPEG", orientation=8, maker="y" * 60000), ImageHeader((40, 20), 8, "JPEG")),
    "long profile": (encoded("JPEG", icc_profile=b"x" * 90000), ImageHeader((40, 20), 1, "JPEG")),
    "png": (encoded("PNG", "RGBA"), ImageHeader((40, 20), 1, "PNG")),
    "palette": (encoded("PNG", "P"), ImageHeader((40, 20), 1, "PNG")),
    "resolution": (encoded("PNG", dpi=(72, 72)), ImageHeader((40, 20), 1, "PNG")),
}
LEFT_TO_PILLOW = {
    "turned png": (encoded("PNG", orientation=6), ImageHeader((40, 20), 6, "PNG")),
    "bits": (encoded("PNG", "1"), ImageHeader((40, 20), 1, "PNG")),
    "bmp": (encoded("BMP"), ImageHeader((40, 20), 1, "BMP")),
    "xmp": (b"\xff\xd8" + XMP + encoded("JPEG")[2:], ImageHeader((40, 20), 6, "JPEG")),
    "trailing": (encoded("JPEG") + b"\0" * 99, ImageHeader((40, 20), 1, "JPEG")),
}


@pytest.mark.parametrize("name", PLAIN)
def test_usual_files_are_read_by_hand(tmp_path, name):
    data, expected = PLAIN[name]
    path = tmp_path / "a"
    path.write_bytes(data)
    assert plain_header(data) == plain_header(path) == plain_header(str(path)) == expected
    assert headers._header_by_pillow(data) == expected


@pytest.mark.parametrize("name", LEFT_TO_PILLOW)
def test_the_rest_is_left_to_pillow(tmp_path, name):
    data, expected = LEFT_TO_PILLOW[name]
    path = tmp_path / "a"
    path.write_bytes(data)
    assert plain_header(data) is None and plain_header(path) is None
    assert read_header(data) == read_header(path) == expected


def test_the_smallest_files(tmp_path):
    for data in (b"", b"\xff", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\nIEND"):
        (tmp_path / "a").write_bytes(data)
        assert plain_header(data) is None and plain_header(tmp_path / "a") is None
        with pytest.raises(ImageError):
            read_header(tmp_path / "a")
    assert plain_header(tmp_path / "missing") is None


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(sorted(PLAIN)), changes=st.lists(
    st.tuples(st.integers(2, 400), st.sampled_from([0, 1, 2, 6, 8, 255]) | st.integers(0, 255)), max_size=4))
def test_by_hand_and_pillow_say_the_same_of_damaged_headers(name, changes):
    data = bytearray(PLAIN[name][0])
    for at, value in changes:
        data[at % len(data)] = value
    found = plain_header(bytes(data))
    if found is not None:
        assert found == headers._header_by_pillow(bytes(data))
