"""A device that trains alike and measures by other correct algorithms is aligned, at the sharpest tier."""

from pathlib import Path

import pytest

from harness.running import watchdog
from harness.running.cases import find_case
from harness.running.isolation import isolated_python
from harness.running.order import Order
from harness.running.verification import verify
from harness.values.verdict import Status

OTHER = Path(__file__).parent / "other_device"
BASELINES = Path(__file__).parents[2] / "baselines"
ALGORITHMS = ["float64", "tree", "sequential"]


@pytest.fixture(params=ALGORITHMS)
def other_device(request, monkeypatch, tiny_parts_can_be_imported):
    import os

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(OTHER)]))
    monkeypatch.setenv("OTHER_DEVICE", request.param)
    monkeypatch.setattr(
        watchdog,
        "isolated_python",
        lambda entry, *words: isolated_python(entry.replace("harness.running.worker", "other_device"), *words),
    )
    return request.param


def test_the_tiny_case_is_aligned_at_fp32(other_device, tiny, order, baselines, tmp_path):
    judged = verify(tiny, order, baselines=baselines, folder=tmp_path).verdict
    assert judged.status is Status.PASS, judged.reason
    assert judged.aligned_tier == "fp32"


@pytest.mark.slow
def test_a_small_case_with_tensors_of_half_a_million_elements_is_aligned_at_fp32(other_device, tmp_path):
    options = ("alignment.tier=fp32",)
    case = find_case("ann_small", options)
    order = Order(config=str(case.config), device="cpu", options=options, iterations=5)
    judged = verify(case, order, baselines=BASELINES, folder=tmp_path).verdict
    assert judged.status is Status.PASS, judged.reason
    assert judged.aligned_tier == "fp32"
