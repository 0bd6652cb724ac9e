"""Each entry of the catalogue has one function that does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.lab.faults import FAULTS, kernels, trainings
from harness.lab.faults.actions import Actions
from harness.lab.faults.kernels import KERNELS
from harness.lab.faults.trainings import TRAININGS


def test_each_entry_has_one_action_of_its_kind() -> None:
    assert set(KERNELS) == {name for name, fault in FAULTS.items() if fault.in_kernels}
    assert set(TRAININGS) == {name for name, fault in FAULTS.items() if not fault.in_kernels}


def test_a_second_action_for_a_fault_is_refused() -> None:
    actions: Actions[Callable[[], int]] = Actions()
    actions.strikes("one", "other")(lambda: 1)
    with pytest.raises(ValueError, match="two actions for the fault other"):
        actions.strikes("other")(lambda: 2)
    assert {name: action() for name, action in actions.items()} == {"one": 1, "other": 1}


@pytest.mark.parametrize(("package", "actions"), [(kernels, KERNELS), (trainings, TRAININGS)])
def test_every_module_of_actions_is_imported_by_its_package(package: ModuleType, actions: Actions[Any]) -> None:
    """A module that the package forgets would register nothing."""
    files = {path.stem for path in Path(package.__path__[0]).glob("*_faults.py")}
    assert files == {action.__module__.rpartition(".")[2] for action in actions.values()}
