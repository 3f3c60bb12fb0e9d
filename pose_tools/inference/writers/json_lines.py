"""JSON lines: a picture or frame a line, there to be read while more is coming."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional, TextIO, Union

from pose_tools.inference.writers.coco import objects_of, to_json
from pose_tools.inference.writers.writer import Writer

if TYPE_CHECKING:
    from pose_tools.inference.result import Result


class JsonLines(Writer):
    """Writes a line for each picture or frame, also for one without objects, and hands it on at once.

    A line is ``{"file_name" or "image_id", "frame", "time", "width", "height", "objects": [...]}``; objects are as in
    :func:`pose_tools.inference.writers.coco_results`. Since others read along, the file is under its name from the
    start and keeps its lines, all of them whole, even after an error.

    Args:
        path: Where to write, which replaces a file that is there; ``-`` is the standard output.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        """Opens the file."""
        super().__init__()
        self._own = str(path) != "-"
        self._file: TextIO = sys.stdout
        if self._own:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "w", encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115

    def add(self, result: Result, image_id: Optional[int] = None) -> None:
        """Writes one line."""
        line = {"file_name": result.source} if image_id is None else {"image_id": image_id}
        if result.time is not None:
            line.update(frame=int(result.number), time=round(float(result.time), 4))
        line.update(width=int(result.image.shape[1]), height=int(result.image.shape[0]), objects=objects_of(result))
        self._file.write(to_json(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._own:
            self._file.close()

    def abort(self) -> None:
        """Closes it likewise: what was handed on cannot be taken back."""
        self.close()
