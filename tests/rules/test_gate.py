"""The gate of runs that go on: what it says early is what it would have said in the end."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.rules.gate import Gate, judge
from harness.values.errors import BaselineError, UsageError
from harness.values.trace import StateTable
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal

N = 30


@pytest.fixture(scope="module")
def gates():
    baseline = make_baseline()
    return {tier: Gate(baseline, N, tier) for tier in baseline.tiers}


def so_far(trace, iterations):
    """The run when it has had that many iterations."""
    head = trace.head(iterations)
    return dataclasses.replace(head, planned=trace.planned, complete=False)


def troubled(seed, noise, trouble):
    """A run of some precision, with something wrong from an iteration on."""
    trace = make_trace(seed, noise=noise)
    what, start, factor = trouble
    if what in trace.signals:
        scale = np.where(trace.iterations >= start, factor, 1.0)
        return with_signal(trace, what, trace.signals[what] * scale)
    if what in trace.state.names:
        values = trace.state.values.copy()
        values[trace.state.iterations >= start, trace.state.names.index(what)] *= factor
        return dataclasses.replace(trace, state=StateTable(trace.state.iterations, trace.state.names, values))
    if what == "batches":
        batches = tuple("f" * 32 if at >= start else digest for at, digest in enumerate(trace.batches))
        return dataclasses.replace(trace, batches=batches)
    return trace


troubles = st.tuples(
    st.sampled_from(["nothing", "loss", "aux.loss_ce", "grad_norm", "update_norm", "bn_var_norm", "lr", "batches"])
    | st.sampled_from(["param/conv.weight", "var/bn.running_var"]),
    st.integers(0, N - 1),
    st.sampled_from([0.5, 0.99, 0.9999, 1.0001, 1.003, 1.05, 3.0, 0.0, np.nan, np.inf]),
)


def first_of(verdict):
    """The first finding of a rule that a run can be asked before its end: equivalence is asked of whole runs alone."""
    return next((one.rule, one.signal, one.iteration) for one in verdict.findings if one.rule != "equivalence")


@settings(max_examples=60)
@given(
    st.integers(50, 10_000),
    st.sampled_from([1e-5, 1e-4, 1e-3, 3e-3]),
    troubles,
    st.sampled_from(["fp32", "tf32"]),
    st.lists(st.integers(0, N), min_size=3, max_size=6),
)
def test_a_run_that_is_stopped_early_has_the_verdict_of_the_whole_run(gates, seed, noise, trouble, tier, asked):
    gate = gates[tier]
    trace = troubled(seed, noise, trouble)
    whole = gate.judge(trace, make_provenance())
    asked = sorted({*asked, trouble[1], trouble[1] + 1, N})
    early = {seen: gate.decided(so_far(trace, seen), make_provenance()) for seen in asked}
    first = min((seen for seen, verdict in early.items() if verdict is not None), default=None)
    if trouble[0] == "batches":  # what it saw before they differ may have decided, nothing that comes after does
        assert whole.status is Status.INCONCLUSIVE
        assert all(verdict is None for seen, verdict in early.items() if seen > trouble[1])
        return
    if first is None:  # what is open to the end is no failure, but for the mean over the whole run
        assert {one.rule for one in whole.violations} <= {"precision tier", "equivalence"}
        return
    assert whole.status is Status.FAIL
    decided = [verdict for seen, verdict in early.items() if seen >= first]
    assert all(verdict is not None and verdict.status is Status.FAIL for verdict in decided)
    assert {first_of(verdict) for verdict in decided} == {first_of(whole)}


def test_what_is_open_is_inconclusive_and_has_its_findings(gates):
    verdict = gates["tf32"].so_far(so_far(make_trace(77), 7), make_provenance())
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.reason == "the trace alone is open"
    assert {"first step", "envelope", "state"} <= {finding.rule for finding in verdict.findings}
    assert not verdict.violations
    verdict = gates["tf32"].so_far(so_far(make_trace(77), 7), make_provenance(seed=1))
    assert "seed is 0 on the reference" in verdict.reason


@pytest.mark.parametrize("seen", [0, 1, 7, N])
def test_a_healthy_run_is_never_decided_before_its_end(gates, seen):
    assert gates["tf32"].decided(so_far(make_trace(77), seen), make_provenance()) is None


def test_a_fault_decides_at_its_own_iteration(gates):
    trace = troubled(77, 1e-5, ("grad_norm", 6, 1.5))
    assert gates["tf32"].decided(so_far(trace, 6), make_provenance()) is None
    verdict = gates["tf32"].decided(so_far(trace, 7), make_provenance())
    assert verdict.status is Status.FAIL
    assert verdict.violations[0].iteration == 6
    assert len(verdict.envelopes["loss"].iterations) == 7
    assert verdict.legacy is not None
    assert all(row.agrees for row in verdict.agreements if row.required)


def test_a_violation_at_a_tighter_tier_alone_decides_nothing(gates):
    trace = make_trace(77, noise=1e-3)
    assert gates["fp32"].decided(so_far(trace, 10), make_provenance()) is not None
    assert gates["tf32"].decided(so_far(trace, 10), make_provenance()) is None


def test_another_experiment_is_not_decided_however_far_it_is(gates):
    trace = troubled(77, 1e-5, ("loss", 0, 3.0))
    assert gates["tf32"].decided(so_far(trace, 10), make_provenance(seed=1)) is None
    assert gates["tf32"].decided(so_far(dataclasses.replace(trace, planned=12), 10), make_provenance()) is None


def test_rows_of_state_that_are_due_must_be_there(gates):
    partial = dataclasses.replace(so_far(make_trace(77), 5), state=StateTable.empty())
    verdict = gates["tf32"].decided(partial, make_provenance())
    assert verdict.status is Status.FAIL
    assert {finding.rule for finding in verdict.violations} == {"state", "precision tier"}


@given(st.integers(1, N), st.integers(50, 1000))
def test_a_gate_says_what_judging_once_says(planned, seed):
    baseline = make_baseline()
    trace = make_trace(seed, noise=1e-3).head(planned)
    one = Gate(baseline, planned).judge(trace, make_provenance())
    other = judge(baseline, trace, make_provenance())
    assert (one.status, one.reason, one.findings) == (other.status, other.reason, other.findings)


def test_a_run_of_another_length_is_not_what_the_gate_was_made_for(gates):
    verdict = gates["tf32"].judge(make_trace(77, iterations=12), make_provenance())
    assert verdict.status is Status.INCONCLUSIVE
    assert "iterations is 30 on the reference and 12 on the candidate" in verdict.reason


def test_a_gate_that_no_baseline_can_hold_is_refused():
    with pytest.raises(UsageError, match="as many iterations"):
        Gate(make_baseline(), N + 1)
    with pytest.raises(UsageError, match="as many iterations"):
        Gate(make_baseline(), 0)
    with pytest.raises(BaselineError, match="demanded precision tier"):
        Gate(make_baseline(), N, "bf16")


class TestPrecisionTier:
    def tier(self, verdict):
        return next(finding for finding in verdict.findings if finding.rule == "precision tier")

    def test_the_tightest_is_named(self, gates):
        finding = self.tier(gates["tf32"].judge(make_trace(77), make_provenance()))
        assert finding.status is Outcome.PASS
        assert finding.message == "aligned at fp32"
        assert 0 < finding.smallest_detectable < 1e-3

    def test_a_looser_one_says_why_it_is_no_tighter(self, gates):
        verdict = gates["tf32"].judge(make_trace(77, noise=1e-3), make_provenance())
        finding = self.tier(verdict)
        assert finding.status is Outcome.PASS
        assert finding.message.startswith("aligned at tf32, not at fp32; fp32: ")
        (unreached,) = [one for one in verdict.findings if one.message.startswith("not aligned at fp32: ")]
        assert (unreached.status, unreached.tier) == (Outcome.INFO, "fp32")
        assert unreached.allowed is not None
        assert abs(unreached.observed) > unreached.allowed
        assert "the reference at iteration" in finding.message

    def test_none_fails(self, gates):
        trace = troubled(77, 1e-5, ("loss", 0, 3.0))
        verdict = gates["tf32"].judge(trace, make_provenance())
        finding = self.tier(verdict)
        assert finding.status is Outcome.FAIL
        assert "aligned at none of fp32, tf32, and tf32 is demanded" in finding.message
        assert not verdict.reason.startswith("precision tier")

    def test_nan_fails_at_every_tier(self, gates):
        trace = troubled(77, 1e-5, ("loss", 3, np.nan))
        assert self.tier(gates["tf32"].judge(trace, make_provenance())).status is Outcome.FAIL

    def test_one_iteration_has_a_tier_too(self):
        verdict = Gate(make_baseline(), 1).judge(make_trace(77, iterations=1), make_provenance())
        assert self.tier(verdict).message == "aligned at fp32"
