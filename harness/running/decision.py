"""Decision: whether what a run has left so far decides its verdict."""

from __future__ import annotations

from pathlib import Path

from harness.rules.gate import Gate
from harness.running.folder import shadow_files
from harness.running.order import Order
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.values.errors import AlignmentError
from harness.values.provenance import Provenance
from harness.values.trace import Trace
from harness.values.verdict import Outcome

__all__ = ["Decision"]


class Decision:
    """Asked of a run that goes on, iteration by iteration.

    Any kind of evidence is enough: a trace that the gate fails whatever follows; an operation that is wrong by its own
    inputs, which stays wrong whatever the trace says; or an origin that makes it another experiment, which is known
    before it trains.

    Args:
        gate: of the case's baseline.
        order: what is run.
        folder: where the run leaves its shadow checks.
        settle: iterations that a run goes on after its verdict is decided, so that its curve is seen; a run that is
            another experiment ends at once.
    """

    def __init__(self, gate: Gate, order: Order, folder: Path, settle: int = 0) -> None:
        self._gate = gate
        self._order = order
        self._folder = folder
        self._shadowed = 0
        self._foreign: bool | None = None
        self._settle = settle
        self._decided_at: int | None = None

    def __call__(self, partial: Trace, provenance: Provenance) -> bool:
        """Whether no iteration to come can change the verdict, and those are over that it goes on for to be seen."""
        if self._foreign is None:
            self._foreign = self._gate.is_foreign(provenance)
        if self._foreign:
            return True
        if self._decided_at is None and self._is_decided(partial, provenance):
            self._decided_at = len(partial)
        return self._decided_at is not None and len(partial) >= self._decided_at + self._settle

    @property
    def is_decided(self) -> bool:
        """Whether the verdict was decided by what it was called with so far."""
        return self._foreign is True or self._decided_at is not None

    def _is_decided(self, partial: Trace, provenance: Provenance) -> bool:
        return self._gate.decided(partial, provenance) is not None or self._is_violated(len(partial))

    def _is_violated(self, iterations: int) -> bool:
        """Whether shadow ops found a violation; they are read where another shadowed iteration has ended."""
        due = sum(iteration < iterations for iteration in self._order.shadow)
        if due == self._shadowed:
            return False
        self._shadowed = due
        try:
            record = read_shadow(shadow_files(self._folder))
        except AlignmentError:
            return False  # what can't be read is told when the run has ended
        findings = judge_shadow(weigh_shadow(record, self._order.shadow_tier))
        return any(finding.status is Outcome.FAIL for finding in findings)
