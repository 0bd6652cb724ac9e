"""What attention blocks save, drawn: one row a comparison, one panel a quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Saving", "draw_efficiency"]


@dataclass(frozen=True)
class Saving:
    """One comparison with a non-local block; ratios are non-local over block, None where they weren't measured.

    Args:
        label: the block and its feature map.
        gmac: ratio of multiply–accumulates.
        memory: ratio of peak memory.
        time: ratio of the time of what was measured.
    """

    label: str
    gmac: float | None
    memory: float | None
    time: float | None


def draw_efficiency(savings: Sequence[Saving], path: Path) -> None:
    """Draw the ratios on a logarithmic axis; the format follows the path's ending (svg, png, pdf).

    Args:
        savings: one or more comparisons.
        path: the file to write.
    """
    from matplotlib.figure import Figure

    panels = {
        "multiply–accumulates": [saving.gmac for saving in savings],
        "peak memory": [saving.memory for saving in savings],
        "time": [saving.time for saving in savings],
    }
    figure = Figure(figsize=(11, 1.4 + 0.45 * len(savings)), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for axis, (title, ratios) in zip(axes, panels.items(), strict=True):
        for row, ratio in enumerate(ratios):
            if ratio is None:
                axis.text(1.05, row, "not measured", va="center", color="0.45", fontsize=8)
                continue
            axis.plot([1, ratio], [row, row], color="#1663a9", linewidth=5, solid_capstyle="butt")
            axis.text(ratio, row, f" {ratio:.3g}×", va="center", fontsize=9)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xscale("log")
        axis.axvline(1, color="0.3", linewidth=0.8)
        largest = max((ratio for ratio in ratios if ratio is not None), default=1.0)
        axis.set_xlim(0.5, 3 * max(largest, 1.0))
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False)
    axes[0].set_yticks(range(len(savings)), [saving.label for saving in savings])
    axes[0].invert_yaxis()
    figure.supxlabel("non-local block ÷ this block: right of 1 it is leaner", fontsize=9)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
