"""Random operations: checked by distribution, and by stream: the same state of the generator draws the same again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.kinds import Operation
from harness.shadow.arithmetic.measure import Distance, measure_bits
from harness.shadow.arithmetic.results import Compared

__all__ = ["Draw", "generator_kept", "moments_of"]


class Draw:
    """One call of a random operation.

    The call is made twice from the same state of the device's generator, the second time on copies; then the stream
    goes on where the first call left it.

    Args:
        op: the operation.
        operation: what its schema says.
        args: positional arguments.
        kwargs: keyword arguments.

    Attributes:
        state: of the device's generator before the call; None where the call has a generator of its own, or the
            device's can't be read.
    """

    def __init__(self, op: Any, operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._op, self._operation, self._args, self._kwargs = op, operation, args, kwargs
        self._device = _device_of(args, kwargs)
        self._own = kwargs.get("generator") is not None
        self._copies = [value.detach().clone() if isinstance(value, torch.Tensor) else value for value in args]
        self.state = None if self._own else _get_state(self._device)

    def run(self) -> Any:
        """The call itself, as it would have been."""
        return self._op(*self._args, **self._kwargs)

    def check(self, returned: Any) -> tuple[str, list[Compared]]:
        """Why it can't be checked, or what was found of the drawn tensor."""
        drawn = returned[0] if isinstance(returned, (list, tuple)) else returned
        if not isinstance(drawn, torch.Tensor):
            return "it draws no tensor", []
        found = []
        if self.state is not None:
            after = _get_state(self._device)
            _set_state(self._device, self.state)
            again = self._op(*self._copies, **self._kwargs)
            again = again[0] if isinstance(again, (list, tuple)) else again
            _set_state(self._device, after)
            differ = measure_bits(drawn.detach().cpu(), again.detach().cpu()).error  # a NaN is the same NaN again
            found.append(
                Compared("stream", 0, drawn, drawn, distance=Distance(math.inf if differ else 0.0, 0.0, 0.0, 1.0))
            )
        seen = _seen(self._operation.name, returned, self._copies)
        deviation = _deviation(self._operation.name, seen, self._args, self._kwargs)
        if deviation is None:
            return ("", found) if found else ("its distribution isn't known here", [])
        distance = Distance(deviation, 0.0, 1.0, float(max(1, seen.numel())))
        found.append(Compared("distribution", 0, drawn, drawn, distance=distance))
        return "", found


def moments_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[float, float] | None:
    """Mean and standard deviation of what an operation draws, of dropout whether it keeps; None where not known."""
    if name in {"bernoulli_", "bernoulli"}:
        # Of the one that isn't in place the tensor itself holds the chances, where none are given beside it.
        of_itself = args[0] if name == "bernoulli" else 0.5
        p = args[1] if len(args) > 1 and args[1] is not None else kwargs.get("p", of_itself)
        chances = p.detach().cpu().double() if isinstance(p, torch.Tensor) else torch.tensor(float(p)).double()
        return float(chances.mean()), math.sqrt(float((chances * (1 - chances)).mean()))
    if name in {"uniform_", "rand", "rand_like"}:
        low, high = _told(args, kwargs, ("from", 0.0), ("to", 1.0)) if name == "uniform_" else (0.0, 1.0)
        return (low + high) / 2, (high - low) / math.sqrt(12)
    if name in {"normal_", "randn", "randn_like"}:
        mean, deviation = _told(args, kwargs, ("mean", 0.0), ("std", 1.0)) if name == "normal_" else (0.0, 1.0)
        return mean, deviation
    if name == "native_dropout":
        p = float(args[1])
        return 1 - p, math.sqrt(p * (1 - p))
    return None


def _told(args: Sequence[Any], kwargs: Mapping[str, Any], *expected: tuple[str, float]) -> tuple[float, ...]:
    """The numbers behind the tensor, by name or place: a call leaves out what is its default, from the end on."""
    places = range(1, 1 + len(expected))
    return tuple(
        float(args[place] if len(args) > place else kwargs.get(name, default))
        for place, (name, default) in zip(places, expected, strict=True)
    )


def _seen(name: str, returned: Any, args: Sequence[Any]) -> torch.Tensor:
    """The draws that show, on the host: of dropout whether each element that came in, and isn't zero, was kept."""
    drawn = (returned[0] if isinstance(returned, (list, tuple)) else returned).detach().cpu()
    if name != "native_dropout":
        return drawn  # type: ignore[no-any-return]
    came_in = args[0].detach().cpu() != 0
    return (drawn != 0)[came_in]  # type: ignore[no-any-return]


def _deviation(name: str, drawn: torch.Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float | None:
    """|mean − expected mean| over the expected standard deviation of one element; None where that isn't known."""
    if not drawn.numel():
        return 0.0
    moments = moments_of(name, args, kwargs)
    if moments is None:
        return None
    # A draw is one of the dtype's numbers: in bfloat16 those between 0.99 and 1.01 are mostly below 1.
    grid = torch.finfo(drawn.dtype).eps if drawn.is_floating_point() and not _is_a_choice(name) else 0.0
    return _standardized(drawn.double(), *moments, unsure=grid * (abs(moments[0]) + 2 * moments[1]))


def _is_a_choice(name: str) -> bool:
    return "bernoulli" in name or "dropout" in name


def _standardized(values: torch.Tensor, mean: float, deviation: float, unsure: float) -> float:
    difference = max(0.0, abs(float(values.mean()) - mean) - unsure)
    if deviation == 0.0:
        return math.inf if difference else 0.0
    return difference / deviation


def _device_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    tensors = [value for value in args if isinstance(value, torch.Tensor)]
    return tensors[0].device if tensors else torch.device(kwargs.get("device") or "cpu")


@contextmanager
def generator_kept(device: torch.device) -> Iterator[None]:
    """What is drawn from a device's generator while it is entered leaves no trace in the draws that follow."""
    with _disable_current_modes():
        state = _get_state(device)
    try:
        yield
    finally:
        with _disable_current_modes():
            _set_state(device, state)


def _get_state(device: torch.device) -> torch.Tensor | None:
    """None where the device doesn't tell."""
    return torch.get_rng_state() if device.type == "cpu" else type_of_kind(device.type).generator_state()


def _set_state(device: torch.device, state: torch.Tensor | None) -> None:
    if device.type == "cpu" and state is not None:
        torch.set_rng_state(state)
    elif state is not None:
        type_of_kind(device.type).set_generator_state(state)
