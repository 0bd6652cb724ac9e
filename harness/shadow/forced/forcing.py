"""Each operation of a step again, with hard inputs: what a training step seldom meets, and a port is wrong on first.

The smallest call of each operation is the model: its tensors are made large, denormal, tied, infinite, NaN, strided,
channels last, odd in size or empty, and the device's results are held against the host's in float64 like those of a
step. How far what isn't finite spreads is a choice of the algorithm's; that it is nowhere in a result is told apart
(``harness.shadow.judging.hard_input_rule``).

Not every operation promises what is asked here. PyTorch calls some with tensors that it has laid out before, such as
the backward of layer norm: where its own kernel reads strided inputs as if they were contiguous, so may any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from harness.shadow.arithmetic.counterparts import compute_on_host, with_weight_due
from harness.shadow.arithmetic.fused_attention import FUSED
from harness.shadow.arithmetic.host import as_is, change_tensors, in_double, tensors_of
from harness.shadow.arithmetic.kinds import Kind, Operation, read_operation
from harness.shadow.arithmetic.measure import measure
from harness.shadow.arithmetic.results import Compared, results_of
from harness.shadow.evidence.checks import Part
from harness.shadow.files.check_stream import ShadowStream
from harness.shadow.forced.hard_inputs import HARD_INPUTS, LAYOUTS, can_be_odd_sized, of_floating
from harness.shadow.judging.hard_input_rule import lost
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

__all__ = ["ForcedCalls"]

LARGEST_CALL = 64 * 2**20
"""Bytes of the tensors of a call that is kept to be run again."""

_NOT_FINITE = frozenset({"infinity", "NaN"})

_NOT_MADE_AGAIN = ("_foreach_", "_fused_", "as_strided")
"""Beginnings of operations that are left as they are: of many tensors at once, and of the memory behind a tensor, which
holds what nobody wrote where the tensor is laid out anew."""


@dataclass(frozen=True)
class _Model:
    """A call that is run again: the bytes of its tensors, and its arguments, copied."""

    size: int
    args: list[Any]
    kwargs: dict[str, Any]


class ForcedCalls(TorchDispatchMode):
    """Enter it before a shadowed step's own mode: it keeps the smallest call of each operation. Then ``replay``.

    Args:
        stream: where the checks go, each with the kind of its hard inputs in place of the module.
        tier: precision tier, a key of ``SHADOW_TIERS``.
    """

    def __init__(self, stream: ShadowStream, tier: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stream = stream
        self._tier = tier
        self._calls: dict[Any, _Model] = {}
        self._even: dict[Any, _Model] = {}
        self._too_large: dict[str, int] = {}

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the call as it is; keep it where it is the smallest of its operation so far."""
        kwargs = kwargs or {}
        operation = read_operation(op)
        if operation.kind in {Kind.COMPUTE, Kind.MOVE} and not _is_left_as_it_is(operation.name):
            self._keep(op, operation.name, args, kwargs)
        return op(*args, **kwargs)

    def replay(self, iteration: int, on_check: Callable[[int], None] = lambda number: None) -> None:
        """Make each kept call again with each kind of hard inputs, and write down how far the device is off.

        Args:
            iteration: that the calls are of.
            on_check: called with how many operations are done, before each.
        """
        for number, (op, smallest) in enumerate(self._calls.items()):
            on_check(number)
            for kind, harden in HARD_INPUTS.items():
                model = self._even.get(op, smallest) if kind == "odd-sized" else smallest
                with torch.no_grad():
                    if kind in LAYOUTS:
                        hard = self._laid_out(iteration, op, model, kind)
                    else:
                        hard = harden(read_operation(op).name, list(model.args))
                    self._once(iteration, kind, op, hard, model.kwargs)
        made = {read_operation(op).name for op in self._calls}
        too_large = {name: size for name, size in self._too_large.items() if name not in made}
        left_out = {name: f"its smallest call has {size / 2**20:.0f} MiB" for name, size in too_large.items()}
        self._stream.append(iteration, (), {}, {}, left_out)
        self._calls.clear()
        self._even.clear()

    def _keep(self, op: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = list(tensors_of([*args, *kwargs.values()]))
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if not any(tensor.is_floating_point() for tensor in tensors):
            return
        if size > LARGEST_CALL:
            self._too_large[name] = min(size, self._too_large.get(name, size))
            return
        fits = [self._calls, *([self._even] if can_be_odd_sized(name, args) else [])]
        smaller = [kept for kept in fits if op not in kept or size < kept[op].size]
        if smaller:
            with _disable_current_modes():
                model = _Model(size, _copied(list(args)), {key: _copied(value) for key, value in kwargs.items()})
            for kept in smaller:
                kept[op] = model

    def _laid_out(self, iteration: int, op: Any, model: _Model, kind: str) -> list[Any] | None:
        """The arguments in another layout, those that PyTorch's own kernel reads in it; that it reads none is told."""
        lay_out = of_floating(LAYOUTS[kind])
        others = [n for n, value in enumerate(model.args) if _strides(lay_out(value)) != _strides(value)]
        places = _places_that_are_read(op, model.args, model.kwargs, others, lay_out)
        if others and not places:
            name = f"{read_operation(op).name}, {kind}"
            why = "PyTorch's own kernel takes its tensors to be contiguous"
            self._stream.append(iteration, (), {name: 1}, {}, {name: why})
        if not places:
            return None
        return [lay_out(value) if place in places else _copied(value) for place, value in enumerate(model.args)]

    def _once(self, iteration: int, kind: str, op: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any]) -> None:
        """One call under shadow; a refusal of the device's is a finding where the host doesn't refuse."""
        if args is None:
            return
        operation = read_operation(op)
        name = operation.name
        mode = ShadowOps(_HardPlace(kind), iteration, self._tier, flushes=kind != "denormal")
        twin = _HostTwin(op, operation, args, kwargs)
        try:
            with mode:
                returned = op(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, NotImplementedError) as refusal:
            if not twin.refuses:
                said = f"the device refuses what the host computes: {str(refusal).splitlines()[0][:120]}"
                self._stream.append(iteration, (), {f"{name}, {kind}": 1}, {}, {f"{name}, {kind}": said})
            return
        # A fused attention leaves out a row that has no number, as one that is masked throughout.
        has_to_stay = kind in _NOT_FINITE and not name.startswith(FUSED)
        gone = twin.vanished(returned, args, kwargs) if has_to_stay else frozenset()
        checks = [replace(each, module=lost(kind)) if each.tensor in gone else each for each in mode.checks]
        skipped = {f"{name}, {kind}": call.why for call in mode.unchecked}
        self._stream.append(iteration, checks, mode.calls, mode.checked, skipped)


