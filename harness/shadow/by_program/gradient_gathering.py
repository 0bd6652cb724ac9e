"""Gradients on their way to the optimizer: what the backward accumulates, and what the processes make of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.measure import Distance, measure
from harness.shadow.arithmetic.sample import sample
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.reproducing.program import Keep, keep_nothing, without_program
from harness.shadow.reproducing.sums import write_average

__all__ = ["GradientsWatched", "PassesWatched"]


class GradientsWatched:
    """Samples each parameter's gradient as this process computes it, before it is accumulated or reduced.

    Args:
        parameters: name → parameter.
        iteration: number of the step.
        group: of the processes, over the host; None for one process.
        keep: is told of each check, and how to write it down.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], iteration: int, group: Any, keep: Keep = keep_nothing
    ) -> None:
        self._keep = keep
        self._parameters = {name: p for name, p in parameters.items() if p.requires_grad}
        self._iteration = iteration
        self._group = group
        self._local: dict[str, torch.Tensor] = {}
        self._computed: dict[str, torch.Tensor] = {}
        self._before = {name: sample(p.grad) for name, p in self._parameters.items() if p.grad is not None}
        self._handles = [p.register_hook(self._keeper(name)) for name, p in self._parameters.items()]
        accumulated = ((p, self._adder(name)) for name, p in self._parameters.items())
        self._handles += [p.register_post_accumulate_grad_hook(adder) for p, adder in accumulated]

    def check(self) -> Iterator[ShadowCheck]:
        """After the backward: each gradient as it is now, beside the mean over the processes of what they computed."""
        self._let_go()
        yield from self._compared()

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _compared(self) -> Iterator[ShadowCheck]:
        everyone = self._everyone()
        for name, parameter in self._parameters.items():
            parts = [local[name] for local in everyone if name in local]
            if not parts:
                continue
            expected = sum(parts[1:], parts[0]) / len(everyone)
            if name in self._before:
                expected = expected + self._before[name]
            gradient = parameter.grad
            made = sample(gradient) if gradient is not None else None
            distance = measure(made, expected) if made is not None else _LOST
            module, _, leaf = name.rpartition(".")
            check = ShadowCheck(
                iteration=self._iteration,
                part=Part.REDUCE,
                module=module,
                op="all_reduce" if len(everyone) > 1 else "accumulate",
                tensor=f"{leaf} gradient",
                call=-1,
                dtype=dtype_name(parameter.dtype),
                shape=tuple(parameter.shape),
                contiguous=True,
                error=distance.error,
                projection=distance.projection,
                scale=_cancelled(parts, expected),
                terms=float(len(everyone)),
                spread=distance.spread,
            )
            self._keep(
                check,
                write_average(parts, len(everyone), self._before.get(name), made, parameter.dtype)
                if made is not None
                else without_program("the parameter has no gradient any more"),
            )
            yield check

    def _everyone(self) -> list[dict[str, torch.Tensor]]:
        if self._group is None:
            return [self._local]
        gathered: list[Any] = [None] * dist.get_world_size(self._group)
        dist.all_gather_object(gathered, self._local, group=self._group)
        return gathered

    def _keeper(self, name: str) -> Any:
        """Keeps a gradient as it comes; one that is only asked for, by `torch.autograd.grad`, goes no further."""

        def keep(gradient: torch.Tensor) -> None:
            with _disable_current_modes():
                self._computed[name] = sample(gradient)

        return keep

    def _adder(self, name: str) -> Any:
        """Adds the gradient that was kept once it has been accumulated."""

        def add(_: torch.Tensor) -> None:
            computed, known = self._computed.pop(name, None), self._local.get(name)
            if computed is not None:
                self._local[name] = computed if known is None else known + computed

        return add


class PassesWatched(GradientsWatched):
    """The same of each backward pass while it is entered, in one process: a step may make several, and clear between.

    Args:
        parameters: name → parameter.
        iteration: number of the step.
        found: gets the checks when a pass has ended.
        keep: is told of each check, and how to write it down.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        iteration: int,
        found: list[ShadowCheck],
        keep: Keep = keep_nothing,
    ) -> None:
        super().__init__(parameters, iteration, None, keep)
        self._found = found
        self._running = False

    def __enter__(self) -> PassesWatched:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def _end_pass(self) -> None:
        with _disable_current_modes():
            self._found += self._compared()
        self._running = False
        self._local.clear()
        self._computed.clear()

    def _keeper(self, name: str) -> Any:
        parameter = self._parameters[name]

        def keep(gradient: torch.Tensor) -> None:
            with _disable_current_modes():
                if not self._running:  # the first gradient of a pass
                    self._running = True
                    self._before = {}
                    torch.autograd.Variable._execution_engine.queue_callback(self._end_pass)
                if name not in self._local and parameter.grad is not None:
                    self._before[name] = sample(parameter.grad)
                self._computed[name] = sample(gradient)

        return keep


_LOST = Distance(math.inf, 0.0, math.nan, 1.0)


def _cancelled(parts: list[torch.Tensor], expected: torch.Tensor) -> float:
    """How much larger the summands are than their mean: what its rounding is relative to."""
    size = float(expected.norm())
    largest = math.sqrt(sum(float(part.norm()) ** 2 for part in parts)) / len(parts)
    return max(1.0, largest / size) if size else 1.0
