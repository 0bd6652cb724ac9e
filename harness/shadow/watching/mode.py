"""The dispatch mode that computes each operation of a step again, and writes down how far the device is from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from harness.shadow.arithmetic.call import Call, dtype_name
from harness.shadow.arithmetic.float64_comparison import (
    change_arguments,
    compare_bits,
    compare_in_double,
    host_inputs,
)
from harness.shadow.arithmetic.host import as_is, tensors_of
from harness.shadow.arithmetic.kinds import Kind, read_operation, without_place
from harness.shadow.arithmetic.randomness import Draw
from harness.shadow.arithmetic.results import Compared
from harness.shadow.arithmetic.term_counts import count_terms
from harness.shadow.compiled.compiled_region import CompiledRegion, RegionResult
from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.evidence.unchecked import Unchecked, reasons_of
from harness.shadow.judging.error_model import unit_roundoff
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.cutting import Piece, cut_call
from harness.shadow.watching.fallback import falls_back
from harness.shadow.watching.sampling import StepSample, cost_of, size_words
from harness.shadow.watching.signing import sign_call
from harness.training.unseen_code import left_as_it_is

__all__ = ["Offered", "ShadowOps"]


class Offered(Protocol):
    """Is offered each call that was checked."""

    def offer(self, check: ShadowCheck, result: Compared, call: Call) -> None:
        """Keep it, or don't."""


