"""All that predict.py writes of its results."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.console.interrupts import uninterrupted
from pose_tools.inference.media import Source, Window
from pose_tools.inference.result import Result
from pose_tools.inference.writers import CocoResults, DrawnImages, DrawnVideo, JsonLines, Labelme

CELL_WIDTH, COLUMNS = 480, 4  # of the contact sheet


@dataclass(frozen=True)
class Wanted:
    """What is written into the folder, beside predictions.json.

    Attributes:
        folder: Where to.
        draw: Drawn pictures and videos.
        jsonl: predictions.jsonl.
        labelme: labelme files and their pictures, in ``labelme/``.
        sheet: contact_sheet.jpg, of the pictures.
        show: Whether to show what is drawn in a window.
        kpt_thr: Least score of a keypoint in labelme files.
    """

    folder: Path
    draw: bool = True
    jsonl: bool = False
    labelme: bool = False
    sheet: bool = False
    show: bool = False
    kpt_thr: float = 0.3

    @property
    def pictures(self) -> bool:
        """Whether results have to be drawn at all."""
        return self.draw or self.sheet or self.show


class Outputs:
    """Hands results to all writers.

    Args:
        wanted: What to write.
        sources: Whose results come.
        window: Where to show them, if anywhere.

    Attributes:
        notes: Lines for the user, complete once it is closed.
        frames: Pictures and frames that were written.
        instances: Objects in them.

    Raises:
        UserError: The folder cannot be written to, or holds labelme files already.
    """

    def __init__(self, wanted: Wanted, sources: Sequence[Source], window: Optional[Window] = None) -> None:
        """Opens the files that are there from the start."""
        folder = wanted.folder
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file; --out names a folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._wanted, self._window = wanted, window
        self._sources = {source.name: source for source in sources}
        self._labelme = Labelme(folder / "labelme", wanted.kpt_thr) if wanted.labelme else None
        self._results = CocoResults(folder / "predictions.json")
        self._lines = JsonLines(folder / "predictions.jsonl") if wanted.jsonl else None
        self._images = DrawnImages(folder) if wanted.draw else None
        self._video: Optional[DrawnVideo] = None
        self._video_of = ""
        self._videos: set[str] = set()
        self._cells: list[np.ndarray] = []
        self.notes: list[str] = []
        self.frames = self.instances = 0

    def add(self, result: Result, drawn: Optional[np.ndarray]) -> bool:
        """Writes a result.

        Args:
            result: What was found.
            drawn: BGR (H, W, 3) uint8; None where nothing is drawn.

        Returns:
            Whether to go on: False when the user closed the window.
        """
        with uninterrupted():  # all files have the same frames
            self._write(result, drawn)
        if drawn is None or self._window is None:
            return True
        return self._window.show(drawn, None if result.time is None else 1)

    def _write(self, result: Result, drawn: Optional[np.ndarray]) -> None:
        source, is_still = self._sources[result.source], result.time is None
        self._results.add(result)
        if self._lines is not None:
            self._lines.add(result)
        if self._labelme is not None:
            self._labelme.add(result, source.path if is_still else None)
        if drawn is not None and self._images is not None:
            if is_still:
                self._images.add(result, drawn)
            else:
                self._video_for(source).add(result, drawn)
        if drawn is not None and self._wanted.sheet and is_still:
            self._cells.append(_cell(drawn))
        self.frames, self.instances = self.frames + 1, self.instances + len(result)

    def _video_for(self, source: Source) -> DrawnVideo:
        if self._video is None or self._video_of != source.name:
            self._end_video()
            self._video = DrawnVideo(self._free_name(source), source.frame_rate, source.path)
            self._video_of = source.name
        return self._video

    def _free_name(self, source: Source) -> Path:
        from pose_tools.inference.writers.writer import stem_of

        stem, number = stem_of(source.name), 1
        name = stem
        while name.casefold() in self._videos:
            number += 1
            name = f"{stem}-{number}"
        self._videos.add(name.casefold())
        return self._wanted.folder / f"{name}.mp4"

    def _end_video(self) -> None:
        if self._video is not None:
            video, self._video = self._video, None
            video.close()
            self.notes += video.notes

    def close(self) -> None:
        """Finishes all files.

        Raises:
            UserError: A video could not be written whole.
        """
        if self._window is not None:
            self._window.close()
        self._results.close()
        for writer in (self._lines, self._labelme, self._images):
            if writer is not None:
                writer.close()
                self.notes += writer.notes
        if self._cells:
            from pose_tools.report.draw import contact_sheet, imwrite

            sheet = contact_sheet(self._cells, columns=min(COLUMNS, len(self._cells)), cell_width=CELL_WIDTH)
            imwrite(self._wanted.folder / "contact_sheet.jpg", sheet)
        self._end_video()

    def abort(self) -> None:
        """Leaves nothing half-written."""
        if self._window is not None:
            self._window.close()
        for writer in (self._results, self._lines, self._labelme, self._images, self._video):
            if writer is not None:
                writer.abort()


def _cell(picture: np.ndarray) -> np.ndarray:
    """A picture at the size it has on the sheet, since all of them are kept."""
    import cv2

    height, width = picture.shape[:2]
    if width <= CELL_WIDTH:
        return picture
    return cv2.resize(picture, (CELL_WIDTH, max(1, round(height * CELL_WIDTH / width))), interpolation=cv2.INTER_AREA)


Draw = Callable[[Result], Optional[np.ndarray]]


def drawer(wanted: Wanted, style: Any) -> Draw:
    """Gives what draws a result; it gives None where nothing is to be drawn.

    Args:
        wanted: What is written.
        style: How to draw, a :class:`pose_tools.report.draw.DrawStyle`.
    """
    return (lambda result: result.draw(style)) if wanted.pictures else (lambda result: None)
