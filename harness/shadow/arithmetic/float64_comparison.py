"""A call's results beside those of the same call on the host."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.shadow.arithmetic.call import Arguments, Call, dtype_name
from harness.shadow.arithmetic.conditioning import measure_scale
from harness.shadow.arithmetic.counterparts import as_compared, compute_on_host, with_weight_due
from harness.shadow.arithmetic.healthy_kernel import Compute, HealthyKernel, rounded_to
from harness.shadow.arithmetic.host import are_finite, as_is, in_double, map_tensors
from harness.shadow.arithmetic.measure import (
    measure,
    measure_bits,
    measure_where_finite,
    participation,
    smallest_normal_of,
)
from harness.shadow.arithmetic.results import Compared, results_of
from harness.shadow.arithmetic.sample import thinned
from harness.shadow.arithmetic.stored import coarseness, shows_format
from harness.shadow.arithmetic.term_counts import count_terms, operands_of
from harness.shadow.judging.error_model import kept_bits, least_stored, rounding, smallest_normal
from harness.shadow.judging.operations import allow_rounding

__all__ = ["change_arguments", "compare_bits", "compare_in_double", "host_inputs"]


def host_inputs(call: Call) -> Arguments:
    """The arguments on the host in float64, as they are now; of an update a sample of each tensor."""
    thin = _thinner(call)
    args, kwargs = change_arguments(lambda value: in_double(map_tensors(value, thin)), call.given)
    due = with_weight_due(call.operation, args, call.args)
    return as_compared(call.operation, due, call.args), kwargs


def compare_in_double(
    call: Call, returned: Any, tier: str, seed: int, *, flushes: bool = True
) -> tuple[str, list[Compared]]:
    """Why a call can't be compared, or each of its results beside float64's.

    Args:
        call: with its inputs from before it was made.
        returned: what the device made of it.
        tier: precision tier, a key of ``SHADOW_TIERS``: what is called suspicious depends on it.
        seed: of the draws that conditioning is measured by.
        flushes: whether the device may take what is below the smallest normal number for zero.
    """
    before = call.before or ((), {})
    host = change_arguments(as_is, before) if call.operation.written else before
    expected, reason = compute_on_host(call.op, call.operation, *host)
    if reason:
        return reason, []
    results = results_of(call.operation, (returned, expected), (call.args, host[0]), (call.given[1], host[1]))
    found = [_found(call, result, tier, flushes) for result in results if not result.name.startswith("indices")]
    if any(entry.stored is not None for entry in found):
        found = _by_format(call, before, found, tier)
    found = _shared_out(found, call.name, before[0])
    if any(_is_suspicious(call, entry, tier) for entry in found):
        found = _conditioned(call, before, found, tier, seed)
    return "", found


def compare_bits(call: Call, returned: Any) -> tuple[str, list[Compared]]:
    """Why a call that moves data can't be compared, or each of its results beside the host's, bit for bit."""
    host = call.before or ((), {})
    expected, reason = compute_on_host(call.op, call.operation, *host)
    if reason:
        return reason, []
    results = results_of(call.operation, (returned, expected), (call.args, host[0]), (call.given[1], host[1]))
    return "", [replace(r, distance=measure_bits(r.candidate.detach().cpu(), r.reference)) for r in results]


def change_arguments(change: Callable[[Any], Any], arguments: Arguments) -> Arguments:
    """Every argument changed."""
    args, kwargs = arguments
    return [change(value) for value in args], {name: change(value) for name, value in kwargs.items()}


def _thinner(call: Call) -> Callable[[torch.Tensor], torch.Tensor]:
    return thinned if call.is_update else lambda tensor: tensor


def _found(call: Call, result: Compared, tier: str, flushes: bool) -> Compared:
    made, due = _thinner(call)(result.candidate.detach()).cpu(), result.reference
    if not _is_number(due):
        return replace(result, distance=measure_bits(made, due))
    flushed = smallest_normal_of(made.dtype) if flushes else 0.0
    stored = _too_coarse(call, result, coarseness(made, due), tier)
    distance = measure(made, due, flushed)
    if math.isinf(distance.error) and _mixes(call) and not are_finite(call.before):
        distance = measure_where_finite(made, due, flushed)
    return replace(result, distance=distance, stored=stored)


def _mixes(call: Call) -> bool:
    """Whether an element of the result is made of several elements of what went in."""
    return torch.Tag.pointwise not in call.op.tags and not call.is_update


def _is_number(tensor: torch.Tensor) -> bool:
    """Whether it is rounded: floating or complex, where integers and truths are exact."""
    return tensor.is_floating_point() or tensor.is_complex()


def _too_coarse(call: Call, result: Compared, stored: int | None, tier: str) -> int | None:
    """The bits that a result is stored with, where they are too few if nothing cancels."""
    if stored is None:
        return None
    terms = count_terms(call.name, call.args, result.candidate, result.place)
    dtype = dtype_name(result.candidate.dtype)
    return stored if stored < least_stored(call.name, dtype, call.operand_bits, terms, tier) else None


def _by_format(call: Call, before: Arguments, found: list[Compared], tier: str) -> list[Compared]:
    """The same findings, without the formats that a healthy kernel's result has too.

    It has where its values are that near to numbers of few bits. And an operand that the tier rounds may have few bits
    then, and so may the result: weights that have just left a whole number are whole again at TF32, and their products
    with whole numbers as well.
    """
    of_rounded = _of_rounded_operands(call, before, found, tier)

    def is_shown(entry: Compared) -> bool:
        if entry.stored is None:
            return False
        made = _thinner(call)(entry.candidate.detach()).cpu()
        rounded = of_rounded.get((entry.name, entry.place))
        due = [entry.reference, *([rounded] if rounded is not None else [])]
        return all(coarseness(made, each) is not None and shows_format(made, each, entry.stored) for each in due)

    return [entry if is_shown(entry) else replace(entry, stored=None) for entry in found]


def _of_rounded_operands(
    call: Call, before: Arguments, found: list[Compared], tier: str
) -> dict[tuple[str, int], torch.Tensor]:
    """Float64's results by name and place, of the operands as the tier rounds them; none where it rounds none."""
    bits = kept_bits(call.name, tier)
    if bits >= call.operand_bits:
        return {}
    smallest = smallest_normal(call.name, dtype_name(found[0].candidate.dtype), tier)
    args, kwargs = change_arguments(
        lambda value: map_tensors(value, lambda tensor: rounded_to(tensor, bits, smallest=smallest)), before
    )
    expected, reason = compute_on_host(call.op, call.operation, args, kwargs)
    if reason:
        return {}
    results = results_of(call.operation, (expected, expected), (args, args), (kwargs, kwargs))
    return {(result.name, result.place): result.reference for result in results}


