"""The first step: sharper than the envelope where it looks, blind to everything after."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.envelope import EnvelopeRule
from harness.rules.first_step import FirstStepRule
from harness.values.verdict import Outcome
from tests.healthy_runs import make_trace, with_signal

RATE = 1e-3


@pytest.fixture(scope="module")
def rule():
    return FirstStepRule([make_trace(seed) for seed in range(8)], 30, tier="fp32", false_alarm_rate=RATE)


@pytest.fixture(scope="module")
def center():
    """A run that is exactly where the healthy runs' middle is, at iteration 0."""
    runs = [make_trace(seed) for seed in range(8)]
    signals = {name: np.exp(np.log([run.signals[name] for run in runs]).mean(axis=0)) for name in ("loss", "grad_norm")}
    return dataclasses.replace(runs[0], signals={**runs[0].signals, **signals})


def scaled(trace, name, factor, start=0):
    return with_signal(trace, name, np.where(trace.iterations >= start, factor, 1.0) * trace.signals[name])


def outcomes(findings):
    return {finding.signal: finding.status for finding in findings}


def test_a_healthy_run_passes(rule):
    found = rule.judge(make_trace(77))
    assert set(outcomes(found)) == {"loss", "decode.loss_ce", "aux.loss_ce", "grad_norm"}
    assert set(outcomes(found).values()) == {Outcome.PASS}
    assert {finding.iteration for finding in found} == {0}


def test_it_sees_what_the_envelope_shares_its_chances_away_for(rule, center):
    envelope = EnvelopeRule([make_trace(seed) for seed in range(8)], 30, tier="fp32", false_alarm_rate=RATE)
    sharp = rule.judge(center)[0].smallest_detectable
    wide = envelope.judge(center)[1]["loss"].allowed[0]
    assert sharp < 0.8 * wide
    off = scaled(center, "loss", 1 + (sharp + wide) / 2)
    assert outcomes(rule.judge(off))["loss"] is Outcome.FAIL
    assert abs(envelope.judge(off)[1]["loss"].deviation[0]) < wide


@given(st.floats(0.05, 0.95), st.sampled_from([-1, 1]), st.sampled_from(["loss", "grad_norm"]))
def test_what_it_says_it_would_have_seen_is_what_it_sees(rule, center, part, side, signal):
    smallest = next(finding for finding in rule.judge(center) if finding.signal == signal).smallest_detectable
    inside = scaled(center, signal, 1 + side * part * smallest)
    outside = scaled(center, signal, 1 + side * smallest / part)
    assert outcomes(rule.judge(inside))[signal] is Outcome.PASS
    assert outcomes(rule.judge(outside))[signal] is Outcome.FAIL


@given(st.integers(1, 29), st.floats(0, 1e6) | st.just(np.nan))
def test_what_comes_after_the_first_step_is_none_of_its_business(rule, start, factor):
    trace = make_trace(77)
    assert rule.judge(scaled(trace, "loss", factor, start)) == rule.judge(trace)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_what_is_no_loss_fails(rule, value):
    loss = np.where(make_trace(77).iterations == 0, value, make_trace(77).loss)
    assert outcomes(rule.judge(with_signal(make_trace(77), "loss", loss)))["loss"] is Outcome.FAIL


def test_a_signal_that_was_not_recorded_fails(rule):
    signals = {name: values for name, values in make_trace(77).signals.items() if name != "grad_norm"}
    found = rule.judge(dataclasses.replace(make_trace(77), signals=signals))
    assert outcomes(found)["grad_norm"] is Outcome.FAIL


def test_without_an_iteration_it_does_not_pass(rule):
    assert set(outcomes(rule.judge(make_trace(77, iterations=0))).values()) == {Outcome.INCONCLUSIVE}
