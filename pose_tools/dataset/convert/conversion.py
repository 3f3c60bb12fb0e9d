"""What a conversion of a labelme folder is asked for, and what it found and did."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pose_tools.console import Fault
from pose_tools.dataset.convert.labelme_pictures import Picture
from pose_tools.dataset.counts import Counts
from pose_tools.formats.ownership import Pad
from pose_tools.formats.schema import KeypointSet


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
        verify_images: Decode every image; otherwise only what its first and last bytes say is checked.
        workers: How many processes read large folders; ``None`` for as many as there are processors.
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
    verify_images: bool = False
    workers: int | None = None


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
        counts: What ``train`` and ``val`` hold, once written.
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
    counts: dict[str, Counts] = field(default_factory=dict)
