"""What a fault is: a deliberately wrong kernel or setting, and the real bug that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Fault", "Layer", "Strikes"]

Strikes = Literal["kernel", "autograd", "optimizer", "schedule", "data", "distributed", "loss scaling", "model"]
Needs = Literal["", "loss scale", "processes", "SyncBN"]
Layer = Literal["", "fourth convolution of the backward", "middle weight"]


@dataclass(frozen=True)
class Fault:
    """One entry of the catalogue. It is data: what it does is found by its name, in `KERNELS` or `TRAININGS`.

    Attributes:
        name: what the command line calls it.
        summary: what it does, in one line.
        stands_for: the real bug that it stands for.
        strikes: the layer that it acts on.
        severity: how strong it is, where that is a number.
        severity_means: what the number says, with its unit; empty where there is none.
        begins: the iteration, counted from 0, at which it begins.
        in_kernels: whether `install` puts it in; else `attach` does.
        layer: the only layer that it strikes; empty where it strikes all that have its operation.
        needs: what has to be there for it to strike; empty where every training has it.
        blind: whether it was written after the gate's rules were fixed, by who hadn't seen what they find.
        card: the only device that it strikes, by its number on the emulated card; all where None.
    """

    name: str
    summary: str
    stands_for: str
    strikes: Strikes
    severity: float | None = None
    severity_means: str = ""
    begins: int = 0
    in_kernels: bool = True
    layer: Layer = ""
    needs: Needs = ""
    blind: bool = False
    card: int | None = None

    def kernels(self) -> Mapping[str, Callable[..., Any]]:
        """Operation name → wrapper, new ones with a memory of their own; empty for a fault that isn't in kernels."""
        if not self.in_kernels:
            return {}
        from harness.lab.faults.kernels import KERNELS  # here: it imports torch, which who lists faults doesn't need

        return KERNELS[self.name](self)

    def attach(self, runner: Any) -> None:
        """Put the fault into mmengine's Runner, built but not yet training; one in kernels is there already.

        Where the fault needs what this training hasn't, a DeviceError is raised when it starts.
        """
        from harness.lab.faults.trainings import TRAININGS, require, strikes_here

        if not strikes_here(self):
            return
        if self.needs:
            require(self, runner)
        if not self.in_kernels:
            TRAININGS[self.name](self, runner)

    def __str__(self) -> str:
        begins = f"@{self.begins}" if self.begins else ""
        begins += f"#{self.card}" if self.card is not None else ""
        severity = f":{self.severity!r}" if self.severity is not None else ""
        return f"{self.name}{begins}{severity}"
