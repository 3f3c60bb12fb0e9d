"""Drawn pictures and videos."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from pose_tools.inference.media.encoder import VideoWriter
from pose_tools.inference.writers.writer import Names, Writer

if TYPE_CHECKING:
    from pose_tools.inference.result import Result
    from pose_tools.report.draw import DrawStyle


class DrawnImages(Writer):
    """Writes a JPEG a picture into a folder, each when it is whole.

    Args:
        folder: Where to write; made when the first comes.
        style: What is drawn and how, where no drawn picture is handed over.
    """

    def __init__(self, folder: Union[str, Path], style: Optional[DrawStyle] = None) -> None:
        """Writes nothing yet."""
        super().__init__()
        self._folder, self._style, self._names = Path(folder), style, Names()

    def add(self, result: Result, drawn: Optional[np.ndarray] = None) -> Path:
        """Writes a picture.

        Args:
            result: What was found.
            drawn: BGR (H, W, 3) uint8, drawn already; else it is drawn here.

        Returns:
            The file: ``NAME.jpg``, of a frame ``NAME-000012.jpg``; ``NAME-2.jpg`` where the name is taken.
        """
        from pose_tools.report.draw import imwrite

        path = self._folder / f"{self._names.free(result)}.jpg"
        imwrite(path, result.draw(self._style) if drawn is None else drawn)
        return path


class DrawnVideo(Writer):
    """Writes the drawn frames of one source into a video; see :class:`pose_tools.inference.media.VideoWriter`.

    Args:
        path: The file; its suffix gives the format.
        frame_rate: Of the source, frames/s; None takes 25.
        audio_from: The file whose sound is kept.
        style: What is drawn and how, where no drawn picture is handed over.
    """

    def __init__(self, path: Union[str, Path], frame_rate: Optional[float], audio_from: Optional[Path] = None,
                 style: Optional[DrawStyle] = None) -> None:
        """Writes nothing yet: the size is the first frame's."""
        super().__init__()
        self.path = Path(path)
        self._frame_rate, self._audio, self._style = frame_rate, audio_from, style
        self._video: Optional[VideoWriter] = None

    def add(self, result: Result, drawn: Optional[np.ndarray] = None) -> None:
        """Writes a frame at its time; arguments as those of :meth:`DrawnImages.add`.

        Raises:
            UserError: The file cannot be written; nothing is left behind.
        """
        picture = result.draw(self._style) if drawn is None else drawn
        if self._video is None:
            size = picture.shape[1], picture.shape[0]
            self._video = VideoWriter(self.path, self._frame_rate, size, self._audio)
        self._video.write(picture, result.time)

    def close(self) -> None:
        """Finishes the file; without a frame there is none.

        Raises:
            UserError: It could not be written whole.
        """
        if self._video is not None:
            self._video.close()
            self.notes = self._video.notes

    def abort(self) -> None:
        """Leaves nothing behind."""
        if self._video is not None:
            self._video.abort()
