"""Whether a file looks like what its name ends in: the check where no hash is known.

Only beginnings, ends and announced lengths are read; nothing is unpickled. It finds web pages, Git LFS
pointers, other formats and, where a format says how long it is, files that are cut.
"""
from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 512
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LONGEST_HEADER = 100_000_000  # what the safetensors library itself accepts
# Fields of ModelProto by number (onnx.proto): two are numbers, the others have a length.
_ONNX_FIELDS = {1: 0, 5: 0, 2: 2, 3: 2, 4: 2, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def check_form(file: Path, name: str) -> None:
    """Compares the beginning of a file, and its length where the format has one, with its name's ending.

    Args:
        file: On disk, under any name.
        name: Its name, whose ending counts; of unknown endings only what no file may be is looked for.

    Raises:
        ValueError: It is something else; the text is a clause such as ``"it is a web page"``.
        OSError: It cannot be read.
    """
    ending = name.lower().rsplit(".", 1)[-1]
    with open(file, "rb") as opened:
        head = opened.read(HEAD_BYTES)
        _refuse_what_is_no_file(head, ending)
        check = _CHECKS.get(ending)
        if check:
            check(opened, head)


def is_web_page(head: bytes) -> bool:
    """Tells a web page, or a storage server's error in XML, by its first bytes."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<error")) or (
        start.startswith(b"<?xml") and (b"<error" in start or b"<html" in start))


def _refuse_what_is_no_file(head: bytes, ending: str) -> None:
    if not head:
        raise ValueError("it is empty")
    if head.startswith(LFS_POINTER):
        raise ValueError("it is a Git LFS pointer, not the file it points to")
    if ending not in ("html", "htm", "xml") and is_web_page(head):
        raise ValueError("it is a web page")


def _check_zip(file: BinaryIO, head: bytes) -> None:
    if not head.startswith(b"PK\x03\x04"):
        raise ValueError("it is not a zip file")
    if not zipfile.is_zipfile(file):  # looks for the directory, which stands at the end
        raise ValueError("it is a zip file whose end is missing")


def _check_checkpoint(file: BinaryIO, head: bytes) -> None:
    if head.startswith(b"PK"):
        _check_zip(file, head)
    elif not (head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5):
        raise ValueError("it is not a PyTorch file, neither zip nor pickle")


def _check_safetensors(file: BinaryIO, head: bytes) -> None:
    """See https://huggingface.co/docs/safetensors: 8 bytes of length, a JSON header, the tensors."""
    length = int.from_bytes(head[:8], "little")
    size = _size(file)
    if len(head) < 9 or head[8:9] != b"{" or length > _LONGEST_HEADER:
        raise ValueError("it is not a safetensors file")
    if 8 + length > size:
        raise ValueError("it is a safetensors file whose end is missing")
    file.seek(8)
    try:
        header = json.loads(file.read(length))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise ValueError("it is not a safetensors file") from None
    if size != whole:
        raise ValueError(f"it is a safetensors file of {whole} bytes by its header, and has {size}")


def _check_json(file: BinaryIO, head: bytes) -> None:
    file.seek(0)
    try:
        json.loads(file.read().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _check_hdf5(file: BinaryIO, head: bytes) -> None:
    """Reads the end-of-file address of the superblock (HDF5 file format specification, section II.A)."""
    if not head.startswith(_HDF5):
        raise ValueError("it is not an HDF5 file")
    version = head[8] if len(head) > 8 else 255
    if version > 3 or len(head) < 96:
        raise ValueError("it is an HDF5 file whose end is missing" if version <= 3 else "it is not an HDF5 file")
    width = head[9] if version >= 2 else head[13]
    start = {0: 24, 1: 28}.get(version, 12)
    if width not in (2, 4, 8):
        raise ValueError("it is not an HDF5 file")
    end = int.from_bytes(head[start + 2 * width:start + 3 * width], "little")
    if _size(file) < end:
        raise ValueError(f"it is an HDF5 file of {end} bytes by its header, and has {_size(file)}")


def _check_onnx(file: BinaryIO, head: bytes) -> None:
    """Goes through the fields of the outermost message, https://protobuf.dev/programming-guides/encoding/."""
    size = _size(file)
    file.seek(0)
    while file.tell() < size:
        tag = _varint(file)
        if _ONNX_FIELDS.get(tag >> 3) != tag & 7:
            raise ValueError("it is not an ONNX file")
        length = _varint(file)
        if tag & 7 == 2:
            if file.tell() + length > size:
                raise ValueError("it is an ONNX file whose end is missing")
            file.seek(length, os.SEEK_CUR)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is an ONNX file whose end is missing")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("it is not an ONNX file")


def _check_tflite(file: BinaryIO, head: bytes) -> None:
    if head[4:8] != b"TFL3":
        raise ValueError("it is not a TensorFlow Lite file")


def _check_gzip(file: BinaryIO, head: bytes) -> None:
    if not head.startswith(b"\x1f\x8b"):
        raise ValueError("it is not a gzip file")


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


_CHECKS = {
    **dict.fromkeys(("pth", "pt", "ckpt"), _check_checkpoint),
    **dict.fromkeys(("zip", "task", "keras", "npz"), _check_zip),
    **dict.fromkeys(("h5", "hdf5"), _check_hdf5),
    **dict.fromkeys(("gz", "tgz"), _check_gzip),
    "safetensors": _check_safetensors, "json": _check_json, "onnx": _check_onnx, "tflite": _check_tflite,
}
