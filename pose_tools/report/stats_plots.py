"""Plots of what a data set holds, as PNG files. Coordinates are image px unless an axis says otherwise."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from pose_tools.console import progress
from pose_tools.dataset.objects import Objects
from pose_tools.dataset.stats.input_fit import CELL
from pose_tools.dataset.stats.input_geometry import image_zooms, unused_shares, zooms
from pose_tools.dataset.stats.input_sizes import DetectorAdvice, PoseAdvice
from pose_tools.dataset.stats.measure import box_positions, box_shares, centres, coverage, objects_per_image
from pose_tools.report import stats_style as look
from pose_tools.report.stats_style import Names, columns_of, figure, log_axis, log_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 36  # of keypoint positions; with more keypoints they share one
MOST_CLASSES = 60
FEW = 400  # up to here each object is a dot, from here on places are coloured by number
_ROW = 0.2  # inches


@dataclass(frozen=True)
class Subject:
    """What is plotted: the data set, the advice about input sizes and the names as plots can show them."""

    objects: Objects
    pose: Optional[PoseAdvice]
    detector: Optional[DetectorAdvice]
    names: Names

    @property
    def classes(self) -> list[int]:
        """Indices of the classes that have objects."""
        return np.unique(self.objects.class_id).tolist()

    def class_labels(self) -> list[str]:
        """All classes as plots can show them."""
        return self.names(self.objects.classes)

    def keypoint_labels(self) -> list[str]:
        """All keypoints as plots can show them."""
        return self.names(self.objects.names.keypoints)


def write_plots(folder: Path, objects: Objects, pose: PoseAdvice | None, detector: DetectorAdvice | None) -> list[str]:
    """Draws all plots that a data set has something for.

    Args:
        folder: Where to write.
        objects: The data set.
        pose: The keypoint model's input size; None without labelled keypoints.
        detector: The detector's; None without image sizes.

    Returns:
        The files' names.
    """
    subject = Subject(objects, pose, detector, Names([*objects.classes, *objects.names.keypoints, *objects.splits]))
    wanted: dict[str, Callable[[Subject], Figure]] = {}
    if len(objects.boxes):
        wanted = {"objects.png": plot_objects, "boxes.png": plot_boxes, "places.png": plot_places}
    if pose is not None:
        wanted["keypoints.png"] = plot_keypoints
        wanted["keypoint_positions.png"] = plot_positions
        wanted["keypoint_model_input.png"] = plot_pose_input
        if len(subject.classes) > 1:
            wanted["keypoints_by_class.png"] = plot_by_class
    if detector is not None:
        wanted["images.png"] = plot_images
    for name, plot in progress(wanted.items(), "plotting"):
        with look.style(subject.names):
            look.save(plot(subject), folder / name)
    return list(wanted)


def plot_objects(subject: Subject) -> Figure:
    """Objects per image, and by class (by split where there is one class)."""
    objects = subject.objects
    table = np.array([[((objects.split == s) & (objects.class_id == c)).sum() for c in subject.classes]
                      for s in range(len(objects.splits))])
    labels = subject.class_labels()
    bars = [labels[c] for c in subject.classes]
    if len(bars) > MOST_CLASSES:
        order = np.argsort(-table.sum(axis=0), kind="stable")
        kept, rest = order[:MOST_CLASSES - 1], order[MOST_CLASSES - 1:]
        table = np.concatenate([table[:, kept], table[:, rest].sum(axis=1, keepdims=True)], axis=1)
        bars = [*(bars[i] for i in kept), f"{len(rest)} more classes"]
    height = max(3.6, 1.3 + _ROW * len(bars))
    drawn = figure(11, height)
    grid = drawn.add_gridspec(2, 2, height_ratios=(3.6, max(0.01, height - 3.6)))
    right = drawn.add_subplot(grid[:, 1])
    _per_image(drawn.add_subplot(grid[0, 0] if height > 5 else grid[:, 0]), subject)
    start = np.zeros(len(bars))
    for s, row in enumerate(table):
        right.barh(range(len(bars)), row, left=start, color=look.SPLITS[s % len(look.SPLITS)])
        start += row
    right.set_yticks(range(len(bars)), bars)
    right.set_ylim(max(len(bars), 4) - 0.4, -0.6)
    right.set(title="Objects by class", xlabel="objects")
    look.whole_numbers(right.xaxis)
    for row, total in enumerate(start):
        right.text(total, row, f" {total:,.0f}", va="center", fontsize=8)
    right.margins(x=0.12)
    return drawn


def _per_image(axes: Axes, subject: Subject) -> None:
    objects = subject.objects
    counts = [objects_per_image(objects, s) for s in range(len(objects.splits))]
    most = max((int(c.max(initial=0)) for c in counts), default=0)
    step = max(1, -(-(most + 1) // 40))
    edges = np.arange(0, most + 1 + step, step) - 0.5
    axes.hist(counts, bins=edges, stacked=True, rwidth=0.9, label=subject.names(objects.splits),
              color=[look.SPLITS[s % len(look.SPLITS)] for s in range(len(counts))])
    look.whole_numbers(axes.xaxis)
    look.whole_numbers(axes.yaxis)
    axes.set(title="Objects in an image", xlabel="objects" if step == 1 else f"objects, in steps of {step}",
             ylabel="images")
    axes.legend(title="split")


def plot_keypoints(subject: Subject) -> Figure:
    """How often each keypoint is visible, occluded and not labelled."""
    objects = subject.objects
    v, labels = objects.visibility[objects.labelled], subject.keypoint_labels()
    if len(labels) > MOST_PANELS:  # the plot of their positions names them by number
        labels = [label if label.startswith("#") else f"{i} {label}" for i, label in enumerate(labels, 1)]
    columns = columns_of(len(labels), 45)
    drawn = figure(max(7, 4.6 * len(columns)), 1.5 + _ROW * max(4, len(columns[0])))
    panels = drawn.subplots(1, len(columns), squeeze=False)[0]
    for panel, rows in zip(panels, columns):
        start = np.zeros(len(rows))
        for value, colour, label in ((2, look.VISIBLE, "visible"), (1, look.OCCLUDED, "occluded"),
                                     (0, look.UNLABELLED, "not labelled")):
            share = 100 * (v[:, rows.start:rows.stop] == value).mean(axis=0)
            panel.barh(range(len(rows)), share, left=start, color=colour, label=label, height=0.82)
            start += share
        panel.set_yticks(range(len(rows)), [labels[row] for row in rows], fontsize=8)
        panel.set_ylim(len(columns[0]) - 0.4, -0.6)
        panel.set(xlim=(0, 100), xlabel="% of objects")
    handles, words = panels[0].get_legend_handles_labels()
    drawn.legend(handles, words, loc="outside lower center", ncols=3)
    drawn.suptitle(f"Visibility of keypoints (objects with any: {len(v):,})", x=0.01, ha="left", fontweight="bold",
                   fontsize=10)
    return drawn


def plot_by_class(subject: Subject) -> Figure:
    """Which class has which keypoints labelled how often."""
    objects, labels, classes = subject.objects, subject.keypoint_labels(), subject.classes
    rows, class_id = objects.labelled, objects.class_id
    shares = np.full((len(classes), len(labels)), np.nan)
    for i, number in enumerate(classes):
        if (mine := rows & (class_id == number)).any():
            shares[i] = 100 * (objects.visibility[mine] > 0).mean(axis=0)
    drawn = figure(min(24, 3.5 + 0.24 * max(12, len(labels))), 2.2 + _ROW * max(5, len(classes)))
    axes = drawn.subplots()
    axes.set_facecolor(look.UNLABELLED)
    seen = axes.imshow(shares, cmap=look.HEAT, vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8 if len(labels) < 60 else 6)
    names = subject.class_labels()
    axes.set_yticks(range(len(classes)), [names[c] for c in classes], fontsize=8)
    axes.set_title("Keypoints labelled, by class (grey: objects without any)")
    drawn.colorbar(seen, ax=axes, label="% labelled", shrink=0.9, aspect=30)
    return drawn


def plot_boxes(subject: Subject) -> Figure:
    """Width against height, size, share of the image and aspect of the boxes."""
    objects = subject.objects
    w, h = objects.boxes[:, 2:].T
    drawn = figure(11, 8)
    (plane, size), (share, aspect) = drawn.subplots(2, 2)
    _plane(plane, w, h)
    _histogram(aspect, w / h, "Shape of the boxes", "width / height", [a / b for (a, b), _, _ in _inputs(subject)])
    for advised, colour, label in _inputs(subject):
        ends = np.array([w.min(), w.max()])
        ratio = advised[0] / advised[1]
        plane.plot(ends, ends / ratio, color=colour, lw=1.5, ls="--", label=f"w/h of {label}")
        aspect.axvline(ratio, color=colour, ls="--", lw=1.5, label=f"w/h of {label}")
    more = " (darker: more)" if len(w) > FEW else ""
    plane.set(title=f"Width and height of the boxes{more}", xlabel="width, px", ylabel="height, px")
    _histogram(size, np.sqrt(w * h), "Size of the boxes", "square root of width x height, px")
    shares = 100 * box_shares(objects)
    _histogram(share, shares[np.isfinite(shares) & (shares > 0)], "Part of the image that a box takes",
               "% of the image's area")
    aspect.axvline(np.median(w / h), color=look.INK, lw=1.5, label=f"median {np.median(w / h):.2f}")
    for axes in (plane, aspect):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    return drawn


def _inputs(subject: Subject) -> list[tuple[tuple[int, int], str, str]]:
    """The keypoint model's present and advised input: size, colour, label."""
    if subject.pose is None:
        return []
    present, advised = subject.pose.current.size, subject.pose.best.size
    found = [(present, look.PRESENT, f"input {present[0]}x{present[1]}")]
    if advised != present:
        found.append((advised, look.ADVISED, f"input {advised[0]}x{advised[1]} (advised)"))
    return found


