"""Finding the image of a labelme file and making sure it is the one that was annotated.

Sizes are (width, height) in px. *Stored* is what the file's rows hold; *upright* is after its EXIF
orientation, which is what labelme shows, what ``cv2.imread`` returns and what COCO sizes mean here.
"""
from __future__ import annotations

import io
import os
import shutil
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Union

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.labelme import LabelmeFile, find_files, read_embedded_image

if TYPE_CHECKING:
    from PIL import Image

Size = tuple[int, int]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm",
                  ".pgm")
# OpenCV applies EXIF orientation for the first three only, and cannot read what is not listed.
_TURNED_BY_CV2 = ("JPEG", "MPO", "PNG")
_READ_BY_CV2 = (*_TURNED_BY_CV2, "BMP", "TIFF", "WEBP", "PPM")
_SUFFIXES_OF = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg"), "PNG": (".png", ),
                "BMP": (".bmp", ), "TIFF": (".tif", ".tiff"), "WEBP": (".webp", ), "PPM": (".ppm", ".pgm")}
_ORIENTATION = 0x0112


class ImageError(UserError):
    """An image file that cannot be used; its text does not name the file."""


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of an image file say.

    Attributes:
        stored: (width, height) of the rows in the file.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        format: PIL's name such as ``"JPEG"``.
    """

    stored: Size
    orientation: int
    format: str

    @property
    def upright(self) -> Size:
        """(width, height) after EXIF orientation; 5 to 8 are quarter turns."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


@dataclass(frozen=True)
class ImageSource:
    """An image to put into a data set, and how.

    Attributes:
        origin: The image file, or the labelme file that embeds it.
        size: (width, height) the written image will have when OpenCV reads it.
        name: Its own file name.
        embedded: Whether ``origin`` is a labelme file.
        rewrite: ``""`` to keep the file's bytes; ``"upright"`` to apply its EXIF orientation and
            ``"stored"`` to drop it, both into a PNG.
        note: Why something other than the file under ``imagePath`` is used; empty when nothing is to be said.
    """

    origin: Path
    size: Size
    name: str
    embedded: bool = False
    rewrite: str = ""
    note: str = ""


def read_header(image: Union[Path, bytes]) -> ImageHeader:
    """Reads size and orientation without decoding, and decodes only a file whose end is missing.

    Args:
        image: A path or the bytes of an image file.

    Raises:
        ImageError: It is empty, not an image, or cut short.
    """
    from PIL import Image

    source = io.BytesIO(image) if isinstance(image, bytes) else image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source) as opened:
                header = _header(opened)
                if not _ends_whole(image, header.format):
                    opened.load()
    except Image.UnidentifiedImageError:
        empty = len(image) == 0 if isinstance(image, bytes) else image.stat().st_size == 0
        raise ImageError("is empty" if empty else "is not an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot be decoded: {error}") from None
    return header


def _header(opened: Image.Image) -> ImageHeader:
    size = opened.size
    if opened.format == "TIFF":
        # PIL's size of a TIFF is turned or not, depending on its version.
        tags = opened.tag_v2  # type: ignore[attr-defined]
        size = int(tags.get(256, size[0])), int(tags.get(257, size[1]))
    return ImageHeader(size, _orientation(opened), opened.format or "")


def _orientation(opened: Image.Image) -> int:
    # PIL decodes a whole PNG to look for EXIF data behind the pixels, where nobody puts it.
    if opened.format == "PNG" and "exif" not in opened.info:
        return 1
    try:
        value = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data raises anything; OpenCV ignores it as well
        return 1
    return value if value in range(1, 9) else 1


def _ends_whole(image: Union[Path, bytes], kind: str) -> bool:
    mark = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}.get(kind)
    if mark is None:
        return False
    if isinstance(image, bytes):
        return mark in image[-32:]
    with open(image, "rb") as file:
        file.seek(max(0, image.stat().st_size - 32))
        return mark in file.read()


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


