"""Each operation of a step again, with hard inputs: what a training step seldom meets, and a port is wrong on first.

The smallest call of each operation is the model: its tensors are made large, denormal, tied, infinite, NaN, strided,
odd in size or empty, and the device's results are held against the host's in float64 like those of a step. How far what
isn't finite spreads is a choice of the algorithm's; that it is nowhere in a result is told apart
(``harness.rules.hard_inputs``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from harness.rules.hard_inputs import lost
from harness.shadow.counterparts import compute_on_host
from harness.shadow.host import in_double, map_tensors, tensors_of
from harness.shadow.kinds import Kind, Operation, read_operation
from harness.shadow.mode import ShadowOps
from harness.shadow.results import Result, results_of
from harness.shadow.whereabouts import Whereabouts
from harness.store.shadow import ShadowStream
from harness.values.shadow import Part

__all__ = ["HARD_INPUTS", "ForcedCalls"]

_Tensor = torch.Tensor

LARGEST_CALL = 64 * 2**20
"""Bytes of the tensors of a call that is kept to be made again."""

_NOT_FINITE = frozenset({"infinity", "NaN"})

_LARGE = 1e4
"""What the largest element becomes: its exponential overflows float32, its square float16."""

_FREE_AXES: Mapping[str, tuple[int, ...]] = {
    "convolution": (-2, -1),
    "cudnn_convolution": (-2, -1),
    "convolution_overrideable": (-2, -1),
    "native_batch_norm": (-2, -1),
    "_native_batch_norm_legit": (-2, -1),
    "cudnn_batch_norm": (-2, -1),
    "mm": (0,),
    "bmm": (1,),
}
"""Operations of tensors of several shapes → axes of the first that may be shorter, the others as they are; not those
of four elements or fewer: of a single element a norm leaves nothing but rounding."""

_SIZED = ("upsample_", "_upsample_")
"""Beginnings of operations that are told their result's size, and a scale, beside the tensor: they aren't cut."""

_NOT_MADE_AGAIN = ("_foreach_", "_fused_", "as_strided")
"""Beginnings of operations that are left as they are: of many tensors at once, and of the memory behind a tensor, which
holds what nobody wrote where the tensor is laid out anew."""

_CUT_TO = 4
"""Axes are cut to 1 more than a multiple of it: then what has a stride of 2 makes an odd size of them as well."""

_Harden = Callable[[str, list[Any]], list[Any] | None]
"""Makes a call's positional arguments hard, from the operation's name and them; None where it can't be."""


@dataclass(frozen=True)
class _Model:
    """A call that is made again: the bytes of its tensors, and its arguments, copied."""

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
        if operation.kind in {Kind.COMPUTE, Kind.MOVE} and not operation.name.startswith(_NOT_MADE_AGAIN):
            self._keep(op, operation.name, args, kwargs)
        return op(*args, **kwargs)

    def replay(self, iteration: int) -> None:
        """Make each kept call again with each kind of hard inputs, and write down how far the device is off.

        Args:
            iteration: that the calls are of.
        """
        for op, smallest in self._calls.items():
            for kind, harden in HARD_INPUTS.items():
                model = self._even.get(op, smallest) if kind == "odd-sized" else smallest
                with torch.no_grad():
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
        fits = [self._calls, *([self._even] if _odd_sizes(name, args) is not None else [])]
        smaller = [kept for kept in fits if op not in kept or size < kept[op].size]
        if smaller:
            with _disable_current_modes():
                model = _Model(size, _copied(list(args)), {key: _copied(value) for key, value in kwargs.items()})
            for kept in smaller:
                kept[op] = model

    def _once(self, iteration: int, kind: str, op: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any]) -> None:
        """One call under shadow; a refusal of the device's is a finding where the host doesn't refuse."""
        if args is None:
            return
        operation = read_operation(op)
        name = operation.name
        mode = ShadowOps(_HardPlace(kind), iteration, self._tier)
        twin = _HostTwin(op, operation, args, kwargs)
        try:
            with mode:
                returned = op(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, NotImplementedError) as refusal:
            if not twin.refuses:
                said = f"the device refuses what the host computes: {str(refusal).splitlines()[0][:120]}"
                self._stream.append(iteration, (), {f"{name}, {kind}": 1}, {}, {f"{name}, {kind}": said})
            return
        gone = twin.vanished(returned, args, kwargs) if kind in _NOT_FINITE else frozenset()
        checks = [replace(each, module=lost(kind)) if each.tensor in gone else each for each in mode.checks]
        skipped = {f"{name}, {kind}": call.why for call in mode.unchecked}
        self._stream.append(iteration, checks, mode.calls, mode.checked, skipped)


