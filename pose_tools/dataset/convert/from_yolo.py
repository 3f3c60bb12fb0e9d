"""Turning a YOLO pose data set into a COCO one, all or nothing."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.convert.naming import assign_names
from pose_tools.dataset.convert.yolo_folder import YoloSplit, find_data_yaml, find_splits
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.scaffold import guess_swaps
from pose_tools.dataset.splits.by_name import group_names, split_names
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, save_coco
from pose_tools.formats.images import ImageError, ImageSource, read_header, source_of, write_image
from pose_tools.formats.schema import KeypointSet
from pose_tools.formats.yolo import YoloFacts, YoloObject, parse_labels, read_yolo_facts, swaps_of


@dataclass(frozen=True)
class YoloOptions:
    """How to convert; see ``pose_tools/yolo2coco.py --help``.

    Attributes:
        names: Facts from a ``meta.py``; ``None`` when there is none.
        keypoints: Keypoint names from a file; ``None`` to take those of ``data.yaml``, or numbers from 0.
        split: Share to train on, where the set has no validation images of its own.
        seed: Of that split.
        group_by: Regular expression for names of images that must stay on one side of it.
        clip: Cut boxes and drop keypoints outside the image.
        skip_faulty: Leave out images with faults instead of stopping.
        keep_empty: Keep images without a label file as images without objects.
        overwrite: Replace a destination that has contents.
    """

    names: KeypointSet | None = None
    keypoints: tuple[str, ...] | None = None
    split: float = 0.8
    seed: int = 0
    group_by: str | None = None
    clip: bool = False
    skip_faulty: bool = False
    keep_empty: bool = False
    overwrite: bool = False


@dataclass
class _Picture:
    source: ImageSource
    objects: list[YoloObject]
    name: str = ""


@dataclass
class YoloConversion:
    """What came out.

    Attributes:
        names: Classes and keypoints.
        sides: COCO data by split: ``train``, and ``val`` and ``test`` where there are such images.
        notes: What the user should know.
        faults: Of the images left out.
        skipped: Images left out because of faults.
    """

    names: KeypointSet
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)


def _keypoint_set(facts: YoloFacts, options: YoloOptions) -> tuple[KeypointSet, list[str]]:
    """The names to use, and what is odd about ``flip_idx``."""
    given = options.names.keypoints if options.names else options.keypoints
    names = given or facts.keypoints or tuple(str(i) for i in range(facts.num_keypoints))
    if len(names) != facts.num_keypoints:
        raise UserError(f"{facts.path}: has {facts.num_keypoints} keypoints, not {len(names)}: {', '.join(names)}")
    if options.names:
        unknown = [name for name in facts.classes if name not in options.names.classes]
        if unknown:
            raise UserError(f"{facts.path}: class {', '.join(map(repr, unknown))} is not in the meta file, which has "
                            f"{', '.join(map(repr, options.names.classes))}")
        return options.names, []
    swaps, guessed, notes = swaps_of(facts.flip_idx, names), guess_swaps(names), []
    if guessed and not swaps:
        why = "is missing" if not facts.flip_idx else "is the identity, though names say that sides change places"
        notes.append(f"flip_idx {why}; swaps guessed: {', '.join(f'{a} <-> {b}' for a, b in guessed)}")
        swaps = guessed
    elif not swaps:
        why = "is missing" if not facts.flip_idx else "is the identity"
        notes.append(f"flip_idx {why}: right only if no keypoint has a partner on the other side; if one has, give the "
                     "names by --keypoints or --meta")
    return KeypointSet(classes=facts.classes, keypoints=names, swaps=swaps), notes


def _read(split: YoloSplit, facts: YoloFacts, clip: bool, keep_empty: bool, result: YoloConversion) -> list[_Picture]:
    pictures, bare = [], 0
    for image in progress(split.images, f"checking {split.name}".strip()):
        label = split.labels.get(image)
        if label is None and not keep_empty:
            bare += 1
            continue
        try:
            source = source_of(image, read_header(image))
        except ImageError as error:
            result.faults.append(Fault(image, str(error)))
            result.skipped.append(image)
            continue
        objects, faults = _labels_of(label, facts, source.size, clip) if label else ([], [])
        result.faults += faults
        if faults:
            result.skipped.append(image)
        else:
            pictures.append(_Picture(source, objects))
    if bare:
        result.notes.append(f"{bare} images without a label file left out; keep them as negatives with --keep-empty")
    return pictures


def _labels_of(label: Path, facts: YoloFacts, size: tuple[int, int],
               clip: bool) -> tuple[list[YoloObject], list[Fault]]:
    try:
        return parse_labels(label.read_text(encoding="utf-8-sig"), facts, size, label, clip)
    except UnicodeDecodeError:
        return [], [Fault(label, "is not text")]


def _divided(pictures: dict[str, list[_Picture]], options: YoloOptions, notes: list[str]) -> dict[str, list[_Picture]]:
    """Keeps the set's own division; one without validation images gets one."""
    if pictures.get("train") and pictures.get("val"):
        return pictures
    present = [name for name in pictures if pictures[name]]
    pool = next((name for name in ("train", "val", "test", "") if name in present), "")
    names = [picture.name for picture in pictures[pool]]
    groups = group_names(names, options.group_by) if options.group_by else None
    train, val = split_names(names, options.split, options.seed, groups)
    notes.append(f"no division into train and val: {pool or 'all'} images were split {len(train)} to {len(val)}")
    rest = {name: found for name, found in pictures.items() if name not in (pool, "train", "val")}
    return {"train": [pictures[pool][i] for i in train], "val": [pictures[pool][i] for i in val], **rest}