def _is_left_as_it_is(name: str) -> bool:
    """Besides the others the backward of a fused attention: its output and its sums belong to its inputs."""
    return name.startswith(_NOT_MADE_AGAIN) or (name.startswith(FUSED) and name.endswith("_backward"))


def _strides(value: Any) -> list[tuple[int, ...]]:
    return [tensor.stride() for tensor in tensors_of(value) if tensor.numel() > 1]


def _places_that_are_read(
    op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[int], lay_out: Callable[[Any], Any]
) -> list[int]:
    """Of these arguments those that may be laid out in another way: the host's own kernels make the same of it.

    They are asked in float64 and in the dtypes that the device was given: a kernel may read strides in one dtype and
    not in another. And for each argument by itself: a kernel that is chosen by the layout of one tensor may read
    another's strides or not. None of a fused attention's are: PyTorch hands it none whose last axis is strided, and
    what the host has for it is no kernel.
    """
    operation = read_operation(op)
    if operation.name.startswith(FUSED) or not places:
        return []
    with _disable_current_modes():
        in_doubles = with_weight_due(operation, [in_double(value) for value in args], args)
        wide = _Layouts(op, operation, in_doubles, kwargs, lay_out)
        given = _Layouts(op, operation, [as_is(value) for value in args], kwargs, lay_out)
        alone = [place for place in places if wide.are_read([place]) and given.are_read([place])]
        return alone if wide.are_read(alone) and given.are_read(alone) else []


