"""The upper panel: the candidate's value on the reference's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.language import say
from harness.values.trace import FloatArray
from reports.drawing import theme
from reports.drawing.curves import Curve
from reports.words.line_names import LineName, name_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FEW", "title", "value_axis"]

_LARGEST = 1e100

_NAMES = {
    "loss": "loss",
    "loss_ce": "loss",
    "grad_norm": "gradient norm",
    "update_norm": "norm of the update",
    "param_norm": "norm of the parameters",
}
"""What a signal is called above its panel. Others are "value": names of signals come from other machines."""

FEW = 60  # up to so many points, each is dotted: a line of one or two points can't be seen otherwise


def value_axis(panel: Axes, curve: Curve, line: float, *, named: bool) -> None:
    """Draw the value over the iterations.

    The candidate is a thin line on the reference's broad one, so that a candidate that covers it is seen to. Where the
    candidate leaves for values that would flatten the reference, the panel stays with the reference.

    Args:
        panel: to draw on.
        curve: the signal.
        line: width of the candidate's line, in CSS pixels.
        named: whether the lines are named at their right end.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    at = curve.iterations
    title(panel, _NAMES.get(curve.signal.rpartition(".")[2], "value"))
    low, high = _limits(curve)
    panel.set_ylim(low, high)
    panel.set_xlim(-0.5, max(curve.planned - 0.5, 0.5))
    panel.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    digits = _digits(low, high)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{digits}g}".replace("-", "−")))
    if (band := _band(curve)) is not None:
        panel.fill_between(at, *band, color=theme.BAND, linewidth=0, zorder=1.5)
    if curve.center is not None:
        center, broad, dot = _drawable(curve.center), line * 2.6, "o" if len(at) == 1 else ""
        panel.plot(at, center, color=theme.REFERENCE, linewidth=broad, marker=dot, solid_capstyle="round", zorder=2)
        if curve.ahead is not None:
            on, there = np.append(at[-1:], curve.ahead[0]), np.append(center[-1:], _drawable(curve.ahead[1]))
            panel.plot(on, there, color=theme.REFERENCE, linewidth=broad, solid_capstyle="round", zorder=2)
    candidate, dot = _drawable(curve.candidate), "o" if len(at) <= FEW else ""
    panel.plot(at, candidate, color=theme.CANDIDATE, linewidth=line, marker=dot, markersize=line * 1.7, zorder=3)
    _mark_the_unusual(panel, curve, low, high)
    if named:
        name_lines(panel, _line_names(curve, low, high))


def _digits(low: float, high: float) -> int:
    """Significant digits that tell the ticks between two limits apart: six, or more where these are that close."""
    size, height = max(abs(low), abs(high)), high - low
    return max(6, 2 + math.ceil(math.log10(min(size / height, 1e15)))) if 0 < height < size else 6


def title(panel: Axes, words: str) -> None:
    """Say above the panel what it shows, where its numbers begin."""
    panel.annotate(
        say(words), (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", color=theme.QUIET
    )


def _drawable(values: FloatArray) -> FloatArray:
    """(T,) NaN where not finite; what is out of any drawing's reach is brought near enough to be drawn towards."""
    return np.clip(np.where(np.isfinite(values), values, np.nan), -_LARGEST, _LARGEST)


def _band(curve: Curve) -> tuple[FloatArray, FloatArray] | None:
    """(T,) both edges of the region that healthy runs stay in; ten times the value is out of sight anyway."""
    if curve.center is None or curve.allowed is None:
        return None
    center = _drawable(curve.center)
    reach = np.abs(center) * np.where(np.isfinite(curve.allowed), np.minimum(curve.allowed, 10), 0)
    return center - reach, center + reach


def _limits(curve: Curve) -> tuple[float, float]:
    """The values shown: the reference's, and of its region and the candidate's what does not flatten them."""
    known = curve.center if curve.ahead is None or curve.center is None else np.append(curve.center, curve.ahead[1])
    sides = [values for values in (known, curve.candidate) if values is not None]
    drawable = [values[np.isfinite(values)] for values in map(_drawable, sides)]
    shown = next((values for values in drawable if len(values)), None)
    if shown is None:
        return 0.0, 1.0
    low, high = float(shown.min()), float(shown.max())
    height = high - low
    if (band := _band(curve)) is not None:
        low, high = _widened(low, high, np.concatenate(band), 0.6 * height)
    low, high = _widened(low, high, drawable[-1], 3 * max(height, 0.1 * abs(high)))
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _widened(low: float, high: float, values: FloatArray, room: float) -> tuple[float, float]:
    """The limits so far, moved to hold the values, but by no more than ``room``."""
    values = values[np.isfinite(values)]
    if not len(values):
        return low, high
    return min(low, max(float(values.min()), low - room)), max(high, min(float(values.max()), high + room))


def _mark_the_unusual(panel: Axes, curve: Curve, low: float, high: float) -> None:
    """Say where the candidate ended before its time, was not finite, or left the panel."""
    if not curve.complete:
        end = float(curve.iterations[-1]) + 0.5
        panel.axvline(end, color=theme.QUIET, linewidth=1, zorder=0.5)
        height = 0.9 if _height(curve.candidate, low, high) < 0.5 else 0.1
        between = curve.ahead is None and len(curve.iterations) <= 2  # the two labels
        words = "ended" if curve.ahead is None else "the candidate ended"
        _remark(panel, curve, end, words, 0.5 if between else height)
    broken = ~np.isfinite(curve.candidate)
    if broken.any():
        panel.plot(
            curve.iterations[broken],
            np.full(int(broken.sum()), 0.96),
            transform=panel.get_xaxis_transform(),
            linestyle="none",
            marker="x",
            markersize=5,
            color=theme.VIOLATION,
            clip_on=False,
        )
        _remark(panel, curve, float(curve.iterations[np.argmax(broken)]), "× NaN or ∞", 0.84)
        return
    outside = (curve.candidate > high) | (curve.candidate < low)
    if outside.any():
        _remark(panel, curve, float(curve.iterations[np.argmax(outside)]), "leaves the panel", 0.9)


def _remark(panel: Axes, curve: Curve, at: float, words: str, height: float) -> None:
    early = at < curve.planned / 2
    panel.annotate(
        say(words),
        (at, height),
        xycoords=("data", "axes fraction"),
        xytext=(6 if early else -6, 0),
        textcoords="offset points",
        ha="left" if early else "right",
        va="center",
        color=theme.INK,
    )


def _line_names(curve: Curve, low: float, high: float) -> list[LineName]:
    end = float(curve.iterations[-1]) + 0.5
    if curve.ahead is not None:  # the reference goes on; where the candidate ends is said there
        return [LineName("reference", theme.QUIET, float(curve.ahead[0][-1]) + 0.5, _height(curve.ahead[1], low, high))]
    names = [LineName("candidate", theme.CANDIDATE, end, _height(curve.candidate, low, high))]
    if curve.center is not None:
        names.append(LineName("reference", theme.QUIET, end, _height(curve.center, low, high)))
    return names


def _height(values: FloatArray, low: float, high: float) -> float:
    """Where a line ends, as a fraction of the panel; at its top where the last value is not finite."""
    last = float(values[-1])
    return min(max((last - low) / (high - low), 0.0), 1.0) if np.isfinite(last) else 0.96
