"""Rates with their counts, and how well the counts know them."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest

__all__ = ["CONFIDENCE", "Rate"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    Args:
        count: of the runs that were called.
        total: of the runs that were looked at.
    """

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, in [0, 1]; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """The Clopper–Pearson interval at 95 % confidence: exact, never too short; all of [0, 1] for nothing.

        Source: C. J. Clopper, E. S. Pearson, *Biometrika* 26 (1934), 404–413.
        """
        if not self.total:
            return 0.0, 1.0
        interval = binomtest(self.count, self.total).proportion_ci(CONFIDENCE, method="exact")
        return float(interval.low), float(interval.high)