def _plane(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Dots, or numbers of objects by place where there are many, on two log axes."""
    if len(x) <= FEW:
        axes.scatter(x, y, s=14, color=look.SPLITS[0], alpha=0.6, lw=0)
    else:
        counts, xs, ys = np.histogram2d(x, y, bins=(log_bins(x, 61), log_bins(y, 61)))
        axes.pcolormesh(xs, ys, look.above_zero(counts.T), cmap=look.HEAT, norm=look.heat_norm(counts))
    axes.set(xlim=log_bins(x)[[0, -1]], ylim=log_bins(y)[[0, -1]])
    log_axis(axes, "x")
    log_axis(axes, "y")


def _histogram(axes: Axes, values: np.ndarray, title: str, label: str, also: Sequence[float] = ()) -> None:
    """Numbers of objects on a log axis that reaches as far as ``also``."""
    bins = log_bins(np.append(values, also))
    axes.hist(values, bins=bins, color=look.SPLITS[0])
    axes.set(title=title, xlabel=label, ylabel="objects", xlim=bins[[0, -1]])
    look.whole_numbers(axes.yaxis)
    log_axis(axes)


def plot_pose_input(subject: Subject) -> Figure:
    """How objects come to the keypoint model's input: enlarged or reduced, and what stays unused."""
    objects = subject.objects
    sides = objects.clipped_boxes()[objects.labelled, 2:]
    drawn = figure(11, 3.8)
    left, right = drawn.subplots(1, 2)
    inputs = _inputs(subject)
    bins = log_bins(np.concatenate([zooms(sides, size) for size, _, _ in inputs]))
    for size, colour, label in inputs:
        _outline(left, zooms(sides, size), bins, colour, label)
        _outline(right, 100 * unused_shares(sides, size), np.linspace(0, 100, 41), colour, label)
    left.axvline(1, color=look.INK, lw=1, ls=":")
    left.set(title="Objects are reduced (left of 1) or enlarged (right)", xlabel="input px per image px",
             ylabel="objects with keypoints", xlim=(min(bins[0], 0.9), max(bins[-1], 1.1)))
    log_axis(left)
    right.set(title="Part of the input beyond the padded box", xlabel="% of the input", xlim=(0, 100),
              ylabel="objects with keypoints")
    right.legend(fontsize=8)
    return drawn


def _outline(axes: Axes, values: np.ndarray, bins: np.ndarray, colour: str, label: str) -> None:
    axes.hist(values, bins=bins, color=colour, alpha=0.3)
    axes.hist(values, bins=bins, color=colour, histtype="step", lw=1.5, label=label)
    look.whole_numbers(axes.yaxis)


def plot_positions(subject: Subject) -> Figure:
    """Where keypoints lie in their box: a panel each, or one for all with their numbers where there are many."""
    objects = subject.objects
    rows = objects.labelled
    place, seen = box_positions(objects)[rows], objects.visibility[rows] > 0
    w, h = objects.boxes[rows, 2:].T
    shape = float(np.clip(np.median(h / w), 0.4, 2.5))
    labels = subject.keypoint_labels()
    if len(labels) > MOST_PANELS:
        return _all_positions(place, seen, shape)
    across = min(len(labels), 6 if len(labels) > 8 else 4)
    down = -(-len(labels) // across)
    drawn = figure(max(7, 1.9 * across), 0.6 + (0.4 + 1.7 * shape) * down)
    panels = drawn.subplots(down, across, squeeze=False).ravel()
    for panel in panels[len(labels):]:
        panel.set_axis_off()
    for k, (panel, label) in enumerate(zip(panels, labels)):
        here = place[seen[:, k], k]
        _box_heat(panel, here, shape)
        panel.set_title(f"{label} ({len(here):,})", fontsize=8, fontweight="normal", loc="center")
    drawn.suptitle("Where keypoints lie in the box (frame), and how many are labelled", x=0.01, ha="left",
                   fontweight="bold", fontsize=10)
    return drawn


def _box_heat(panel: Axes, here: np.ndarray, shape: float) -> None:
    """Positions (P, 2) in the box, drawn with the ``shape`` (h / w) of the median box."""
    bins = 40 if len(here) > FEW else 25
    counts, xs, ys = np.histogram2d(here[:, 0], here[:, 1], bins=bins, range=((-0.25, 1.25), (-0.25, 1.25)))
    panel.pcolormesh(xs, ys, counts.T, cmap=look.HEAT, norm=look.heat_norm(counts))
    panel.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color=look.INK, lw=0.8)
    panel.set(xlim=(-0.25, 1.25), ylim=(1.25, -0.25), xticks=[], yticks=[], aspect=shape)
    panel.spines[:].set_visible(False)


def _all_positions(place: np.ndarray, seen: np.ndarray, shape: float) -> Figure:
    from matplotlib.patheffects import withStroke

    drawn = figure(max(7, 9 / max(1, shape)), 0.4 + 9 * min(1, shape))
    panel = drawn.subplots()
    halo = [withStroke(linewidth=2, foreground="white")]
    _box_heat(panel, place[seen], shape)
    for k in range(seen.shape[1]):
        if seen[:, k].any():
            x, y = np.median(place[seen[:, k], k], axis=0)
            if -0.25 < x < 1.25 and -0.25 < y < 1.25:
                panel.text(x, y, str(k + 1), fontsize=7, ha="center", va="center", color=look.INK, path_effects=halo)
    panel.set_title("Where keypoints lie in the box (frame); numbers stand at their medians")
    return drawn


def plot_places(subject: Subject) -> Figure:
    """Where in the image objects are."""
    objects = subject.objects
    middle = centres(objects)
    middle = middle[np.isfinite(middle).all(axis=1)]
    size = np.nanmedian(objects.image_size, axis=0) if len(middle) else np.ones(2)
    shape = float(np.clip(size[1] / size[0], 0.4, 2.0))
    drawn = figure(11, 1.0 + 4 * shape)
    left, right = drawn.subplots(1, 2)
    if len(middle) <= FEW:
        left.scatter(*(100 * middle).T, s=14, color=look.SPLITS[0], alpha=0.6, lw=0)
    else:
        counts, xs, ys = np.histogram2d(middle[:, 0], middle[:, 1], bins=30, range=((0, 1), (0, 1)))
        points = left.pcolormesh(100 * xs, 100 * ys, counts.T, cmap=look.HEAT, vmin=0, vmax=max(1, counts.max()))
        drawn.colorbar(points, ax=left, label="objects", shrink=0.8)
    cover = coverage(objects)
    edges = np.linspace(0, 100, len(cover) + 1)
    covered = right.pcolormesh(edges, edges, 100 * cover, cmap=look.HEAT, vmin=0)
    drawn.colorbar(covered, ax=right, label="% of the boxes that cover the place", shrink=0.8)
    left.set_title("Centres of the boxes in the image")
    right.set_title("Where boxes reach")
    for axes in (left, right):
        axes.set(xlim=(0, 100), ylim=(100, 0), xlabel="% of the image's width", ylabel="% of its height",
                 aspect=shape)
    return drawn


def plot_images(subject: Subject) -> Figure:
    """Image sizes, and how large objects come to the detector."""
    objects, advice = subject.objects, subject.detector
    known = ~np.isnan(objects.image_size).any(axis=1)
    kinds, counts = np.unique(objects.image_size[known], axis=0, return_counts=True)
    drawn = figure(11, 4)
    left, right = drawn.subplots(1, 2)
    left.scatter(*kinds.T, s=16 + 300 * counts / counts.max(), color=look.SPLITS[0], alpha=0.5, lw=0)
    reach = float(kinds.max()) * 1.12
    left.plot([0, reach], [0, reach], color=look.FAINT, lw=1, zorder=0)
    left.set(title="Image sizes (larger dots: more images)", xlabel="width, px", ylabel="height, px", xlim=(0, reach),
             ylim=(0, reach))
    sized = known[objects.image]
    short = objects.clipped_boxes()[sized, 2:].min(axis=1)
    sizes = [(advice.current.size, look.PRESENT, "input {}x{}")]
    if advice.best.size != advice.current.size:
        sizes.append((advice.best.size, look.ADVISED, "input {}x{} (advised)"))
    shown = [image_zooms(objects.object_image_size[sized], size) * short for size, _, _ in sizes]
    bins = log_bins(np.concatenate(shown))
    for values, (size, colour, label) in zip(shown, sizes):
        _outline(right, values, bins, colour, label.format(*size))
    for cells in (1, 2, 4):
        right.axvline(cells * CELL, color=look.INK, lw=1, ls=":")
        right.text(cells * CELL, 1, f" {cells * CELL:g}", transform=right.get_xaxis_transform(), va="top",
                   fontsize=8)
    right.set(title="Short side of the objects as the detector sees it", ylabel="objects",
              xlabel="px of the detector's input (dotted: 1, 2 and 4 cells of 8 px)",
              xlim=(min(bins[0], 7), max(bins[-1], 40)))
    log_axis(right)
    right.legend(fontsize=8)
    return drawn