class ShadowOps(TorchDispatchMode):
    """Enter it around one training step.

    Each operation runs on the device as it would have, and again on the host, from the inputs that the device had: in
    float64 where it computes, bit for bit where it moves. What the step computes is not changed, and a mode that was
    entered before sees the device's call alone.

    Args:
        call_sites: tells the module of a call.
        iteration: number of the step.
        tier: precision tier, a key of ``SHADOW_TIERS``: what is called suspicious depends on it.
        wanted: whether to check an operation, by its name; one that isn't is counted as not checked.
        budget: bytes of host memory that computing one operation again may take; one that needs more is checked on
            slices, or not. Of a step that takes a hundred times as much a sample of calls is checked.
        reproductions: is offered each call that was checked; none is kept without it.
        flushes: whether the device may take what is below the smallest normal number for zero.
        on_check: called with how many operations have been called so far, before each is checked and within those that
            take long.

    Attributes:
        checks: what was found, in the order of the calls.
        calls: operation → how often it was called.
        checked: operation → how many of its calls were checked.
        unchecked: the calls that weren't, or not whole, and why; without those of operations that weren't chosen.
        fallen_back: operations that the device left to its host.
        signatures: number of a call that was checked → what it was given.
    """

    def __init__(
        self,
        call_sites: CallSites,
        iteration: int,
        tier: str,
        wanted: Callable[[str], bool] = lambda name: True,
        budget: int = 8 * 2**30,
        reproductions: Offered | None = None,
        *,
        flushes: bool = True,
        on_check: Callable[[int], None] = lambda number: None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._call_sites = call_sites
        self._iteration = iteration
        self._tier = tier
        self._wanted = wanted
        self._budget = budget
        self._reproductions = reproductions
        self._flushes = flushes
        self._on_check = on_check
        self._views: set[tuple[Any, ...]] = set()
        self.checks: list[ShadowCheck] = []
        self.calls: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.unchecked: list[Unchecked] = []
        self._not_chosen: set[str] = set()
        self._sample = StepSample(budget, iteration)
        self.fallen_back: set[str] = set()
        self.signatures: dict[int, CallSignature] = {}
        # PyTorch 2.9 compiles also what a mode does, where the program compiles, and fails at it. The function, and not
        # the method of this object, which would hold itself.
        self._run_as_it_is = left_as_it_is(type(self)._run)

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the call, and check what came of it."""
        return self._run_as_it_is(self, op, args, kwargs or {})

    def _run(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation = read_operation(op)
        place = self._call_sites.here()
        if operation.kind is Kind.NOTHING:
            return op(*args, **kwargs)
        number = self.calls.total()
        self.calls[operation.name] += 1
        if falls_back(op, args):
            self.fallen_back.add(operation.name)
        if not self._wanted(operation.name):
            self._not_chosen.add(operation.name)
            return op(*args, **kwargs)
        self._on_check(number)
        if not _are_dense([args, kwargs]):
            self.unchecked.append(Unchecked(self._iteration, number, operation.name, place[1], _SPARSE))
            return op(*args, **kwargs)
        call = Call(op, operation, (args, kwargs))
        if operation.kind is Kind.VIEW and cost_of(call) <= self._budget and self._known_view(op, args, kwargs):
            self.checked[operation.name] += 1
            return op(*args, **kwargs)
        pieces, reason = self._pieces(call, number)
        if pieces is None:
            returned, reason, made = self._whole(call)
        else:
            returned, made = self._in_pieces(call, pieces)
        if reason:
            self.unchecked.append(Unchecked(self._iteration, number, operation.name, place[1], reason))
        else:
            self.checked[operation.name] += 1
        if any(found for _, found in made):
            self.signatures[number] = sign_call(call)
        for part, found in made:
            self._write_down(place, part, number, call.contiguous, found)
        return returned

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Whether torch.compile compiles frames that this mode watches: what is compiled is judged graph by graph."""
        return True

    def take_region(self, region: CompiledRegion, inputs: list[Any]) -> Any:
        """Run a compiled graph as one operation, and check what came of it."""
        place, number = self._call_sites.here(), self.calls.total()
        self.calls[region.name] += 1
        with _disable_current_modes():
            returned, reason, found = region.run(
                inputs, self._tier, self._iteration, on_run=lambda: self._on_check(number)
            )
        if reason:
            self.unchecked.append(Unchecked(self._iteration, number, region.name, place[1], reason))
        else:
            self.checked[region.name] += 1
        part = Part.BACKWARD if region.name.endswith("backward") else Part.FORWARD
        self.checks += [self._of_region(region, part, number, entry) for entry in found]
        return returned

    def _of_region(self, region: CompiledRegion, part: Part, number: int, found: RegionResult) -> ShadowCheck:
        return ShadowCheck(
            iteration=self._iteration,
            part=part,
            module=found.module,
            op=region.name,
            tensor=found.tensor,
            call=number,
            dtype=dtype_name(found.candidate.dtype),
            shape=tuple(found.candidate.shape),
            contiguous=True,
            error=found.distance.error,
            projection=found.distance.projection,
            scale=found.scale,
            along=found.along,
            spread=found.distance.spread,
        )

    @property
    def skipped(self) -> dict[str, str]:
        """Operation → why a call of it wasn't checked."""
        return dict.fromkeys(self._not_chosen, "not among the chosen operations") | reasons_of(self.unchecked)

    def leave_out(self, op: str, module: str, reason: str) -> None:
        """Count a call that couldn't be made, and say why: it is not checked."""
        self.unchecked.append(Unchecked(self._iteration, self.calls.total(), op, module, reason))
        self.calls[op] += 1

    def _pieces(self, call: Call, number: int) -> tuple[list[Piece] | None, str]:
        """The pieces that a call is checked in and why it isn't checked whole; None where it is."""
        needed = cost_of(call)
        if needed > self._budget:
            pieces = cut_call(call, self._budget, self._iteration)
            said = f"takes {size_words(needed)} of host memory, the budget is {size_words(self._budget)}"
            in_part = ", ".join(piece.words for piece in pieces)
            return pieces, f"{said}: checked on {in_part} slices" if pieces else said
        if call.operation.kind is not Kind.VIEW and not self._sample.draws(call, number, needed):
            return [], self._sample.why_not
        return None, ""

    def _whole(self, call: Call) -> tuple[Any, str, list[tuple[Call, list[Compared]]]]:
        """What the device makes of a call, why it can't be compared, and what was found of its results."""
        args, kwargs = call.given
        if call.operation.kind is Kind.RANDOM:
            draw = Draw(call.op, call.operation, args, kwargs)
            call = replace(call, state=draw.state)
            returned = draw.run()
            reason, drawn = draw.check(returned)
            return returned, reason, [(call, drawn)]
        # Before the call, which may overwrite its inputs; without the mode, or the host's copies would be checked too.
        with _disable_current_modes():
            call = self._prepared(call)
        returned = call.op(*args, **kwargs)
        if not _are_dense(returned):
            return returned, _SPARSE, []
        with _disable_current_modes():
            reason, found = self._compare(call, returned)
        return returned, reason, [(call, self._worst(found) if call.is_update else found)]

    def _in_pieces(self, call: Call, pieces: list[Piece]) -> tuple[Any, list[tuple[Call, list[Compared]]]]:
        """The same of some slices of a call."""
        with _disable_current_modes():
            prepared = [(piece, self._prepared(piece.call)) for piece in pieces]
        returned = call.op(*call.args, **call.given[1])
        with _disable_current_modes():
            return returned, [(part, self._compare(part, piece.of(returned))[1]) for piece, part in prepared]

    def _prepared(self, call: Call) -> Call:
        """The call with its inputs on the host."""
        if call.operation.kind is Kind.COMPUTE:
            return replace(call, before=host_inputs(call))
        return replace(call, before=change_arguments(as_is, (call.args, without_place(dict(call.given[1])))))

    def _compare(self, call: Call, returned: Any) -> tuple[str, list[Compared]]:
        if call.operation.kind is Kind.COMPUTE:
            return compare_in_double(call, returned, self._tier, self._iteration, flushes=self._flushes)
        return compare_bits(call, returned)

    def _write_down(
        self, place: tuple[Part, str], call: Call, number: int, contiguous: bool, found: list[Compared]
    ) -> None:
        made = [(self._check(place, call, number, contiguous, entry), entry) for entry in found]
        made += [(_of_format(check, entry.stored), entry) for check, entry in made if entry.stored is not None]
        self.checks += [check for check, _ in made]
        if self._reproductions is not None:
            with _disable_current_modes():
                for check, entry in made:
                    self._reproductions.offer(check, entry, call)

    def _worst(self, found: list[Compared]) -> list[Compared]:
        """Of the many tensors that one call updates: those that are known by name, and the worst of the others."""
        named = [entry for entry in found if self._owner(entry)]
        others = [entry for entry in found if not self._owner(entry)]
        return named + ([max(others, key=lambda entry: entry.distance.error)] if others else [])

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

    def _owner(self, result: Compared) -> str:
        return self._call_sites.parameter(result.original) if result.original is not None else ""

    def _check(
        self, place: tuple[Part, str], call: Call, number: int, contiguous: bool, result: Compared
    ) -> ShadowCheck:
        distance = result.distance
        module, _, leaf = self._owner(result).rpartition(".")
        return ShadowCheck(
            iteration=self._iteration,
            part=_part(place[0], call, result),
            module=place[1] or module,
            op=call.name,
            tensor=leaf or result.name,
            call=number,
            dtype=dtype_name(result.candidate.dtype),
            shape=tuple(result.candidate.shape),
            contiguous=contiguous,
            error=distance.error,
            projection=distance.projection,
            scale=result.scale,
            along=result.along,
            terms=count_terms(call.name, call.args, result.candidate, result.place),
            spread=distance.spread,
            operand=call.operand_bits,
        )


_SPARSE = "a tensor of it is sparse, or has no memory"


def _are_dense(value: Any) -> bool:
    """Whether each tensor has its elements in memory; of forward differentiation some are nothing but zeros."""
    return all(
        tensor.layout is torch.strided and tensor.device.type != "meta" and not tensor._is_zerotensor()
        for tensor in tensors_of(value)
    )


def _of_format(check: ShadowCheck, bits: int) -> ShadowCheck:
    """The check of the format that a result was stored in, beside that of its numbers."""
    named = f"format of {check.tensor}"
    return replace(check, part=Part.PRECISION, tensor=named, error=unit_roundoff(bits), projection=0.0)


def _part(part: Part, call: Call, result: Compared) -> Part:
    by_kind = {Kind.RANDOM: Part.RANDOM, Kind.MOVE: Part.TRANSFER, Kind.VIEW: Part.TRANSFER}
    return by_kind.get(call.operation.kind, Part.BUFFERS if result.is_buffer else part)
