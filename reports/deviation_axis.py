"""The lower panel: how far the candidate is from the reference, and how far it may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.values.trace import FloatArray
from reports import theme, wording
from reports.curves import Curve
from reports.value_axis import FEW, name_line, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["deviation_axis"]

_DECADES = 12  # shown at most: rounding ends sixteen decades below one


def deviation_axis(panel: Axes, curve: Curve, line: float, *, named: bool) -> None:
    """Draw |candidate ÷ reference − 1| on a log scale over the region that healthy runs stay in.

    Deviations beyond what is allowed are drawn as diamonds: the shape says it without the colour. A deviation of zero
    lies on the lower edge, one that is not a number on the upper.

    Args:
        panel: to draw on.
        curve: the signal; it has a center and bounds.
        line: width of the candidate's line, in CSS pixels.
        named: whether the lines are named at their right end.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    deviation, allowed = curve.deviation, curve.allowed
    if deviation is None or allowed is None:
        return
    at, size = curve.iterations.astype(np.float64), np.abs(deviation)
    low, high = _limits(size, allowed)
    shown = np.where(np.isnan(size), high, np.clip(size, low, high))
    bound = np.clip(np.where(np.isnan(allowed), low, allowed), low, high)
    title(panel, "relative deviation from the reference")
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    panel.fill_between(*_to_the_edges(at, bound, curve.planned), low, color=theme.BAND, linewidth=0, zorder=1)
    panel.plot(
        *_to_the_edges(at, bound, curve.planned),
        color=theme.ALLOWED,
        linewidth=line * 0.8,
        linestyle=(0, (5, 3)),
        zorder=2,
    )
    panel.plot(at, shown, color=theme.CANDIDATE, linewidth=line, zorder=3)
    over = ~(size <= allowed)
    _dots(panel, at[~over], shown[~over], marker="o", size=line * 1.7, colour=theme.CANDIDATE, few=len(at) <= FEW)
    _dots(panel, at[over], shown[over], marker="D", size=line * 2.2, colour=theme.VIOLATION, few=True)
    panel.yaxis.set_major_locator(LogLocator(numticks=5))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    if named:
        _name_lines(panel, float(shown[-1]), float(bound[-1]), low, high)


def _to_the_edges(at: FloatArray, values: FloatArray, planned: int) -> tuple[FloatArray, FloatArray]:
    """The bound drawn half an iteration beyond its ends: it fills the panel, and a single iteration can be seen."""
    wide = np.concatenate(([at[0] - 0.5], at, [min(at[-1] + 0.5, max(planned - 0.5, 0.5))]))
    return wide, np.concatenate((values[:1], values, values[-1:]))


def _dots(panel: Axes, at: FloatArray, values: FloatArray, *, marker: str, size: float, colour: str, few: bool) -> None:
    if few and len(at):
        panel.plot(
            at,
            values,
            linestyle="none",
            marker=marker,
            markersize=size,
            markeredgewidth=0,
            color=colour,
            zorder=4,
            clip_on=False,
        )


def _limits(size: FloatArray, allowed: FloatArray) -> tuple[float, float]:
    """Whole decades around every finite deviation and bound, twelve at most."""
    values = np.concatenate((size, allowed))
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 1e-8, 1e-6
    top = math.floor(math.log10(float(values.max()) * 1.2)) + 1
    floor = math.floor(math.log10(max(float(values.min()), 1e-300)))
    return 10.0 ** max(floor, top - _DECADES), 10.0**top


def _tick(value: float) -> str:
    exponent = round(math.log10(value))
    return f"{100 * value:g}\u202f%" if -5 <= exponent <= 1 else wording.power_of_ten(exponent)


def _name_lines(panel: Axes, observed: float, bound: float, low: float, high: float) -> None:
    heights = [math.log(value / low) / math.log(high / low) for value in (observed, bound)]
    apart = max(abs(heights[0] - heights[1]), 0.16) / 2
    middle = min(max(sum(heights) / 2, apart), 1 - apart)
    above = heights[0] >= heights[1]
    name_line(panel, "candidate", middle + (apart if above else -apart), theme.CANDIDATE)
    name_line(panel, "allowed", middle - (apart if above else -apart), theme.ALLOWED)
