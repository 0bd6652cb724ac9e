"""Causes: the same words for the same fault, whatever its figures and wherever in the model it strikes."""

import pytest

from harness.rules.causes import causes_of
from harness.shadow.evidence.checks import Coverage, Part, ShadowEvidence, ShadowRow
from harness.values.verdict import Finding, Outcome, Status, Verdict


def failed(rule, signal):
    return Finding(rule, Outcome.FAIL, signal, "0.0123 off")


def row(module, op, tensor, part=Part.BACKWARD, error=0.05):
    return ShadowRow(0, part, module, op, tensor, error, 1e-4, error, 1e-4)


def evidence(*rows):
    return ShadowEvidence(iterations=(0,), tier="tf32", rows=rows, precisions=(), coverage=Coverage())


def test_a_pass_has_none():
    assert causes_of(Verdict("ann", Status.PASS, "aligned")) == ()


def test_an_error_is_its_first_clause():
    verdict = Verdict("ann", Status.ERROR, "the run crashed; observed signal 11; next: read output.log")
    assert causes_of(verdict) == ("error: the run crashed",)


def test_single_tensors_are_put_together():
    findings = (failed("state", "param/a.weight"), failed("state", "param/b.weight"), failed("state", "update_norm"))
    assert causes_of(Verdict("ann", Status.FAIL, "x", findings=findings)) == ("state: param", "state: update_norm")


def test_an_operation_is_one_cause_for_all_modules():
    rows = (
        row("head.a", "convolution_backward", "weight gradient"),
        row("head.b", "convolution_backward", "weight gradient", error=0.07),
        row("", "SGD", "head.a.weight", Part.OPTIMIZER),
        row("", "SGD", "head.b.weight", Part.OPTIMIZER),
        row("head.c", "mm", "output", error=1e-9),
    )
    findings = (failed("shadow", "head.a.convolution_backward.weight_gradient"), failed("envelope", "grad_norm"))
    verdict = Verdict("ann", Status.FAIL, "x", findings=findings, shadow=evidence(*rows))
    assert causes_of(verdict) == (
        "shadow: convolution_backward weight gradient",
        "shadow: SGD of the optimizer",
        "envelope: grad_norm",
    )


@pytest.mark.parametrize("alone", [True, False])
def test_the_sum_of_the_rules_is_a_cause_only_alone(alone):
    findings = (failed("precision tier", "*"), *(() if alone else (failed("envelope", "loss"),)))
    wanted = "precision tier: *" if alone else "envelope: loss"
    assert causes_of(Verdict("ann", Status.FAIL, "x", findings=findings)) == (wanted,)


def test_an_inconclusive_says_what_decided_nothing():
    findings = (Finding("sight", Outcome.INCONCLUSIVE, "loss", "blind"), Finding("envelope", Outcome.PASS, "loss", ""))
    assert causes_of(Verdict("ann", Status.INCONCLUSIVE, "x", findings=findings)) == ("sight: loss",)


def test_a_verdict_without_findings_has_its_sentence():
    assert causes_of(Verdict("ann", Status.INCONCLUSIVE, "no number; at all")) == ("inconclusive: no number",)
