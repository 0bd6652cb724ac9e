"""The field's own rule, to the last printed digit."""

import math

import numpy as np
import pytest

from harness.logs import compare
from harness.rules.legacy import judge_legacy
from harness.values.errors import TraceError

NAN = float("nan")


def test_the_four_lines():
    result = judge_legacy(np.array([1.0, 2.0]), np.array([1.5, 1.0]))
    assert result.lines == (
        "MeanRelativeError: 0.0",
        "MeanAbsoluteError: -0.25",
        "Rule,mean_absolute_error -0.25",
        "pass mean_relative_error=0.0 <= 0.05 or mean_absolute_error=-0.25 <= 0.0002",
    )
    spelled = judge_legacy(np.array([1.0, 2.0]), np.array([1.5, 1.0]), numpy_spelling=True)
    assert spelled.lines[:3] == result.lines[:3]
    assert spelled.lines[3] == (
        "pass mean_relative_error=np.float64(0.0) <= 0.05 or mean_absolute_error=np.float64(-0.25) <= 0.0002"
    )


@pytest.mark.parametrize(
    ("reference", "candidate", "verdict", "relative", "absolute"),
    [
        ([1.0, 2.0], [1.0, 2.0], "pass", 0.0, 0.0),
        ([1.0, 1.0], [0.01, 0.01], "pass", -0.99, -0.99),
        ([1.0, 1.0], [1.06, 1.06], "fail", 0.06, 0.06),
        ([1.0, 1.0], [0.0, 0.0], "pass", -1.0, -1.0),
        ([1.0, NAN], [1.0, 1.0], "fail", NAN, NAN),
        ([1.0, 1.0], [NAN, 1.0], "fail", NAN, NAN),
        ([0.0, 0.0], [0.0, 0.0], "pass", NAN, 0.0),
        ([0.0, 1.0], [1.0, 1.0], "fail", math.inf, 0.5),
        ([1.0], [-math.inf], "pass", -math.inf, -math.inf),
        ([2.0], [2.05], "pass", 0.025, 0.05),
        ([], [], "fail", NAN, NAN),
    ],
)
def test_every_input_has_the_answer_that_the_script_gives(reference, candidate, verdict, relative, absolute):
    result = judge_legacy(np.array(reference), np.array(candidate))
    assert result.verdict == verdict
    np.testing.assert_allclose([result.mean_relative_error, result.mean_absolute_error], [relative, absolute])
    assert result.lines[3].startswith(verdict)


def test_swapping_the_sides_turns_a_verdict():
    one, other = np.array([1.0, 1.0]), np.array([0.9, 0.9])
    assert judge_legacy(one, other).verdict == "pass"
    assert judge_legacy(other, one).verdict == "fail"


def test_what_is_not_paired_is_refused():
    with pytest.raises(TraceError):
        judge_legacy(np.zeros(3), np.zeros(2))


PUBLISHED = {
    "ann": ("last50", -0.2297, "pass"),
    "rpn": ("all", -0.668, "pass"),
    "sknet": ("all", 0.112, "pass"),
    "regnet": ("all", -0.0017, "pass"),
    "siglip": ("all", 0.0034, "pass"),
    "vgg": ("all", -0.0042, "pass"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_real_pairs_reproduce_what_was_published(shared, name):
    part, relative, verdict = PUBLISHED[name]
    traces = shared / "data" / "traces"
    result = compare(traces / f"{name}.cuda.csv", traces / f"{name}.sdaa.csv", legacy=part)
    legacy = result.verdict.legacy
    assert legacy.verdict == verdict
    digits = len(str(relative).partition(".")[2])
    assert round(legacy.mean_relative_error, digits) == relative
    assert result.verdict.status.value == "INCONCLUSIVE"
    expected = {"ann": "other data or order", "rpn": "before any update", "sknet": "parts from iteration 2 on"}
    assert expected.get(name, "") in result.verdict.reason


def test_ann_to_all_printed_digits(shared):
    traces = shared / "data" / "traces"
    legacy = compare(traces / "ann.cuda.csv", traces / "ann.sdaa.csv", legacy="last50").verdict.legacy
    assert round(legacy.mean_absolute_error, 4) == -0.4744
    assert legacy.lines[2].startswith("Rule,mean_absolute_error")
