"""A record: what is kept of a result once the arrays are gone; result.json in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from harness.shadow.evidence.checks import ShadowEvidence
from harness.shadow.evidence.reproduction import Reproduction
from harness.values.baseline import Baseline
from harness.values.invocation import Invocation
from harness.values.provenance import Provenance
from harness.values.result import Result
from harness.values.terms import Terms
from harness.values.verdict import Envelope, Verdict
from reports.results.reference_curve import reference_at, reference_beyond

__all__ = ["POINTS_KEPT", "BaselineNote", "Record", "planned_iterations", "record_of"]

POINTS_KEPT = 200
"""Of the loss's envelope: what a thumbnail can show."""

_ROWS_KEPT = 1000  # of shadow ops, if not more are violated


@dataclass(frozen=True)
class BaselineNote:
    """Which baseline a result was judged against.

    Args:
        reference: the trusted device's label.
        recorded: UTC time, ISO 8601.
        reason: why it was recorded.
        runs: precision tier → number of healthy runs.
    """

    reference: str
    recorded: str
    reason: str
    runs: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Record:
    """One case judged, as it is stored and sent between machines.

    Args:
        verdict: the answer; of its envelopes only the loss's is kept, at no more than 200 iterations: of a run that
            ended early with the reference's values at those that it never reached, where the candidate is NaN; of one
            that wasn't judged with bounds and deviations that are NaN. Of shadow ops every violation and the worst of
            the other rows, 1,000 in all where the violations leave room.
        candidate: where the candidate's run comes from; None where it said nothing before it ended.
        reference: where the reference's runs come from; None where there was no baseline to read.
        baseline: which baseline it was.
        planned: iterations that the run was to have; None where nobody knows.
        done: iterations that it had.
        seconds: wall-clock time of the run and the judging.
        command: what reproduces it.
        output: the tail of the run's output.
        asked_device: the device that the run was asked for; empty where nothing was to be run.
        card: the cards that the run was given, as the device's own variable lists them; empty where it saw all.
        host: the name of the machine that it ran on; empty where that is the invocation's.
        reproductions: the calls behind findings of shadow ops, without their inputs: those lie beside the result.
        terms: what the verdict was asked on.
        invocation: the call of a command that it belongs to; None where no command made it.
    """

    verdict: Verdict
    candidate: Provenance | None = None
    reference: Provenance | None = None
    baseline: BaselineNote | None = None
    planned: int | None = None
    done: int = 0
    seconds: float = 0.0
    command: str = ""
    output: str = ""
    asked_device: str = ""
    card: str = ""
    host: str = ""
    reproductions: tuple[Reproduction, ...] = ()
    terms: Terms = field(default_factory=Terms)
    invocation: Invocation | None = None

    @property
    def device(self) -> str:
        """The candidate's device as a label; where the run ended before it said, the one that was asked for."""
        return self.candidate.device.label if self.candidate is not None else self.asked_device

    @property
    def emulated(self) -> bool | None:
        """Whether the candidate was, or was to be, emulated; None where nobody knows."""
        if self.candidate is not None:
            return self.candidate.device.emulated
        return self.asked_device.partition(":")[0] == "emulated" if self.asked_device else None


def record_of(result: Result) -> Record:
    """What result.json keeps of a result."""
    loss = _loss_of(result)
    kept = {"loss": _thinned(loss)} if loss is not None else {}
    return Record(
        verdict=replace(result.verdict, envelopes=kept, shadow=_bounded(result.verdict.shadow)),
        candidate=result.candidate,
        reference=result.baseline.provenance if result.baseline is not None else None,
        baseline=_note(result.baseline) if result.baseline is not None else None,
        planned=planned_iterations(result),
        done=len(result.trace) if result.trace is not None else 0,
        seconds=result.seconds,
        command=result.command,
        output=result.output,
        asked_device=result.asked_device,
        card=result.card,
        host=result.host,
        reproductions=tuple(
            replace(found, program=f"reproduce/{found.number}.py" if found.program else "", inputs=b"")
            for found in result.reproductions
        ),
        terms=result.terms,
        invocation=result.invocation,
    )


def planned_iterations(result: Result) -> int | None:
    """What the run was to have, by the first side that says."""
    if result.trace is not None:
        return result.trace.planned
    if result.candidate is not None:
        return result.candidate.iterations
    return result.baseline.iterations if result.baseline is not None else None


def _loss_of(result: Result) -> Envelope | None:
    """The loss's envelope, and what there is of its curve without one; None where there is no loss."""
    trace, tier = result.trace, result.verdict.demanded_tier
    loss = result.verdict.envelopes.get("loss")
    if loss is None and not result.verdict.envelopes and trace is not None and len(trace):
        nothing = np.full(len(trace), np.nan)
        known = None if result.baseline is None else reference_at(result.baseline, tier, "loss", trace.iterations)
        center = nothing if known is None else known
        loss = Envelope("loss", tier, trace.iterations, center, nothing, trace.signals["loss"], nothing)
    if loss is None or (ahead := reference_beyond(result, loss.tier, "loss")) is None:
        return loss
    iterations, center = ahead
    nothing = np.full(len(iterations), np.nan)
    return replace(
        loss,
        iterations=np.concatenate((loss.iterations, iterations)),
        center=np.concatenate((loss.center, center)),
        allowed=np.concatenate((loss.allowed, nothing)),
        candidate=np.concatenate((loss.candidate, nothing)),
        deviation=np.concatenate((loss.deviation, nothing)),
    )


def _note(baseline: Baseline) -> BaselineNote:
    runs = {tier: len(runs) for tier, runs in baseline.tiers.items()}
    return BaselineNote(baseline.reference, baseline.recorded, baseline.reason, runs)


def _bounded(evidence: ShadowEvidence | None) -> ShadowEvidence | None:
    if evidence is None or len(evidence.rows) <= _ROWS_KEPT:
        return evidence
    ranked = sorted(enumerate(evidence.rows), key=lambda pair: (not pair[1].violated, -pair[1].excess))
    keep = max(_ROWS_KEPT, len(evidence.violations))
    kept = tuple(row for _, row in sorted(ranked[:keep], key=lambda pair: pair[0]))
    return replace(evidence, rows=kept, left_out=evidence.left_out + len(evidence.rows) - len(kept))


def _thinned(envelope: Envelope) -> Envelope:
    total = len(envelope.iterations)
    keep = np.unique(np.linspace(0, total - 1, min(total, POINTS_KEPT)).round().astype(np.int64))
    return replace(
        envelope,
        iterations=envelope.iterations[keep],
        center=envelope.center[keep],
        allowed=envelope.allowed[keep],
        candidate=envelope.candidate[keep],
        deviation=envelope.deviation[keep],
    )
