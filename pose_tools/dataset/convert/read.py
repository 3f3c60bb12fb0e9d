"""Reading a labelme folder: its files, their images, and what is wrong with them, all of it before anything is written.

Each file is read by itself, by several processes when there are many (:mod:`pose_tools.dataset.parallel`). Where the
names are to be found in the data, those of a few files are tried on all; only when they do not do, all are read twice.
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.dataset.convert.conversion import Conversion, ConvertOptions
from pose_tools.dataset.convert.labelme_pictures import BareReader, Picture, PictureReader, ReadFile
from pose_tools.dataset.copies import same_bytes
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.parallel import map_items
from pose_tools.formats.images import ImageIndex
from pose_tools.formats.labelme import read_labelme, scan_files
from pose_tools.formats.labels import LabelRules, join_names, labels_used
from pose_tools.formats.schema import KeypointSet

_SAMPLE = 64  # files to look into for names before all are read


def _first_names(paths: Sequence[str], options: ConvertOptions) -> KeypointSet:
    """Names that a few of the files use, from all over the folder: mostly these are all there are."""
    found = []
    for path in paths[::-(-len(paths) // _SAMPLE)]:
        with suppress(FaultsError):
            found.append(labels_used([read_labelme(path)], options.ignored, options.suffixes))
    return join_names(found)


def _names(found: KeypointSet, options: ConvertOptions) -> KeypointSet:
    """The names to convert with, out of what is given and what was found in the data."""
    if options.names is not None:
        return options.names
    classes = found.classes if options.classes is None else options.classes
    if not classes and options.pad is not None:
        classes = ("object", )
    return KeypointSet(classes, found.keypoints if options.keypoints is None else options.keypoints)


def _unreadable(index: ImageIndex, broken: Sequence[str]) -> set[str]:
    """Where images beside labelme files are that could not be read: they are not without annotations."""
    stems = {os.path.splitext(path)[0] for path in broken}
    return {file.real for file in index.files if stems and os.path.splitext(file.path)[0] in stems}


class _Sorter:
    """Takes what became of the labelme files, one after the other, and keeps what concerns several."""

    def __init__(self, result: Conversion) -> None:
        self.result = result
        self.claimed: set[str] = set()
        self.unreadable: list[str] = []
        self.unread: list[Fault] = []
        self.unknown: list[KeypointSet] = []
        self._described: dict[str, str] = {}

    def take(self, path: str, read: ReadFile) -> None:
        if read.unknown:
            self.unknown.append(read.unknown)
            return
        if not read.is_labelme:
            self.unreadable.append(path)
            self.unread += read.faults
            return
        self.claimed.update(read.claimed)
        faults = list(read.faults)
        other = self._described.setdefault(read.image, path) if read.image else path
        if other != path:
            faults.append(Fault(path, f"describes {read.described}, as {other} does"))
        if faults or read.picture is None:
            self.result.skipped.append(Path(path))
            self.result.faults += faults
        else:
            self.result.train.append(read.picture)
            self.result.passed_over.update(read.passed_over)


def _read_all(paths: Sequence[str], index: ImageIndex, options: ConvertOptions) -> _Sorter:
    """Reads labelme files with the names that a few of them use, and all again if there are more.

    Raises:
        UserError: They name no class.
    """
    given = {"classes": options.classes, "keypoints": options.keypoints}
    wanted = tuple(what for what, listed in given.items() if listed is None and options.names is None)
    found = _first_names(paths, options) if wanted else KeypointSet((), ())
    while True:
        sorter = _Sorter(Conversion(_names(found, options), wanted))
        rules = LabelRules(sorter.result.names, options.ignored, options.suffixes)
        reader = PictureReader(index, rules, options.pad, options.verify_images, wanted)
        with closing(map_items(reader, paths, "checking", options.workers)) as read:
            for path, file in zip(paths, read):
                sorter.take(path, file)
        if not sorter.unknown:
            break
        found = join_names([found, *sorter.unknown])
    if len(sorter.unreadable) == len(paths):
        sorter.result.discovered = ()
    elif not sorter.result.names.classes:
        raise UserError("no class is known: there is no rectangle, polygon or circle; "
                        "give --bbox-from-points for boxes around the points")
    return sorter


def gather(source: Path, destination: Path, options: ConvertOptions) -> Conversion:
    """Reads everything and writes nothing.

    Args:
        source: A folder of labelme files.
        destination: Not searched, in case it lies inside ``source``.
        options: How to convert.

    Returns:
        The conversion, not yet divided: all pictures are in ``train``, in a fixed order.

    Raises:
        UserError: There is nothing to convert.
        FaultsError: All faults, unless faulty images are to be skipped.
    """
    barred = [destination.resolve()]
    paths = [file.path for file in scan_files(source, [".json"], barred)]
    if not paths:
        raise UserError(f"{source}: there is no .json file in this folder or below")
    index = ImageIndex([source, *options.image_folders], barred)
    sorter = _read_all(paths, index, options)
    result = sorter.result
    # What cannot be read at all comes first.
    result.faults[:0] = sorter.unread
    result.skipped[:0] = map(Path, sorter.unreadable)
    _add_empty(result, index, sorter.claimed | _unreadable(index, sorter.unreadable), options)
    if result.faults and not options.skip_faulty:
        count = f"{len(result.faults)} faults in {len(set(result.skipped))} of {len(paths)} files"
        raise FaultsError(fold_faults(result.faults), f"{count}; nothing was written. Correct them, or leave "
                          "these images out with --skip-faulty.")
    return result


def _copies(paths: Sequence[str], pictures: Sequence[Picture]) -> set[str]:
    """Those files that have the same bytes as a picture's."""
    wanted = {os.path.getsize(path) for path in paths}
    origins = [str(picture.source.origin) for picture in pictures if wanted and not picture.source.embedded]
    every = [*paths, *(origin for origin in origins if os.path.getsize(origin) in wanted)]
    return {paths[i] for group in same_bytes(every) if group[-1] >= len(paths) for i in group if i < len(paths)}


def _add_empty(result: Conversion, index: ImageIndex, claimed: set[str], options: ConvertOptions) -> None:
    bare = [file.path for file in index.files if file.real not in claimed]
    copies = _copies(bare, result.train)
    result.without_labels += map(Path, bare)
    result.copies += [Path(path) for path in bare if path in copies]
    if not options.keep_empty:
        return
    fresh = [path for path in bare if path not in copies]
    with closing(map_items(BareReader(options.verify_images), fresh, "checking negatives", options.workers)) as read:
        for path, found in zip(fresh, read):
            if isinstance(found, str):
                result.faults.append(Fault(path, found))
                result.skipped.append(Path(path))
            else:
                result.train.append(Picture(found))
