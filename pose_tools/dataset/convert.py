"""Turning a labelme folder into a COCO data set, all or nothing."""
from __future__ import annotations

import filecmp
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.folder import check_destination, new_folder
from pose_tools.dataset.naming import assign_names
from pose_tools.dataset.split import group_names, split_names
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, save_coco
from pose_tools.formats.images import (
    ImageError,
    ImageIndex,
    ImageSource,
    find_image,
    read_header,
    source_of,
    write_image,
)
from pose_tools.formats.labelme import LabelmeFile, read_folder
from pose_tools.formats.labels import LabelRules, discover_names, sort_shapes
from pose_tools.formats.ownership import Instance, Pad, find_instances
from pose_tools.formats.schema import KeypointSet
from pose_tools.formats.shapes import segmentation


@dataclass(frozen=True)
class ConvertOptions:
    """How to convert; see ``pose_tools/labelme2coco.py --help``.

    Attributes:
        names: Facts from a ``meta.py``; ``None`` when there is none.
        keypoints: Keypoint names from a file; ``None`` to take those in the data.
        classes: Class names from a file; ``None`` to take those in the data.
        image_folders: Where else images are.
        ignored: Labels to pass over.
        suffixes: Label endings and the visibility they stand for.
        pad: Room around points that have no box; ``None`` makes them faults.
        split: Share of the images to train on.
        seed: Of the split.
        group_by: Regular expression for names of images that must stay on one side.
        skip_faulty: Leave out images with faults instead of stopping.
        keep_empty: Keep images without a labelme file as images without objects.
        overwrite: Replace a destination that has contents.
    """

    names: KeypointSet | None = None
    keypoints: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    image_folders: tuple[Path, ...] = ()
    ignored: frozenset[str] = frozenset()
    suffixes: dict[str, int] = field(default_factory=dict)
    pad: Pad | None = None
    split: float = 0.8
    seed: int = 0
    group_by: str | None = None
    skip_faulty: bool = False
    keep_empty: bool = False
    overwrite: bool = False


@dataclass
class Picture:
    """An image of the data set to be, with its objects.

    Attributes:
        source: The image and how to write it.
        instances: Its objects; none for a negative.
        labelme: The labelme file, ``None`` for an image that has none.
        name: Its ``file_name`` in COCO, relative to ``images/``.
    """

    source: ImageSource
    instances: list[Instance]
    labelme: Path | None
    name: str = ""


@dataclass
class Conversion:
    """What was found and what became of it.

    Attributes:
        names: Classes and keypoints used.
        discovered: Which of ``"classes"`` and ``"keypoints"`` were taken from the data.
        train: Pictures to train on.
        val: Pictures to validate on.
        skipped: Labelme files left out because of ``faults``.
        faults: All faults, when faulty images are left out.
        without_labels: Images that no labelme file describes.
        copies: Those among them that equal an image with annotations, and so are no negatives.
        passed_over: Shapes that mean nothing here, by label and kind.
        groups: Number of groups that were kept together, 0 without ``group_by``.
        sides: The COCO data of ``train`` and ``val``, once written.
    """

    names: KeypointSet
    discovered: tuple[str, ...]
    train: list[Picture] = field(default_factory=list)
    val: list[Picture] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    without_labels: list[Path] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    groups: int = 0
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)


def _check_folders(source: Path, destination: Path, options: ConvertOptions) -> None:
    for folder in (source, *options.image_folders):
        if not folder.is_dir():
            what = "is a file; name the folder it is in" if folder.exists() else "no such folder"
            raise UserError(f"{folder}: {what}")
    check_destination(destination, options.overwrite, [source, *options.image_folders])


def _names(files: Sequence[LabelmeFile], options: ConvertOptions) -> tuple[KeypointSet, tuple[str, ...]]:
    if options.names is not None:
        return options.names, ()
    found = discover_names(files, options.ignored, options.suffixes)
    classes, keypoints = options.classes, options.keypoints
    # Known names of one kind are not to be found again as the other.
    if classes is None:
        classes = found.classes
        if not classes and options.pad is not None:
            classes = ("object", )
    if keypoints is None:
        keypoints = found.keypoints
    given = {"classes": options.classes, "keypoints": options.keypoints}
    discovered = tuple(what for what, listed in given.items() if listed is None)
    if not classes:
        raise UserError("no class is known: there is no rectangle, polygon or circle; "
                        "give --bbox-from-points for boxes around the points")
    return KeypointSet(classes=classes, keypoints=keypoints), discovered


class _Reader:
    """Turns labelme files into pictures, keeping every fault and every image that was accounted for."""

    def __init__(self, index: ImageIndex, rules: LabelRules, pad: Pad | None) -> None:
        self.index, self.rules, self.pad = index, rules, pad
        self.claimed: set[Path] = set()
        self.passed_over: Counter[str] = Counter()
        self._described: dict[Path, Path] = {}

    def read(self, file: LabelmeFile) -> tuple[Picture | None, list[Fault]]:
        source, tried, faults = find_image(file, self.index)
        self.claimed.update(path.resolve() for path in tried)
        found = sort_shapes(file, self.rules)
        faults += found.faults
        size = source.size if source else file.size
        instances, more = find_instances(file, found, self.rules.names.classes, self.pad, size)
        faults += more
        if source and not source.embedded:
            other = self._described.setdefault(source.origin.resolve(), file.path)
            if other != file.path:
                faults.append(Fault(file.path, f"describes {source.origin}, as {other} does"))
        if faults or source is None:
            return None, faults
        self.passed_over += found.passed_over
        return Picture(source, instances, file.path), []


