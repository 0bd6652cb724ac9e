"""The upper panel: the candidate's value on the reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.values.trace import FloatArray
from reports import theme
from reports.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FEW", "name_line", "title", "value_axis"]

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

    at, candidate = curve.iterations, _finite(curve.candidate)
    title(panel, "value")
    if curve.center is not None:
        center = _finite(curve.center)
        if curve.allowed is not None:
            reach = np.abs(center) * np.where(np.isfinite(curve.allowed), curve.allowed, 0)
            panel.fill_between(at, center - reach, center + reach, color=theme.BAND, linewidth=0, zorder=1.5)
        dot = "o" if len(at) == 1 else ""
        broad = line * 2.6
        panel.plot(at, center, color=theme.REFERENCE, linewidth=broad, marker=dot, solid_capstyle="round", zorder=2)
    dot = "o" if len(at) <= FEW else ""
    panel.plot(at, candidate, color=theme.CANDIDATE, linewidth=line, marker=dot, markersize=line * 1.7, zorder=3)
    low, high = _limits(curve)
    panel.set_ylim(low, high)
    panel.set_xlim(-0.5, max(curve.planned - 0.5, 0.5))
    panel.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))
    _mark_the_unusual(panel, curve, high)
    if named:
        _name_lines(panel, curve, low, high)


def title(panel: Axes, words: str) -> None:
    """Say above the panel what it shows, where its numbers begin."""
    panel.annotate(
        words, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", color=theme.QUIET
    )


def name_line(panel: Axes, words: str, height: float, colour: str) -> None:
    """Name a line at its right end; ``height`` is a fraction of the panel's."""
    panel.annotate(
        words,
        (1, min(max(height, 0.03), 0.97)),
        xycoords="axes fraction",
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        annotation_clip=False,
    )


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.nan)


def _limits(curve: Curve) -> tuple[float, float]:
    """The values shown: both sides', unless the candidate's would flatten the reference's."""
    candidate = curve.candidate[np.isfinite(curve.candidate)]
    center = candidate if curve.center is None else curve.center[np.isfinite(curve.center)]
    shown = center if len(center) else candidate
    if not len(shown):
        return 0.0, 1.0
    low, high = float(shown.min()), float(shown.max())
    room = 3 * max(high - low, abs(high) * 0.1)
    if len(candidate):
        low = min(low, max(float(candidate.min()), low - room))
        high = max(high, min(float(candidate.max()), high + room))
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _mark_the_unusual(panel: Axes, curve: Curve, high: float) -> None:
    """Say where the candidate left the panel, was not finite, or ended before its time."""
    broken = ~np.isfinite(curve.candidate)
    if broken.any():
        panel.plot(
            curve.iterations[broken],
            np.full(int(broken.sum()), 0.95),
            transform=panel.get_xaxis_transform(),
            linestyle="none",
            marker="x",
            markersize=5,
            color=theme.VIOLATION,
            clip_on=False,
        )
        _remark(panel, curve, int(curve.iterations[np.argmax(broken)]), "NaN or ∞", 0.82)
    gone = np.flatnonzero(curve.candidate > high)
    if len(gone) and not broken.any():
        _remark(panel, curve, int(curve.iterations[gone[0]]), "leaves the panel", 0.9)
    if not curve.complete:
        end = int(curve.iterations[-1]) + 0.5
        panel.axvspan(end, max(curve.planned - 0.5, end), color=theme.BAND, linewidth=0, zorder=0.5)
        _remark(panel, curve, end, "cut short", 0.08)


def _remark(panel: Axes, curve: Curve, at: float, words: str, height: float) -> None:
    early = at < curve.planned / 2
    panel.annotate(
        words,
        (at, height),
        xycoords=("data", "axes fraction"),
        xytext=(6 if early else -6, 0),
        textcoords="offset points",
        ha="left" if early else "right",
        va="center",
        color=theme.INK,
    )


def _name_lines(panel: Axes, curve: Curve, low: float, high: float) -> None:
    """The lines' names at their right ends, pushed apart where they would meet."""
    ends = [_last(curve.candidate)] + ([] if curve.center is None else [_last(curve.center)])
    heights = [(end - low) / (high - low) for end in ends]
    if len(heights) == 1:
        name_line(panel, "candidate", heights[0], theme.CANDIDATE)
        return
    middle, apart = float(np.mean(np.clip(heights, 0, 1))), max(abs(heights[0] - heights[1]), 0.13) / 2
    middle = min(max(middle, apart), 1 - apart)
    above = heights[0] >= heights[1]
    name_line(panel, "candidate", middle + (apart if above else -apart), theme.CANDIDATE)
    name_line(panel, "reference", middle - (apart if above else -apart), theme.QUIET)


def _last(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else 0.0
