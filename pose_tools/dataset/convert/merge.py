"""Joining several COCO data sets into one: ids anew, keypoints by name."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.coco_folder import SPLITS, find_coco_files, image_sources, read_sides
from pose_tools.dataset.copies import same_bytes
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.coco import coco_categories, coco_image, keypoint_set_from_coco, save_coco
from pose_tools.formats.images import ImageSource, write_image
from pose_tools.formats.schema import KeypointSet, Pair


@dataclass(frozen=True)
class Source:
    """One data set to merge.

    Attributes:
        label: Its folder's name in the merged ``images/``.
        images: Where its images are.
        sides: Its COCO data by split.
        files: The files those came from.
        names: Its keypoint set, after renaming.
        rename: New names by old ones.
        notes: What was read in another way than it is written.
    """

    label: str
    images: Path
    sides: dict[str, dict[str, Any]]
    files: dict[str, Path]
    names: KeypointSet
    rename: Mapping[str, str]
    notes: Sequence[str] = ()


@dataclass
class Merged:
    """What came out.

    Attributes:
        names: Classes and keypoints.
        sides: COCO data by split.
        notes: What the user should know.
    """

    names: KeypointSet
    sides: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def _renamed(names: KeypointSet, new: Mapping[str, str]) -> KeypointSet:
    def pairs(old: Sequence[Pair]) -> tuple[Pair, ...]:
        return tuple((new.get(a, a), new.get(b, b)) for a, b in old)

    return KeypointSet(tuple(new.get(n, n) for n in names.classes), tuple(new.get(n, n) for n in names.keypoints),
                       pairs(names.swaps), pairs(names.links), names.sigmas)


def read_sources(paths: Sequence[Path], rename: Mapping[str, str]) -> list[Source]:
    """Reads data sets.

    Args:
        paths: Folders with ``train_coco.json`` and so on and ``images/``, or COCO files with ``images/`` beside them.
        rename: New names of classes and keypoints by their old ones.

    Raises:
        UserError: Something is missing, or nothing is called what ``rename`` says.
        FaultsError: All faults of all files.
    """
    sources: list[Source] = []
    faults: list[Fault] = []
    old: set[str] = set()
    for path in paths:
        files = find_coco_files(path)
        home = path if path.is_dir() else path.parent
        notes: list[str] = []
        sides, found = read_sides(files, home / "images", notes)
        faults += found
        sets = [keypoint_set_from_coco(sides[split], file) for split, file in files.items()]
        faults += [Fault(file, f"names other classes or keypoints than {next(iter(files.values()))}")
                   for file, names in zip(files.values(), sets)
                   if (names.classes, names.keypoints) != (sets[0].classes, sets[0].keypoints)]
        old |= {*sets[0].classes, *sets[0].keypoints}
        taken = {source.label for source in sources}
        label = next(name for n in range(len(paths) + 1)
                     if (name := home.resolve().name + (f"_{n + 1}" if n else "")) not in taken)
        sources.append(Source(label, home / "images", sides, files, _renamed(sets[0], rename), rename,
                              notes))
    if unknown := [name for name in rename if name not in old]:
        raise UserError(f"--rename: no class or keypoint is called {', '.join(map(repr, unknown))}")
    for source in sources:
        faults += source.names.faults(next(iter(source.files.values())))
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")
    return sources


def join_names(sources: Sequence[Source], union: bool) -> KeypointSet:
    """The keypoint set of all sources.

    Args:
        sources: Their keypoints may stand in any order; the first one's is kept.
        union: Keypoints that some sources lack are allowed; there they stay unlabelled.

    Raises:
        FaultsError: Keypoints differ without ``union``, or swaps or sigmas contradict each other.
    """
    classes = tuple(dict.fromkeys(name for source in sources for name in source.names.classes))
    keypoints = tuple(dict.fromkeys(name for source in sources for name in source.names.keypoints))
    faults: list[Fault] = []
    partner: dict[str, str] = {}
    sigmas: dict[str, float] = {}
    for source in sources:
        file, names = next(iter(source.files.values())), source.names
        missing = [name for name in keypoints if name not in names.keypoints]
        if missing and not union:
            faults.append(Fault(file, f"has no keypoint {', '.join(map(repr, missing))}; rename with --rename OLD=NEW, "
                                      "or leave them unlabelled with --union"))
        swapped = {a: b for pair in names.swaps for a, b in (pair, pair[::-1])}
        for name in names.keypoints:
            mine = swapped.get(name, name)
            if partner.setdefault(name, mine) != mine:
                faults.append(Fault(file, f"swaps {name!r} with {mine!r}; before it was {partner[name]!r}"))
        for name, sigma in zip(names.keypoints, names.sigmas):
            if sigmas.setdefault(name, sigma) != sigma:
                faults.append(Fault(file, f"sigma of {name!r} is {sigma}; before it was {sigmas[name]}"))
    if faults:
        raise FaultsError(faults, "nothing was written")
    swaps = tuple((a, b) for a, b in partner.items() if keypoints.index(a) < keypoints.index(b))
    links = tuple(dict.fromkeys(link for source in sources for link in source.names.links))
    whole = tuple(sigmas[name] for name in keypoints) if len(sigmas) == len(keypoints) else ()
    return KeypointSet(classes, keypoints, swaps, links, whole)


def _duplicates(sources: Sequence[Source]) -> list[Fault]:
    """Images with the same bytes in two places: counted twice, or, worse, in train and in val."""
    places = [(source.images / image["file_name"], split) for source in sources
              for split, data in source.sides.items() for image in data["images"]]
    said = {place: f"({places[place][1]}) is the same picture as {places[group[0]][0]} ({places[group[0]][1]})"
            for group in same_bytes([path for path, _ in places]) for place in group[1:]}
    return [Fault(places[place][0], said[place]) for place in sorted(said)]


def _moved(annotation: Mapping[str, Any], order: Sequence[int | None], ids: tuple[int, int, int]) -> dict[str, Any]:
    """An annotation with its keypoints in another order and other ids (own, image, category)."""
    values = annotation.get("keypoints") or []
    triples = [values[3 * i:3 * i + 3] if i is not None and values else [0.0, 0.0, 0] for i in order]
    return {**annotation, "id": ids[0], "image_id": ids[1], "category_id": ids[2],
            "keypoints": [value for triple in triples for value in triple],
            "num_keypoints": sum(triple[2] > 0 for triple in triples)}


def merge(paths: Sequence[Path], destination: Path, rename: Mapping[str, str] | None = None, union: bool = False,
          keep_duplicates: bool = False, overwrite: bool = False) -> Merged:
    """Merges data sets, train into train, val into val.

    Args:
        paths: At least two; see :func:`read_sources`.
        destination: The data set's folder; it appears whole or stays as it was.
        rename: New names of classes and keypoints by their old ones.
        union: Keypoints that some sources lack stay unlabelled there.
        keep_duplicates: The same picture may be there twice.
        overwrite: Replace a destination that has contents.

    Returns:
        The merged set. Images go to ``images/SOURCE/``; ids are unique over all splits.

    Raises:
        UserError: Something is missing, or the destination has contents or holds a source.
        FaultsError: All faults of all files, contradictions and pictures that are there twice.
    """
    if len(paths) < 2:
        raise UserError("name at least two data sets to merge")
    for place, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:place]]:
            raise UserError(f"{path}: is named twice; every picture would count double")
    check_destination(destination, overwrite, paths)
    sources = read_sources(paths, rename or {})
    names = join_names(sources, union)
    if not keep_duplicates and (faults := _duplicates(sources)):
        raise FaultsError(fold_faults(faults), "nothing was written; delete one of each, or keep both with "
                          "--keep-duplicates")
    merged = Merged(names, {})
    pictures = _pictures(sources)
    with new_folder(destination, overwrite) as folder:
        for split in SPLITS:
            if any(split in source.sides for source in sources):
                first = [1 + sum(len(data[part]) for data in merged.sides.values())
                         for part in ("images", "annotations")]
                merged.sides[split] = _merge_split(sources, pictures, split, names, folder, first)
                save_coco(folder / f"{split}_coco.json", merged.sides[split])
    for source in sources:
        held = ", ".join(f"{len(data['images'])} {split}" for split, data in source.sides.items())
        merged.notes += [f"{source.label}: {held} images", *(f"{source.label}: {note}" for note in source.notes)]
    return merged


def _pictures(sources: Sequence[Source]) -> list[dict[str, list[ImageSource]]]:
    """How to take the images of each source, by split."""
    found = [image_sources(source.sides, source.files, source.images) for source in sources]
    if faults := [fault for _, more in found for fault in more]:
        raise FaultsError(fold_faults(faults), "nothing was written")
    return [pictures for pictures, _ in found]


def _merge_split(sources: Sequence[Source], pictures: Sequence[Mapping[str, Sequence[ImageSource]]], split: str,
                 names: KeypointSet, folder: Path, first: Sequence[int]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for source, found in zip(sources, pictures):
        data = source.sides.get(split)
        if data is None:
            continue
        numbers = {}
        for image, picture in zip(progress(data["images"], f"writing {source.label} {split}"), found[split]):
            name = PurePosixPath(source.label) / image["file_name"]
            if not (folder / "images" / name).exists():  # a picture may be in two splits of its set
                write_image(picture, folder / "images" / name)
            numbers[image["id"]] = first[0] + len(images)
            images.append(coco_image(numbers[image["id"]], str(name), (image["width"], image["height"])))
        mine = source.names.keypoints
        order = [mine.index(name) if name in mine else None for name in names.keypoints]
        category_of = {category["id"]: names.classes.index(source.rename.get(category["name"], category["name"])) + 1
                       for category in data["categories"]}
        for annotation in data["annotations"]:
            ids = (first[1] + len(annotations), numbers[annotation["image_id"]], category_of[annotation["category_id"]])
            annotations.append(_moved(annotation, order, ids))
    return {"info": {"description": "merge_coco"}, "images": images, "annotations": annotations,
            "categories": coco_categories(names)}
