"""Signals that begin late or end early: judged where they have values, held to having them there, not taken for NaN."""

import dataclasses

import numpy as np
import pytest

from harness.rules.gate import Gate, judge
from harness.rules.presence import judge_presence
from harness.rules.tier import TierRules
from harness.rules.visibility import measure_visibility
from harness.store.baselines import load_baseline, save_baseline
from harness.values.errors import BaselineError, TraceError
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace

LATE = "late.loss_x"


def with_late(trace, start=10, end=30, seed=0, factor=1.0):
    """The trace with a further component at some iterations."""
    rng = np.random.default_rng(seed)
    t = np.arange(len(trace))
    values = factor * np.exp(1e-5 * rng.standard_normal(len(t)))
    gaps = (t < start) | (t >= end)
    values[gaps] = np.nan
    missing = {LATE: gaps} if gaps.any() else {}
    return dataclasses.replace(trace, signals={**trace.signals, LATE: values}, missing=missing)


@pytest.fixture
def baseline():
    whole = make_baseline()
    tiers = {
        tier: tuple(with_late(run, seed=number) for number, run in enumerate(runs))
        for tier, runs in whole.tiers.items()
    }
    return dataclasses.replace(whole, tiers=tiers)


def judged(baseline, trace):
    return judge(baseline, trace, make_provenance())


def test_a_healthy_run_whose_component_begins_where_the_references_does_passes(baseline):
    verdict = judged(baseline, with_late(make_trace(77), seed=77))
    assert verdict.status is Status.PASS, verdict.reason
    assert LATE in verdict.envelopes
    assert np.isnan(verdict.envelopes[LATE].deviation[:10]).all()
    assert np.isfinite(verdict.envelopes[LATE].allowed[10:]).all()


def test_healthy_runs_are_not_failed_more_often_than_without_gaps(baseline):
    failed = [judged(baseline, with_late(make_trace(1000 + s), seed=1000 + s)).status for s in range(100)]
    assert sum(status is not Status.PASS for status in failed) <= 1


@pytest.mark.parametrize("at", [10, 29])
def test_a_late_components_nan_is_seen(baseline, at):
    trace = with_late(make_trace(77), seed=77)
    trace.signals[LATE][at] = np.nan
    verdict = judged(baseline, trace)
    assert verdict.status is Status.FAIL
    assert any(finding.rule == "finiteness" and finding.signal == LATE for finding in verdict.violations)


def test_a_late_components_deviation_is_seen(baseline):
    verdict = judged(baseline, with_late(make_trace(77), seed=77, factor=1.01))
    assert verdict.status is Status.FAIL
    assert LATE in verdict.reason


@pytest.mark.parametrize(("start", "end", "iteration"), [(9, 30, 9), (11, 30, 10), (0, 30, 0), (10, 20, 20)])
def test_a_component_that_begins_or_ends_elsewhere_is_a_violation_that_names_the_iteration(
    baseline, start, end, iteration
):
    trace = with_late(make_trace(77), start, end, seed=77)
    (finding,) = judge_presence(baseline.tiers["fp32"][0], trace)
    assert (finding.status, finding.signal, finding.iteration) == (Outcome.FAIL, LATE, iteration)
    assert judged(baseline, trace).status is Status.FAIL


def test_a_component_that_the_reference_always_has_may_not_end():
    gaps = np.arange(30) >= 20
    trace = make_trace(77)
    values = np.where(gaps, np.nan, trace.signals["aux.loss_ce"])
    trace = dataclasses.replace(trace, signals={**trace.signals, "aux.loss_ce": values}, missing={"aux.loss_ce": gaps})
    verdict = judged(make_baseline(), trace)
    assert verdict.status is Status.FAIL
    assert "finiteness" not in {finding.rule for finding in verdict.violations}


def test_a_run_that_has_not_reached_the_component_yet_is_open(baseline):
    gate = Gate(baseline, 30)
    trace = with_late(make_trace(77), seed=77)
    for reached in (1, 5, 10, 11, 20):
        partial = dataclasses.replace(trace.head(reached), planned=30, complete=False)
        assert (LATE in partial.signals) == (reached > 10)
        assert gate.decided(partial, make_provenance()) is None


def test_shorter_candidates_are_judged_without_it(baseline):
    trace = make_trace(77, iterations=8)
    assert Gate(baseline, 8).judge(trace, make_provenance()).status is Status.PASS


def test_what_can_be_seen_is_said_where_there_is_a_value(baseline):
    seen = measure_visibility(TierRules("fp32", baseline.tiers["fp32"], 30, 1e-3), (0, 9, 10, 20))
    assert [one.iteration for one in seen if one.signal == LATE] == [10, 20]


def test_a_baseline_with_gaps_comes_back_from_disk(baseline, tmp_path):
    save_baseline(tmp_path, baseline)
    back = load_baseline(tmp_path, "made_up", "cpu").tiers["fp32"][3]
    assert back.missing[LATE].tolist() == baseline.tiers["fp32"][3].missing[LATE].tolist()
    assert list(back.missing) == [LATE]
    np.testing.assert_array_equal(back.signals[LATE], baseline.tiers["fp32"][3].signals[LATE])


def test_reference_runs_whose_gaps_differ_are_no_baseline(baseline):
    runs = baseline.tiers["fp32"]
    other = with_late(runs[0], start=11)
    with pytest.raises(BaselineError, match="without a value"):
        dataclasses.replace(baseline, tiers={"fp32": (*runs[1:], other)})


def test_a_gap_in_what_every_baseline_needs_is_refused():
    gaps = np.arange(30) == 3
    for name, error in (("loss", TraceError), ("grad_norm", BaselineError)):
        runs = make_baseline().tiers["fp32"]
        values = np.where(gaps, np.nan, runs[0].signals[name])
        with pytest.raises(error):
            dataclasses.replace(
                make_baseline(),
                tiers={
                    "fp32": (
                        dataclasses.replace(runs[0], signals={**runs[0].signals, name: values}, missing={name: gaps}),
                        *runs[1:],
                    )
                },
            )


def test_an_answer_in_evaluation_mode_that_begins_late_is_judged_where_it_is():
    def with_answer(trace, seed, first=False, factor=1.0):
        table = trace.evaluation
        column = factor * np.exp(1e-5 * np.random.default_rng(seed).standard_normal(len(table.iterations)))
        gaps = np.zeros((len(column), len(table.names) + 1), bool)
        if not first:
            column[0], gaps[0, -1] = np.nan, True
        table = dataclasses.replace(
            table,
            names=(*table.names, "loss/late.loss_x"),
            values=np.c_[table.values, column],
            missing=gaps if gaps.any() else None,
        )
        return dataclasses.replace(trace, evaluation=table)

    whole = make_baseline()
    baseline = dataclasses.replace(
        whole,
        tiers={
            tier: tuple(with_answer(run, seed) for seed, run in enumerate(runs)) for tier, runs in whole.tiers.items()
        },
    )
    assert judged(baseline, with_answer(make_trace(77), 77)).status is Status.PASS
    assert judged(baseline, with_answer(make_trace(77), 77, factor=1.1)).status is Status.FAIL
    assert judged(baseline, with_answer(make_trace(77), 77, first=True)).status is Status.FAIL
