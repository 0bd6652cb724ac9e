"""A baseline: healthy runs of a case on a trusted device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.values.errors import BaselineError
from harness.values.provenance import Provenance
from harness.values.trace import Trace

__all__ = ["MINIMUM_REPEATS", "REQUIRED_SIGNALS", "Baseline"]

MINIMUM_REPEATS = 5

REQUIRED_SIGNALS = ("loss", "lr", "grad_norm", "update_norm", "param_norm")
"""What every baseline holds: without them a rule would have nothing to say, and say nothing."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Reference runs of one case, with where they come from.

    The runs of a tier are the same experiment with other rounding, so that their spread is what a healthy run may do.

    Args:
        case: the case's name.
        reference: the trusted device's label, for example ``cpu`` or ``cuda-h200``.
        tiers: precision tier → k ≥ 5 healthy runs, each of T iterations.
        provenance: of the tightest tier's runs.
        fp64: a short run in float64, or None.
        reason: why it was recorded.
        recorded: UTC time, ISO 8601.

    Raises:
        BaselineError: a tier holds too few runs, or a run that is cut short, not finite, or of another form than the
            others.
    """

    case: str
    reference: str
    tiers: Mapping[str, tuple[Trace, ...]]
    provenance: Provenance
    fp64: Trace | None
    reason: str
    recorded: str

    def __post_init__(self) -> None:
        if not self.tiers:
            raise BaselineError("the baseline holds no run", where=self.where)
        for tier, runs in self.tiers.items():
            if len(runs) < MINIMUM_REPEATS:
                raise BaselineError(
                    "too few healthy runs to calibrate a bound",
                    where=f"{self.where}, tier {tier}",
                    observed=len(runs),
                    allowed=f"at least {MINIMUM_REPEATS}",
                    hint=f"align record {self.case} --repeats 8",
                )
            for number, run in enumerate(runs):
                if not run.complete:
                    raise BaselineError(
                        "a reference run is cut short",
                        where=f"{self.where}, tier {tier}, run {number}",
                        observed=f"{len(run)} of {run.planned} iterations",
                        hint=f"align record {self.case}",
                    )
                self._require_same_form(run, f"{self.where}, tier {tier}, run {number}")

    def _require_same_form(self, run: Trace, where: str) -> None:
        """What is compared column by column must have the same columns, all of them numbers."""
        first = next(iter(self.tiers.values()))[0]
        if missing := [name for name in REQUIRED_SIGNALS if name not in run.signals]:
            raise BaselineError("a reference run lacks a signal that is judged", where=where, observed=missing)
        forms = (
            ("iterations", run.iterations.tolist(), first.iterations.tolist()),
            ("signals", sorted(run.signals), sorted(first.signals)),
            ("batches", run.batches, first.batches),
            ("tensors", run.state.names, first.state.names),
            ("iterations of the tensors' norms", run.state.iterations.tolist(), first.state.iterations.tolist()),
            ("answers in evaluation mode", run.evaluation.names, first.evaluation.names),
            ("evaluated iterations", run.evaluation.iterations.tolist(), first.evaluation.iterations.tolist()),
        )
        for what, observed, allowed in forms:
            if observed != allowed:
                raise BaselineError(f"a reference run has other {what} than the first", where=where)
        tables = [("the tensors' norms", run.state.values), ("the answers in evaluation mode", run.evaluation.values)]
        finite = [*run.signals.items(), *tables]
        if broken := [name for name, values in finite if not np.isfinite(values).all()]:
            raise BaselineError("a reference run is not finite", where=where, observed=", ".join(broken))

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"baseline {self.case}/{self.reference}"

    @property
    def iterations(self) -> int:
        """Iterations of each run."""
        return len(next(iter(self.tiers.values()))[0])
