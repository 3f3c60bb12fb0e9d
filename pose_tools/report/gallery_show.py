"""Everything ``show_coco.py`` can make of a data set: a folder, one picture, a contact sheet, a page."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_tools.console import UserError
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.gallery import Missing, Picture, collect
from pose_tools.report.gallery_drawn import Drawer, draw_folder, draw_one, draw_sheet
from pose_tools.report.gallery_page import Page, language, write_page
from pose_tools.report.labels import Look

if TYPE_CHECKING:
    from pose_tools.dataset.data_set import DataSet
    from pose_tools.dataset.findings import Finding

_ON_SHEET, _ON_PAGE = 24, 300
_SIDE, _SIDE_ON_PAGE = 1600, 640
_NAMED = 5  # pictures that cannot be read, named one by one


@dataclass(frozen=True)
class Wishes:
    """What to make; see ``show_coco.py --help``.

    Attributes:
        out: Folder to make, or with ``image`` one picture.
        sheet: Contact sheet to make.
        html: Page to make.
        image: Only this picture: its ``file_name`` or the end of it.
        count: At most so many pictures, the worst; ``None`` for what suits each.
        most: Longest side of a picture in px; ``None`` for what suits each.
        words: ``"names"`` or ``"numbers"`` beside the keypoints, or ``""``.
        swaps: Whether partners are joined by dashed lines.
        lang: The page's language; ``None`` to go by the locale.
        overwrite: Whether ``out`` may replace a folder that has contents.
    """

    out: Path | None = None
    sheet: Path | None = None
    html: Path | None = None
    image: str | None = None
    count: int | None = None
    most: int | None = None
    words: str = ""
    swaps: bool = False
    lang: str | None = None
    overwrite: bool = False


def names_to_draw(meta: KeypointSet | None, own: KeypointSet | None) -> KeypointSet:
    """The keypoint set to draw with.

    Args:
        meta: What a ``meta.py`` says, if there is one.
        own: What the file's categories say, if that is sound.

    Returns:
        The ``meta.py``'s, unless the file lists other keypoints: then its points go by its own names.
    """
    if meta is not None and (own is None or own.keypoints in ((), meta.keypoints)):
        return meta
    return own or KeypointSet((), ())


def find_picture(pictures: Sequence[Picture], name: str) -> Picture:
    """The picture with a ``file_name``, or the only one whose ``file_name`` ends in ``/name``.

    Raises:
        UserError: There is none, or there are several.
    """
    wanted = name.replace("\\", "/")
    found = [p for p in pictures if p.name == name] or \
        [p for p in pictures if p.name.replace("\\", "/").endswith("/" + wanted)]
    if len(found) != 1:
        places = ", ".join(f"{p.split}: {p.name}" for p in found[:_NAMED])
        raise UserError(f"--image {name}: {f'may be {places}' if found else 'no picture is called that'}")
    return found[0]


def show(data_set: DataSet, meta: KeypointSet | None, own: KeypointSet | None, findings: Sequence[Finding],
         rules: Mapping[str, Any], wishes: Wishes) -> list[str]:
    """Makes what is wished for.

    Args:
        data_set: Read, not checked.
        meta: What a ``meta.py`` says, if there is one.
        own: What the file's categories say, if that is sound.
        findings: What is known about the data set.
        rules: Title and advice by rule.
        wishes: What to make.

    Returns:
        Lines that say what was written and what could not be read.

    Raises:
        UserError: A destination is not free or would take what is read along, the picture wished for is not there, or
            none of the pictures can be read.
    """
    names = names_to_draw(meta, own)
    pictures, elsewhere = collect(data_set, findings)
    if not pictures:
        raise UserError(f"{next(iter(data_set.files.values()))}: has no images")
    _check_targets(data_set, wishes)
    if wishes.image is not None:
        pictures = [find_picture(pictures, wishes.image)]
    total = len(pictures)
    look = Look(swaps=wishes.swaps, words=wishes.words)
    said: list[str] = []
    missing: Missing = []
    if wishes.out or wishes.sheet:
        drawer = Drawer.of(pictures[:wishes.count], names, look, wishes.most or _SIDE)
        missing += _write_drawn(pictures, drawer, wishes, said)
        if drawer.letters.lacking:
            said.append(f"no font of this machine has {_printable(drawer.letters.lacking[:40])}: such names are drawn "
                        "as numbers, other text with ?; install one (fonts-noto-cjk on Debian), or use --html")
    if wishes.html:
        shown = pictures[:wishes.count or _ON_PAGE]
        title = " + ".join(dict.fromkeys(path.absolute().parent.name for path in data_set.files.values()))
        missing += write_page(wishes.html, shown, Page(title, names, total, elsewhere, rules, look,
                                                       wishes.lang or language(), wishes.most or _SIDE_ON_PAGE))
        size = wishes.html.stat().st_size / 1e6
        said.append(f"wrote {wishes.html}: {_of(len(shown), total)}, {size:.1f} MB")
    return [*_missing_lines(missing), *said]


def _check_targets(data_set: DataSet, wishes: Wishes) -> None:
    """Refuses, before anything is drawn, what would overwrite something that is read."""
    read = [*data_set.files.values(), *(data_set.image_path(split, image) for split, data in data_set.sides.items()
                                        for image in data["images"])]
    one = wishes.out if wishes.image is not None else None
    for path in (wishes.sheet, wishes.html, one):
        if path is not None and any(path.name == own.name and path.resolve() == own.resolve() for own in read):
            raise UserError(f"{path}: belongs to the data set; name another file")
        if path is not None and path.is_dir():
            raise UserError(f"{path}: is a folder; name a file")
    if wishes.out and one is None:
        if wishes.out.suffix.lower() in (".jpg", ".jpeg", ".png") and not wishes.out.is_dir():
            raise UserError(f"{wishes.out}: --out makes a folder; name one picture with --image, or use --sheet")
        check_destination(wishes.out, wishes.overwrite, [*data_set.files.values(), *data_set.images.values()])


def _write_drawn(pictures: Sequence[Picture], drawer: Drawer, wishes: Wishes, said: list[str]) -> Missing:
    missing: Missing = []
    if wishes.out and wishes.image is not None:
        draw_one(pictures[0], drawer, wishes.out)
        said.append(f"wrote {wishes.out}")
    elif wishes.out:
        shown = pictures[:wishes.count]
        with new_folder(wishes.out, wishes.overwrite) as folder:
            missing += draw_folder(shown, drawer, folder)
        said.append(f"wrote {wishes.out}: {_of(len(shown), len(pictures))}, the worst first, and a legend")
    if wishes.sheet:
        shown = pictures[:wishes.count or _ON_SHEET]
        missing += draw_sheet(shown, drawer, wishes.sheet)
        said.append(f"wrote {wishes.sheet}: {_of(len(shown), len(pictures))}")
    return missing


def _of(shown: int, total: int) -> str:
    if shown < total:
        return f"the {f'{shown} most suspicious' if shown > 1 else 'most suspicious'} of {total} pictures"
    return "1 picture" if shown == 1 else f"{shown} pictures"


def _printable(text: str) -> str:
    """Text that any terminal takes: half a surrogate pair, which a JSON file may hold, is written as its number."""
    return text.encode(errors="backslashreplace").decode()


def _missing_lines(missing: Missing) -> list[str]:
    unread = {(picture.split, picture.entry["id"]): _printable(f"{picture.path}: {why}")
              for picture, why in missing}
    if not unread:
        return []
    rest = [f"... and {len(unread) - _NAMED} more"] if len(unread) > _NAMED else []
    return [f"{len(unread)} pictures cannot be read and are shown in grey:", *list(unread.values())[:_NAMED], *rest]
