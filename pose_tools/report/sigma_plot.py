"""Two pictures about OKS sigmas: how large they are, and what they make of an AP."""
from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose_tools.console.folder import new_folder
from pose_tools.dataset.sigmas.ap import OKS_LEVELS, Curve, allowed_px
from pose_tools.dataset.sigmas.estimate import COCO_PERSON, Estimate, coco_person_sigma
from pose_tools.dataset.sigmas.match import Comparison
from pose_tools.dataset.sigmas.report import scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#d1495b", "#00798c", "#edae49", "#66557f")
_COCO = (min(COCO_PERSON.values()), max(COCO_PERSON.values()))


_FONTS = ("Noto Sans CJK TC", "Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft JhengHei", "Microsoft YaHei",
          "PingFang TC", "Hiragino Sans", "WenQuanYi Zen Hei", "Arial Unicode MS")


def png(figure: Figure) -> bytes:
    """A figure as a PNG file's bytes, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A character that no font has is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _fonts() -> list[str]:
    """The font that matplotlib brings, and those here that have the characters which that lacks."""
    from matplotlib.font_manager import fontManager

    here = set(fontManager.get_font_names())
    return ["DejaVu Sans", *(font for font in _FONTS if font in here)]


def _plain(name: str) -> str:
    """A name in which matplotlib sees no formula."""
    return name.replace("$", r"\$")


def _plain_ticks(axis: Axes, which: str, values: Sequence[float]) -> None:
    """Numbers people read (0.05, not 5 x 10^-2) on a logarithmic axis, those of ``values`` that are in sight."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    low, high = getattr(axis, f"get_{which}lim")()
    shown = [value for value in values if low <= value <= high]
    ticks = getattr(axis, f"{which}axis")
    ticks.set_major_locator(FixedLocator(shown))
    ticks.set_major_formatter(FixedFormatter([f"{value:g}" for value in shown]))
    ticks.set_minor_locator(NullLocator())


_STEPS = [digit * 10.0 ** power for power in range(-5, 5) for digit in (1, 2, 5)]


def draw_sigmas(estimate: Estimate, title: str) -> Figure:
    """Draws each keypoint's sigma with its interval, beside the present ones and COCO's.

    Args:
        estimate: The sigmas.
        title: Above the picture.

    Returns:
        The figure; :func:`png` makes a picture of it.
    """
    from matplotlib.figure import Figure

    rows, count = estimate.rows, len(estimate.rows)
    figure = Figure(figsize=(8, 1.9 + 0.3 * count), dpi=110, layout="constrained")
    axis = figure.add_subplot()
    places = np.arange(count)
    axis.axvspan(*_COCO, color="0.92", label=f"COCO's persons, {_COCO[0]:g} to {_COCO[1]:g}")
    if estimate.names.sigmas:
        axis.plot(estimate.names.sigmas, places, "D", color=_COLOURS[1], mfc="none", ms=8, label="now")
    person = [(coco_person_sigma(row.name), i) for i, row in enumerate(rows) if coco_person_sigma(row.name)]
    if person:
        axis.plot(*zip(*person), "|", color="0.3", ms=13, mew=2, label="COCO's, by name")
    for i, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axis.plot([max(row.low, 1e-5), row.high], [i, i], "-", color=_COLOURS[0], lw=2)
    axis.plot([row.sigma for row in rows], places, "o", color=_COLOURS[0], label="estimated, 95 % interval")
    axis.set(xscale="log", xlabel="sigma, as a share of sqrt(area)", ylim=(count - 0.5, -0.5), title=title)
    axis.set_yticks(places, [f"{_plain(row.name)}  ({row.pairs}{'*' if row.with_names else ''})" for row in rows],
                    fontfamily=_fonts())
    axis.set_ylabel("keypoint (its pairs; * together with others)")
    _plain_ticks(axis, "x", _STEPS)
    axis.grid(axis="x", color="0.85")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def draw_ap(curve: Curve, estimate: Estimate, what: str) -> Figure:
    """Draws AP over sigma, and below it the error in px that OKS allows.

    Args:
        curve: The APs; its marks are drawn with their names.
        estimate: For the size of the median object.
        what: What was scored against what.

    Returns:
        The figure; :func:`png` makes a picture of it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axis in (upper, lower):
        axis.axvspan(*_COCO, color="0.92", label=f"COCO's persons, {_COCO[0]:g} to {_COCO[1]:g}")
        axis.grid(color="0.85")
    upper.plot(curve.sigmas, curve.ap, "-", color="0.35", label="estimated sigmas times a common factor")
    for (name, (sigma, ap)), colour, sign in zip(curve.marks.items(), _COLOURS, "osD^"):
        upper.plot([sigma], [ap], sign, color=colour, ms=9, label=f"{name}: sigma {sigma:.3g}, AP {ap:.3f}")
        for axis in (upper, lower):
            axis.axvline(sigma, color=colour, lw=1, ls="--")
    upper.set(xscale="log", xlim=(curve.sigmas[0], curve.sigmas[-1]), ylim=(0, 1.02), ylabel="AP (OKS 0.50 to 0.95)",
              title=f"AP depends on sigma: {what}")
    upper.legend(loc="best", framealpha=0.9)
    _draw_allowed(lower, curve, estimate.scale)
    return figure


def _draw_allowed(axis: Axes, curve: Curve, scale: float) -> None:
    for oks, style in zip(OKS_LEVELS, (":", "-", "-.")):
        px = allowed_px(curve.sigmas, scale, oks)
        axis.plot(curve.sigmas, px, style, color="0.25", label=f"OKS {oks:g}")
    axis.set(yscale="log", xlabel="sigma, as a share of sqrt(area) (geometric mean over the keypoints)",
             ylabel="error allowed, px",
             title=f"Error allowed at the median object (sqrt(area) = {scale:.0f} px)")
    axis.set_ylim(allowed_px(curve.sigmas[0], scale, max(OKS_LEVELS)),
                  allowed_px(curve.sigmas[-1], scale, min(OKS_LEVELS)))
    _plain_ticks(axis, "y", _STEPS)
    _plain_ticks(axis, "x", _STEPS)
    axis.legend(loc="best", framealpha=0.9)


def save_report(folder: Path, overwrite: bool, text: str, content: str, comparison: Comparison, estimate: Estimate,
                curve: Curve) -> list[str]:
    """Writes text, JSON and both pictures into a folder, in one step.

    Args:
        folder: The folder to make.
        overwrite: Whether one with contents may be replaced.
        text: For people.
        content: The same as JSON.
        comparison: What was compared.
        estimate: The sigmas.
        curve: What they make of AP.

    Returns:
        The names of the files.

    Raises:
        UserError: The folder is a file, or has contents and must not be replaced.
    """
    title = "How far annotators differ" if comparison.repeated else "How far predictions are from labels"
    files = {"sigmas.txt": f"{text}\n".encode(), "sigmas.json": f"{content}\n".encode(),
             "sigmas.png": png(draw_sigmas(estimate, title)),
             "ap_by_sigma.png": png(draw_ap(curve, estimate, scored(comparison)))}
    with new_folder(folder, overwrite) as new:
        for name, data in files.items():
            (new / name).write_bytes(data)
    return list(files)