class _Layouts:
    """A call on the host, whose tensors may be laid out in another way.

    Args:
        op: the operation.
        operation: what its schema says.
        args: positional arguments on the host; nothing writes to them.
        kwargs: keyword arguments.
        lay_out: makes the other layout of an argument.
    """

    def __init__(
        self,
        op: Any,
        operation: Operation,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        lay_out: Callable[[Any], Any],
    ) -> None:
        self._op, self._operation, self._args, self._kwargs = op, operation, args, kwargs
        self._lay_out = lay_out
        self._plain = self._made(())

    def are_read(self, places: Sequence[int]) -> bool:
        """Whether the results are the same with these arguments laid out; also where the host can't compute them."""
        due, reason, due_args, due_kwargs = self._plain
        if reason:  # told where the call is compared
            return True
        made, refusal, args, kwargs = self._made(places)
        if refusal:
            return False
        return all(map(_is_same, results_of(self._operation, (made, due), (args, due_args), (kwargs, due_kwargs))))

    def _made(self, places: Sequence[int]) -> tuple[Any, str, list[Any], dict[str, Any]]:
        args = [self._lay_out(value) if place in places else _copied(value) for place, value in enumerate(self._args)]
        kwargs = {name: as_is(value) for name, value in self._kwargs.items()}
        return *compute_on_host(self._op, self._operation, args, kwargs), args, kwargs


def _is_same(result: Compared) -> bool:
    """Whether one result is the other but for the order of its sums: what is read wrongly is off by a lot."""
    made, due = result.candidate, result.reference
    if not (due.is_floating_point() or due.is_complex()):
        return torch.equal(made, due)
    return measure(made, due.to(torch.complex128 if due.is_complex() else torch.float64)).error <= math.sqrt(
        torch.finfo(due.dtype).eps
    )


class _HostTwin:
    """The same call on the host in float64, from copies of the arguments as they are now; made when it is asked for."""

    def __init__(self, op: Any, operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._op, self._operation = op, operation
        with _disable_current_modes():
            self._args = with_weight_due(operation, [in_double(value) for value in args], args)
            self._kwargs = {key: in_double(value) for key, value in kwargs.items()}

    @property
    def refuses(self) -> bool:
        """Whether the host can't compute it."""
        return bool(self._computed[1])

    def vanished(self, returned: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> frozenset[str]:
        """The results of the device's call that are finite throughout where float64's aren't, by name."""
        due, reason = self._computed
        if reason:
            return frozenset()
        with _disable_current_modes():
            results = results_of(self._operation, (returned, due), (args, self._args), (kwargs, self._kwargs))
            return frozenset(result.name for result in results if _is_lost(result))

    @cached_property
    def _computed(self) -> tuple[Any, str]:
        with _disable_current_modes():
            return compute_on_host(self._op, self._operation, self._args, self._kwargs)


def _is_lost(result: Compared) -> bool:
    made, due = result.candidate.detach().cpu(), result.reference.to(result.candidate.dtype)
    return made.is_floating_point() and bool(made.isfinite().all()) and not bool(due.isfinite().all())


class _HardPlace(CallSites):
    """A call that no module made: the kind of its inputs stands in its place."""

    def __init__(self, kind: str) -> None:
        super().__init__(torch.nn.Module())
        self._kind = kind

    def here(self) -> tuple[Part, str]:
        """The forward, and the kind of the inputs."""
        return Part.FORWARD, self._kind


def _copied(value: Any) -> Any:
    """The argument with each tensor copied on its own device."""
    return change_tensors(value, lambda tensor: tensor.detach().clone())
