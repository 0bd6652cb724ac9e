"""Failures of one fault are one cause, those of two are two."""

import pytest

from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.checks import Coverage, Part, ShadowEvidence
from harness.values.verdict import Finding, Outcome, Status, Verdict
from reports.run.cause_groups import group_causes, summary_of


def cause(
    op="convolution_backward", tensors=("weight gradient",), error="5 % too large", attribute="", equals=(), at=0
):
    return Cause((op,), Part.BACKWARD, tensors, error, attribute, equals, 3, 3, 5, ("a.b",), at, (at,))


def failed(case, *causes, rule="envelope", signal="loss"):
    evidence = ShadowEvidence((0,), "tf32", (), (), Coverage(), causes=causes) if causes else None
    finding = Finding(rule, Outcome.FAIL, signal, "it is off")
    return Verdict(case, Status.FAIL, "it is off", (finding,), shadow=evidence)


def cases_of(*verdicts):
    return [group.cases for group in group_causes(verdicts)]


def test_one_fault_over_four_cases_is_one_cause():
    verdicts = [failed(case, cause()) for case in "abcd"]
    groups = group_causes(verdicts)
    assert [group.cases for group in groups] == [(0, 1, 2, 3)]
    assert summary_of(groups) == "1 cause explains 4 failures"
    assert "5 % too large" in groups[0].sentence


def test_what_passes_has_none():
    groups = group_causes([Verdict("a", Status.PASS, "it passes"), Verdict("b", Status.ERROR, "it crashed")])
    assert groups == ()
    assert summary_of(groups) == ""


def test_two_causes_in_one_case_are_two():
    both = failed("a", cause(), cause("native_batch_norm", ("output",), "1 % too small"))
    groups = group_causes([both, failed("b", cause())])
    assert [group.cases for group in groups] == [(0, 1), (0,)]
    assert summary_of(groups) == "2 causes explain 2 failures, the first 2 of them"


@pytest.mark.parametrize(
    "other",
    [
        {"op": "mm"},
        {"tensors": ("input gradient",)},
        {"error": "2 % too large"},
        {"error": "zero"},
        {"attribute": "with stride > 1"},
        {"error": "stored with 7 mantissa bits"},
    ],
)
def test_another_kernel_result_error_or_attribute_is_another_cause(other):
    given = {"attribute": "with padding", "error": "off by 9 %"}
    assert cases_of(failed("a", cause(**given)), failed("b", cause(**given | other))) == [(0,), (1,)]


def test_one_factor_in_one_kernel_is_one_cause_whatever_a_case_can_tell():
    assert cases_of(failed("a", cause(attribute="with padding")), failed("b", cause(attribute="with 64 channels"))) == [
        (0, 1)
    ]


def test_two_causes_that_look_alike_in_one_case_are_two():
    twice = failed("a", cause(attribute="with padding"), cause(attribute="with stride > 1"))
    assert cases_of(twice, failed("b", cause(attribute="with padding"))) == [(0, 1), (0,)]


def test_how_far_values_are_off_differs_from_case_to_case():
    assert cases_of(failed("a", cause(error="off by 12 %")), failed("b", cause(error="off by 3 % to 90 %"))) == [(0, 1)]


def test_attributes_that_hold_for_the_same_calls_are_one():
    one = cause(attribute="with padding", equals=("with 3×3 kernels",))
    other = cause(attribute="with 3×3 kernels", equals=("with dilation 1",))
    assert cases_of(failed("a", one), failed("b", other)) == [(0, 1)]


def test_a_case_that_can_tell_no_attribute_agrees_with_any():
    groups = group_causes([failed("a", cause()), failed("b", cause(attribute="with padding"))])
    assert [group.cases for group in groups] == [(0, 1)]
    assert "with padding" in groups[0].sentence or groups[0].sentence


def test_forward_and_backward_of_a_kernel_are_told_by_their_results():
    assert cases_of(failed("a", cause()), failed("b", cause("convolution", ("output",)))) == [(0,), (1,)]


def test_what_comes_later_in_a_run_follows_from_what_is_first():
    assert cases_of(failed("a", cause(), cause("mm", ("output",), at=5))) == [(0,)]


def test_without_shadow_ops_the_first_violated_rule_stands_for_it():
    verdicts = [failed("a"), failed("b"), failed("c", signal="grad_norm")]
    groups = group_causes(verdicts)
    assert [group.cases for group in groups] == [(0, 1), (2,)]
    assert groups[0].sentence == "envelope: loss"
