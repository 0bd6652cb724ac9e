"""What to do now: after a verdict that isn't PASS, in the order of what is cheapest to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.rules import comparability, equivalence, evaluation, finiteness, sight, state
from harness.shadow.judging import operations as shadow
from harness.values.result import Result
from harness.values.terms import Against
from harness.values.verdict import Outcome, Status

__all__ = ["NextStep", "next_steps"]


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Args:
        words: in a sentence.
        command: that does it; empty where none does.
    """

    words: str
    command: str = ""


def next_steps(result: Result) -> tuple[NextStep, ...]:
    """The steps; none for a PASS, and none where the page has an advice of its own (two logs, answers, scores)."""
    if result.terms.against not in {Against.BASELINE, Against.HOST}:
        return ()
    steps: dict[Status, Callable[[Result], Iterator[NextStep]]] = {
        Status.FAIL: _after_fail,
        Status.ERROR: _after_error,
        Status.INCONCLUSIVE: _after_inconclusive,
    }
    status = result.verdict.status
    return tuple(steps[status](result)) if status in steps else ()


def _after_fail(result: Result) -> Iterator[NextStep]:
    verdict = result.verdict
    rules = [finding.rule for finding in verdict.violations]
    program = next((found for found in result.reproductions if found.program), None)
    if program is not None:
        yield NextStep("Run the wrong call alone, in this folder", f"python reproduce/{program.number}.py")
        yield NextStep("Make it smaller while it stays wrong", f"align shrink reproduce/{program.number}.py")
    elif shadow.RULE in rules:
        yield NextStep("Look at the operation that is named: its inputs were right and its result was not")
    elif verdict.shadow is None:
        yield NextStep("Run it again with shadow ops: they name the operation", f"align verify {result.case}")
    elif finiteness.RULE in rules:
        yield NextStep("Shadow the iteration before the first value that is not finite: --shadow 0,N")
    elif state.RULE in rules:
        yield NextStep("Look at what writes the tensor that is named: the loss doesn't see it yet")
    elif evaluation.RULE in rules:
        yield NextStep("Look at what differs in evaluation mode: running statistics, dropout")
    else:
        first = next((each.iteration for each in verdict.violations if each.iteration), None)
        at = f". Shadow the iteration where it leaves: --shadow 0,1,{first}" if first else ""
        yield NextStep(f"No single operation is off in the shadowed steps: look for what adds up{at}")
    if result.trace is not None and not result.trace.complete:
        yield NextStep("See the whole curve, or a few iterations more of it: --no-early-stop, or --settle 20")


def _after_error(result: Result) -> Iterator[NextStep]:
    if result.output or result.log:
        yield NextStep("Read the end of the output above: it is the run's own")
    if result.candidate is None:
        yield NextStep("See whether the device answers at all", "align doctor")
    yield NextStep("An error is never a pass: run it again when its cause is gone")


def _after_inconclusive(result: Result) -> Iterator[NextStep]:
    undecided = [each for each in result.verdict.findings if each.status is Outcome.INCONCLUSIVE]
    rules = [each.rule for each in undecided]
    if comparability.RULE in rules:
        names = [each.signal for each in undecided if each.rule == comparability.RULE and each.signal != "*"]
        named = f": {', '.join(names[:3])}" if names else ""
        yield NextStep(f"Make both sides equal in what must agree{named}")
    elif sight.RULE in rules:
        yield NextStep("Healthy runs part too far here: a smaller learning rate, or fewer iterations")
    elif equivalence.RULE in rules:
        yield NextStep("A longer run, or more healthy runs", f"align record {result.case} --repeats 16 --reason TEXT")
    elif shadow.RULE in rules:
        yield NextStep("See which operations were not checked, and why", f"align ops {result.case}")
    yield NextStep("It is no weak pass: nothing was shown, and the gate stays closed")
