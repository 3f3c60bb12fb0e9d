"""What a source of pictures is, and the simplest two: a picture file and an array."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Protocol

import numpy as np

from pose_tools.console import Fault, UserError
from pose_tools.formats.headers import ImageError
from pose_tools.inference.media.picture import as_bgr, read_picture


class Source(Protocol):
    """Where frames come from. Nothing is opened before something is asked for.

    Attributes:
        name: The file, the address, ``webcam:0`` or ``array 3``.
        kind: ``image``, ``video``, ``camera`` or ``array``.
        path: The file, where it is one.
        frame_rate: Frames/s, as the source says; None where it does not, and for pictures.
        frames: An estimate of how many there will be; None where nothing is known.
        size: (width, height) px; None where nothing is known yet.
        fault: After the iteration: what went wrong on the way, though frames were read.
        dropped: Frames of a camera that came while others were being worked on, and were passed over.
    """

    name: str
    kind: str
    path: Optional[Path]
    fault: Optional[Fault]
    dropped: int

    @property
    def frame_rate(self) -> Optional[float]:
        """Frames/s."""

    @property
    def frames(self) -> Optional[int]:
        """Estimated number of frames."""

    @property
    def size(self) -> Optional[tuple[int, int]]:
        """(width, height) px."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames; can be done once for a camera.

        Raises:
            UserError: Nothing at all can be read; the line starts with the name.
        """

    def close(self) -> None:
        """Ends the iteration at its next frame, also from another thread; does nothing the second time."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        image: BGR (H, W, 3) uint8, upright.
        source: Where it is from.
        number: Of its source, from 0; a camera counts those that were passed over, too.
        time: Seconds since the first frame of a video, or since a camera's first; None of a picture.
    """

    image: np.ndarray
    source: Source
    number: int = 0
    time: Optional[float] = None


@dataclass(eq=False)
class PictureFile:
    """A picture file; read anew at each iteration."""

    path: Path
    kind: str = "image"
    frame_rate: Optional[float] = None
    frames: Optional[int] = 1
    size: Optional[tuple[int, int]] = None
    fault: Optional[Fault] = None
    dropped: int = 0

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def __iter__(self) -> Iterator[Frame]:
        """Yields its one picture."""
        image = read_picture(self.path)
        self.size = image.shape[1], image.shape[0]
        yield Frame(image, self)

    def close(self) -> None:
        """Does nothing: no file is held open."""


@dataclass(eq=False)
class ArrayPicture:
    """Pixels that are in memory already.

    Args:
        array: As :func:`pose_tools.inference.media.picture.as_bgr` takes them; uint8 BGR is not copied.
        number: Its place among the inputs, from 0.

    Raises:
        UserError: They are no picture.
    """

    array: np.ndarray = field(repr=False)
    number: int = 0
    kind: str = "array"
    path: Optional[Path] = None
    frame_rate: Optional[float] = None
    frames: Optional[int] = 1
    fault: Optional[Fault] = None
    dropped: int = 0

    def __post_init__(self) -> None:
        """Looks at the pixels."""
        try:
            self.array = as_bgr(np.asarray(self.array))
        except ImageError as error:
            raise UserError(f"{self.name}: {error}") from None

    @property
    def name(self) -> str:
        """Says which of the inputs it was."""
        return f"array {self.number}"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) px."""
        return self.array.shape[1], self.array.shape[0]

    def __iter__(self) -> Iterator[Frame]:
        """Yields it."""
        yield Frame(self.array, self)

    def close(self) -> None:
        """Does nothing."""
