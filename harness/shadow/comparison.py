"""A call's results beside those of the same call on the host."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from harness.rules.rounding import least_stored, rounding, smallest_normal, unit_roundoff
from harness.shadow.call import Arguments, Call, dtype_name
from harness.shadow.conditioning import measure_scale
from harness.shadow.counterparts import compute_on_host
from harness.shadow.host import as_is, in_double, map_tensors
from harness.shadow.measure import Distance, measure, measure_bits, participation
from harness.shadow.results import Result, results_of
from harness.shadow.sample import thinned
from harness.shadow.stored import coarseness
from harness.shadow.terms import count_terms, operands_of

__all__ = ["Found", "change_arguments", "compare_bits", "compare_in_double", "host_inputs"]

_SUSPICIOUS = 2.0
"""How often the expected rounding an error is before the operation's conditioning is measured."""


@dataclass(frozen=True, slots=True)
class Found:
    """A result's distance from the host's, how far a rounding of the inputs moves it, and how coarsely it is stored.

    Args:
        result: the two results.
        distance: how far one is from the other.
        scale: as a check has it.
        along: likewise.
        stored: mantissa bits that it is stored with, where those are fewer than float64's result and the tier ask for.
    """

    result: Result
    distance: Distance
    scale: float = 1.0
    along: float = 0.0
    stored: int | None = None


def host_inputs(call: Call) -> Arguments:
    """The arguments on the host in float64, as they are now; of an update a sample of each tensor."""
    thin = _thinner(call)
    return change_arguments(lambda value: in_double(map_tensors(value, thin)), call.given)


def compare_in_double(call: Call, returned: Any, tier: str, seed: int) -> tuple[str, list[Found]]:
    """Why a call can't be compared, or each of its results beside float64's.

    Args:
        call: with its inputs from before it was made.
        returned: what the device made of it.
        tier: precision tier, a key of ``SHADOW_TIERS``: what is called suspicious depends on it.
        seed: of the draws that conditioning is measured by.
    """
    before = call.before or ((), {})
    host = change_arguments(as_is, before) if call.operation.written else before
    expected, reason = compute_on_host(call.op, call.operation, *host)
    if reason:
        return reason, []
    results = results_of(call.operation, (returned, expected), (call.args, host[0]), (call.given[1], host[1]))
    found = [_found(call, result, tier) for result in results if not result.name.startswith("indices")]
    found = _shared_out(found, call.name, before[0])
    if any(_is_suspicious(call, entry, tier) for entry in found):
        found = _conditioned(call, before, found, tier, seed)
    return "", found


def compare_bits(call: Call, returned: Any) -> tuple[str, list[Found]]:
    """Why a call that moves data can't be compared, or each of its results beside the host's, bit for bit."""
    host = call.before or ((), {})
    expected, reason = compute_on_host(call.op, call.operation, *host)
    if reason:
        return reason, []
    results = results_of(call.operation, (returned, expected), (call.args, host[0]), (call.given[1], host[1]))
    return "", [Found(r, measure_bits(r.candidate.detach().cpu(), r.reference)) for r in results]


def change_arguments(change: Callable[[Any], Any], arguments: Arguments) -> Arguments:
    """Every argument changed."""
    args, kwargs = arguments
    return [change(value) for value in args], {name: change(value) for name, value in kwargs.items()}


def _thinner(call: Call) -> Callable[[torch.Tensor], torch.Tensor]:
    return thinned if call.is_update else lambda tensor: tensor


def _found(call: Call, result: Result, tier: str) -> Found:
    made, due = _thinner(call)(result.candidate.detach()).cpu(), result.reference
    if not due.is_floating_point():
        return Found(result, measure_bits(made, due))
    return Found(result, measure(made, due), stored=_too_coarse(call, result, coarseness(made, due), tier))


def _too_coarse(call: Call, result: Result, stored: int | None, tier: str) -> int | None:
    """The bits that a result is stored with, where they are too few if nothing cancels."""
    if stored is None:
        return None
    terms = count_terms(call.name, call.args, result.candidate, result.place)
    dtype = dtype_name(result.candidate.dtype)
    return stored if stored < least_stored(call.name, dtype, call.operand_bits, terms, tier) else None


def _shared_out(found: list[Found], name: str, args: Sequence[Any]) -> list[Found]:
    """A product's roundings are its operands' as well: a small operand's don't average out over a large result."""
    counts = [participation(operand) for operand in operands_of(name, args)]
    if not counts:
        return found
    if name == "convolution_backward":
        gradient, x, weight = counts
        taking_part = {0: (gradient, weight), 1: (gradient, x), 2: ()}
    else:
        taking_part = {0: tuple(counts)}
    spreads = [[entry.distance.spread, *taking_part.get(entry.result.place, ())] for entry in found]
    return [
        replace(entry, distance=replace(entry.distance, spread=max(1.0, 1 / sum(1 / count for count in spread))))
        for entry, spread in zip(found, spreads, strict=True)
    ]


def _is_suspicious(call: Call, found: Found, tier: str) -> bool:
    distance, made = found.distance, found.result.candidate
    if found.stored is not None:
        return True
    if not distance.error or not found.result.reference.is_floating_point():
        return False
    terms = count_terms(call.name, call.args, made, found.result.place)
    base = rounding(call.name, dtype_name(made.dtype), call.operand_bits, terms, tier)
    noise = base / math.sqrt(distance.spread) + unit_roundoff(23)
    return distance.error > _SUSPICIOUS * base or abs(distance.projection) > _SUSPICIOUS * noise


def _conditioned(call: Call, before: Arguments, found: list[Found], tier: str, seed: int) -> list[Found]:
    """The same findings with their scales measured."""
    floating = [entry.result for entry in found if entry.result.reference.is_floating_point()]
    keys = [(result.name, result.place) for result in floating]

    def run(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        expected, _ = compute_on_host(call.op, call.operation, args, kwargs)
        again = results_of(call.operation, (expected, expected), (args, args), (kwargs, kwargs))
        known = {(result.name, result.place): result.reference for result in again}
        return [known[key] for key in keys]

    smallest = smallest_normal(call.name, dtype_name(floating[0].candidate.dtype), tier)
    references = [result.reference for result in floating]
    try:
        moved = measure_scale(run, *before, references, zlib.crc32(call.name.encode()) + seed, smallest)
    except (RuntimeError, ValueError, KeyError):  # a result whose shape hangs on values
        return found
    scales = dict(zip(keys, moved, strict=True))
    return [
        _rescaled(entry, *scales.get((entry.result.name, entry.result.place), (0.0, 0.0)), smallest) for entry in found
    ]


def _rescaled(found: Found, moved: float, along: float, smallest: float) -> Found:
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
