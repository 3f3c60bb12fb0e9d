"""What the plots of a data set share: colours, a font that has the names' characters, bins, how a figure is saved."""
from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose_tools.console.atomic import write_whole
from pose_tools.report.lettering import choose_font

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

SPLITS = ("#3b6fb6", "#e08e2b", "#5a9e6f", "#8e6bb0", "#b0575f", "#6b7280")
VISIBLE, OCCLUDED, UNLABELLED = "#2f7d5b", "#e6a93a", "#d9dce0"
PRESENT, ADVISED, INK, FAINT = "#8f959c", "#c2410c", "#333333", "#e7e9ec"
HEAT = "Blues"
DPI = 110
LONGEST = 26
_OWN_FONT = "DejaVu Sans"


def _one_line(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)


def short(name: str) -> str:
    """A name in one line, its middle left out where it is too long for an axis."""
    name = _one_line(name)
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


class Names:
    """Names as plots can show them.

    Attributes:
        families: Font families to draw with, the first that has a character being used for it.
        lacking: Characters that no font of this machine has.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Finds a font for all the names."""
        wanted = {ord(char) for name in names for char in _one_line(name)}
        self.families = [_OWN_FONT]
        path, lacking = choose_font(wanted)
        if (family := _usable(path)) is None:
            lacking = {code for code in wanted if code >= 128}
        elif family not in self.families:
            self.families.append(family)
        self.lacking = frozenset(map(chr, lacking))

    def __call__(self, names: Sequence[str]) -> list[str]:
        """Labels for an axis: the names, shortened; ``#3`` for the third where no font has its characters."""
        return [f"#{i}" if self.lacking & set(name) else short(name) for i, name in enumerate(names, 1)]


def _usable(path: Path) -> str | None:
    """Makes a font file known to matplotlib; None when it cannot draw with it, as with coloured emoji."""
    from matplotlib.font_manager import FontProperties, fontManager
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(path))
        font.set_size(10, DPI)
        fontManager.addfont(str(path))
    except (RuntimeError, OSError):
        return None
    return FontProperties(fname=str(path)).get_name()


@contextmanager
def style(names: Names) -> Iterator[None]:
    """Plots made and saved inside look alike; what is between two ``$`` in a name is no formula."""
    import matplotlib

    with matplotlib.rc_context({
            "font.family": names.families, "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left",
            "axes.titleweight": "bold", "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK,
            "axes.axisbelow": True, "text.parse_math": False, "text.color": INK, "axes.labelcolor": INK,
            "legend.frameon": False, "figure.facecolor": "white", "xtick.color": INK, "ytick.color": INK,
            "figure.constrained_layout.h_pad": 0.12, "figure.constrained_layout.w_pad": 0.08}):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of some inches, which arranges what is put into it."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def save(drawn: Figure, path: Path) -> None:
    """Writes a figure as a PNG."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI)
    write_whole(path, buffer.getvalue())


def log_bins(values: np.ndarray, count: int = 0) -> np.ndarray:
    """(B,) edges evenly spread on a log scale around positive values, at least a fifth wide to both sides.

    Args:
        values: What they are to hold.
        count: B; by default up to 40, fewer for few values.
    """
    count = count or int(np.clip(2 * np.sqrt(len(values)), 13, 40))
    if not len(values):
        return np.geomspace(0.5, 2, count)
    low, high = float(values.min()), float(values.max())
    if high < 1.5 * low:
        low, high = low / 1.25, high * 1.25
    # Room for the outermost bars to be seen whole.
    return np.geomspace(low * 0.96, high * 1.04, count)


def log_axis(axis_of: Axes, which: str = "x") -> None:
    """Makes an axis logarithmic with plain numbers on it, as many as are readable."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    (axis_of.set_xscale if which == "x" else axis_of.set_yscale)("log")
    axis = axis_of.xaxis if which == "x" else axis_of.yaxis
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 1.0
    subs = (1, 2, 5) if decades < 3.2 else (1, )
    subs = (1, 1.5, 2, 3, 4, 5, 6, 8) if decades < 0.9 else subs
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def whole_numbers(axis: Axis) -> None:
    """Ticks of an axis that counts."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def heat_norm(counts: np.ndarray) -> PowerNorm:
    """Colours by the square root of numbers, so that few objects are seen beside many."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=max(1, counts.max()))


def above_zero(counts: np.ndarray) -> np.ndarray:
    """Numbers with NaN for 0, which is left white."""
    return np.where(counts > 0, counts, np.nan)


def columns_of(count: int, most: int) -> list[range]:
    """Splits ``count`` rows into as few columns of at most ``most`` as it takes, evenly filled."""
    number = max(1, math.ceil(count / most))
    each = math.ceil(count / number)
    return [range(start, min(start + each, count)) for start in range(0, count, each)] or [range(0)]
