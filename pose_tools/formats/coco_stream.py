"""Writing a COCO file piece by piece, for data sets whose entries together would fill the memory."""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pose_tools.console.atomic import temporary_beside

_TOGETHER = 512  # pieces that are joined before they are written

# Writes what pose_tools.formats.coco.save_coco does: text as it is, and no NaN, which JSON has no word for.
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def annotation_piece(annotation: Mapping[str, Any]) -> str:
    """An annotation as JSON without its ``id`` and ``image_id``, for :func:`with_ids`.

    Args:
        annotation: What :func:`pose_tools.formats.coco.coco_annotation` returned; its ids do not matter.

    Raises:
        ValueError: It holds NaN or infinity.
    """
    rest = dict(annotation)
    del rest["id"], rest["image_id"]
    return encode(rest)[1:]


def with_ids(piece: str, annotation_id: int, image_id: int) -> str:
    """An annotation's piece with its ids, which are known late."""
    return f'{{"id": {annotation_id}, "image_id": {image_id}, {piece}'


def save_pieces(path: Path, description: str, images: Iterable[str], annotations: Iterable[str],
                categories: Sequence[Mapping[str, Any]]) -> None:
    """Writes a COCO file in one step, from entries that are JSON already; the same bytes as from ``save_coco``.

    Args:
        path: Where to write; its folder is made.
        description: Goes into ``info``.
        images: Entries of ``images``.
        annotations: Entries of ``annotations``, taken after all images.
        categories: Not JSON yet.
    """
    with temporary_beside(path) as (temporary, file):
        file.write(f'{{"info": {encode({"description": description})}, "images": ['.encode())
        _write_list(file, iter(images))
        file.write(b'], "annotations": [')
        _write_list(file, iter(annotations))
        file.write(f'], "categories": {encode(categories)}}}\n'.encode())
        file.close()  # before the rename, which Windows refuses for an open file
        os.replace(temporary, path)


def _write_list(file: BinaryIO, pieces: Iterator[str]) -> None:
    before = ""
    while some := list(islice(pieces, _TOGETHER)):
        file.write((before + ", ".join(some)).encode())
        before = ", "
