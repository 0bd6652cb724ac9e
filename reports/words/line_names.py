"""Lines named where they end, instead of in a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.language import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LineName", "name_lines"]


@dataclass(frozen=True)
class LineName:
    """The name of a line.

    Args:
        words: the name.
        colour: the line's.
        end: iteration at which the line ends.
        height: where it ends, as a fraction of the panel's height.
    """

    words: str
    colour: str
    end: float
    height: float


def name_lines(panel: Axes, names: Sequence[LineName]) -> None:
    """Write each name at its line's end; two that would meet are pushed apart, the upper one upwards."""
    text = _line_height(panel)
    ordered = sorted(names, key=lambda name: name.height)
    heights = [name.height for name in ordered]
    if len(heights) == 2 and (missing := text - (heights[1] - heights[0])) > 0:
        heights = [heights[0] - missing / 2, heights[1] + missing / 2]
    shift = max(0.0, text / 2 - heights[0]) - max(0.0, heights[-1] - (1 - text / 2))
    for name, height in zip(ordered, heights, strict=True):
        panel.annotate(
            say(name.words),
            (name.end, height + shift),
            xycoords=("data", "axes fraction"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=name.colour,
            annotation_clip=False,
        )


def _line_height(panel: Axes) -> float:
    """The height of a line of text, as a fraction of the panel's; a figure of ours has one pixel a point."""
    import matplotlib as mpl

    return 1.25 * float(mpl.rcParams["font.size"]) / float(panel.bbox.height)
