"""The lower panel: how far the candidate is from the reference, and how far it may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.values.trace import FloatArray
from reports.drawing import theme
from reports.drawing.curves import Curve
from reports.drawing.value_axis import FEW, title
from reports.words import wording
from reports.words.line_names import LineName, name_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["deviation_axis"]

_DECADES = 12  # shown at most: rounding ends sixteen decades below one
_LARGEST = 280  # decades: what is drawn stays well inside a float's range


def deviation_axis(panel: Axes, curve: Curve, line: float, *, named: bool) -> None:
    """Draw |candidate ÷ reference − 1| on a log scale, over the region that healthy runs stay in where it is known.

    Deviations beyond what is allowed are diamonds: the shape says it without the colour. A deviation of zero lies on
    the lower edge; one that is not finite is a cross on the upper.

    Args:
        panel: to draw on.
        curve: the signal; without a deviation nothing is drawn.
        line: width of the candidate's line, in CSS pixels.
        named: whether the lines are named at their right end.
    """
    if curve.deviation is None:
        return
    at, size = curve.iterations.astype(np.float64), np.abs(curve.deviation)
    low, high = _limits(size if curve.allowed is None else np.concatenate((size, curve.allowed)))
    broken = ~np.isfinite(size)
    shown = np.where(broken, np.nan, np.clip(size, low, high))
    _dress(panel, low, high)
    end = at[-1] + 0.5
    names = [LineName("candidate", theme.CANDIDATE, end, _height(high if broken[-1] else shown[-1], low, high))]
    panel.plot(at, shown, color=theme.CANDIDATE, linewidth=line, zorder=3)
    if len(at) <= FEW:
        _dots(panel, at, shown, "o", line * 1.7, theme.CANDIDATE)
    _dots(panel, at[broken], np.full(int(broken.sum()), high), "x", 5, theme.VIOLATION)
    if curve.allowed is not None:
        over = ~broken & ~(size <= curve.allowed)
        bound = np.clip(np.where(np.isnan(curve.allowed), low, curve.allowed), low, high)
        names.append(LineName("allowed", theme.ALLOWED, end, _height(bound[-1], low, high)))
        at_edges, bound = _to_the_edges(at, bound)
        panel.fill_between(at_edges, bound, low, color=theme.BAND, linewidth=0, zorder=1)
        panel.plot(at_edges, bound, color=theme.ALLOWED, linewidth=line * 0.8, linestyle=(0, (5, 3)), zorder=2)
        _dots(panel, at[over], shown[over], "D", line * 2.2, theme.VIOLATION)
    if named:
        name_lines(panel, names)


def _dress(panel: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    title(panel, "relative deviation from the reference")
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    panel.yaxis.set_major_locator(LogLocator(numticks=5))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _to_the_edges(at: FloatArray, bound: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The bound half an iteration beyond its ends: it fills the panel, and that of a single iteration can be seen."""
    wide = np.concatenate(([at[0] - 0.5], at, [at[-1] + 0.5]))
    return wide, np.concatenate((bound[:1], bound, bound[-1:]))


def _dots(panel: Axes, at: FloatArray, values: FloatArray, marker: str, size: float, colour: str) -> None:
    if len(at):
        (drawn,) = panel.plot(at, values, linestyle="none", color=colour, zorder=4, clip_on=False)
        drawn.set(marker=marker, markersize=size, markeredgewidth=1.5 if marker == "x" else 0)


def _limits(values: FloatArray) -> tuple[float, float]:
    """Whole decades around every finite deviation and bound, twelve at most."""
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 1e-8, 1e-6
    top = min(max(math.floor(math.log10(float(values.max())) + 0.08) + 1, -_LARGEST), _LARGEST)
    low = max(math.floor(math.log10(float(values.min()))), top - _DECADES)
    return 10.0 ** min(low, top - 1), 10.0**top


def _height(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low)


def _tick(value: float) -> str:
    if not 0 < value < math.inf:
        return ""
    exponent = round(math.log10(value))
    return f"{100 * value:g}\u202f%" if -5 <= exponent <= 1 else wording.power_of_ten(exponent)
