"""The dispatch mode that computes each operation of a step again, and writes down how far the device is from it."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from harness.rules.rounding import mantissa_bits, rounding, smallest_normal, unit_roundoff
from harness.shadow.conditioning import measure_scale
from harness.shadow.counterparts import compute_on_host
from harness.shadow.fallback import falls_back
from harness.shadow.host import as_is, in_double, map_tensors, tensors_of
from harness.shadow.kinds import Kind, Operation, read_operation, without_place
from harness.shadow.measure import Distance, measure, measure_bits, participation
from harness.shadow.randomness import Draw
from harness.shadow.reproduction import Call, Reproductions
from harness.shadow.results import Result, results_of
from harness.shadow.sample import thinned
from harness.shadow.terms import count_terms, host_bytes, operands_of
from harness.shadow.whereabouts import Whereabouts
from harness.values.shadow import Part, ShadowCheck

__all__ = ["ShadowOps"]

_SUSPICIOUS = 2.0
"""How often the expected rounding an error is before the operation's conditioning is measured."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A result's distance from the host's, and how far a rounding of the inputs moves it."""

    result: Result
    distance: Distance
    scale: float = 1.0
    along: float = 0.0


class ShadowOps(TorchDispatchMode):
    """Enter it around one training step.

    Each operation runs on the device as it would have, and again on the host, from the inputs that the device had: in
    float64 where it computes, bit for bit where it moves. What the step computes is not changed, and a mode that was
    entered before sees the device's call alone.

    Args:
        whereabouts: tells the module of a call.
        iteration: number of the step.
        tier: precision tier, a key of ``SHADOW_TIERS``: what is called suspicious depends on it.
        wanted: whether to check an operation, by its name; one that isn't is counted as not checked.
        budget: bytes of host memory that computing one operation again may take; one that needs more isn't checked.
        reproductions: is offered each call that was checked; none is kept without it.

    Attributes:
        checks: what was found, in the order of the calls.
        calls: operation → how often it was called.
        checked: operation → how many of its calls were checked.
        skipped: operation → why a call of it wasn't.
        fallen_back: operations that the device left to its host.
    """

    def __init__(
        self,
        whereabouts: Whereabouts,
        iteration: int,
        tier: str,
        wanted: Callable[[str], bool] = lambda name: True,
        budget: int = 8 * 2**30,
        reproductions: Reproductions | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._whereabouts = whereabouts
        self._iteration = iteration
        self._tier = tier
        self._wanted = wanted
        self._budget = budget
        self._reproductions = reproductions
        self._before: tuple[Any, Any] | None = None
        self._views: set[tuple[Any, ...]] = set()
        self.checks: list[ShadowCheck] = []
        self.calls: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.fallen_back: set[str] = set()

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the call, and check what came of it."""
        kwargs = kwargs or {}
        operation = read_operation(op)
        place = self._whereabouts.here()
        if operation.kind is Kind.NOTHING:
            return op(*args, **kwargs)
        call = sum(self.calls.values())
        self.calls[operation.name] += 1
        if falls_back(op, args):
            self.fallen_back.add(operation.name)
        if reason := self._unwanted(operation, args):
            self.skipped[operation.name] = reason
            return op(*args, **kwargs)
        if operation.kind is Kind.VIEW and self._known_view(op, args, kwargs):
            self.checked[operation.name] += 1
            return op(*args, **kwargs)
        returned, found = _CHECKS[operation.kind](self, op, operation, args, kwargs)
        checks = [self._check(place, operation, call, args, entry) for entry in found]
        self.checks += checks
        if self._reproductions is not None:
            with _disable_current_modes():
                made = Call(op, operation, (args, kwargs), self._before)
                for check, entry in zip(checks, found, strict=True):
                    self._reproductions.offer(check, entry.result, made)
        self._before = None
        return returned

    def _unwanted(self, operation: Operation, args: Any) -> str:
        """Why a call isn't checked; empty where it is."""
        if not self._wanted(operation.name):
            return "not among the chosen operations"
        needed = host_bytes(operation.name, args)
        if needed > self._budget:
            return f"takes {needed / 2**30:.1f} GiB of host memory, the budget is {self._budget / 2**30:.1f} GiB"
        return ""

    def _compute(self, op: Any, operation: Operation, args: Any, kwargs: Any) -> tuple[Any, list[_Found]]:
        thin = thinned if _is_update(operation) else _whole
        with _disable_current_modes():
            before = self._before = _inputs(lambda value: in_double(map_tensors(value, thin)), args, kwargs)
        returned = op(*args, **kwargs)
        with _disable_current_modes():
            return returned, self._compare(op, operation, (args, kwargs), before, returned, thin)

    def _compare(
        self,
        op: Any,
        operation: Operation,
        given: tuple[Any, Any],
        before: tuple[Any, Any],
        returned: Any,
        thin: Callable[[torch.Tensor], torch.Tensor],
    ) -> list[_Found]:
        """A call's results beside those of the same call in float64."""
        args, kwargs = given
        host_args, host_kwargs = _inputs(as_is, *before) if operation.written else before
        expected, reason = compute_on_host(op, operation, host_args, host_kwargs)
        if reason:
            self.skipped[operation.name] = reason
            return []
        self.checked[operation.name] += 1
        results = results_of(operation, (returned, expected), (args, host_args), (kwargs, host_kwargs))
        found = [_Found(result, _distance(result, thin)) for result in results if not result.name.startswith("indices")]
        found = _shared_out(found, operation, before[0])
        if _is_update(operation):
            found = self._worst(found)
        if any(self._is_suspicious(operation, args, entry) for entry in found):
            found = self._conditioned(op, operation, before, found)
        return found

    def _worst(self, found: list[_Found]) -> list[_Found]:
        """Of the many tensors that one call updates: those that are known by name, and the worst of the others."""
        named = [entry for entry in found if self._owner(entry.result)]
        others = [entry for entry in found if not self._owner(entry.result)]
        return named + ([max(others, key=lambda entry: entry.distance.error)] if others else [])

    def _conditioned(self, op: Any, operation: Operation, before: tuple[Any, Any], found: list[_Found]) -> list[_Found]:
        """The same findings with their scales measured."""
        floating = [entry.result for entry in found if entry.result.reference.is_floating_point()]
        keys = [(result.name, result.place) for result in floating]

        def run(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
            expected, _ = compute_on_host(op, operation, args, kwargs)
            again = results_of(operation, (expected, expected), (args, args), (kwargs, kwargs))
            known = {(result.name, result.place): result.reference for result in again}
            return [known[key] for key in keys]

        seed = zlib.crc32(operation.name.encode()) + self._iteration
        dtype = _name(floating[0].candidate.dtype)
        smallest = smallest_normal(operation.name, dtype, self._tier)
        try:
            moved = measure_scale(run, *before, [result.reference for result in floating], seed, smallest)
        except (RuntimeError, ValueError, KeyError):  # a result whose shape hangs on values
            return found
        scales = dict(zip(keys, moved, strict=True))
        return [
            _rescaled(entry, *scales.get((entry.result.name, entry.result.place), (0.0, 0.0)), smallest)
            for entry in found
        ]

    def _move(self, op: Any, operation: Operation, args: Any, kwargs: Any) -> tuple[Any, list[_Found]]:
        with _disable_current_modes():
            host_args, host_kwargs = _inputs(as_is, args, without_place(kwargs))
            self._before = (host_args, host_kwargs)
        returned = op(*args, **kwargs)
        with _disable_current_modes():
            expected, reason = compute_on_host(op, operation, host_args, host_kwargs)
            if reason:
                self.skipped[operation.name] = reason
                return returned, []
            self.checked[operation.name] += 1
            results = results_of(operation, (returned, expected), (args, host_args), (kwargs, host_kwargs))
            return returned, [_Found(r, measure_bits(r.candidate.detach().cpu(), r.reference)) for r in results]

    def _draw(self, op: Any, operation: Operation, args: Any, kwargs: Any) -> tuple[Any, list[_Found]]:
        draw = Draw(op, operation, args, kwargs)
        returned = draw.run()
        reason, found = draw.check(returned)
        if reason:
            self.skipped[operation.name] = reason
        else:
            self.checked[operation.name] += 1
        return returned, [_Found(result, distance) for result, distance in found]

    def _known_view(self, op: Any, args: Any, kwargs: Any) -> bool:
        """Whether the same view of the same layout has been checked: a view moves no data."""
        layout = tuple(
            (t.shape, t.stride(), t.storage_offset(), t.dtype, t.device.type)
            for t in tensors_of([args, *kwargs.values()])
        )
        rest = repr([value for value in args if not isinstance(value, torch.Tensor)])
        key = (op, layout, rest)
        known = key in self._views
        self._views.add(key)
        return known

    def _is_suspicious(self, operation: Operation, args: Any, found: _Found) -> bool:
        distance, made = found.distance, found.result.candidate
        if not distance.error or not found.result.reference.is_floating_point():
            return False
        terms = count_terms(operation.name, args, made, found.result.place)
        base = rounding(operation.name, _name(made.dtype), _operand_bits(args), terms, self._tier)
        noise = base / math.sqrt(distance.spread) + unit_roundoff(23)
        return distance.error > _SUSPICIOUS * base or abs(distance.projection) > _SUSPICIOUS * noise

    def _owner(self, result: Result) -> str:
        return self._whereabouts.parameter(result.original) if result.original is not None else ""

    def _check(self, place: tuple[Part, str], operation: Operation, call: int, args: Any, found: _Found) -> ShadowCheck:
        result, distance = found.result, found.distance
        module, _, leaf = self._owner(result).rpartition(".")
        return ShadowCheck(
            iteration=self._iteration,
            part=_part(place[0], operation, result),
            module=place[1] or module,
            op=operation.name,
            tensor=leaf or result.name,
            call=call,
            dtype=_name(result.candidate.dtype),
            shape=tuple(result.candidate.shape),
            contiguous=all(tensor.is_contiguous() for tensor in tensors_of(args)),
            error=distance.error,
            projection=distance.projection,
            scale=found.scale,
            along=found.along,
            terms=count_terms(operation.name, args, result.candidate, result.place),
            spread=distance.spread,
            operand=_operand_bits(args),
        )


_CHECKS = {
    Kind.COMPUTE: ShadowOps._compute,
    Kind.MOVE: ShadowOps._move,
    Kind.VIEW: ShadowOps._move,
    Kind.RANDOM: ShadowOps._draw,
}


def _inputs(
    change: Callable[[Any], Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    return [change(value) for value in args], {name: change(value) for name, value in kwargs.items()}


def _is_update(operation: Operation) -> bool:
    """Whether a call treats every element of many tensors alike, so that some of them show what it does to all."""
    return operation.name.startswith(("_foreach_", "_fused_", "_amp_foreach_")) and "norm" not in operation.name


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _distance(result: Result, thin: Callable[[torch.Tensor], torch.Tensor]) -> Distance:
    made = thin(result.candidate.detach()).cpu()
    return (measure if result.reference.is_floating_point() else measure_bits)(made, result.reference)


def _shared_out(found: list[_Found], operation: Operation, args: Sequence[Any]) -> list[_Found]:
    """A product's roundings are its operands' as well: a small operand's don't average out over a large result."""
    counts = [participation(operand) for operand in operands_of(operation.name, args)]
    if not counts:
        return found
    if operation.name == "convolution_backward":
        gradient, x, weight = counts
        taking_part = {0: (gradient, weight), 1: (gradient, x), 2: ()}
    else:
        taking_part = {0: tuple(counts)}
    spreads = [[entry.distance.spread, *taking_part.get(entry.result.place, ())] for entry in found]
    return [
        replace(entry, distance=replace(entry.distance, spread=max(1.0, 1 / sum(1 / count for count in spread))))
        for entry, spread in zip(found, spreads, strict=True)
    ]


def _rescaled(found: _Found, moved: float, along: float, smallest: float) -> _Found:
    """A finding with what a rounding of the inputs moves its result by; nothing changes where that is nothing.

    A result below the smallest normal number of its range is rounded as that is.
    """
    if not moved:
        return found
    distance = found.distance
    if smallest:
        moved = math.hypot(moved, float(found.result.reference.abs().clamp_min(smallest).norm()))
    if distance.size:
        return replace(found, scale=max(1.0, moved / distance.size), along=along)
    if not math.isinf(distance.error):
        return found
    size = float(found.result.candidate.detach().cpu().double().norm())  # exactly zero in float64
    return replace(found, distance=replace(distance, error=size / moved))


def _part(part: Part, operation: Operation, result: Result) -> Part:
    by_kind = {Kind.RANDOM: Part.RANDOM, Kind.MOVE: Part.TRANSFER, Kind.VIEW: Part.TRANSFER}
    return by_kind.get(operation.kind, Part.BUFFERS if result.is_buffer else part)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _operand_bits(args: Any) -> int:
    floating = [mantissa_bits(_name(t.dtype)) for t in tensors_of(args) if t.is_floating_point()]
    return min(floating, default=23)
