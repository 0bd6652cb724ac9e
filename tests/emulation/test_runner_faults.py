"""Each fault that acts through mmengine's Runner, at the step, the rate, the batch or the loss that it changes."""

from __future__ import annotations

import pytest
import torch

from harness.lab.faults import FAULTS, parse_fault
from tests.emulation.runner_faults import AREAS, CHECKS
from tests.emulation.runner_faults.stand_in import FakeRunner
from tests.emulation.runner_faults.steps import train


def test_every_fault_of_the_runner_has_a_check() -> None:
    assert set(CHECKS) == {name for name, fault in FAULTS.items() if not fault.in_kernels}
    assert len(CHECKS) == sum(len(area.CHECKS) for area in AREAS)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_fault_changes_what_it_says(name: str) -> None:
    CHECKS[name](name)


def test_a_fault_of_the_runner_waits_for_its_iteration() -> None:
    healthy, faulty = train(None), train(parse_fault("lr-x1.01@2"))
    assert all(torch.equal(a, b) for a, b in zip(faulty[1], healthy[1], strict=True))
    assert not torch.equal(faulty[2][0], healthy[2][0])


def test_a_fault_in_kernels_leaves_the_runner_alone() -> None:
    runner = FakeRunner().start(FAULTS["conv-wgrad-x1.05"])
    assert runner.hooks == []
