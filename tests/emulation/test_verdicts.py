"""`align verify` on the emulated device in mixed precision and in two processes: a verdict, and never an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.verification import verify
from harness.values.verdict import Status, Verdict

pytestmark = pytest.mark.slow

BASELINES = Path(__file__).parents[2] / "baselines"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def verdict(name: str, folder: Path, **settings: object) -> Verdict:
    case = find_case(name)
    order = Order(config=str(case.config), device="emulated", iterations=2, **settings)
    return verify(case, order, baselines=BASELINES, folder=folder).verdict


@pytest.mark.parametrize(
    ("name", "profile"), [("ccnet_small", "fp16"), ("ocrnet_small", "sdaa"), ("emanet_small", "bf16")]
)
def test_mixed_precision_is_another_experiment(name: str, profile: str, tmp_path: Path) -> None:
    judged = verdict(name, tmp_path, profile=profile, amp=True)
    assert judged.status is Status.INCONCLUSIVE, judged.reason
    assert "precision is fp32 on the reference and amp-fp16 on the candidate" in judged.reason


def test_two_processes_with_a_device_each_are_another_experiment(tmp_path: Path) -> None:
    judged = verdict("ann_small", tmp_path, profile="tf32", amp=True, launcher="pytorch", processes=2)
    assert judged.status is Status.INCONCLUSIVE, judged.reason
    assert "precision is fp32 on the reference and amp-fp16 on the candidate" in judged.reason
    assert "(also world size, global batch)" in judged.reason


def test_a_fault_that_can_t_strike_is_an_error_that_says_what_to_add(tmp_path: Path) -> None:
    judged = verdict("ann_small", tmp_path, faults=("syncbn-local",))
    assert judged.status is Status.ERROR
    assert "--nproc-per-node 2" in judged.reason
