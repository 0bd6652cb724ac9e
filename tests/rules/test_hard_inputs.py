"""Hard inputs: what decides, what is a choice of healthy kernels, and what it makes of a verdict."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.evidence.checks import Coverage, Part, ShadowEvidence, ShadowRow
from harness.shadow.judging.error_model import SHADOW_TIERS
from harness.shadow.judging.hard_input_rule import decides, judge_hard_inputs, lost, off_with_hard_inputs
from harness.shadow.judging.shadow_verdict import with_hard_inputs
from harness.values.verdict import Finding, Outcome, Status, Verdict

KINDS = ("large", "denormal", "ties", "infinity", "NaN", "strided", "channels-last", "odd-sized", "empty")


def row(kind="large", op="relu", error=0.0, projection=0.0):
    return ShadowRow(0, Part.FORWARD, kind, op, "output", error, 1e-6, projection, 1e-6)


def evidence(*rows, tier="tf32"):
    return ShadowEvidence((0,), tier, rows, (), Coverage({"relu": 7}, {"relu": 6}))


def outcomes(*rows, tier="tf32"):
    return [finding.status for finding in judge_hard_inputs(evidence(*rows, tier=tier))]


def test_a_device_that_is_right_passes_and_says_how_much_was_made_again():
    (finding,) = judge_hard_inputs(evidence(*(row(kind) for kind in KINDS)))
    assert finding.status is Outcome.PASS
    assert "9 tensors of 6 of 7 calls" in finding.message


@pytest.mark.parametrize(
    "kind", ["large", "ties", "strided", "channels-last", "odd-sized", "empty", lost("NaN"), lost("infinity")]
)
@pytest.mark.parametrize("error", [1e-3, math.inf, math.nan])
def test_what_is_off_fails_and_is_named(kind, error):
    (finding,) = judge_hard_inputs(evidence(row(kind, error=error)))
    assert finding.status is Outcome.FAIL
    assert finding.signal == "relu.output"
    assert kind.split()[0] in finding.message


@pytest.mark.parametrize("kind", ["denormal", "infinity", "NaN"])
def test_what_healthy_kernels_differ_in_is_counted_and_does_not_decide(kind):
    (finding,) = judge_hard_inputs(evidence(row(kind, error=math.inf), row("ties")))
    assert finding.status is Outcome.PASS
    assert "1 tensors of" in finding.message
    assert "1 more" in finding.message


def test_ties_are_rounded_alike_so_that_their_projection_says_nothing_of_its_own():
    assert outcomes(row("ties", error=9e-7, projection=9e-6)) == [Outcome.PASS]
    assert outcomes(row("ties", error=2e-6, projection=9e-6)) == [Outcome.FAIL]
    assert outcomes(row("strided", error=9e-7, projection=9e-6)) == [Outcome.FAIL]


def test_an_overflow_decides_but_where_the_tier_goes_through_half():
    rows = row("large", "convolution", math.inf), row("large", "relu", math.inf)
    assert outcomes(rows[0]) == [Outcome.FAIL]
    assert outcomes(rows[0], tier="sdaa") == [Outcome.PASS]
    assert outcomes(rows[1], tier="sdaa") == [Outcome.FAIL]


def test_an_operation_is_told_once_by_its_worst_and_the_worst_first():
    rows = row("ties", error=1e-3), row("large", error=math.inf), row("ties", "mul", error=1e-4)
    first, second = judge_hard_inputs(evidence(*rows))
    assert first.message == (
        "relu, output: with large inputs not comparable with the host's result, by its shape or by values that aren't "
        "finite; also with ties"
    )
    assert second.signal == "mul.output"


def test_of_nothing_nothing_is_said():
    assert outcomes() == [Outcome.INCONCLUSIVE]


@given(st.sampled_from([*KINDS, lost("NaN")]), st.floats(0, 1), st.sampled_from(sorted(SHADOW_TIERS)))
def test_it_fails_where_what_is_off_decides_and_only_there(kind, error, tier):
    one = row(kind, "convolution", error)
    off = off_with_hard_inputs(evidence(one, tier=tier))
    assert (outcomes(one, tier=tier) == [Outcome.FAIL]) == any(decides(each, tier) for each in off)


class TestVerdict:
    wrong = row("large", error=math.inf)

    def test_a_pass_becomes_a_fail_that_begins_with_it(self):
        verdict = with_hard_inputs(Verdict("case", Status.PASS, "aligned", aligned_tier="tf32"), evidence(self.wrong))
        assert verdict.status is Status.FAIL
        assert verdict.reason.startswith("hard inputs: relu, output: with large inputs")
        assert verdict.aligned_tier == ""

    def test_what_training_showed_is_told_first(self):
        verdict = with_hard_inputs(Verdict("case", Status.FAIL, "loss: off"), evidence(self.wrong))
        assert verdict.reason.startswith("loss: off; hard inputs: relu")

    def test_violations_stand_before_what_passes(self):
        passed = Finding("state", Outcome.PASS, "*", "well")
        before = Verdict("case", Status.FAIL, "loss: off", (Finding("loss", Outcome.FAIL, "loss", "off"), passed))
        after = with_hard_inputs(before, evidence(self.wrong)).findings
        assert [finding.rule for finding in after] == ["loss", "hard inputs", "state"]

    @pytest.mark.parametrize("status", Status)
    def test_a_right_device_leaves_the_verdict(self, status):
        verdict = with_hard_inputs(Verdict("case", status, "because"), evidence(row()))
        assert (verdict.status, verdict.reason) == (status, "because")
        assert [finding.rule for finding in verdict.findings] == ["hard inputs"]

    def test_without_what_was_ordered_nothing_passes(self):
        assert with_hard_inputs(Verdict("case", Status.PASS, "aligned"), evidence()).status is Status.INCONCLUSIVE
        assert with_hard_inputs(Verdict("case", Status.FAIL, "loss"), evidence()).status is Status.FAIL

    def test_an_error_stays_one(self):
        assert with_hard_inputs(Verdict("case", Status.ERROR, "crashed"), evidence(self.wrong)).status is Status.ERROR
