"""What a data set holds and which input sizes suit it, as text for a terminal and as a Markdown page."""
from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import table
from pose_tools.dataset.scaffold import CONFIGS
from pose_tools.dataset.stats.input_fit import CLEAR_SIDE, DetectorFit, PoseFit
from pose_tools.dataset.stats.input_sizes import LEAST_OKS, DetectorAdvice, PoseAdvice
from pose_tools.dataset.stats.measure import QUANTILES

FEW = 30
Row = list[object]
BOX_ROWS = {"width": "width, px", "height": "height, px", "short_side": "short side, px",
            "scale": "sqrt(width x height), px", "share": "% of the image's area", "aspect": "width / height"}
POSE_RULE = """\
mmpose makes a box 1.25 times as wide and high, extends it to the shape of the input and scales it to the input. The
*zoom* is the input px that an image px gets; *unused* is the part of the input beyond the padded box; *cost* is the
area of the input compared with the present one. The rule: of all sizes (multiples of 32) that have the shape of the
median box within a fifth and cost no more than the present one, those that show the objects largest within 5 %, and of
these the cheapest; a zoom above 1 counts as 1, since the pixels hold no more. If errors of 1 px of the input alone
would bring the median object's OKS below 0.95, a larger size, up to four times the cost. The present size is kept where
it has the shape and the change would show objects less than 5 % larger and save less than 15 %."""
DETECTOR_RULE = """\
Images are scaled as a whole to fit the input and padded to it; *short side* is what nine objects in ten reach in px of
the input. The rule: of all sizes (multiples of 32) that cost no more than the present one, those that show the images
largest within 5 %, but not enlarged, and of these the cheapest; if more than one object in ten then has a short side
below 16 px (two cells of the finest stride, 8), the cheapest size without that, up to four times the cost and with
images enlarged twice at most. A set with both wide and high images (one in ten of each) gets a square. The present
size is kept where the change would show images less than 5 % larger and save less than 15 %."""


@dataclass(frozen=True)
class Section:
    """A table with a title, and perhaps text above it and a plot below.

    Attributes:
        title: Heading.
        header: Column titles; empty for no table.
        rows: Cells.
        notes: Lines for terminal and page.
        explained: Text for the page only.
        plots: Names of the plots, shown where they were made.
    """

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    explained: str = ""
    plots: Sequence[str] = field(default_factory=tuple)


def sections(numbers: Mapping[str, Any], pose: Optional[PoseAdvice],
             detector: Optional[DetectorAdvice]) -> list[Section]:
    """The tables.

    Args:
        numbers: What :func:`pose_tools.dataset.stats.measure.numbers_of` returned.
        pose: The keypoint model's input size; None without labelled keypoints.
        detector: The detector's; None without image sizes.
    """
    found = [_counts(numbers), _classes(numbers), _keypoints(numbers), _boxes(numbers), _images(numbers)]
    if pose is not None:
        found.append(Section("Input of the keypoint model",
                             ("input", "", "cost", "zoom", "enlarged %", "unused %", "points cut off %", "OKS at 1 px"),
                             [_pose_row(fit, pose) for fit in pose.table], explained=POSE_RULE,
                             plots=("keypoint_model_input.png", )))
    if detector is not None:
        found.append(Section("Input of the detector",
                             ("input", "", "cost", "zoom", "unused %", "short side", "below 16 px %", "below 8 px %"),
                             [_detector_row(fit, detector) for fit in detector.table], explained=DETECTOR_RULE))
    return [section for section in found if section.rows]


def _counts(numbers: Mapping[str, Any]) -> Section:
    splits = numbers["splits"]
    sides = list(splits.values())

    def row(name: str, values: Sequence[float], total: Optional[float] = None) -> Row:
        return [name, *values, *([sum(values) if total is None else total] if len(sides) > 1 else [])]

    images, objects = sum(side["images"] for side in sides), sum(side["objects"] for side in sides)
    rows = [row("images", [side["images"] for side in sides]),
            row("  without objects", [side["without_objects"] for side in sides]),
            row("objects", [side["objects"] for side in sides]),
            row("  with labelled keypoints", [side["with_keypoints"] for side in sides]),
            row("objects per image, mean", [side["per_image"]["mean"] for side in sides], objects / max(1, images)),
            row("objects per image, most", [side["per_image"]["max"] for side in sides],
                max((side["per_image"]["max"] for side in sides), default=0))]
    if any(side["crowd_regions"] for side in sides):
        rows.append(row("crowd regions (not measured)", [side["crowd_regions"] for side in sides]))
    reasons = dict.fromkeys(reason for side in sides for reason in side["left_out"])
    rows += [row(f"left out: {reason}", [side["left_out"].get(reason, 0) for side in sides]) for reason in reasons]
    total = ["all"] if len(sides) > 1 else []
    notes = ["What was left out is not sound; see: python pose_tools/check_coco.py"] if reasons else []
    return Section("Images and objects", ("", *splits, *total), rows, notes, plots=("objects.png", ))


