"""The gate on the project's own small cases and their committed baselines: healthy ports open it, faults don't."""

from pathlib import Path

import pytest

from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.verification import verify
from harness.values.verdict import Status

pytestmark = [pytest.mark.slow, pytest.mark.emulated]

BASELINES = Path(__file__).parents[2] / "baselines"


def verdict(name, folder, **changes):
    case = find_case(name)
    order = Order(config=str(case.config), device="emulated", **changes)
    return verify(case, order, baselines=BASELINES, folder=folder).verdict


@pytest.mark.parametrize("profile", ["fp32", "tf32"])
def test_a_healthy_port_opens_the_gate_and_none_is_called_better_than_it_is(tmp_path, profile):
    judged = verdict("ann_small", tmp_path, profile=profile)
    assert judged.status is Status.PASS, judged.reason
    assert judged.demanded_tier == "tf32"
    if profile == "tf32":
        assert judged.aligned_tier == "tf32"


@pytest.mark.parametrize("fault", ["conv-wgrad-x1.05", "align-corners-flipped", "bn-momentum-ignored"])
def test_a_fault_is_called_at_the_first_iteration_where_the_legacy_rule_passes(tmp_path, fault):
    judged = verdict("ann_small", tmp_path, faults=(fault,), iterations=5)
    assert judged.status is Status.FAIL, judged.reason
    assert judged.violations[0].iteration == 0
    assert judged.legacy.verdict == "pass"
