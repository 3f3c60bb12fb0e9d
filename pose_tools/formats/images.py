"""Finding the image of a labelme file and making sure it is the one that was annotated.

Sizes are (width, height) in px. *Stored* is what the file's rows hold; *upright* is after its EXIF
orientation, which is what labelme shows, what ``cv2.imread`` returns and what COCO sizes mean here.
"""
from __future__ import annotations

import io
import os
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple, Optional, Union

from pose_tools.console import Fault, FaultsError
from pose_tools.formats.headers import ImageError, ImageHeader, Size, read_header
from pose_tools.formats.labelme import FoundFile, LabelmeFile, read_embedded_image, scan_files

__all__ = ["IMAGE_SUFFIXES", "FoundImage", "ImageError", "ImageHeader", "ImageIndex", "ImageSource", "Size",
           "find_image", "link_or_copy", "read_header", "source_of", "write_image"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm",
                  ".pgm")
# OpenCV applies EXIF orientation for the first three only, and cannot read what is not listed.
_TURNED_BY_CV2 = ("JPEG", "MPO", "PNG")
_READ_BY_CV2 = (*_TURNED_BY_CV2, "BMP", "TIFF", "WEBP", "PPM")
_SUFFIXES_OF = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg"), "PNG": (".png", ),
                "BMP": (".bmp", ), "TIFF": (".tif", ".tiff"), "WEBP": (".webp", ), "PPM": (".ppm", ".pgm")}


class ImageSource(NamedTuple):
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

    origin: Union[str, Path]
    size: Size
    name: str
    embedded: bool = False
    rewrite: str = ""
    note: str = ""


class FoundImage(NamedTuple):
    """The image of a labelme file.

    Attributes:
        source: The image, ``None`` when there is none.
        real: Where its file really is, behind all links; empty for an embedded image.
        claimed: Where the files really are that it may be mistaken for, and which therefore are no images without
            annotations.
        faults: Why there is none.
    """

    source: Optional[ImageSource]
    real: str
    claimed: tuple[str, ...]
    faults: list[Fault]


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


class ImageIndex:
    """The image files below some folders, to be found again by name after they were moved."""

    def __init__(self, folders: Sequence[Path], leave_out: Iterable[Path] = ()) -> None:
        """Lists the folders' images once, as ``files``.

        Args:
            folders: Searched with their subfolders.
            leave_out: Resolved folders not to enter.
        """
        self.roots = list(folders)
        barred = list(leave_out)
        by_place: dict[str, FoundFile] = {}
        for root in self.roots:
            for file in scan_files(root, IMAGE_SUFFIXES, barred):
                by_place.setdefault(file.real, file)
        self.files = list(by_place.values())
        self._by_path = {file.path: file for file in self.files}
        self._real_folders: dict[str, str] = {}
        self._names: Optional[tuple[dict[str, list[FoundFile]], dict[str, list[FoundFile]]]] = None

    def _namesakes(self, by_stem: bool, name: str) -> list[FoundFile]:
        """Files of a name, or of a name up to its extension; most folders never ask for one."""
        if self._names is None:
            self._names = defaultdict(list), defaultdict(list)
            for file in self.files:
                whole = os.path.basename(file.path)
                self._names[0][_key(whole)].append(file)
                self._names[1][_key(PurePosixPath(whole).stem)].append(file)
        return self._names[by_stem].get(_key(name), [])

    def _located(self, path: str) -> FoundFile:
        """A file that is not in the index, or is there by another path."""
        folder, name = os.path.split(path)
        # Windows knows a file by names in other letters, too; only the system can tell the real one.
        if os.name == "nt" or os.path.islink(path):
            return FoundFile(path, os.path.realpath(path))
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return FoundFile(path, os.path.join(self._real_folders[folder], name))

    def candidates(self, file: LabelmeFile) -> Iterator[list[FoundFile]]:
        """Image files that may belong to a labelme file, the likeliest first.

        Args:
            file: Its ``imagePath`` is tried as it stands, then its name anywhere in the folders in any case,
                then with another extension, then the labelme file's own name beside it.

        Yields:
            Lists of equally likely files; none comes twice.
        """
        seen: set[str] = set()
        for rank in self._ranks(file):
            fresh = {found.real: found for found in rank if found.real not in seen}
            seen.update(fresh)
            if fresh:
                yield list(fresh.values())

    def _ranks(self, file: LabelmeFile) -> Iterator[list[FoundFile]]:
        home = os.path.dirname(file.path)
        beside = self._by_path.get(os.path.join(home, file.image_path))
        if beside:
            yield [beside]
        wanted = PureWindowsPath(file.image_path)
        for direct in dict.fromkeys([file.image_path, wanted.as_posix()]):
            path = os.path.join(home, direct)
            if direct and not beside and os.path.isfile(path):
                yield [self._located(str(Path(path)))]
        if wanted.name:
            yield from _ranked(self._namesakes(False, wanted.name), wanted, Path(file.path))
            yield from _ranked(self._namesakes(True, wanted.stem), wanted, Path(file.path))
        own = self._namesakes(True, Path(file.path).stem)
        yield from _ranked([found for found in own if os.path.dirname(found.path) == home], wanted, Path(file.path))


