"""What the gate makes of verdicts: each kind of entry holds and fails."""

import dataclasses
from datetime import date, datetime, timedelta, timezone

import pytest

from harness.policy.gate_decision import decide, require_baseline
from harness.policy.policy_values import BaselineTerms, CaseTerms, KnownDeviation
from harness.values.errors import BaselineError
from harness.values.verdict import Finding, Outcome, Status, Verdict
from tests.healthy_runs import make_baseline

TODAY = date(2027, 1, 31)
TERMS = CaseTerms("ann")
KNOWN = KnownDeviation("ann", ("envelope: grad_norm", "state: *"), "sums in half", "kernels", TODAY, line=7)


def verdict(status, *signals):
    found = tuple(Finding(rule, Outcome.FAIL, signal, "it deviates") for rule, signal in signals)
    return Verdict("ann", status, "because", findings=found)


FAILING = verdict(Status.FAIL, ("envelope", "grad_norm"), ("state", "param/conv.weight"))


def made(of, *known, terms=TERMS, device="sdaa", today=TODAY):
    return decide(terms, of, known, device, today)


def test_a_pass_opens():
    assert made(verdict(Status.PASS)).counts is Status.PASS


@pytest.mark.parametrize("status", [Status.FAIL, Status.INCONCLUSIVE, Status.ERROR])
def test_anything_else_closes(status):
    decision = made(verdict(status))
    assert (decision.counts, decision.excuse) == (status, "")


def test_a_known_deviation_is_excused_to_its_last_day():
    decision = made(FAILING, KNOWN)
    assert (decision.status, decision.counts) == (Status.FAIL, Status.PASS)
    assert "sums in half (kernels, until 2027-01-31)" in decision.excuse


def test_an_expired_one_is_not():
    decision = made(FAILING, KNOWN, today=TODAY + timedelta(days=1))
    assert decision.counts is Status.FAIL
    assert "has expired" in decision.words


def test_a_different_one_is_not():
    decision = made(verdict(Status.FAIL, ("envelope", "grad_norm"), ("evaluation", "loss")), KNOWN)
    assert decision.counts is Status.FAIL
    assert "otherwise than is known: evaluation: loss" in decision.words


def test_several_may_cover_one_verdict_together():
    parts = [dataclasses.replace(KNOWN, causes=(cause,)) for cause in KNOWN.causes]
    assert made(FAILING, *parts).counts is Status.PASS
    assert made(FAILING, parts[0]).counts is Status.FAIL


def test_another_case_or_device_is_not_excused():
    assert made(FAILING, dataclasses.replace(KNOWN, case="other")).counts is Status.FAIL
    here = dataclasses.replace(KNOWN, devices=("sdaa",))
    assert made(FAILING, here).counts is Status.PASS
    assert made(FAILING, here, device="npu").counts is Status.FAIL


@pytest.mark.parametrize("status", [Status.INCONCLUSIVE, Status.ERROR])
def test_what_did_not_run_or_decide_is_never_excused(status):
    everything = dataclasses.replace(KNOWN, causes=("*",))
    assert made(verdict(status), everything).counts is status


def test_one_that_is_not_seen_any_more_is_to_be_removed():
    decision = made(verdict(Status.PASS), KNOWN)
    assert decision.counts is Status.PASS
    assert "line 7" in decision.notes[0]


def test_what_is_not_required_closes_nothing():
    decision = made(FAILING, terms=dataclasses.replace(TERMS, required=False))
    assert (decision.status, decision.counts) == (Status.FAIL, Status.PASS)
    assert "required = false" in decision.excuse


NOW = datetime(2026, 6, 30, tzinfo=timezone.utc)  # 180 days after the made-up baseline was recorded


def test_a_baseline_is_young_and_broad_enough():
    require_baseline(make_baseline(), BaselineTerms(180, 8), NOW, "align record made_up")
    require_baseline(make_baseline(), BaselineTerms(), NOW + timedelta(days=9999), "")


def test_an_old_one_is_refused():
    with pytest.raises(BaselineError) as caught:
        require_baseline(make_baseline(), BaselineTerms(179), NOW, "align record made_up --reason old")
    assert (caught.value.allowed, caught.value.hint) == ("179 days", "align record made_up --reason old")


def test_one_of_few_runs_is_refused():
    with pytest.raises(BaselineError) as caught:
        require_baseline(make_baseline(), BaselineTerms(None, 9), NOW, "align record made_up")
    assert (caught.value.observed, caught.value.hint) == (8, "align record made_up --repeats 9")
