"""The lower panel: how far above or below the reference the candidate is, and how far it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

_DECADES = 8  # shown at most on a side: rounding ends seven decades below one in float32
_LARGEST = 280  # decades: what is drawn stays well inside a float's range


def deviation_axis(panel: Axes, curve: Curve, line: float, *, named: bool) -> None:
    """Draw candidate ÷ reference − 1, over the region that healthy runs stay in where it is known.

    The axis is logarithmic on both sides of zero, and linear around it, where nothing is told: below a hundredth of the
    tightest bound. Deviations beyond what is allowed are diamonds: the shape says it without the colour. One that is
    not finite is a cross on the edge.

    Args:
        panel: to draw on.
        curve: the signal; without a deviation nothing is drawn.
        line: width of the candidate's line, in CSS pixels.
        named: whether the lines are named at their right end.
    """
    if curve.deviation is None:
        return
    at, deviation = curve.iterations.astype(np.float64), curve.deviation
    scale = _scale_of(deviation, curve.allowed)
    broken = ~np.isfinite(deviation)
    shown = np.where(broken, np.nan, np.clip(np.where(broken, 0, deviation), scale.low, scale.high))
    _dress(panel, scale)
    end = at[-1] + 0.5
    edge = scale.high if broken[-1] else shown[-1]
    names = [LineName("candidate", theme.CANDIDATE, end, _height(panel, edge))]
    panel.axhline(0, color=theme.QUIET, linewidth=1, zorder=1.5)
    panel.plot(at, shown, color=theme.CANDIDATE, linewidth=line, zorder=3)
    if len(at) <= FEW:
        _dots(panel, at, shown, "o", line * 1.7, theme.CANDIDATE)
    _dots(panel, at[broken], np.full(int(broken.sum()), scale.high), "x", 5, theme.VIOLATION)
    if curve.allowed is not None:
        over = ~broken & ~(np.abs(deviation) <= curve.allowed)
        bound = np.clip(np.where(np.isnan(curve.allowed), 0, curve.allowed), 0, max(scale.high, -scale.low))
        side = -1.0 if shown[-1] > 0 else 1.0  # the label stays clear of the candidate's
        names.append(LineName("allowed", theme.ALLOWED, end, _height(panel, side * bound[-1])))
        at_edges, bound = _to_the_edges(at, bound)
        panel.fill_between(at_edges, bound, -bound, color=theme.BAND, linewidth=0, zorder=1)
        for edges in (bound, -bound):
            panel.plot(at_edges, edges, color=theme.ALLOWED, linewidth=line * 0.8, linestyle=(0, (5, 3)), zorder=2)
        _dots(panel, at[over], shown[over], "D", line * 2.2, theme.VIOLATION)
    if named:
        name_lines(panel, names)


@dataclass(frozen=True)
class _Scale:
    """Of the axis: what of it is linear around zero, and its limits, one of which may be near zero.

    Args:
        linear: a power of ten; within ± this much nothing is told.
        low: below zero.
        high: above it.
    """

    linear: float
    low: float
    high: float


def _scale_of(deviation: FloatArray, allowed: FloatArray | None) -> _Scale:
    """Whole decades around every finite deviation and bound on either side of zero, eight at most."""
    sizes = np.abs(deviation if allowed is None else np.concatenate((deviation, allowed)))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        return _Scale(1e-8, -1e-7, 1e-7)
    bounds = sizes if allowed is None else np.abs(allowed[np.isfinite(allowed) & (allowed > 0)])
    top = _decade(float(sizes.max()))
    tightest = float(bounds.min() if len(bounds) else sizes.min())
    bottom = min(max(math.floor(math.log10(tightest)) - 1, top - _DECADES, -_LARGEST), top - 1)
    reach = float(bounds.max()) if allowed is not None and len(bounds) else 0.0
    sides = []
    for sign in (-1, 1):
        there = sign * deviation[np.isfinite(deviation) & (sign * deviation > 0)]
        furthest = max(reach, float(there.max()) if len(there) else 0.0)
        sides.append(10.0 ** min(max(_decade(furthest), bottom + 1), top) if furthest else 10.0**bottom)
    return _Scale(10.0**bottom, -sides[0], sides[1])


def _decade(size: float) -> int:
    """The power of ten above it, with a little room."""
    return min(max(math.floor(math.log10(size) + 0.08) + 1, -_LARGEST), _LARGEST) if size > 0 else -_LARGEST


def _dress(panel: Axes, scale: _Scale) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    title(panel, "deviation from the reference")
    panel.set_yscale("symlog", linthresh=scale.linear, linscale=0.6)
    panel.set_ylim(scale.low, scale.high)
    panel.yaxis.set_major_locator(FixedLocator(_ticks(scale)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _ticks(scale: _Scale) -> list[float]:
    """Zero and whole decades, as many as have room: the outermost of each side among them."""
    bottom = round(math.log10(scale.linear))
    decades = [max(0, round(math.log10(side)) - bottom) for side in (-scale.low, scale.high)]
    step = max(1, math.ceil(sum(decades) / 5))
    ticks = [0.0]
    for sign, count in zip((-1, 1), decades, strict=True):
        ticks += [sign * 10.0 ** (bottom + up) for up in range(count, 0, -step)]
    return sorted(ticks)


def _to_the_edges(at: FloatArray, bound: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The bound half an iteration beyond its ends: it fills the panel, and that of a single iteration can be seen."""
    wide = np.concatenate(([at[0] - 0.5], at, [at[-1] + 0.5]))
    return wide, np.concatenate((bound[:1], bound, bound[-1:]))


def _dots(panel: Axes, at: FloatArray, values: FloatArray, marker: str, size: float, colour: str) -> None:
    if len(at):
        (drawn,) = panel.plot(at, values, linestyle="none", color=colour, zorder=4, clip_on=False)
        drawn.set(marker=marker, markersize=size, markeredgewidth=1.5 if marker == "x" else 0)


def _height(panel: Axes, value: float) -> float:
    """Where a value lies, as a fraction of the panel's height."""
    along = panel.yaxis.get_transform().transform(np.array([value, *panel.get_ylim()]))
    return float(np.clip((along[0] - along[1]) / (along[2] - along[1]), 0, 1))


def _tick(value: float) -> str:
    """With its sign; per cent where that is short."""
    if value == 0:
        return "0"
    if not 0 < abs(value) < math.inf:
        return ""
    sign, exponent = "−" if value < 0 else "+", round(math.log10(abs(value)))
    return sign + (f"{100 * abs(value):g}\u202f%" if -5 <= exponent <= 1 else wording.power_of_ten(exponent))
