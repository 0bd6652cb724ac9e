"""The numbers that matter, at the top of a page."""

from __future__ import annotations

from dataclasses import dataclass

from harness.rules import equivalence, first_step
from harness.shadow.judging import operations as shadow
from harness.values.result import Result
from harness.values.terms import Against
from harness.values.verdict import Finding, Verdict
from reports.results.result_record import planned_iterations
from reports.words.wording import NOTHING, duration, quantity, relative

__all__ = ["Tile", "sharpest_of", "tiles_of"]


@dataclass(frozen=True)
class Tile:
    """A number with its name, and what to make of it."""

    name: str
    value: str
    note: str


_WHERE = {
    first_step.RULE: "at iteration 0",
    equivalence.RULE: "on average over the run",
    shadow.RULE: "in one operation",
}
"""Where a rule sees the smallest deviation that it says it sees."""


def tiles_of(result: Result) -> tuple[Tile, ...]:
    """Six tiles: tier, violations, sight, iterations, legacy, time; of two logs, what logs have."""
    verdict = result.verdict
    if result.terms.against is Against.LOGS:
        return _of_logs(result)
    if result.terms.against in {Against.ANSWERS, Against.ACCURACIES}:
        return _of_accuracy(verdict)
    demanded = f"the gate demands {verdict.demanded_tier}" if verdict.demanded_tier else "demanded tier not stated"
    legacy = verdict.legacy.verdict if verdict.legacy is not None else NOTHING
    checks = len(verdict.findings)
    return (
        Tile("Aligned at", verdict.aligned_tier or ("no tier" if verdict.demanded_tier else NOTHING), demanded),
        Tile("Violations", str(len(verdict.violations)), f"of {checks} {'check' if checks == 1 else 'checks'}"),
        _sight(verdict),
        _iterations(result),
        Tile("Legacy rule", legacy, "never sufficient"),
        Tile("Time", duration(result.seconds), "run and judging"),
    )


def _of_accuracy(verdict: Verdict) -> tuple[Tile, ...]:
    """A tile a finding that has a number: what was observed beside what is allowed."""
    judged = [finding for finding in verdict.findings if finding.observed is not None]
    return tuple(
        Tile(
            finding.signal,
            NOTHING if finding.observed is None else _number(finding.signal, finding.observed),
            f"allowed {_number(finding.signal, finding.allowed)}" if finding.allowed is not None else "no bound",
        )
        for finding in judged
    )


def _number(signal: str, value: float) -> str:
    """A margin is a difference of scores; the others are shares, of pixels or of the metric."""
    return quantity(value) if signal == "margin" else relative(value)


def _of_logs(result: Result) -> tuple[Tile, ...]:
    """Four or five tiles: a log has no tier to demand, and no run to time."""
    verdict = result.verdict
    legacy = verdict.legacy.verdict if verdict.legacy is not None else NOTHING
    tiles = [
        Tile("Legacy rule", legacy, "never sufficient"),
        Tile("Time", duration(result.seconds), "reading and judging"),
    ]
    envelope = verdict.envelopes.get("loss")
    if envelope is not None and len(envelope.deviation):
        largest = int(abs(envelope.deviation).argmax())
        common = Tile("Common iterations", str(len(envelope.iterations)), f"from {envelope.iterations[0]} on")
        apart = Tile(
            "Largest deviation",
            relative(float(envelope.deviation[largest])),
            f"at iteration {envelope.iterations[largest]}",
        )
        tiles = [common, apart, *tiles]
    if verdict.aligned_tier:
        tiles = [Tile("Aligned at", verdict.aligned_tier, "by how closely the two losses agree"), *tiles]
    return tuple(tiles)


def _sight(verdict: Verdict) -> Tile:
    """The smallest deviation of the loss that a rule would have called; of any signal, where no rule saw the loss."""
    name = "Smallest deviation it can see"
    if (sharpest := sharpest_of(verdict)) is None:
        return Tile(name, NOTHING, "no rule said")
    seen, finding = sharpest
    of = f"of {finding.signal} " if finding.signal != "*" else ""
    where = _WHERE.get(finding.rule, "at its best iteration")
    return Tile(name, relative(seen), f"{of}{where}, by {finding.rule}")


def sharpest_of(verdict: Verdict) -> tuple[float, Finding] | None:
    """The smallest deviation that the verdict's rules would have called, of the loss where one saw it, and by which."""
    known = [(each.smallest_detectable, each) for each in verdict.findings if each.smallest_detectable is not None]
    about = [(seen, each) for seen, each in known if each.signal == "loss"] or known
    return min(about, key=lambda pair: pair[0], default=None)


def _iterations(result: Result) -> Tile:
    planned = planned_iterations(result)
    note = f"of {planned}" if planned is not None else "number planned unknown"
    if result.trace is None:
        return Tile("Iterations", "0", note)
    return Tile("Iterations", str(len(result.trace)), note + ("" if result.trace.complete else ", ended early"))
