from dataclasses import replace

import pytest

from harness.cli.terminal import print_results, shadow_lines
from harness.shadow.evidence.checks import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.values.result import Result
from harness.values.verdict import Status, Verdict

ROW = ShadowRow(0, Part.BACKWARD, "stem.0", "convolution_backward", "weight gradient", 0.01, 3e-3, 0.01, 1e-4, 2)
WELL = replace(ROW, module="stem.1", error=1e-4, projection=1e-6)
EVIDENCE = ShadowEvidence(
    iterations=(0, 1),
    tier="tf32",
    rows=(WELL, ROW),
    precisions=(EffectivePrecision("convolution backward", 9.9, 10, 2),),
    coverage=Coverage({"convolution_backward": 4}, {"convolution_backward": 3}),
)


def result_of(evidence: ShadowEvidence | None) -> Result:
    return Result(Verdict("tiny", Status.FAIL, "why", shadow=evidence))


def test_shadow_ops_are_told_in_three_lines() -> None:
    told = [line.replace("\u202f", " ") for line in shadow_lines(result_of(EVIDENCE))]

    assert told == [
        "shadow ops: 2 steps (iterations 0 and 1) at tf32; 1 of 2 tensors violated; 75 % of the calls checked",
        "effective precision: convolution backward 10 bits (at least 10 demanded)",
        "worst: stem.0, convolution_backward, weight gradient: 1.0 % too large at iteration 0 (allowed 0.010 %); "
        "its inputs agree",
    ]


def test_what_is_closest_is_told_where_all_is_well() -> None:
    assert shadow_lines(result_of(replace(EVIDENCE, rows=(WELL,))))[-1].startswith("closest to its bound: stem.1, ")


def test_nothing_is_told_where_none_ran() -> None:
    assert shadow_lines(result_of(None)) == []


def test_they_stand_under_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    print_results([result_of(EVIDENCE)], "report.html")

    out = capsys.readouterr().out
    assert out.index("FAIL tiny: why") < out.index("shadow ops: 2 steps") < out.index("report: report.html")
