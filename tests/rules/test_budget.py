"""One chance of a false alarm for the whole gate: how it is divided, and that it holds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.budget import FALSE_ALARM_RATE, require_rate, share_of
from harness.rules.gate import Gate
from harness.rules.tier import STATISTICAL_RULES, TierRules
from harness.values.errors import UsageError
from harness.values.verdict import Outcome
from tests.healthy_runs import make_baseline, make_provenance, make_trace


@given(st.floats(1e-12, 1 - 1e-12), st.integers(1, 1000))
def test_the_shares_add_up_to_the_whole(rate, cases):
    assert share_of(rate, cases) * cases == pytest.approx(rate)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1e-3, 2.0, math.nan, math.inf])
def test_what_is_no_chance_is_refused(rate):
    with pytest.raises(UsageError, match="is a chance"):
        require_rate(rate)
    with pytest.raises(UsageError, match="is a chance"):
        share_of(rate, 4)
    with pytest.raises(UsageError, match="is a chance"):
        Gate(make_baseline(), 30, false_alarm_rate=rate)


def test_a_smaller_share_widens_every_bound():
    def smallest(cases):
        judged = Gate(make_baseline(), 30, false_alarm_rate=share_of(FALSE_ALARM_RATE, cases))
        findings = judged.judge(make_trace(77), make_provenance()).findings
        statistical = [one for one in findings if one.rule in {"first step", "envelope", "state"}]
        return {(one.rule, one.signal): one.smallest_detectable for one in statistical}

    alone, of_a_hundred = smallest(1), smallest(100)
    assert alone.keys() == of_a_hundred.keys()
    assert all(alone[look] < of_a_hundred[look] for look in alone)


def test_every_statistical_rule_has_its_share():
    findings = TierRules("fp32", make_baseline().tiers["fp32"], 30, FALSE_ALARM_RATE).judge(make_trace(77)).findings
    assert len({finding.rule for finding in findings}) == STATISTICAL_RULES


def test_a_case_fails_healthy_runs_no_more_often_than_asked():
    """Over all rules together, and no more seldom than a bound on their sum explains."""
    rate, failed, judged = 0.3, 0, 0
    for number in range(40):
        healthy = [make_trace(10_000 + 100 * number + seed) for seed in range(8)]
        rules = TierRules("fp32", healthy, 30, rate)
        for seed in range(8, 16):
            found = rules.judge(make_trace(10_000 + 100 * number + seed)).findings
            failed += any(finding.status is Outcome.FAIL for finding in found)
            judged += 1
    assert failed / judged <= rate + 3 * math.sqrt(rate * (1 - rate) / judged)
    assert failed > 0