def _coco(pictures: list[_Picture], facts: YoloFacts, names: KeypointSet, first: tuple[int, int]) -> dict[str, Any]:
    images = [coco_image(first[0] + i, picture.name, picture.source.size) for i, picture in enumerate(pictures)]
    pairs = [(image["id"], found) for image, picture in zip(images, pictures) for found in picture.objects]
    categories = {i: names.classes.index(name) + 1 for i, name in enumerate(facts.classes)}
    annotations = [coco_annotation(first[1] + i, image, categories[found.class_index], found.box, found.keypoints)
                   for i, (image, found) in enumerate(pairs)]
    return {"info": {"description": "yolo2coco"}, "images": images, "annotations": annotations,
            "categories": coco_categories(names)}


def gather(source: Path, options: YoloOptions) -> tuple[YoloFacts, YoloConversion, dict[str, list[_Picture]]]:
    """Reads everything and writes nothing.

    Args:
        source: A folder with a ``data.yaml``, or that file.
        options: How to convert.

    Returns:
        The facts, what is known so far, and the pictures by split.

    Raises:
        UserError: There is nothing to convert.
        FaultsError: All faults, unless faulty images are to be skipped.
    """
    facts = read_yolo_facts(find_data_yaml(source))
    names, more = _keypoint_set(facts, options)
    if faults := names.faults(facts.path):
        raise FaultsError(faults)
    splits, notes, faults = find_splits(facts)
    result = YoloConversion(names, notes=[*notes, *more], faults=faults)
    pictures = {split.name: _read(split, facts, options.clip, options.keep_empty, result) for split in splits}
    if result.faults and not options.skip_faulty:
        kinds = Counter(str(fault.file) for fault in result.faults)
        raise FaultsError(fold_faults(result.faults), f"{len(result.faults)} faults in {len(kinds)} files; nothing was "
                          "written. Correct them, leave these images out with --skip-faulty, or cut what lies outside "
                          "the image with --clip.")
    return facts, result, pictures


def yolo_to_coco(source: Path, destination: Path, options: YoloOptions) -> YoloConversion:
    """Converts a YOLO pose data set into ``images/``, ``train_coco.json``, ``val_coco.json`` and ``test_coco.json``.

    Ids are unique over all files. Images are hard-linked where the file system can.

    Args:
        source: A folder with a ``data.yaml``, or that file.
        destination: The data set's folder; it appears whole or stays as it was.
        options: How to convert.

    Returns:
        What was done.

    Raises:
        UserError: Something is missing, the destination has contents, or nothing is left to convert.
        FaultsError: All faults of all files, unless faulty images are to be skipped.
    """
    home = (source if source.is_dir() else source.parent).resolve()
    check_destination(destination, options.overwrite, [home])
    split_names([], options.split)
    facts, result, pictures = gather(source, options)
    everything = [picture for found in pictures.values() for picture in found]
    if not any(picture.objects for picture in everything):
        raise FaultsError(fold_faults(result.faults), f"{source}: no image with an object is left to convert; nothing "
                          "was written.")
    # Of "images/train/a.jpg" and "train/images/a.jpg" the middle word says nothing.
    roots = sorted({path for p in everything for path in p.source.origin.resolve().parents if path.name == "images"})
    for picture, name in zip(everything, assign_names([p.source for p in everything], [*roots, home])):
        picture.name = name
    sides = {name: found for name, found in _divided(pictures, options, result.notes).items() if found}
    first = (1, 1)
    for name, found in sides.items():
        result.sides[name] = _coco(found, facts, result.names, first)
        first = first[0] + len(found), first[1] + len(result.sides[name]["annotations"])
    with new_folder(destination, options.overwrite) as folder:
        for picture in progress(everything, "writing"):
            write_image(picture.source, folder / "images" / PurePosixPath(picture.name))
        for name, data in result.sides.items():
            save_coco(folder / f"{name}_coco.json", data)
    return result