def _classes(numbers: Mapping[str, Any]) -> Section:
    held = numbers["classes"]
    names = next(iter(numbers["splits"].values()))["classes"]
    absent = [name for name in names if name not in {one["name"] for one in held}]
    order = {name: i for i, name in enumerate(names, 1)}
    rows: list[Row] = [[order[one["name"]], one["name"],
                        *(side["classes"][one["name"]] for side in numbers["splits"].values()), _round(one["width"]),
                        _round(one["height"]), round(one["aspect"], 2), one["visible"], one["occluded"],
                        one["not_labelled"]] for one in held]
    notes = [f"Without any object: {', '.join(absent)}"] if absent else []
    return Section("Classes", ("#", "class", *numbers["splits"], "width px", "height px", "w / h", "visible",
                               "occluded", "not labelled"), rows, notes,
                   "Width, height and w / h are medians of the boxes; the last three columns count keypoints.",
                   ("keypoints_by_class.png", ))


def _keypoints(numbers: Mapping[str, Any]) -> Section:
    rows: list[Row] = []
    for i, one in enumerate(numbers["keypoints"], 1):
        labelled = one["visible"] + one["occluded"]
        rows.append([i, one["name"], one["visible"], one["occluded"], one["not_labelled"],
                     _percent(labelled, labelled + one["not_labelled"]), _percent(one["occluded"], labelled),
                     _percent(one["outside_box"], labelled)])
    return Section("Keypoints", ("#", "keypoint", "visible", "occluded", "not labelled", "labelled %", "occluded %",
                                 "outside box %"), rows, (),
                   "Of the objects that have any labelled keypoint; the last two columns are shares of the labelled.",
                   ("keypoints.png", "keypoint_positions.png"))


def _boxes(numbers: Mapping[str, Any]) -> Section:
    rows: list[Row] = []
    for key, label in BOX_ROWS.items():
        if (found := numbers["boxes"][key]) is not None:
            factor = 100 if key == "share" else 1
            rows.append([label, *(_round(factor * found[name]) for name in QUANTILES)])
    at_border = numbers["places"]["at_border"]
    notes = [f"{_percent(at_border, 1)} % of the boxes come within 1 px of the border of their image."] \
        if at_border is not None and rows else []
    return Section("Boxes", ("", *QUANTILES), rows, notes, plots=("boxes.png", "places.png"))


def _images(numbers: Mapping[str, Any]) -> Section:
    images = numbers["images"]
    sizes, total = list(images["sizes"].items()), sum(images["sizes"].values())
    rows: list[Row] = [[size, count, _percent(count, total)] for size, count in sizes[:8]]
    notes = [f"There are {len(sizes)} sizes; these are the most frequent."] if len(sizes) > 8 else []
    notes += [f"{images['unknown']} images have no size in the file."] if images["unknown"] else []
    return Section("Image sizes", ("size, px", "images", "%"), rows, notes, plots=("images.png", ))


def _pose_row(fit: PoseFit, advice: PoseAdvice) -> Row:
    return [_size(fit.size), _mark(fit.size, advice.current.size, advice.best.size), round(fit.cost, 2),
            round(fit.zoom, 2), _percent(fit.enlarged, 1), _percent(fit.unused, 1), _percent(fit.cut_off, 1),
            "-" if fit.oks is None else round(fit.oks, 3)]


def _detector_row(fit: DetectorFit, advice: DetectorAdvice) -> Row:
    return [_size(fit.size), _mark(fit.size, advice.current.size, advice.best.size), round(fit.cost, 2),
            round(fit.zoom, 2), _percent(fit.unused, 1),
            *("-" if value is None else value for value in (
                fit.side and _round(fit.side), *(v if v is None else _percent(v, 1)
                                                 for v in (fit.below_clear, fit.below_cell))))]


def _mark(size: tuple[int, int], current: tuple[int, int], best: tuple[int, int]) -> str:
    return " ".join(word for word, mine in (("present", current), ("recommended", best)) if size == mine)


def _size(size: Sequence[float]) -> str:
    return f"{size[0]:g}x{size[1]:g}"


