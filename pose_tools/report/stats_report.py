"""The whole report about a data set: measured, put into words, and written as a folder."""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import UserError
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.data_set import DataSet, find_keypoint_set, read_data_set
from pose_tools.dataset.objects import Objects, read_objects
from pose_tools.dataset.stats.input_geometry import Size
from pose_tools.dataset.stats.input_sizes import (
    DETECTOR_INPUT,
    POSE_INPUT,
    DetectorAdvice,
    PoseAdvice,
    detector_advice,
    pose_advice,
)
from pose_tools.dataset.stats.measure import numbers_of
from pose_tools.formats.coco import write_text
from pose_tools.report.stats_page import Section, advice_lines, as_markdown, as_terminal, sections


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        name: The data set's name, which is also that of its configs.
        data_set: Its files.
        objects: Its objects.
        pose: The keypoint model's input size; None without labelled keypoints.
        detector: The detector's; None without image sizes.
        values: All numbers as plain values, for JSON.
        sections: The tables.
        advice: The commands to train with, and why.
    """

    name: str
    data_set: DataSet
    objects: Objects
    pose: Optional[PoseAdvice]
    detector: Optional[DetectorAdvice]
    values: dict[str, Any]
    sections: list[Section]
    advice: list[str]

    @property
    def text(self) -> str:
        """The tables and the advice for a terminal."""
        return as_terminal(self.sections, self.advice)


def _checked(size: Sequence[int] | None, usual: Size, option: str) -> Size:
    if size is None:
        return usual
    if any(side <= 0 or side % 32 for side in size):
        raise UserError(f"{option} {size[0]} {size[1]}: both must be positive multiples of 32")
    return size[0], size[1]


def measure(sources: Sequence[Path], meta: Path | None = None, images: Path | None = None,
            input_size: Sequence[int] | None = None, det_input_size: Sequence[int] | None = None) -> Report:
    """Reads a data set and measures it; no image is opened.

    Args:
        sources: See :func:`pose_tools.dataset.data_set.read_data_set`.
        meta: See :func:`pose_tools.dataset.data_set.find_keypoint_set`.
        images: Where the images are.
        input_size: Present input of the keypoint model, (W, H); the recipe's by default.
        det_input_size: Present input of the detector.

    Raises:
        UserError: A file is missing, or an input size is not a multiple of 32.
        FaultsError: A file is not COCO, or its names contradict themselves.
    """
    pose_input = _checked(input_size, POSE_INPUT, "--input-size")
    det_input = _checked(det_input_size, DETECTOR_INPUT, "--det-input-size")
    data_set = read_data_set(sources, images)
    names, origin = find_keypoint_set(data_set, meta)
    objects = read_objects(data_set, names)
    numbers, pose, detector = numbers_of(objects), pose_advice(objects, pose_input), detector_advice(objects, det_input)
    homes = Counter(path.absolute().parent.name for path in data_set.files.values())
    name = Path(origin).absolute().parent.name if origin else homes.most_common(1)[0][0]
    values = {"name": name, "files": {split: str(path) for split, path in data_set.files.items()}, "meta": origin,
              **numbers, "keypoint_model_input": pose and asdict(pose), "detector_input": detector and asdict(detector)}
    return Report(name, data_set, objects, pose, detector, values, sections(numbers, pose, detector),
                  advice_lines(pose, detector, name))


def write_report(report: Report, folder: Path, sources: Sequence[Path] = (), overwrite: bool = False) -> None:
    """Writes plots, ``stats.md`` and ``stats.json``.

    Args:
        report: What was measured.
        folder: It appears whole or stays as it was.
        sources: What was read; it must not lie in the folder.
        overwrite: Replace a folder that has contents.

    Raises:
        UserError: The folder has contents, or holds a source.
    """
    from pose_tools.report.stats_plots import write_plots

    check_destination(folder, overwrite, [*sources, *report.data_set.images.values()])
    with new_folder(folder, overwrite) as made:
        plots = write_plots(made, report.objects, report.pose, report.detector)
        title = f"Statistics of {report.name}"
        write_text(made / "stats.md", as_markdown(title, report.sections, report.advice, plots))
        write_text(made / "stats.json", json.dumps(report.values, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
