"""The plots of a report, as SVG: the value on its envelope above, the deviation below.

Signal names never enter a drawing: they come from other machines, and the page around it escapes them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.language import language, say
from reports.drawing import theme
from reports.drawing.curves import Curve, thinned
from reports.drawing.deviation_axis import deviation_axis
from reports.drawing.value_axis import value_axis
from reports.words import wording

if TYPE_CHECKING:  # matplotlib takes 0.4 s to import: only a page that draws pays for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LARGE", "MIDDLE", "NARROW", "SMALL", "Format", "draw"]


@dataclass(frozen=True)
class Format:
    """The size of a drawing, all in CSS pixels.

    Args:
        width: of the whole.
        height: of the whole.
        font: size of its text.
        line: width of the candidate's line.
        left: room for the numbers of the vertical axes.
        right: room for the names of the lines; lines go unnamed where there is too little.
    """

    width: int
    height: int
    font: float
    line: float
    left: int
    right: int

    @property
    def named(self) -> bool:
        """Whether there is room to name the lines."""
        return self.right >= 40


_CHINESE = ("Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "Source Han Sans SC", "WenQuanYi Micro Hei")
"""Fonts of a reader's machine: a drawing has its words as text, and no shapes of letters."""

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""A page says itself when and by what it was made, and a drawing is to be the same every time."""

LARGE = Format(width=960, height=400, font=13, line=2.0, left=70, right=84)
MIDDLE = Format(width=560, height=360, font=12, line=1.8, left=66, right=76)
NARROW = Format(width=380, height=400, font=12, line=1.8, left=62, right=74)
SMALL = Format(width=340, height=250, font=11, line=1.6, left=58, right=8)


def draw(curve: Curve, size: Format, style: theme.Style = theme.LIGHT) -> str:
    """An SVG of one signal: its value over the iterations, and below it candidate ÷ reference − 1.

    Args:
        curve: the signal; where it was not compared, the value alone is drawn.
        size: of the drawing.
        style: its colours.

    Returns:
        An SVG file as matplotlib writes it, the same for the same curve; it stands alone, as the page shows it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.rcsetup import cycler

    curve, drawn = thinned(curve), io.StringIO()
    with mpl.rc_context(), np.errstate(all="ignore"), _of_any_script():
        mpl.rcdefaults()  # a matplotlibrc of the user's would make every machine draw its own
        if language() == "zh":
            mpl.rcParams["font.sans-serif"] = [*mpl.rcParams["font.sans-serif"], *_CHINESE]
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "alignment", "font.size": size.font})
        mpl.rcParams["axes.prop_cycle"] = cycler(color=list(style.values()))
        figure = Figure(figsize=(size.width / 72, size.height / 72), dpi=72)
        if curve.deviation is None:
            (top,) = _panels(figure, size, 1)
            value_axis(top, curve, size.line, named=size.named)
        else:
            top, bottom = _panels(figure, size, 2)
            value_axis(top, curve, size.line, named=size.named)
            deviation_axis(bottom, curve, size.line, named=size.named)
            _point_out(top, bottom, curve, size)
        figure.savefig(drawn, format="svg", transparent=True, metadata=_NO_METADATA)
    return drawn.getvalue()


@contextlib.contextmanager
def _of_any_script() -> Iterator[None]:
    """Nothing is said of fonts that this machine lacks: the reader's has them, whose browser writes the words."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        fonts.setLevel(logging.ERROR)
        try:
            yield
        finally:
            fonts.setLevel(level)


def _panels(figure: Figure, size: Format, rows: int) -> list[Axes]:
    """The panels, top first, with margins in lines of text; the last carries the iterations."""
    line = size.font
    above, below, between = 2.0 * line, 2.9 * line, 3.6 * line
    layout = {
        "left": size.left / size.width,
        "right": 1 - size.right / size.width,
        "top": 1 - above / size.height,
        "bottom": below / size.height,
        "hspace": between * rows / (size.height - above - below - between),
        "height_ratios": (5, 4)[:rows],
    }
    panels = list(figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw=layout)[:, 0])
    for panel in panels:
        panel.set_axisbelow(True)
        panel.spines[:].set_visible(False)
        panel.grid(axis="y", color=theme.GRID, linewidth=1)
        panel.tick_params(which="both", left=False, bottom=False, labelsize=0.92 * line, labelcolor=theme.QUIET)
    panels[-1].spines.bottom.set(visible=True, color=theme.QUIET, linewidth=1)
    panels[-1].set_xlabel(say("iteration"), loc="right", color=theme.QUIET, fontsize=0.92 * line, labelpad=2)
    return panels


def _point_out(top: Axes, bottom: Axes, curve: Curve, size: Format) -> None:
    """A hairline through both panels at the first violation, named between them."""
    violation = curve.violation
    if violation is None or violation.iteration is None:
        return
    at = violation.iteration
    for panel in (top, bottom):
        panel.axvline(at, color=theme.VIOLATION, linewidth=1, zorder=1)
    words = [say(f"iteration {at}")]
    if size.named and violation.observed is not None and math.isfinite(violation.observed):
        words.append(wording.relative(violation.observed, signed=True))
        if violation.allowed:
            words.append(say(f"{wording.multiple(violation.observed, violation.allowed)} what is allowed"))
    early = at < curve.planned / 2
    top.annotate(
        ("▲ " if early else "") + ", ".join(words if size.width > 600 else words[:2]) + ("" if early else " ▲"),
        (at, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-size.font * 0.42 if early else size.font * 0.42, -0.45 * size.font),
        textcoords="offset points",
        ha="left" if early else "right",
        va="top",
        color=theme.VIOLATION,
        fontweight="bold",
        annotation_clip=False,
    )
