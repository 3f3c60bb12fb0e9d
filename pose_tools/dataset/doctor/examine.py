"""The doctor: everything that can be found wrong, or suspicious, in a COCO keypoint data set."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pose_tools.console import FaultsError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.doctor.balance_warnings import balance_warnings
from pose_tools.dataset.doctor.file_checks import file_findings, mirroring_findings
from pose_tools.dataset.doctor.instance_table import make_table
from pose_tools.dataset.doctor.instance_warnings import instance_warnings
from pose_tools.dataset.doctor.picture_checks import compares_similar, picture_findings
from pose_tools.dataset.doctor.shape_warnings import shape_warnings
from pose_tools.dataset.findings import ERROR, WARNING, Finding
from pose_tools.formats.coco import keypoint_set_from_coco
from pose_tools.formats.schema import KeypointSet


@dataclass(frozen=True)
class Examination:
    """How to look.

    Attributes:
        input_size: Width and height of the keypoint model's input in px; ``None`` to not look at the aspects.
        images: Whether to look for the image files and into their first bytes.
        decode: Whether to decode them whole as well.
        similar: Whether to look for near-duplicates in two splits even where that takes long.
        ignored: Rules to leave out.
    """

    input_size: tuple[int, int] | None = None
    images: bool = True
    decode: bool = False
    similar: bool = False
    ignored: frozenset[str] = frozenset()


def examine(data_set: DataSet, meta: KeypointSet | None, how: Examination = Examination()) -> list[Finding]:
    """Looks at a data set's files, images and labels.

    Args:
        data_set: What to look at; it need not be sound.
        meta: What a ``meta.py`` says, to hold the files against; ``None`` to go by their categories. Where these
            contradict themselves, what needs a keypoint set is left out.
        how: What to look at.

    Returns:
        Errors in the order of the files, then warnings, the most suspicious first.
    """
    names, found = (meta, []) if meta is not None else own_keypoint_set(data_set)
    found += _label_findings(data_set, names, meta is not None, how)
    if how.images:
        found += picture_findings(data_set, how.decode, compares_similar(data_set, how.similar))
    kept = [finding for finding in found if finding.rule not in how.ignored]
    errors = [finding for finding in kept if finding.level == ERROR]
    return errors + sorted((f for f in kept if f.level == WARNING), key=lambda finding: -finding.suspicion)


def _label_findings(data_set: DataSet, names: KeypointSet | None, from_meta: bool,
                    how: Examination) -> Iterator[Finding]:
    """Everything that can be said without opening an image."""
    corners = False
    for split, data in data_set.sides.items():
        path, folder = data_set.files[split], data_set.images[split]
        faults = [*coco_faults(data, path, names if from_meta else None, folder if how.images else None),
                  *file_findings(data, path, names)]
        twisted = any(fault.rule == "xyxy" for fault in faults)
        corners = corners or twisted
        # Corners taken for sizes reach out of their image; that needs no second word.
        yield from (fault for fault in faults if not (twisted and fault.rule == "box-outside"))
    yield from _name_leaks(data_set) if not how.images else ()
    if names is None or corners:
        return
    tables = {split: make_table(data, data_set.files[split], names) for split, data in data_set.sides.items()}
    for table in tables.values():
        yield from instance_warnings(table, names, how.input_size)
    if names.keypoints:
        yield from shape_warnings(list(tables.values()), names)
    yield from balance_warnings(tables, names)
    if from_meta:
        largest = max(tables, key=lambda split: len(tables[split]))
        sound = dict(data_set.sides[largest], annotations=tables[largest].annotations)
        yield from mirroring_findings(sound, data_set.files[largest], names)


def _name_leaks(data_set: DataSet) -> Iterator[Finding]:
    """The same file name in two splits; where images are opened, their bytes are compared instead."""
    first: dict[object, str] = {}
    for split, data in data_set.sides.items():
        for image in data["images"]:
            key = (data_set.images[split], str(image.get("file_name")))
            other = first.setdefault(key, split)
            if other != split:
                place = f"image {image['id']} ({image.get('file_name')})"
                yield Finding(data_set.files[split], f"is in {split} and in {other}", place, "leak", image=image["id"])


def own_keypoint_set(data_set: DataSet) -> tuple[KeypointSet | None, list[Finding]]:
    """The keypoint set that the categories tell, or why they tell none."""
    split, path = next(iter(data_set.files.items()))
    try:
        return keypoint_set_from_coco(data_set.sides[split], path), []
    except FaultsError as error:
        return None, [Finding(f.file, f.what, f.where, "keypoint-names") for f in error.faults]
