"""Each fault in kernels, at the operation: it changes what it says, nothing else, and leaves no trace behind."""

from __future__ import annotations

import pytest

from harness.lab.faults import FAULTS
from tests.emulation.kernel_faults import AREAS, RELATIONS


def test_every_fault_in_kernels_has_a_relation() -> None:
    assert set(RELATIONS) == {name for name, fault in FAULTS.items() if fault.in_kernels}
    assert len(RELATIONS) == sum(len(area.RELATIONS) for area in AREAS)


@pytest.mark.on_device
@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_a_fault_changes_what_it_says_and_leaves_no_trace(name: str) -> None:
    for check in RELATIONS[name]:
        check(name)
