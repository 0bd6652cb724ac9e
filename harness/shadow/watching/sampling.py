"""Which calls of a step are checked where all of them would be too many: each distinct one, and a sample of repeats.

Calls are distinct by operation, shapes, dtypes, strides and plain arguments; the first of each is always checked. A
step may bring ``STEPS_WORTH`` times the budget of one operation to the host. Where all its calls so far would bring
more, a further call of a known kind is checked with the chance limit / (what they would bring): the end of a step is
sampled like its middle, though its length isn't known before, and repeats of a step of T times the limit bring at
most about 1 + ln T times the limit. The draw depends on the iteration and the number of the call alone: the same in
each run of the same program, another one in each shadowed step.
"""

from __future__ import annotations

import zlib
from typing import Any

import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Kind
from harness.shadow.arithmetic.sample import LARGEST_SAMPLE
from harness.shadow.arithmetic.term_counts import host_bytes

__all__ = ["STEPS_WORTH", "StepSample", "cost_of", "size_words"]

STEPS_WORTH = 100
"""Whole steps of the small cases brought 11 GiB at most when they were as wide as the field's models, whose crops have
up to 64 times the pixels."""


class StepSample:
    """Draws the calls of one step that are checked.

    Args:
        budget: bytes of host memory that one operation may take.
        iteration: number of the step.
    """

    def __init__(self, budget: int, iteration: int) -> None:
        self._limit = STEPS_WORTH * budget
        self._iteration = iteration
        self._met = 0
        self._known: set[Any] = set()

    @property
    def why_not(self) -> str:
        """What is said of a call that isn't drawn."""
        limit = size_words(self._limit)
        return (
            f"the step takes more than {limit} of host memory: of calls that repeat an earlier one a sample is checked"
        )

    def draws(self, call: Call, number: int, cost: int) -> bool:
        """Whether a call is checked.

        Args:
            call: as it is given.
            number: of the call within the step.
            cost: what it takes, ``cost_of`` it.
        """
        key = _key(call)
        known = key in self._known
        self._known.add(key)
        self._met += cost
        return not known or self._chance(number, call.name) * self._met < self._limit

    def _chance(self, number: int, name: str) -> float:
        """Of a call, uniform in [0, 1)."""
        # Of the call alone, not of a generator: who repeats a run has the same calls checked.
        return zlib.crc32(f"{self._iteration} {number} {name}".encode()) / 2**32


def cost_of(call: Call) -> int:
    """About how many bytes of the host's memory it takes to check a call.

    Of an update a sample of each tensor is computed with; what moves is kept as it is, beside its copy and its twin.
    """
    tensors = list(tensors_of(list(call.args)))
    if call.is_update:
        return 24 * sum(min(tensor.numel(), LARGEST_SAMPLE) for tensor in tensors)
    if call.operation.kind in {Kind.MOVE, Kind.VIEW}:
        return 3 * sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return host_bytes(call.name, call.args)


def size_words(size: float) -> str:
    """Bytes for a person."""
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"


def _key(call: Call) -> Any:
    """What is alike of calls that repeat one another."""
    args, kwargs = call.given
    return call.op, _layout(args), *((name, _layout(value)) for name, value in kwargs.items())


def _layout(value: Any) -> Any:
    """An argument without the values of its tensors, to be told by."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    return tuple(map(_layout, value)) if isinstance(value, (list, tuple)) else value
