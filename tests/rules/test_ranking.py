"""Which finding is told first."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.rules.ranking import violations_first
from harness.values.verdict import Finding, Outcome

numbers = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
findings = st.builds(
    Finding,
    rule=st.just("rule"),
    status=st.sampled_from(Outcome),
    signal=st.just("loss"),
    message=st.uuids().map(str),
    iteration=st.none() | st.integers(0, 5),
    observed=numbers,
    allowed=st.none() | st.floats(0, 1e3),
)


@given(st.lists(findings, max_size=12), st.randoms())
def test_the_order_is_that_of_the_iterations_however_the_findings_come(given_findings, random):
    ranked = violations_first(given_findings)
    failed = [one for one in ranked if one.status is Outcome.FAIL]
    assert ranked[: len(failed)] == failed
    iterations = [math.inf if one.iteration is None else one.iteration for one in failed]
    assert iterations == sorted(iterations)
    shuffled = random.sample(given_findings, len(given_findings))
    assert [(one.iteration, one.status) for one in violations_first(shuffled) if one.status is Outcome.FAIL] == [
        (one.iteration, one.status) for one in failed
    ]


def finding(message, iteration, observed, allowed):
    return Finding("rule", Outcome.FAIL, "loss", message, iteration, observed, allowed)


def test_what_is_no_number_is_worse_than_any_number():
    found = [finding("far", 3, 1e9, 1e-9), finding("near", 3, 2.0, 1.0), finding("nan", 3, math.nan, 1.0)]
    for given_findings in (found, found[::-1]):
        assert [one.message for one in violations_first(given_findings)] == ["nan", "far", "near"]


def test_an_exact_rule_comes_before_a_bound_and_the_whole_run_last():
    found = [finding("whole run", None, 9.0, 1.0), finding("bound", 0, 9.0, 1.0), finding("exact", 0, None, None)]
    assert [one.message for one in violations_first(found)] == ["exact", "bound", "whole run"]