def _shared_out(found: list[Compared], name: str, args: Sequence[Any]) -> list[Compared]:
    """A product's roundings are its operands' as well: a small operand's don't average out over a large result."""
    counts = [participation(operand) for operand in operands_of(name, args)]
    if not counts:
        return found
    if name == "convolution_backward":
        gradient, x, weight = counts
        taking_part = {0: (gradient, weight), 1: (gradient, x), 2: ()}
    else:
        taking_part = {0: tuple(counts)}
    spreads = [[entry.distance.spread, *taking_part.get(entry.place, ())] for entry in found]
    return [
        replace(entry, distance=replace(entry.distance, spread=max(1.0, 1 / sum(1 / count for count in spread))))
        for entry, spread in zip(found, spreads, strict=True)
    ]


def _is_suspicious(call: Call, found: Compared, tier: str) -> bool:
    """Whether a result is past what the model alone allows, before the operation's conditioning is measured."""
    distance, made = found.distance, found.candidate
    if found.stored is not None:
        return True
    if not distance.error or not _is_number(found.reference):
        return False
    terms = count_terms(call.name, call.args, made, found.place)
    allowed = allow_rounding(call.name, dtype_name(made.dtype), call.operand_bits, terms, distance.spread, tier=tier)
    return not (distance.error <= allowed.error and abs(distance.projection) <= allowed.projection)


def _conditioned(call: Call, before: Arguments, found: list[Compared], tier: str, seed: int) -> list[Compared]:
    """The same findings with their scales measured."""
    rounded = [entry for entry in found if _is_number(entry.reference)]
    floating = rounded
    keys = [(result.name, result.place) for result in floating]

    def run(args: Sequence[Any], kwargs: Mapping[str, Any], compute: Compute | None = None) -> list[torch.Tensor]:
        expected = compute(*args, **kwargs) if compute else compute_on_host(call.op, call.operation, args, kwargs)[0]
        again = results_of(call.operation, (expected, expected), (args, args), (kwargs, kwargs))
        known = {(result.name, result.place): result.reference for result in again}
        return [known[key] for key in keys]

    smallest = smallest_normal(call.name, dtype_name(floating[0].candidate.dtype), tier)
    references = [result.reference for result in floating]
    seed += zlib.crc32(call.name.encode())
    try:
        moved = measure_scale(run, *before, references, seed, smallest)
        dtypes = [result.candidate.dtype for result in floating]
        healthy = HealthyKernel(call, tier, smallest).measure(run, before, references, dtypes, seed)
    except (RuntimeError, ValueError, KeyError):  # a result whose shape depends on values
        return found
    scales = dict(zip(keys, zip(moved, healthy, strict=True), strict=True))
    return [
        _rescaled(call, entry, *scales[entry.name, entry.place], smallest, tier)
        if (entry.name, entry.place) in scales
        else entry
        for entry in found
    ]


def _rescaled(
    call: Call, found: Compared, moved: tuple[float, float], healthy: tuple[float, float], smallest: float, tier: str
) -> Compared:
    """A finding with what roundings move its result by; nothing changes where that is nothing.

    A result below the smallest normal number of its range is rounded as that is.

    Args:
        call: that the result is of.
        found: the result.
        moved: by how much a rounding of the inputs moves its norm, and its projection, over the rounding.
        healthy: error and projection of a healthy kernel's; the error absolute where the result is zero.
        smallest: the smallest normal number of the range.
        tier: precision tier.
    """
    made, distance = found.candidate, found.distance
    terms = count_terms(call.name, call.args, made, found.place)
    base = rounding(call.name, dtype_name(made.dtype), call.operand_bits, terms, tier)
    norm, along = max(moved[0], healthy[0] * (distance.size or 1.0) / base), max(moved[1], healthy[1] / base)
    if not norm:
        return found
    if smallest:
        norm = math.hypot(norm, float(found.reference.nan_to_num(0, 0, 0).abs().clamp_min(smallest).norm()))
    if distance.size:
        return replace(found, scale=max(1.0, norm / distance.size), along=along)
    if not math.isinf(distance.error):
        return found
    size = float(made.detach().cpu().to(found.reference.dtype).norm())  # exactly zero in float64
    return replace(found, distance=replace(distance, error=size / norm))
