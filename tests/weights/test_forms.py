"""Files by their first bytes: real ones pass, cut ones and other things do not."""
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.weights.download.forms import check_form, is_web_page

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"


def zipped():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
    return made.getvalue()


def safetensors():
    from safetensors.numpy import save

    return save({"a": np.arange(6, dtype=np.float32), "b": np.zeros(3, np.int64)}, {"format": "pt"})


def onnx():
    """ir_version 8, producer "me", a graph of 200 bytes, opset_import: as protobuf writes them."""
    return b"\x08\x08" + b"\x12\x02me" + b"\x3a\xc8\x01" + bytes(200) + b"\x42\x02\x10\x0b"


def hdf5(version, size=400):
    """A superblock with addresses of 8 bytes, and what follows it (HDF5 format specification, II.A)."""
    sizes = {0: bytes([0, 0, 0, 0, 0, 8, 8, 0]) + bytes(8), 2: bytes([2, 8, 8, 0]), 3: bytes([3, 8, 8, 0])}[version]
    addresses = bytes(8) + b"\xff" * 8 + size.to_bytes(8, "little")
    return (b"\x89HDF\r\n\x1a\n" + sizes + addresses).ljust(size, b"\x01")


WHOLE = {"a.pth": zipped(), "b.pt": pickle.dumps([1, 2], protocol=2), "c.task": zipped(),
         "d.safetensors": safetensors(),
         "e.json": b'{"a": [1, 2]}', "f.onnx": onnx(), "g.h5": hdf5(0), "h.hdf5": hdf5(2), "i.h5": hdf5(3),
         "j.zip": zipped(), "k.tflite": b"\x1c\0\0\0TFL3rest", "l.tar.gz": b"\x1f\x8b\x08rest", "m.txt": b"\0anything",
         "n.html": b"<!DOCTYPE html><html></html>", "o.bin": b"\0"}


def check(tmp_path, name, data):
    file = tmp_path / "unfinished.part"
    file.write_bytes(data)
    check_form(file, name)


@pytest.mark.parametrize("name", WHOLE)
def test_what_its_name_says(name, tmp_path):
    check(tmp_path, name, WHOLE[name])


@pytest.mark.parametrize("name", ["a.pth", "c.task", "d.safetensors", "e.json", "f.onnx", "g.h5", "h.hdf5", "i.h5",
                                  "j.zip"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_file_is_found_where_its_format_tells(name, share, tmp_path):
    data = WHOLE[name]
    with pytest.raises(ValueError, match="^it is"):
        check(tmp_path, name, data[:int(len(data) * share)])


@pytest.mark.parametrize("name", WHOLE)
def test_an_empty_file_is_none(name, tmp_path):
    with pytest.raises(ValueError, match="empty"):
        check(tmp_path, name, b"")


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "n.html"])
@pytest.mark.parametrize("page", [b"\n<!doctype HTML><p>", b"\xef\xbb\xbf<html>",
                                  b"<?xml version='1.0'?><Error><Code>"])
def test_web_pages_are_no_files(name, page, tmp_path):
    with pytest.raises(ValueError, match="web page"):
        check(tmp_path, name, page)


@pytest.mark.parametrize("name", WHOLE)
def test_git_lfs_pointers_are_no_files(name, tmp_path):
    with pytest.raises(ValueError, match="Git LFS pointer"):
        check(tmp_path, name, LFS)


@pytest.mark.parametrize("name", ["a.pth", "c.task", "d.safetensors", "e.json", "f.onnx", "g.h5", "k.tflite", "l.tgz"])
@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_give_an_answer(name, data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    try:
        check(folder, name, data)
    except ValueError as error:
        assert str(error).startswith("it is") and "\n" not in str(error)


ANY_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["a", "__metadata__", "data_offsets"]), inner, max_size=3), max_leaves=6)


@given(header=ANY_JSON)
def test_any_safetensors_header_gives_an_answer(header, tmp_path_factory):
    text = json.dumps(header).encode()
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    try:
        check(folder, "x.safetensors", len(text).to_bytes(8, "little") + text)
    except ValueError as error:
        assert "safetensors" in str(error)


def test_a_file_made_by_torch(tmp_path):
    torch = pytest.importorskip("torch")
    for name, new in (("new.pth", True), ("old.pth", False)):
        torch.save({"state_dict": {"w": torch.zeros(3)}}, tmp_path / name, _use_new_zipfile_serialization=new)
        check_form(tmp_path / name, name)


def test_a_web_page_by_its_beginning():
    assert is_web_page(b"  <HTML>")
    assert not is_web_page(b"PK\x03\x04<html>") and not is_web_page(b"<?xml version='1.0'?><net/>")