class ImageIndex:
    """The image files below some folders, to be found again by name after they were moved."""

    def __init__(self, folders: Sequence[Path], leave_out: Iterable[Path] = ()) -> None:
        """Lists the folders' images once.

        Args:
            folders: Searched with their subfolders.
            leave_out: Resolved folders not to enter.
        """
        self.roots = list(folders)
        barred = list(leave_out)
        self.paths: list[Path] = []
        self.relative: dict[Path, PurePosixPath] = {}
        for root in self.roots:
            for path in find_files(root, IMAGE_SUFFIXES, barred):
                real = path.resolve()
                if real not in self.relative:
                    self.relative[real] = PurePosixPath(*path.relative_to(root).parts)
                    self.paths.append(path)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            self._by_name[_key(path.name)].append(path)
            self._by_stem[_key(path.stem)].append(path)

    def candidates(self, file: LabelmeFile) -> list[list[Path]]:
        """Image files that may belong to a labelme file, the likeliest first.

        Args:
            file: Its ``imagePath`` is tried as it stands, then its name anywhere in the folders in any case,
                then with another extension, then the labelme file's own name beside it.

        Returns:
            Lists of equally likely files.
        """
        wanted = PureWindowsPath(file.image_path)
        ranks: list[list[Path]] = []
        for direct in dict.fromkeys([file.image_path, wanted.as_posix()]):
            if direct and (file.path.parent / direct).is_file():
                ranks.append([file.path.parent / direct])
        if wanted.name:
            ranks += _ranked(self._by_name[_key(wanted.name)], wanted, file.path)
            ranks += _ranked(self._by_stem[_key(wanted.stem)], wanted, file.path)
        own = [path for path in self._by_stem[_key(file.path.stem)] if path.parent == file.path.parent]
        ranks += _ranked(own, wanted, file.path)
        seen: set[Path] = set()
        unique = []
        for rank in ranks:
            fresh = {path.resolve(): path for path in rank if path.resolve() not in seen}
            seen |= set(fresh)
            if fresh:
                unique.append(list(fresh.values()))
        return unique


def _shared_tail(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b)):
        if _key(x) != _key(y):
            break
        count += 1
    return count


def _ranked(paths: Sequence[Path], wanted: PureWindowsPath, label_file: Path) -> list[list[Path]]:
    """Orders namesakes: folders as in imagePath, folders as of the labelme file, nearest, same case."""
    def rank(path: Path) -> tuple[int, int, int, bool]:
        folders, home = path.parent.parts, label_file.parent.parts
        return (-_shared_tail(folders, wanted.parent.parts), -_shared_tail(folders, home),
                -len(os.path.commonprefix([folders, home])), path.name != wanted.name)

    by_rank: dict[tuple[int, int, int, bool], list[Path]] = defaultdict(list)
    for path in paths:
        by_rank[rank(path)].append(path)
    return [by_rank[key] for key in sorted(by_rank)]


def _as_source(origin: Path, header: ImageHeader, size: Size | None, embedded: bool,
               name: str) -> ImageSource:
    """Decides how to write an image so that OpenCV reads what was annotated; the sizes already agree."""
    # labelme turns a file upright before it shows it, but shows embedded data as stored.
    as_stored = size in (None, header.stored) if embedded else size not in (None, header.upright)
    if header.orientation != 1 and as_stored:
        how, shown = "stored", header.stored
    elif header.format not in (_READ_BY_CV2 if header.orientation == 1 else _TURNED_BY_CV2):
        how, shown = "upright", header.upright
    else:
        how, shown = "", header.upright
    note = ""
    if how == "stored" and not embedded:
        note = "EXIF orientation dropped: annotated on the unturned pixels"
    # A file keeps even a misleading name; OpenCV goes by the contents.
    suffixes = (".png", ) if how else _SUFFIXES_OF[header.format]
    if (how or embedded) and PurePosixPath(name).suffix.lower() not in suffixes:
        name = PurePosixPath(name).stem + suffixes[0]
    return ImageSource(origin, shown, name, embedded, how, note)


