"""State: parameters, updates and BatchNorm's buffers stay where healthy runs of the reference stay.

A loss trace can't see a running variance that is off, weight decay that is skipped, or a weight that slowly shrinks;
the norms of the training state can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rules.bounded import Bounds, percent
from harness.rules.envelope import signal_spread, signal_values
from harness.rules.moderation import moderate
from harness.rules.spread import FLOAT32_RESOLUTION, Spread, measure_spread, pool_with_next, stack_spreads
from harness.values.trace import FloatArray, IntArray, StateTable, Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "TOTALS", "StateRule"]

RULE = "state"
TOTALS = ("update_norm", "param_norm", "bn_mean_norm", "bn_var_norm")
"""Norms over all tensors of a kind, at every iteration."""

_WITHOUT_DIGITS = str.maketrans("", "", "0123456789")

_KINDS = {"param": "parameter", "mean": "running mean", "var": "running variance", "gradient": "gradient"}


class StateRule:
    """The bounds of the training state's norms, computed once.

    Args:
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all tensors and iterations together.
    """

    def __init__(self, healthy: Sequence[Trace], planned: int, *, tier: str, false_alarm_rate: float) -> None:
        totals = [name for name in TOTALS if name in healthy[0].signals]
        tables = [run.state.head(planned) for run in healthy]
        looks = planned * len(totals) + tables[0].values.size
        self._reference = tables[0]
        self._totals = self._tensors = None
        if totals:
            self._totals = Bounds(
                RULE,
                tier,
                signals=totals,
                iterations=healthy[0].iterations[:planned],
                spread=stack_spreads([signal_spread(healthy, name, planned) for name in totals]),
                looks=looks,
                false_alarm_rate=false_alarm_rate,
            )
        if tables[0].names:
            self._tensors = Bounds(
                RULE,
                tier,
                signals=tables[0].names,
                iterations=tables[0].iterations,
                spread=_tensor_spread(tables, healthy[0].iterations[healthy[0].piece_starts]).transposed(),
                looks=looks,
                false_alarm_rate=false_alarm_rate,
            )
        kinds = np.array([name.partition("/")[0] for name in tables[0].names])
        self._columns = {kind: np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds.tolist())}

    @property
    def totals(self) -> Bounds | None:
        """Of the norms over all tensors of a kind at each iteration; None where the reference recorded none."""
        return self._totals

    def judge(self, candidate: Trace) -> list[Finding]:
        """Findings on the totals and on each kind of tensor.

        Args:
            candidate: the run to judge, or the first t ≤ T iterations of it.

        Returns:
            A finding for each total; of the tensors, a finding for each that violates its bound, and one for each kind
            that doesn't. A signal or tensor that the candidate did not record is judged as NaN.
        """
        findings = []
        if self._totals is not None:
            findings += self._totals.find(self._totals.deviation(signal_values(candidate, self._totals.signals)))
        if self._tensors is not None:
            findings += self._judge_tensors(self._tensors, candidate)
        return findings

    def _judge_tensors(self, bounds: Bounds, candidate: Trace) -> list[Finding]:
        """Held to the rows that are due: of a run that goes on, those of the iterations that it has."""
        deviation = bounds.deviation(candidate.state.values_due(self._reference, candidate.reached).T)
        violated = np.asarray(bounds.violations(deviation).any(axis=1))
        rows = deviation.shape[1]
        findings = []
        for kind, columns in self._columns.items():
            failing = columns[violated[columns]].tolist()
            findings += bounds.find(deviation, failing) if failing else [_all_well(kind, columns, rows, bounds)]
        return findings


def _tensor_spread(tables: Sequence[StateTable], piece_starts: IntArray) -> Spread:
    """(S, P) spread of the tensors' norms, moderated among tensors of one role, and pooled with the next row's.

    Args:
        tables: of each healthy run.
        piece_starts: the iterations at which their pieces begin.
    """
    names = tables[0].names
    healthy = np.stack([table.values_under(tables[0]) for table in tables])
    spread = measure_spread(healthy, resolution=_resolution(healthy, names))
    moderated = moderate(spread, [_role(name) for name in names])
    pieces = np.searchsorted(piece_starts, tables[0].iterations, "right")
    return pool_with_next(moderated, np.flatnonzero(np.diff(pieces)))


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


def _role(name: str) -> str:
    """Tensors of one role are similar: ``param/backbone.layer1.0.bn1.bias`` is a parameter, a ``bn1.bias``."""
    kind, _, path = name.partition("/")
    return f"{kind}/{'.'.join(path.split('.')[-2:]).translate(_WITHOUT_DIGITS)}"


def _all_well(kind: str, columns: IntArray, rows: int, bounds: Bounds) -> Finding:
    """No tensor of a kind violates its bounds: well, unless there was no iteration to look at."""
    what = _KINDS.get(kind, kind)
    if not rows:
        return Finding(RULE, Outcome.INCONCLUSIVE, f"{kind}/*", f"no {what} to judge", tier=bounds.tier)
    smallest = bounds.smallest(columns)
    held = f"the norms of {len(columns)} {what} tensors stay within their bounds"
    return Finding(
        RULE,
        Outcome.PASS,
        f"{kind}/*",
        f"{held}; the tightest is {percent(smallest)}",
        smallest_detectable=smallest,
        tier=bounds.tier,
    )
