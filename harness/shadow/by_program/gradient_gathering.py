"""Gradients on their way to the optimizer: what the backward accumulates, and what the processes make of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
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
from harness.training.unseen_code import THREADS, is_seen

__all__ = ["GradientsWatched", "PassesWatched"]


class GradientsWatched:
    """Samples each parameter's gradient as this process computes it, before it is accumulated or reduced.

    A program may have hooks of its own on a gradient that has been accumulated: one that clips it, or one that makes
    the update at once and lets go of it. What such a hook does is the program's, and no fault of what added it up; so
    of these parameters the gradient is taken before the first of the hooks, and of the last pass. Where processes
    average it afterwards, what the hooks made of it counts as what the process computed.

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
        self._made: dict[str, torch.Tensor] = {}
        self._left: dict[str, torch.Tensor | None] = {}
        self._hooked: set[str] = set()
        self._elsewhere = False
        self._before = {name: sample(p.grad) for name, p in self._parameters.items() if p.grad is not None}
        self._handles = [p.register_hook(self._keeper(name)) for name, p in self._parameters.items()]
        self._adders = {
            name: p.register_post_accumulate_grad_hook(self._adder(name)) for name, p in self._parameters.items()
        }
        self._handles += self._adders.values()

    @property
    def unseen(self) -> dict[str, str]:
        """What of the backward passes no operation shows, and why."""
        return {THREADS: "the backward ran in another thread than the step's"} if self._elsewhere else {}

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
            made = self._made.get(name)
            if made is None and parameter.grad is not None:
                made = sample(parameter.grad)
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
            self._elsewhere |= not is_seen()
            with _disable_current_modes():
                self._look_out_for_hooks(name)
                self._computed[name] = sample(gradient)

        return keep

    def _look_out_for_hooks(self, name: str) -> None:
        """Of a parameter with hooks of the program's own, keep what they left of its gradient before the next comes."""
        parameter = self._parameters[name]
        if name not in self._hooked and _has_hook_of_its_own(parameter):
            self._hooked.add(name)
            if self._group is None:
                self._handles.append(_hook_first(parameter, self._taker(name)))
            else:
                _put_last(parameter, self._adders[name])
        if name in self._hooked:
            self._left[name] = sample(parameter.grad) if parameter.grad is not None else None

    def _taker(self, name: str) -> Any:
        """Takes the gradient that has been accumulated, before the program's own hooks change it."""

        def take(parameter: torch.Tensor) -> None:
            if name not in self._computed or parameter.grad is None:
                return
            left = self._left.get(name)  # what came of earlier passes is in what their hooks left
            self._local.pop(name, None)
            self._before.pop(name, None)
            self._before |= {name: left} if left is not None else {}
            with _disable_current_modes():
                self._made[name] = sample(parameter.grad)

        return take

    def _adder(self, name: str) -> Any:
        """Adds the gradient that was kept once it has been accumulated, and the program's own hooks have run."""

        def add(parameter: torch.Tensor) -> None:
            computed, known = self._computed.pop(name, None), self._local.get(name)
            if computed is None:
                return
            if name in self._hooked and self._group is not None:
                if parameter.grad is None:
                    return
                with _disable_current_modes():  # averaged is what the hooks made of it, with what it was added to
                    left = self._left.get(name)
                    computed = sample(parameter.grad) if left is None else sample(parameter.grad) - left
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
        self._made.clear()

    def _keeper(self, name: str) -> Any:
        parameter = self._parameters[name]

        def keep(gradient: torch.Tensor) -> None:
            self._elsewhere |= not is_seen()
            with _disable_current_modes():
                if not self._running:  # the first gradient of a pass
                    self._running = True
                    self._before = {}
                    torch.autograd.Variable._execution_engine.queue_callback(self._end_pass)
                self._look_out_for_hooks(name)
                if name not in self._local and parameter.grad is not None:
                    self._before[name] = sample(parameter.grad)
                self._computed[name] = sample(gradient)

        return keep


def _has_hook_of_its_own(parameter: torch.nn.Parameter) -> bool:
    """Whether the program does something once a gradient has been accumulated; what the harness does changes none."""
    hooks = (parameter._post_accumulate_grad_hooks or {}).values()
    return any(not str(getattr(_function_of(hook), "__module__", "")).startswith("harness.") for hook in hooks)


def _function_of(hook: Any) -> Any:
    return _function_of(hook.func) if isinstance(hook, partial) else hook


def _hook_first(parameter: torch.nn.Parameter, hook: Any) -> Any:
    """Register a hook that is called before those that are there, as soon as the gradient has been accumulated.

    PyTorch calls them in the order of their dictionary's memory, which `move_to_end` doesn't change.
    """
    handle = parameter.register_post_accumulate_grad_hook(hook)
    hooks: Any = parameter._post_accumulate_grad_hooks
    others = {key: other for key, other in hooks.items() if key != handle.id}
    hooks.clear()
    hooks[handle.id] = hook
    hooks.update(others)
    return handle


def _put_last(parameter: torch.nn.Parameter, handle: Any) -> None:
    """Have a hook called behind those that are there."""
    hooks: Any = parameter._post_accumulate_grad_hooks
    hooks[handle.id] = hooks.pop(handle.id)


_LOST = Distance(math.inf, 0.0, math.nan, 1.0)


def _cancelled(parts: list[torch.Tensor], expected: torch.Tensor) -> float:
    """How much larger the summands are than their mean: what its rounding is relative to."""
    size = float(expected.norm())
    largest = math.sqrt(sum(float(part.norm()) ** 2 for part in parts)) / len(parts)
    return max(1.0, largest / size) if size else 1.0
