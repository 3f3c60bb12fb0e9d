"""From something that can be read on this machine into a part."""
from __future__ import annotations

from typing import BinaryIO

from pose_tools.weights.addresses import FULL_HASH
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.parts import Notes, Part
from pose_tools.weights.download.transfer import OnBytes
from pose_tools.weights.entries import ModelFile
from pose_tools.weights.hashes import BLOCK_BYTES


def check_size(size: int, file: ModelFile) -> None:
    """Compares what a source holds with what the file should be, before any byte is taken.

    Args:
        size: Bytes, as the source announces them.
        file: The wanted file.

    Raises:
        SourceFailed: It is empty, or has another size than the wanted file.
    """
    if not size:
        raise SourceFailed("the file there is empty")
    if file.size is not None and size != file.size:
        raise SourceFailed(f"the file there has {size} bytes and should have {file.size}")


def pour(stream: BinaryIO, part: Part, notes: Notes, on_bytes: OnBytes) -> None:
    """Reads a file into a part, which is continued where its bytes are known to be this file's beginning.

    Never more than the announced bytes are written.

    Args:
        stream: The file, at its first byte.
        part: Open and locked.
        notes: Where the file comes from, with its total; the entity tag is whatever tells one version of it
            from another.
        on_bytes: Called with the bytes so far and the total.

    Raises:
        SourceFailed: The stream holds fewer bytes than announced, or more.
        OSError: It cannot be read.
    """
    total = notes.total or 0
    if _is_beginning(part, notes):
        part.resumed = True
        _skip(stream, part.size)
    else:
        part.begin(notes)
    on_bytes(part.size, total)
    while block := stream.read(min(BLOCK_BYTES, total - part.size + 1)):
        if part.size + len(block) > total:
            raise SourceFailed(f"it holds more than the {total} bytes announced")
        part.write(block)
        on_bytes(part.size, total)
    if part.size != total:
        raise SourceFailed(f"it broke off after {part.size} of {total} bytes")


def _is_beginning(part: Part, notes: Notes) -> bool:
    if part.notes is None or part.size > (notes.total or 0) or not part.may_continue(notes.source, notes.sha256):
        return False
    return len(notes.sha256) == FULL_HASH or part.notes.etag == notes.etag


def _skip(stream: BinaryIO, count: int) -> None:
    if stream.seekable():
        stream.seek(count)
        return
    while count and (block := stream.read(min(BLOCK_BYTES, count))):
        count -= len(block)