def source_of(path: Path, header: ImageHeader) -> ImageSource:
    """How to take an image file into a data set when no labelme file describes it."""
    return _as_source(path, header, None, False, path.name)


def _agrees(header: ImageHeader, size: Size | None) -> bool:
    # PIL turns a TIFF whether one wants or not, so its unturned pixels are out of reach.
    unturned = header.stored if header.format != "TIFF" else header.upright
    return size is None or size in (header.upright, unturned)


def find_image(file: LabelmeFile, index: ImageIndex) -> tuple[ImageSource | None, list[Path], list[Fault]]:
    """Finds the image that a labelme file was drawn on.

    A file under the right name but of another size than the labelme file says is not that image.

    Args:
        file: The labelme file.
        index: The images at hand.

    Returns:
        The image or ``None``; the files it may be mistaken for, which therefore are no images without
        annotations; and the faults when there is no image.
    """
    claimed, refused = [], []
    for rank in index.candidates(file):
        fitting = []
        for path in rank:
            claimed.append(path)
            try:
                header = read_header(path)
            except ImageError as error:
                refused.append(f"{path} {error}")
                continue
            if _agrees(header, file.size):
                fitting.append((path, header))
            else:
                refused.append("{} is {}x{}".format(path, *header.upright))
        if len(fitting) > 1 and not file.embeds_image:
            names = " and ".join(str(path) for path, _ in fitting)
            return None, claimed, [Fault(file.path, f"its image '{file.image_path}' may be {names}")]
        if len(fitting) == 1:
            path, header = fitting[0]
            return _as_source(path, header, file.size, False, path.name), claimed, []
    return _from_embedded(file, index, claimed, refused)


def _from_embedded(file: LabelmeFile, index: ImageIndex, claimed: list[Path],
                   refused: list[str]) -> tuple[ImageSource | None, list[Path], list[Fault]]:
    if file.embeds_image:
        try:
            header = read_header(read_embedded_image(file.path))
            if _agrees(header, file.size):
                name = PureWindowsPath(file.image_path).name or file.path.stem
                source = _as_source(file.path, header, file.size, True, name)
                if refused:
                    source = replace(source, note=f"embedded image used, for {refused[0]}")
                return source, claimed, []
            refused.append("imageData is {}x{}".format(*header.upright))
        except (ImageError, FaultsError) as error:
            refused.append(f"imageData {error}")
    if refused:
        size = "{}x{}".format(*file.size) if file.size else "unknown size"
        return None, claimed, [Fault(file.path, f"its image ({size}) is not there: {'; '.join(refused)}")]
    what = f"its image '{file.image_path}' is nowhere below {', '.join(map(str, index.roots))}"
    return None, claimed, [Fault(file.path, what)]


def write_image(source: ImageSource, path: Path) -> None:
    """Puts an image into place: hard-linked where that works, else copied; rewritten where it has to be.

    Args:
        source: What :func:`find_image` returned.
        path: Where to put it; its folder is made.

    Raises:
        OSError: It cannot be read or written.
        FaultsError: Embedded data has gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.rewrite:
        data = io.BytesIO(read_embedded_image(source.origin)) if source.embedded else source.origin
        _save_png(data, path, source.rewrite == "upright")
    elif source.embedded:
        path.write_bytes(read_embedded_image(source.origin))
    else:
        origin = source.origin.resolve()
        try:
            os.link(origin, path)
        except OSError:
            shutil.copyfile(origin, path)


def _save_png(data: Union[Path, io.BytesIO], path: Path, turn: bool) -> None:
    from PIL import Image, ImageOps

    with Image.open(data) as opened:
        image = ImageOps.exif_transpose(opened) if turn else opened
        image.info.pop("exif", None)
        if image.mode not in ("1", "L", "RGB", "I;16"):
            image = image.convert("RGB")
        image.save(path, "PNG")
