"""Results that shadow ops have said something of."""

from __future__ import annotations

from dataclasses import replace

from harness.shadow.evidence.checks import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Status
from tests.reports.judged_results import passing


def evidence(wrong: str = "", *, blocks: int = 3) -> ShadowEvidence:
    """What shadow ops say of a small net of four stages; the weight gradient of one module is 1 % too large."""
    convolutions = [f"backbone.layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(blocks)]
    rows = [ShadowRow(0, Part.TRANSFER, "data_preprocessor", "feed", "images", 0.0, 1e-7, 0.0, 1e-7, 2)]
    for at, module in enumerate(convolutions):
        rows.append(ShadowRow(1, Part.FORWARD, module, "convolution", "output", 3e-4 + 1e-6 * at, 3e-3, 2e-6, 4e-5, 2))
        error, gain = (0.01, 0.01) if module == wrong else (4e-4, -3e-6)
        back = ("convolution_backward", "weight gradient", error, 3e-3, gain, 1e-4, 2)
        rows.append(ShadowRow(0, Part.BACKWARD, module, *back))
    rows.append(ShadowRow(0, Part.LOSS, "", "sum", "total", 0.0, 1e-7, 0.0, 1e-7, 2))
    precisions = (
        EffectivePrecision("convolution backward", 9.96, 10, 24),
        EffectivePrecision("convolution forward", 10.02, 10, 24),
        EffectivePrecision("native_batch_norm", 22.8, 23, 24),
    )
    coverage = Coverage(
        calls={"convolution": 24, "convolution_backward": 24, "roi_align": 2},
        checked={"convolution": 24, "convolution_backward": 24},
        skipped={"roi_align": "the host has no such operation"},
        fallen_back=("roi_align",),
    )
    return ShadowEvidence((0, 1), "tf32", tuple(rows), precisions, coverage)


def shadowed() -> Result:
    """A healthy port whose operations were looked at too."""
    whole = passing()
    return replace(whole, verdict=replace(whole.verdict, shadow=evidence()))


def failing_by_shadow() -> Result:
    """A weight gradient of one module 1 % too large: no trace sees it."""
    whole = passing()
    found = evidence("backbone.layer3.0.conv1")
    said = (
        "backbone.layer3.0.conv1, convolution_backward, weight gradient: 1 % too large (allowed 0.01 %) at iteration "
        "0, from the same inputs"
    )
    signal = "backbone.layer3.0.conv1.convolution_backward.weight_gradient"
    finding = Finding("shadow", Outcome.FAIL, signal, said, 0, 0.01, 1e-4, tier="tf32")
    verdict = replace(
        whole.verdict,
        status=Status.FAIL,
        reason=f"shadow: {said}",
        findings=(finding, *whole.verdict.findings),
        aligned_tier="",
        shadow=found,
    )
    call = ("backward", "backbone.layer3.0.conv1", "convolution_backward", "weight gradient")
    again = Reproduction(1, 0, *call, note="Its inputs are cut to the first 1 of 2 samples.", program="x", inputs=b"y")
    return replace(whole, verdict=verdict, reproductions=(again,))
