"""Which function does what an entry of the catalogue says: functions register themselves by the fault's name.

The catalogue is data that ``align faults`` lists without torch; what does it needs torch. So the entry doesn't hold the
function: the function names its entries, ``@KERNELS.strikes("conv-wgrad-x1.05")``, and its signature is checked where
it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.lab.faults.fault import Fault

if TYPE_CHECKING:  # it imports torch
    from harness.lab.emulation.dispatch_plan import Wrapper

__all__ = ["KERNELS", "TRAININGS", "Actions"]

Runner = Any
Action = TypeVar("Action", bound=Callable[..., Any])


class Actions(Mapping[str, Action], Generic[Action]):
    """Name of a fault → what it does, of one kind of action."""

    def __init__(self) -> None:
        self._of_name: dict[str, Action] = {}

    def strikes(self, *names: str) -> Callable[[Action], Action]:
        """Register a function as the action of these faults.

        Raises:
            ValueError: one of them has an action already.
        """

        def register(action: Action) -> Action:
            for name in names:
                if name in self._of_name:
                    raise ValueError(f"two actions for the fault {name}: {self._of_name[name]} and {action}")
                self._of_name[name] = action
            return action

        return register

    def __getitem__(self, name: str) -> Action:
        return self._of_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_name)

    def __len__(self) -> int:
        return len(self._of_name)


KERNELS: Actions[Callable[[Fault], dict[str, Wrapper]]] = Actions()
"""Faults in kernels: operation name → wrapper, which the emulated device puts around its kernel."""

TRAININGS: Actions[Callable[[Fault, Runner], None]] = Actions()
"""Faults outside of kernels: they change mmengine's Runner, built but not yet training."""
