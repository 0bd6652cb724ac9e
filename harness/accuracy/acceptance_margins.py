"""Margins: how far a trained accuracy may be off, as a user states it or as a published rule does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

from harness.values.errors import UsageError

__all__ = ["NAMED_MARGINS", "Margin", "parse_margin"]


@final
@dataclass(frozen=True)
class Margin:
    """How far the candidate's mean may lie from the reference's.

    Args:
        name: as it was asked for.
        points: in points of the metric; None where it is a share.
        share: of the reference's mean; None where it is in points.
        one_sided: whether a better candidate is always within it.
        source: who states it; empty for a user's own.
    """

    name: str
    points: float | None = None
    share: float | None = None
    one_sided: bool = False
    source: str = ""

    def at(self, reference: float) -> float:
        """In points, where the reference's mean is this many points."""
        return self.points if self.points is not None else (self.share or 0.0) * abs(reference)

    def describe(self) -> str:
        """A few words, with the source."""
        size = (
            f"{self.points:g} points" if self.points is not None else f"{100 * (self.share or 0):g} % of the reference"
        )
        sides = "below it" if self.one_sided else "either way"
        return f"{size} {sides}" + (f" ({self.source})" if self.source else "")


NAMED_MARGINS: Final = {
    "0.1%": Margin(
        "0.1%",
        share=0.001,
        source="Tecorigin TecoInference, model adaptation guide §2.1.3: relative error of the metric",
    ),
    "0.15%": Margin(
        "0.15%", points=0.15, source="PaddlePaddle docs/lwfx/ArticleReproduction_CV.md §3.11: top-1 on ImageNet"
    ),
    "99%": Margin(
        "99%", share=0.01, one_sided=True, source="MLPerf Inference rules: 99 % of the FP32 reference's quality"
    ),
    "99.9%": Margin(
        "99.9%", share=0.001, one_sided=True, source="MLPerf Inference rules: 99.9 % of the FP32 reference's quality"
    ),
}
"""Published rules by name. None states on how many runs it holds; `align plan-accuracy` says what it takes."""


def parse_margin(text: str, *, one_sided: bool = False) -> Margin:
    """A named margin, or a number of points.

    Raises:
        UsageError: it is neither.
    """
    if text in NAMED_MARGINS:
        return NAMED_MARGINS[text]
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 < points < math.inf:
        raise UsageError(
            "a margin is a number of points above 0, or a published rule's name",
            where="--margin",
            observed=text,
            allowed=f"for example 0.5; {', '.join(NAMED_MARGINS)}",
        )
    return Margin(text, points=points, one_sided=one_sided)
