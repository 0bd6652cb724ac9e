"""The one sentence of a verdict: short, and never without its subject."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.part import Part
from harness.values.result import Result
from harness.values.verdict import Status, Verdict
from reports.run.environment import begins_with_a_name
from reports.words.headline import LONGEST, headline


def test_it_is_the_reason_without_the_rule(samples: dict[str, Callable[[], Result]]) -> None:
    verdict = samples["failing_by_envelope"]().verdict

    assert headline(verdict) == verdict.violations[0].message


def test_what_has_no_rule_before_it_stays_whole(samples: dict[str, Callable[[], Result]]) -> None:
    verdict = samples["cut_short"]().verdict

    assert headline(verdict) == verdict.reason


def test_a_cause_is_told_with_its_beginning(samples: dict[str, Callable[[], Result]]) -> None:
    verdict = samples["failing_by_shadow"]().verdict
    assert verdict.shadow is not None
    first = Cause(
        *(("convolution_backward",), Part.BACKWARD, ("weight gradient",), "5 % too large", "with dilation > 1", ()),
        *(3, 3, 5, ("a.b",), 0, (0,)),
    )
    two = replace(first, tensors=("input gradient",))

    alone = headline(replace(verdict, shadow=replace(verdict.shadow, causes=(first,))))
    assert alone == f"{first.sentence}; from iteration 0"
    assert headline(replace(verdict, shadow=replace(verdict.shadow, causes=(first, two)))) == f"{alone}; 1 more cause"


def test_a_cause_that_comes_later_is_not_what_is_told_first(samples: dict[str, Callable[[], Result]]) -> None:
    verdict = samples["failing_by_shadow"]().verdict
    assert verdict.shadow is not None
    late = Cause(("mm",), Part.FORWARD, ("output",), "5 % too large", "", (), 1, 1, 0, ("a.b",), 10, (10,))

    assert "from iteration 10" not in headline(replace(verdict, shadow=replace(verdict.shadow, causes=(late,))))


@pytest.mark.parametrize("status", list(Status))
@given(reason=st.text(max_size=400) | st.text("ab ,;:(", max_size=400))
def test_it_is_never_too_long(status: Status, reason: str) -> None:
    said = headline(Verdict("case", status, reason))

    assert len(said) <= LONGEST
    assert bool(said) or not reason.partition("; ")[0].strip(" ,:;")


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("mean/decode_head.bn.running_mean is 0.07 % below the reference", True),
        ("grad_norm is 5 % above the reference", True),
        ("aux.loss_ce is 5 % above the reference", True),
        ("loss is 5 % above the reference", False),
        ("weight gradient of decode_head.conv is 1 % too large", False),
        ("", False),
    ],
)
def test_a_name_at_the_beginning_keeps_its_first_letter(reason: str, name: bool) -> None:
    assert begins_with_a_name(reason) is name