class _HostTwin:
    """The same call on the host in float64, from copies of the arguments as they are now; made when it is asked for."""

    def __init__(self, op: Any, operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._op, self._operation = op, operation
        with _disable_current_modes():
            self._args = [in_double(value) for value in args]
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


def _is_lost(result: Result) -> bool:
    made, due = result.candidate.detach().cpu(), result.reference.to(result.candidate.dtype)
    return made.is_floating_point() and bool(made.isfinite().all()) and not bool(due.isfinite().all())


class _HardPlace(Whereabouts):
    """A call that no module made: the kind of its inputs stands in its place."""

    def __init__(self, kind: str) -> None:
        super().__init__(torch.nn.Module())
        self._kind = kind

    def here(self) -> tuple[Part, str]:
        """The forward, and the kind of the inputs."""
        return Part.FORWARD, self._kind


def _copied(value: Any) -> Any:
    """The argument with each tensor copied on its own device."""
    return _changed(value, lambda tensor: tensor.detach().clone())


def _changed(value: Any, change: Callable[[_Tensor], _Tensor]) -> Any:
    """``map_tensors``, which sends devices to the host, for tensors alone."""
    return value if isinstance(value, torch.device) else map_tensors(value, change)


def _floating(change: Callable[[_Tensor], _Tensor]) -> _Harden:
    """Every floating tensor changed, anything else as a copy."""

    def harden(_: str, args: list[Any]) -> list[Any]:
        return [_changed(value, lambda t: change(t) if t.is_floating_point() else t.clone()) for value in args]

    return harden


def _first(change: Callable[[_Tensor], _Tensor]) -> _Harden:
    """The first floating tensor changed, anything else as a copy: the product of two denormals is nothing anyway."""

    def harden(_: str, args: list[Any]) -> list[Any]:
        first = next((tensor for tensor in tensors_of(args) if tensor.is_floating_point()), None)
        return [_changed(value, lambda tensor: change(tensor) if tensor is first else tensor.clone()) for value in args]

    return harden


def _scaled(largest: Callable[[torch.dtype], float]) -> Callable[[_Tensor], _Tensor]:
    """The tensor with its largest element at a size that depends on the dtype."""

    def change(tensor: _Tensor) -> _Tensor:
        host = tensor.detach().cpu().double()
        size = float(host.abs().max()) if host.numel() else 0.0
        return (host * (largest(tensor.dtype) / size if size else 1.0)).to(tensor.dtype).to(tensor.device)

    return change


def _tied(tensor: _Tensor) -> _Tensor:
    """The tensor on a grid of halves, where many elements are equal."""
    return ((tensor.detach().cpu().double() * 2).round() / 2).to(tensor.dtype).to(tensor.device)


def _holding(value: float) -> Callable[[_Tensor], _Tensor]:
    """The tensor with one element set."""

    def change(tensor: _Tensor) -> _Tensor:
        host = tensor.detach().cpu().contiguous().clone()
        host.view(-1)[: min(1, host.numel())] = value
        return host.to(tensor.device)

    return change


def _strided(tensor: _Tensor) -> _Tensor:
    """The tensor as every second element of one of twice the size."""
    wide = tensor.new_empty((*tensor.shape, 2))
    wide[..., 0] = tensor
    return wide[..., 0]


def _odd(name: str, args: list[Any]) -> list[Any] | None:
    """Sizes that no vector's width divides: 1, 5, 9 …, a little less than they were, where tensors can be cut so.

    Those can that all have one shape, and the first of an operation whose other tensors have nothing of these axes. An
    index into what was cut could lie outside of it: then none is made.
    """
    sizes = _odd_sizes(name, args)
    if sizes is None:
        return None
    first = next(tensor for tensor in tensors_of(args) if tensor.dim())

    def shorter(tensor: _Tensor) -> _Tensor:
        cut = tensor.dim() and (tensor is first or name not in _FREE_AXES)
        return (tensor[tuple(map(slice, sizes))] if cut else tensor).clone()

    return [_changed(value, shorter) for value in args]


def _odd_sizes(name: str, args: Sequence[Any]) -> list[int] | None:
    """The shape that the tensors of a call, or its first, are cut to; None where they can't be, or need not be."""
    tensors = [tensor for tensor in tensors_of(args) if tensor.dim()]
    if name.startswith(_SIZED) or not tensors:
        return None
    if any(not tensor.is_floating_point() and tensor.dtype is not torch.bool for tensor in tensors):
        return None
    shape = tensors[0].shape
    alike = range(len(shape)) if all(tensor.shape == shape for tensor in tensors) else range(0)
    sizes = list(shape)
    for axis in _FREE_AXES.get(name, alike):
        if name not in _FREE_AXES or sizes[axis] > _CUT_TO:
            sizes[axis] -= (sizes[axis] - 1) % _CUT_TO
    return sizes if sizes != list(shape) and min(sizes) > 0 else None


def _emptied(_: str, args: list[Any]) -> list[Any] | None:
    """No sample: the first axis that all large tensors share is cut to nothing; None where they share none."""
    tensors = [value for value in args if isinstance(value, _Tensor) and value.dim()]
    if not tensors or len({tensor.shape[0] for tensor in tensors}) > 1:
        return None
    return [value[:0].clone() if isinstance(value, _Tensor) and value.dim() else value for value in args]


HARD_INPUTS: Mapping[str, _Harden] = {
    "large": _floating(_scaled(lambda dtype: _LARGE)),
    "denormal": _first(_scaled(lambda dtype: torch.finfo(dtype).tiny / 4)),
    "ties": _floating(_tied),
    "infinity": _first(_holding(float("inf"))),
    "NaN": _first(_holding(float("nan"))),
    "strided": _floating(_strided),
    "odd-sized": _odd,
    "empty": _emptied,
}
"""Kind → what makes a call's positional arguments hard; None where it can't be made of them."""
