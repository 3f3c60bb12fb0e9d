"""Reads and writes pictures, and lays them out in contact sheets.

Pictures are BGR (H, W, 3), uint8. Nothing is drawn in place: what is returned is new.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole
from pose_tools.report.drawing.strokes import INK, PAPER
from pose_tools.report.drawing.words import to_ascii

JPEG_QUALITY = 92


def contact_sheet(images: Sequence[np.ndarray], columns: int, cell_width: int,
                  titles: Optional[Sequence[str]] = None) -> np.ndarray:
    """Lays pictures out in rows.

    Args:
        images: BGR pictures of any sizes; each is scaled to fit its cell and centred in it.
        columns: Cells in a row.
        cell_width: Pixels; the cells' height follows from the pictures' median proportion.
        titles: One line over each picture, shortened to fit; what is not ASCII is shown as ``?``.

    Returns:
        The sheet (H, W, 3), uint8; a blank cell where there is no picture at all.

    Raises:
        ValueError: There are not as many titles as pictures, or a size is below 1.
    """
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} pictures")
    if columns < 1 or cell_width < 1:
        raise ValueError(f"{columns} columns of {cell_width} pixels: both must be at least 1")
    gap = max(2, cell_width // 80)
    bar = 0 if titles is None else max(14, cell_width // 14)
    share = float(np.median([i.shape[0] / i.shape[1] for i in images])) if len(images) else 0.75
    height = max(1, round(cell_width * share))
    rows, columns = max(1, -(-len(images) // columns)), min(columns, max(1, len(images)))
    size = rows * (height + bar + gap) + gap, columns * (cell_width + gap) + gap
    sheet = np.full((*size, 3), PAPER, np.uint8)
    for number, image in enumerate(images):
        top = gap + (number // columns) * (height + bar + gap)
        left = gap + (number % columns) * (cell_width + gap)
        if titles is not None:
            _write_title(sheet[top:top + bar, left:left + cell_width], titles[number])
        _paste(sheet[top + bar:top + bar + height, left:left + cell_width], image)
    return sheet


def imread(path: Union[str, Path]) -> np.ndarray:
    """Reads a picture, turned as its EXIF orientation says.

    Args:
        path: Any file OpenCV reads; the name may hold any character.

    Returns:
        BGR (H, W, 3), uint8.

    Raises:
        UserError: There is no such file, or it is not a picture that can be read.
    """
    import cv2

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not a picture that can be read ({len(data)} bytes)")
    return image


def imwrite(path: Union[str, Path], image: np.ndarray) -> None:
    """Writes a picture; the file appears only when it is complete.

    Args:
        path: Its suffix gives the format; missing folders are made.
        image: BGR (H, W, 3) or grey (H, W), uint8.

    Raises:
        UserError: The suffix is none that OpenCV writes.
    """
    import cv2

    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, image, options)
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"{path}: cannot write pictures as {path.suffix or 'a file without suffix'!r}; "
                        "use .jpg or .png")
    write_whole(path, data.tobytes())


def _paste(cell: np.ndarray, image: np.ndarray) -> None:
    """Scales a picture to fit a cell and puts it into its middle."""
    import cv2

    height, width = cell.shape[:2]
    factor = min(width / image.shape[1], height / image.shape[0])
    size = [max(1, min(round(n * factor), limit)) for n, limit in zip(image.shape[1::-1], (width, height))]
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    if scaled.ndim == 2:
        scaled = cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    cell[top:top + size[1], left:left + size[0]] = scaled


def _write_title(bar: np.ndarray, title: str) -> None:
    """Writes a line into a bar, the middle left out where it is too long."""
    import cv2

    text, scale = to_ascii(title), bar.shape[0] / 34
    kept = len(text)
    while kept > 2 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > bar.shape[1] - 4:
        kept -= 1
        text = to_ascii(title)[:kept // 2] + "..." + to_ascii(title)[len(title) - (kept - kept // 2):]
    # putText needs a contiguous picture, which part of a sheet is not.
    strip = np.ascontiguousarray(bar)
    foot = 2, round(0.72 * bar.shape[0])
    cv2.putText(strip, text, foot, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
    bar[:] = strip
