"""A result: one case judged, with everything that a report of it shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.shadow.evidence.reproduction import Reproduction
from harness.values.baseline import Baseline
from harness.values.invocation import Invocation
from harness.values.provenance import Provenance
from harness.values.terms import Terms
from harness.values.trace import Trace
from harness.values.verdict import Verdict

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)
class Result:
    """One case judged.

    Args:
        verdict: the answer with its evidence; its ``case`` names the result.
        trace: the candidate's trace, cut short or not; None where the run left none.
        candidate: where the candidate's run comes from; None where it said nothing before it ended.
        baseline: what it was judged against; None where it couldn't be read.
        command: what reproduces it.
        seconds: wall-clock time of the run and the judging.
        output: the tail of the run's output; shown where the run ended in an error.
        log: what the run printed, its beginning and its end, where it ended in an error.
        asked_device: the device that the run was asked for, as the command line spells it.
        card: the cards that the run was given, as the device's own variable lists them; empty where it saw all.
        host: the name of the machine that it ran on; empty where that is the invocation's.
        reproductions: the calls behind findings of shadow ops, each to be run again alone.
        terms: what the verdict was asked on.
        invocation: the call of a command that it belongs to; None where no command made it.
    """

    verdict: Verdict
    trace: Trace | None = None
    candidate: Provenance | None = None
    baseline: Baseline | None = None
    command: str = ""
    seconds: float = 0.0
    output: str = ""
    log: bytes = field(default=b"", repr=False)
    asked_device: str = ""
    card: str = ""
    host: str = ""
    reproductions: tuple[Reproduction, ...] = ()
    terms: Terms = field(default_factory=Terms)
    invocation: Invocation | None = None

    @property
    def case(self) -> str:
        """The case's name."""
        return self.verdict.case

    @property
    def emulated(self) -> bool:
        """Whether the candidate ran, or was to run, on an emulated device."""
        told = self.candidate is not None and self.candidate.device.emulated
        return told or self.asked_device.partition(":")[0] == "emulated"
