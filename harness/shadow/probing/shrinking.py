"""A wrong call made smaller while it is wrong: fewer and shorter axes, plain values, plain options and layouts.

What is kept is the failure alone: the same result of the same operation is off by more than a healthy kernel's. The
host's own kernel in the call's format has to be right on it, so that nothing is shrunk to where the bound is wrong.
What sets the call apart is kept by itself: without it the call would not be wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from harness.shadow.probing.delta_debugging import minimize
from harness.shadow.probing.lone_call import Answer, Asking, LoneCall
from harness.shadow.probing.sizes import REFUSALS, axes_of, laid_like, repaired, resized

__all__ = ["Shrunk", "shrink"]

_PLAIN: Mapping[str, int] = {"stride": 1, "dilation": 1, "padding": 0, "kernel_size": 1}


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A call that was made smaller.

    Args:
        call: that is still wrong.
        answer: what the device makes of it.
        before: elements of the call's tensors before.
        sizes_before: their shapes, for a person.
        asked: how often the device was asked.
        seconds: that it took.
        whole: whether nothing more could be left out; else the time was over.
    """

    call: LoneCall
    answer: Answer
    before: int
    sizes_before: str
    asked: int
    seconds: float
    whole: bool


def shrink(call: LoneCall, result: str, asking: Asking, seconds: float) -> Shrunk | None:
    """Make a wrong call smaller; None where it isn't wrong when it is called alone.

    Args:
        call: that was wrong.
        result: which of its results was, by the name of its answer.
        asking: asks the device.
        seconds: that it may take.
    """
    shrinking = _Shrinking(result, asking, time.monotonic() + seconds)
    began, before, asked, sizes = time.monotonic(), call.elements, asking.asked, call.sizes()
    if not shrinking.is_wrong(call, late=True):
        return None
    while not shrinking.is_over():
        smaller = call
        for step in (_shorter, _plainer, _rounder):
            smaller = step(smaller, shrinking)
        if smaller is call:
            break
        call = smaller
    answer = shrinking.answer
    if answer is None:
        raise AssertionError("a call that is wrong has an answer")
    took = time.monotonic() - began
    return Shrunk(call, answer, before, sizes, asking.asked - asked, took, not shrinking.is_over())


class _Shrinking:
    """Says whether a call is wrong, until the time is over.

    Args:
        result: which result is looked at.
        asking: asks the device.
        deadline: when to end, as ``time.monotonic`` has it.

    Attributes:
        answer: to the last call that was wrong.
    """

    def __init__(self, result: str, asking: Asking, deadline: float) -> None:
        self._result, self._asking, self._deadline = result, asking, deadline
        self._host = asking.on_host()
        self.answer: Answer | None = None

    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._deadline

    def is_wrong(self, call: LoneCall, *, late: bool = False) -> bool:
        """Whether the device makes something wrong of a call, and the host doesn't; none is once the time is over."""
        if self.is_over() and not late:
            return False
        answer = self._asking.ask(call).get(self._result)
        if answer is None or not answer.wrong:
            return False
        host = self._host.ask(call).get(self._result)
        if host is not None and host.wrong:
            return False
        self.answer = answer
        return True

    def tries(self, make: Callable[[], LoneCall]) -> LoneCall | None:
        """The call where it can be made and is wrong."""
        try:
            call = make()
        except REFUSALS:
            return None
        return call if self.is_wrong(call) else None


def _shorter(call: LoneCall, shrinking: _Shrinking) -> LoneCall:
    """Each axis, the longest first, cut to the places along it that make the call wrong."""
    _, sizes = axes_of(call)
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        lengths = axes_of(call)[1]
        if lengths.get(name, 1) < 2:
            continue
        best = {"call": call}

        def fails(
            places: Sequence[int], name: str = name, call: LoneCall = call, best: dict[str, LoneCall] = best
        ) -> bool:
            smaller = shrinking.tries(partial(resized, call, axes_of(call)[0], {name: places}))
            if smaller is not None:
                best["call"] = smaller
            return smaller is not None

        minimize(range(lengths[name]), fails, is_over=shrinking.is_over)
        call = best["call"]
    return call


def _plainer(call: LoneCall, shrinking: _Shrinking) -> LoneCall:
    """Options at their plainest, contiguous tensors, operands left out."""
    for name, value in call.arguments.items():
        changes: list[object] = []
        if name in _PLAIN and isinstance(value, (list, tuple)) and value:
            changes = [[_PLAIN[name]] * len(value)] if any(each != _PLAIN[name] for each in value) else []
        elif isinstance(value, torch.Tensor) and not value.is_contiguous():
            changes = [value.contiguous()]
        elif isinstance(value, torch.Tensor) and value.storage_offset():
            changes = [value.clone()]
        if isinstance(value, torch.Tensor) and _may_lack(call, name):
            changes = [None, *changes]
        for change in changes:
            plainer = shrinking.tries(partial(_changed, call, name, change))
            if plainer is not None:
                call = plainer
                break
    return call


def _rounder(call: LoneCall, shrinking: _Shrinking) -> LoneCall:
    """Floating tensors of ones, else of small whole numbers, else of few digits."""
    for name, value in call.arguments.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not value.numel():
            continue
        for change in (_ones, _counted, _whole, _tenths):
            other = change(value)
            if torch.equal(other, value):
                break
            rounder = shrinking.tries(partial(_changed, call, name, other))
            if rounder is not None:
                call = rounder
                break
    return call


def _changed(call: LoneCall, name: str, value: object) -> LoneCall:
    return repaired(call.changed(**{name: value}))


def _may_lack(call: LoneCall, name: str) -> bool:
    """Whether an operand may be left out by itself: of a norm some are missing together, or its kernel crashes."""
    return name == "bias" and any(a.name == name and "Optional" in str(a.type) for a in call.op._schema.arguments)


def _ones(tensor: torch.Tensor) -> torch.Tensor:
    return laid_like(torch.ones(tensor.shape, dtype=tensor.dtype), tensor)


def _counted(tensor: torch.Tensor) -> torch.Tensor:
    """1, 2, 3, 1, 2 …, in the order of the elements."""
    count = torch.arange(tensor.numel()) % 3 + 1
    return laid_like(count.to(tensor.dtype).view(tensor.shape), tensor)


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """From −9 to 9, in proportion."""
    largest = float(tensor.abs().max())
    return (tensor * (9 / largest)).round() if 0 < largest < float("inf") else tensor


def _tenths(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor * 8).round() / 8