def _unreadable(index: ImageIndex, faults: Sequence[Fault]) -> set[Path]:
    """Images beside labelme files that could not be read: they are not without annotations."""
    broken = {Path(fault.file).with_suffix("") for fault in faults}
    return {path.resolve() for path in index.paths if path.with_suffix("") in broken}


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
    files, faults = read_folder(source, barred)
    if not files and not faults:
        raise UserError(f"{source}: there is no .json file in this folder or below")
    total = len(files) + len(faults)
    names, discovered = _names(files, options) if files else (KeypointSet((), ()), ())
    result = Conversion(names, discovered, faults=list(faults), skipped=[Path(f.file) for f in faults])
    index = ImageIndex([source, *options.image_folders], barred)
    reader = _Reader(index, LabelRules(names, options.ignored, options.suffixes), options.pad)
    reader.claimed |= _unreadable(index, faults)
    for file in progress(files, "checking"):
        picture, found = reader.read(file)
        if picture is None:
            result.skipped.append(file.path)
            result.faults += found
        else:
            result.train.append(picture)
    result.passed_over = reader.passed_over
    _add_empty(result, index, reader.claimed, options.keep_empty)
    if result.faults and not options.skip_faulty:
        count = f"{len(result.faults)} faults in {len(set(result.skipped))} of {total} files"
        raise FaultsError(fold_faults(result.faults), f"{count}; nothing was written. Correct them, or leave "
                          "these images out with --skip-faulty.")
    return result


def _add_empty(result: Conversion, index: ImageIndex, claimed: set[Path], keep: bool) -> None:
    by_bytes: dict[int, list[Path]] = defaultdict(list)
    for picture in result.train:
        by_bytes[picture.source.origin.stat().st_size].append(picture.source.origin)
    for path in index.paths:
        if path.resolve() in claimed:
            continue
        result.without_labels.append(path)
        if any(filecmp.cmp(path, other, shallow=False) for other in by_bytes[path.stat().st_size]):
            result.copies.append(path)
        elif keep:
            try:
                result.train.append(Picture(source_of(path, read_header(path)), [], None))
            except ImageError as error:
                result.faults.append(Fault(path, str(error)))
                result.skipped.append(path)


def _divide(result: Conversion, options: ConvertOptions) -> None:
    names = [picture.name for picture in result.train]
    groups = group_names(names, options.group_by) if options.group_by else None
    result.groups = len(set(groups or ()))
    train, val = split_names(names, options.split, options.seed, groups)
    result.train, result.val = [result.train[i] for i in train], [result.train[i] for i in val]


def _annotation(number: int, image_id: int, picture: Picture, instance: Instance,
                names: KeypointSet) -> dict[str, Any]:
    points = {point.name: (*point.shape.points[0], point.visibility) for point in instance.points}
    outline, area = segmentation(instance.shapes, picture.source.size) if instance.shapes else ([], 0.0)
    return coco_annotation(number, image_id, names.classes.index(instance.label) + 1, instance.box,
                           [points.get(name, (0.0, 0.0, 0)) for name in names.keypoints], outline, area)


def to_coco(pictures: Sequence[Picture], names: KeypointSet, first_image: int = 1,
            first_annotation: int = 1) -> dict[str, Any]:
    """Builds a COCO file from pictures.

    Args:
        pictures: With their names in the data set.
        names: Classes and keypoints.
        first_image: Id of the first image.
        first_annotation: Id of the first annotation.
    """
    images = [coco_image(first_image + i, p.name, p.source.size) for i, p in enumerate(pictures)]
    pairs = [(image["id"], p, instance) for image, p in zip(images, pictures) for instance in p.instances]
    annotations = [_annotation(first_annotation + i, image_id, picture, instance, names)
                   for i, (image_id, picture, instance) in enumerate(pairs)]
    return {"info": {"description": "labelme2coco"}, "images": images, "annotations": annotations,
            "categories": coco_categories(names)}


def _write(result: Conversion, folder: Path) -> None:
    for picture in progress([*result.train, *result.val], "writing"):
        write_image(picture.source, folder / "images" / PurePosixPath(picture.name))
    train = to_coco(result.train, result.names)
    first = len(train["images"]) + 1, len(train["annotations"]) + 1
    result.sides = {"train": train, "val": to_coco(result.val, result.names, *first)}
    save_coco(folder / "train_coco.json", train)
    if result.val:
        save_coco(folder / "val_coco.json", result.sides["val"])


def convert(source: Path, destination: Path, options: ConvertOptions) -> Conversion:
    """Converts a labelme folder into ``images/``, ``train_coco.json`` and ``val_coco.json``.

    Image and annotation ids are unique over both files. Images are hard-linked where the file system can.

    Args:
        source: A folder of labelme files.
        destination: The data set's folder; it appears whole or stays as it was.
        options: How to convert.

    Returns:
        What was done.

    Raises:
        UserError: A folder is missing, the destination has contents, or nothing is left to convert.
        FaultsError: All faults of all files, unless faulty images are to be skipped.
    """
    source, destination = Path(source), Path(destination)
    _check_folders(source, destination, options)
    split_names([], options.split)
    result = gather(source, destination, options)
    if not any(picture.instances for picture in result.train):
        summary = f"{source}: no image with an object is left to convert; nothing was written."
        raise FaultsError(fold_faults(result.faults), summary)
    roots = [source, *options.image_folders]
    for picture, name in zip(result.train, assign_names([p.source for p in result.train], roots)):
        picture.name = name
    _divide(result, options)
    with new_folder(destination, options.overwrite) as folder:
        _write(result, folder)
    return result