def _shared_tail(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b)):
        if _key(x) != _key(y):
            break
        count += 1
    return count


def _ranked(files: Sequence[FoundFile], wanted: PureWindowsPath, label_file: Path) -> list[list[FoundFile]]:
    """Orders namesakes: folders as in imagePath, folders as of the labelme file, nearest, same case."""
    def rank(path: Path) -> tuple[int, int, int, bool]:
        folders, home = path.parent.parts, label_file.parent.parts
        return (-_shared_tail(folders, wanted.parent.parts), -_shared_tail(folders, home),
                -len(os.path.commonprefix([folders, home])), path.name != wanted.name)

    by_rank: dict[tuple[int, int, int, bool], list[FoundFile]] = defaultdict(list)
    for file in files:
        by_rank[rank(Path(file.path))].append(file)
    return [by_rank[key] for key in sorted(by_rank)]


def _as_source(origin: Union[str, Path], header: ImageHeader, size: Size | None, embedded: bool,
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


def source_of(path: Union[str, Path], header: ImageHeader) -> ImageSource:
    """How to take an image file into a data set when no labelme file describes it."""
    return _as_source(path, header, None, False, os.path.basename(path))


def _agrees(header: ImageHeader, size: Size | None) -> bool:
    # PIL turns a TIFF whether one wants or not, so its unturned pixels are out of reach.
    unturned = header.stored if header.format != "TIFF" else header.upright
    return size is None or size in (header.upright, unturned)


def find_image(file: LabelmeFile, index: ImageIndex) -> FoundImage:
    """Finds the image that a labelme file was drawn on.

    A file under the right name but of another size than the labelme file says is not that image.

    Args:
        file: The labelme file.
        index: The images at hand.

    Returns:
        The image, or the faults when there is none; and the files it may be mistaken for.
    """
    claimed: list[str] = []
    refused: list[str] = []
    for rank in index.candidates(file):
        fitting = []
        for found in rank:
            claimed.append(found.real)
            try:
                header = read_header(found.path)
            except ImageError as error:
                refused.append(f"{found.path} {error}")
                continue
            if _agrees(header, file.size):
                fitting.append((found, header))
            else:
                refused.append("{} is {}x{}".format(found.path, *header.upright))
        if len(fitting) > 1 and not file.embeds_image:
            names = " and ".join(found.path for found, _ in fitting)
            return _no_image(file, claimed, f"its image '{file.image_path}' may be {names}")
        if len(fitting) == 1:
            found, header = fitting[0]
            source = _as_source(found.path, header, file.size, False, os.path.basename(found.path))
            return FoundImage(source, found.real, tuple(claimed), [])
    return _from_embedded(file, index, claimed, refused)


def _no_image(file: LabelmeFile, claimed: Sequence[str], what: str) -> FoundImage:
    return FoundImage(None, "", tuple(claimed), [Fault(file.path, what)])


def _from_embedded(file: LabelmeFile, index: ImageIndex, claimed: Sequence[str], refused: list[str]) -> FoundImage:
    if file.embeds_image:
        try:
            header = read_header(read_embedded_image(file.path))
            if _agrees(header, file.size):
                name = PureWindowsPath(file.image_path).name or Path(file.path).stem
                source = _as_source(str(file.path), header, file.size, True, name)
                if refused:
                    source = source._replace(note=f"embedded image used, for {refused[0]}")
                return FoundImage(source, "", tuple(claimed), [])
            refused.append("imageData is {}x{}".format(*header.upright))
        except (ImageError, FaultsError) as error:
            refused.append(f"imageData {error}")
    if refused:
        size = "{}x{}".format(*file.size) if file.size else "unknown size"
        return _no_image(file, claimed, f"its image ({size}) is not there: {'; '.join(refused)}")
    places = ", ".join(map(str, index.roots))
    return _no_image(file, claimed, f"its image '{file.image_path}' is nowhere below {places}")


def write_image(source: ImageSource, path: Path) -> None:
    """Puts an image into place: hard-linked where that works, else copied; rewritten where it has to be.

    Args:
        source: What :func:`find_image` returned.
        path: Where to put it; its folder is made.

    Raises:
        OSError: It cannot be read or written.
        FaultsError: Embedded data has gone.
    """
    if not source.rewrite and not source.embedded:
        link_or_copy(source.origin, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    data = read_embedded_image(source.origin) if source.embedded else b""
    if source.rewrite:
        _save_png(io.BytesIO(data) if source.embedded else source.origin, path, source.rewrite == "upright")
    else:
        path.write_bytes(data)


def link_or_copy(origin: Union[str, Path], path: Union[str, Path]) -> None:
    """Puts a file into place: hard-linked where that works, else copied; a link is followed.

    Args:
        origin: The file.
        path: Where to put it; its folder is made.

    Raises:
        OSError: It cannot be read or written.
    """
    origin = os.path.realpath(origin) if os.path.islink(origin) else origin
    try:
        os.link(origin, path)
    except OSError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
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