def _round(value: float) -> float:
    """Three digits are enough to read; whole px from 100 on."""
    return int(round(value)) if abs(value) >= 100 else float(f"{value:.3g}")


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def advice_lines(pose: Optional[PoseAdvice], detector: Optional[DetectorAdvice], name: str,
                 configs: Path = CONFIGS) -> list[str]:
    """The commands to train with, each followed by two lines that say why.

    Args:
        pose: The keypoint model's input size; None without labelled keypoints.
        detector: The detector's; None without image sizes.
        name: Name of the data set's configs.
        configs: Where those are.
    """
    lines = []
    for kind, advice, why in (("rtmpose-s", pose, _why_pose), ("rtmdet-tiny", detector, _why_detector)):
        if advice is not None:
            w, h = advice.best.size
            config = shlex.quote(f"configs/{kind}-{name}.py")
            lines += [f"python tools/train.py {config} --input-size {w} {h}",
                      *(f"    {line}" for line in why(advice))]  # type: ignore[operator]
    if pose is None:
        lines.append("There are no labelled keypoints, so nothing is said about the keypoint model's input.")
    if detector is None:
        lines.append("No image has its size in the file, so nothing is said about the detector's input.")
    if lines and not (configs / f"rtmpose-s-{name}.py").is_file():
        lines.append(f"There are no configs for {name} yet: python tools/new_dataset.py makes them.")
    return lines


def _why_pose(advice: PoseAdvice) -> list[str]:
    best, current = advice.best, advice.current
    w, h = (_round(side) for side in advice.box)
    few = f" (from {advice.count} objects only)" if advice.count < FEW else ""
    first = f"the median box is {w} x {h} px, the median w/h {advice.aspect:.2f}{few}: {_size(best.size)} leaves " \
            f"{_percent(best.unused, 1):g} % unused"
    if best.size == current.size:
        return [first, "no size of its cost shows the objects 5 % larger, and none 15 % cheaper shows them as large"]
    first += f", {_size(current.size)} {_percent(current.unused, 1):g} %"
    if best.cost > 1.1 and current.oks is not None:
        return [first, f"errors of 1 px of the input alone bring OKS to {best.oks:.2f} instead of {current.oks:.2f} "
                       f"(aim: {LEAST_OKS}), at {best.cost:.2f} times the cost"]
    more = " (above 1 is no gain)" if current.zoom > 1 else ""
    return [first, f"objects are shown at {best.zoom:.2f} times their size instead of {current.zoom:.2f}{more}, at "
                   f"{best.cost:.2f} times the cost"]


def _why_detector(advice: DetectorAdvice) -> list[str]:
    best, current = advice.best, advice.current
    few = f" (from {advice.count} images only)" if advice.count < FEW else ""
    what = "images are both wide and high, so the input is square" if advice.mixed \
        else f"images are mostly {_size(advice.image)} px"
    first = f"{what}{few}: {_size(best.size)} leaves {_percent(best.unused, 1):g} % unused"
    same = best.size == current.size
    first += "" if same else f", {_size(current.size)} {_percent(current.unused, 1):g} %"
    if best.side is None:
        return [first, "there are no objects to go by"]
    second = f"nine objects in ten have a short side of {_round(best.side)} px or more there"
    second += "" if same else f" ({_round(current.side)} px in {_size(current.size)})"
    second += f", at {best.cost:.2f} times the cost"
    if best.side < CLEAR_SIDE:
        second += f"; {CLEAR_SIDE:g} px would be better: cut the images into parts"
    return [first, second]


def as_terminal(found: Sequence[Section], advice: Sequence[str]) -> str:
    """Tables and advice as aligned text."""
    parts = ["\n".join([section.title, table(section.rows, section.header), *section.notes]) for section in found]
    return "\n\n".join([*parts, "\n".join(["Recommended input sizes", *advice])])


def as_markdown(title: str, found: Sequence[Section], advice: Sequence[str], plots: Collection[str]) -> str:
    """Tables, plots and advice as a Markdown page.

    Args:
        title: Heading of the page.
        found: The tables.
        advice: What :func:`advice_lines` returned.
        plots: File names of the plots there are, in the page's folder.
    """
    lines = [f"# {_escaped(title)}", "", "## Recommended input sizes", "", "```", *advice, "```", ""]
    for section in found:
        lines += [f"## {section.title}", ""]
        lines += [section.explained, ""] if section.explained else []
        lines += [_markdown_table(section), ""]
        for note in section.notes:
            lines += [_escaped(note), ""]
        for plot in section.plots:
            if plot in plots:
                lines += [f"![{section.title}]({plot})", ""]
    return "\n".join(lines)


def _markdown_table(section: Section) -> str:
    numeric = [all(isinstance(row[i], (int, float)) for row in section.rows) for i in range(len(section.header))]
    rule = ["---:" if right else "---" for right in numeric]
    rows = [[_escaped(str(cell)) for cell in row] for row in (section.header, *section.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = "".join(char if char.isprintable() else " " for char in text)
    for char in "\\`*_[]|#":
        text = text.replace(char, f"\\{char}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").strip()
