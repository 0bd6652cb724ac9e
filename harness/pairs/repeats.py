"""Repeats: more logs of the reference say what healthy runs do, and so what the candidate may do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.pairs.joining import common_iterations
from harness.pairs.log import Series
from harness.rules.envelope import judge_envelope
from harness.values.trace import IntArray, Trace
from harness.values.verdict import Envelope, Finding

__all__ = ["FALSE_ALARM_RATE", "judge_repeats"]

FALSE_ALARM_RATE = 1e-3
"""Chance that a healthy candidate is called a failure, over all iterations together."""


def judge_repeats(healthy: Sequence[Series], candidate: Series) -> tuple[Finding, Envelope]:
    """Whether the candidate stays where the reference's runs stay.

    Args:
        healthy: k ≥ 2 runs of the reference.
        candidate: the run to judge.

    Returns:
        What the envelope rule finds at the iterations that all of them have, and the envelope.
    """
    iterations = common_iterations([*healthy, candidate])
    findings, envelopes = judge_envelope(
        [_as_trace(series, iterations) for series in healthy],
        _as_trace(candidate, iterations),
        tier="",
        false_alarm_rate=FALSE_ALARM_RATE,
    )
    return findings[0], envelopes["loss"]


def _as_trace(series: Series, iterations: IntArray) -> Trace:
    values = series.values[np.searchsorted(series.iterations, iterations)]
    return Trace(iterations, {"loss": values}, planned=len(iterations), complete=True)
