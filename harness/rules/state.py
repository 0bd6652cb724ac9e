"""State: parameters, updates and BatchNorm's buffers stay where healthy runs of the reference stay.

A loss trace can't see a running variance that is off, weight decay that is skipped, or a weight that slowly shrinks;
the norms of the training state can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rules.bounded import find_violation, percent
from harness.rules.moderation import moderate
from harness.rules.spread import FLOAT32_RESOLUTION, Spread, measure_spread, smooth_over_iterations
from harness.values.trace import FloatArray, StateTable, Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "TOTALS", "judge_state"]

RULE = "state"
TOTALS = ("update_norm", "param_norm", "bn_mean_norm", "bn_var_norm")
"""Norms over all tensors of a kind, at every iteration."""

_WITHOUT_DIGITS = str.maketrans("", "", "0123456789")

_KINDS = {"param": "parameter", "mean": "running mean", "var": "running variance"}


def judge_state(healthy: Sequence[Trace], candidate: Trace, *, tier: str, false_alarm_rate: float) -> list[Finding]:
    """Findings on the totals and on each kind of tensor.

    Args:
        healthy: k runs of the reference, each with the candidate's iterations or more.
        candidate: the run to judge, T iterations.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all tensors and iterations together.

    Returns:
        A finding for each total; of the tensors, a finding for each that violates its bound, and one for each kind that
        doesn't. A signal or tensor that the candidate did not record is judged as NaN.
    """
    totals = [name for name in TOTALS if name in healthy[0].signals]
    tables = [run.state.head(candidate.planned) for run in healthy]
    looks = len(candidate) * len(totals) + tables[0].values.size
    findings = [_judge_total(name, healthy, candidate, tier, looks, false_alarm_rate) for name in totals]
    return findings + _judge_tensors(tables, candidate.state, tier, looks, false_alarm_rate)


def _judge_total(
    name: str, healthy: Sequence[Trace], candidate: Trace, tier: str, looks: int, false_alarm_rate: float
) -> Finding:
    spread = smooth_over_iterations(measure_spread(np.stack([run.signals[name][: len(candidate)] for run in healthy])))
    return find_violation(
        RULE,
        name,
        tier,
        spread=spread,
        candidate=candidate.signals.get(name, np.full(len(candidate), np.nan)),
        allowed=spread.allowed(looks, false_alarm_rate),
        iterations=candidate.iterations,
    )


def _judge_tensors(
    tables: Sequence[StateTable], candidate: StateTable, tier: str, looks: int, false_alarm_rate: float
) -> list[Finding]:
    reference = tables[0]
    if not reference.names:
        return []
    healthy = np.stack([_aligned(table, reference) for table in tables])
    spread = measure_spread(healthy, resolution=_resolution(healthy, reference.names))
    spread = moderate(spread, [_role(name) for name in reference.names])
    allowed = spread.allowed(looks, false_alarm_rate)
    values = _aligned(candidate, reference)
    violated = ~(np.abs(spread.deviation(values)) <= allowed)
    kinds = np.array([name.partition("/")[0] for name in reference.names])
    relative_bound = -spread.as_relative(-allowed)
    findings = []
    for kind in dict.fromkeys(kinds.tolist()):
        columns = np.flatnonzero(kinds == kind)
        failing = columns[violated[:, columns].any(axis=0)]
        findings += [
            find_violation(
                RULE,
                reference.names[column],
                tier,
                spread=_column(spread, column),
                candidate=values[:, column],
                allowed=allowed[:, column],
                iterations=reference.iterations,
            )
            for column in failing
        ]
        if not len(failing):
            findings.append(_all_well(kind, relative_bound[:, columns], tier))
    return findings


def _resolution(healthy: FloatArray, names: Sequence[str]) -> FloatArray:
    """(S, P): float32's resolution of a kind's root mean square norm.

    A bias behind a normalization has a gradient of exactly zero in exact arithmetic: what it holds is rounding, and its
    relative spread means nothing.
    """
    kinds = np.array([name.partition("/")[0] for name in names])
    squares = (healthy**2).mean(axis=0)
    resolution: FloatArray = np.empty_like(squares)
    for kind in set(kinds.tolist()):
        columns = kinds == kind
        resolution[:, columns] = FLOAT32_RESOLUTION * np.sqrt(squares[:, columns].mean(axis=1, keepdims=True))
    return resolution


def _aligned(candidate: StateTable, reference: StateTable) -> FloatArray:
    """(S, P): the candidate's values under the reference's iterations and names, NaN where it has none."""
    values = np.full(reference.values.shape, np.nan)
    rows, columns = (
        {int(iteration): row for row, iteration in enumerate(candidate.iterations)},
        {name: column for column, name in enumerate(candidate.names)},
    )
    found_rows = [(row, rows[int(i)]) for row, i in enumerate(reference.iterations) if int(i) in rows]
    found_columns = [(column, columns[name]) for column, name in enumerate(reference.names) if name in columns]
    if found_rows and found_columns:
        to_row, from_row = (np.array(side) for side in zip(*found_rows, strict=True))
        to_column, from_column = (np.array(side) for side in zip(*found_columns, strict=True))
        values[np.ix_(to_row, to_column)] = candidate.values[np.ix_(from_row, from_column)]
    return values


def _role(name: str) -> str:
    """Tensors of one role are similar: ``param/backbone.layer1.0.bn1.bias`` is a parameter, a ``bn1.bias``."""
    kind, _, path = name.partition("/")
    return f"{kind}/{'.'.join(path.split('.')[-2:]).translate(_WITHOUT_DIGITS)}"


def _column(spread: Spread, column: int) -> Spread:
    def cut(values: FloatArray) -> FloatArray:
        return values[:, column]

    return Spread(
        cut(spread.center),
        cut(spread.sigma),
        spread.repeats,
        spread.logarithmic[:, column],
        cut(spread.scale),
        cut(np.broadcast_to(spread.freedom, spread.sigma.shape)),
    )


def _all_well(kind: str, bounds: FloatArray, tier: str) -> Finding:
    """No tensor of a kind violates its bounds (S, P): well, unless there was none to look at."""
    what = _KINDS.get(kind, kind)
    if not bounds.size:
        return Finding(RULE, Outcome.INCONCLUSIVE, f"{kind}/*", f"no {what} to judge", tier=tier)
    smallest = float(bounds.min())
    message = (
        f"the norms of {bounds.shape[1]} {what} tensors stay within their bounds; the tightest is {percent(smallest)}"
    )
    return Finding(RULE, Outcome.PASS, f"{kind}/*", message, smallest_detectable=smallest, tier=tier)
