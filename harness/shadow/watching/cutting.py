"""A call too large for the host's memory, checked on some slices of its results that can be computed by themselves.

A sample of a batch, a row of a product, a channel of batch norm, and the weight gradient of an output channel depend on
a slice of the inputs alone. Slices are evenly spread, the first of them another one in each iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Kind
from harness.shadow.watching.sampling import cost_of

__all__ = ["Piece", "cut_call"]

_Tensor = torch.Tensor


@dataclass(frozen=True)
class _Cut:
    """How a call can be cut.

    Args:
        args: position of an argument → the axis that it is cut along.
        results: which of the returned tensors → the axis; those that aren't named can't be told from a slice.
        adapt: changes further arguments to so many slices, in place.
    """

    args: Mapping[int, int]
    results: Mapping[int, int]
    adapt: Callable[[list[Any], int], None] = lambda args, slices: None


@dataclass(frozen=True)
class Piece:
    """A slice of a call.

    Args:
        call: with the arguments cut; those that the operation writes are views of the whole ones.
        words: how much of it that is.
        index: of the slices.
        results: which of the returned tensors it holds → the axis that they are cut along.
    """

    call: Call
    words: str
    index: slice
    results: Mapping[int, int]

    def of(self, returned: Any) -> Any:
        """The slice of what the whole call returned; None in place of a result that it doesn't hold."""
        if not isinstance(returned, (list, tuple)):
            return _along(returned, self.results.get(0), self.index)
        return [_along(value, self.results.get(place), self.index) for place, value in enumerate(returned)]


def cut_call(call: Call, budget: int, iteration: int) -> list[Piece]:
    """Pieces of a call that the budget allows; none where the operation can't be cut, or not so small.

    Args:
        call: too large for the budget.
        budget: bytes of host memory that one operation may take.
        iteration: of the step: each has other slices.
    """
    by_name = next(tensors_of([*call.given[1].values()]), None) is not None
    if call.operation.kind not in {Kind.COMPUTE, Kind.MOVE} or call.is_update or by_name:
        return []
    found = []
    for ways in _cuts_of(call):
        pieces = (_piece(call, cut, budget, iteration) for cut in ways)
        found += [piece for piece in pieces if piece is not None][:1]
    return found


def _piece(call: Call, cut: _Cut, budget: int, iteration: int) -> Piece | None:
    sizes = [call.args[place].shape[axis] for place, axis in cut.args.items() if _has_axis(call.args[place], axis)]
    size = max(sizes, default=0)
    step = 2
    while step < 2 * size:
        step = min(step, size)
        index = slice(iteration % step, None, step)
        slices = len(range(size)[index])
        args = [_cut_along(value, cut.args.get(place), index, size) for place, value in enumerate(call.args)]
        cut.adapt(args, slices)
        made = Call(call.op, call.operation, (args, call.given[1]))
        if cost_of(made) <= budget:
            return Piece(made, f"{slices} of {size}", index, cut.results)
        step *= 2
    return None


def _cuts_of(call: Call) -> Sequence[Sequence[_Cut]]:
    """For each part of a call's results the ways in which it can be cut, the better one first."""
    name, args = call.name, call.args
    if name == "convolution_backward":
        plain = args[9] == 1 and not args[7]
        return _OF_CONVOLUTION_BACKWARD if plain else [_OF_CONVOLUTION_BACKWARD[0][:1]]
    if name == "convolution":
        plain = args[8] == 1 and not args[6]
        return [_OF_CONVOLUTION if plain else _OF_CONVOLUTION[:1]]
    if name in _SOFTMAXES:
        axis, places = _SOFTMAXES[name]
        return [[_beside(args[axis], args[0], places)]]
    if name in _CUTS:
        return [_CUTS[name]]
    if torch.Tag.pointwise in call.op.tags or name in _MOVED_ELEMENTWISE:
        return [_elementwise(args, in_place=name.endswith("_"))]
    return []


def _elementwise(args: Sequence[Any], *, in_place: bool) -> Sequence[_Cut]:
    """Along the first axis that all the largest arguments have; what is broadcast along it stays whole."""
    tensors = {place: value for place, value in enumerate(args) if isinstance(value, _Tensor)}
    dims = max((tensor.dim() for tensor in tensors.values()), default=0)
    if not dims:
        return []
    size = max(tensor.shape[0] for tensor in tensors.values() if tensor.dim() == dims)
    cut = {place: 0 for place, tensor in tensors.items() if tensor.dim() == dims and tensor.shape[0] == size}
    return [_Cut(cut, {} if in_place else {0: 0})] if size > 1 else []


def _beside(axis: int, x: _Tensor, places: Sequence[int]) -> _Cut:
    """Along an axis that isn't summed over."""
    free = 1 if axis % max(1, x.dim()) == 0 else 0
    return _Cut(dict.fromkeys(places, free), {0: free})


def _for_input(args: list[Any], slices: int) -> None:
    args[10] = [args[10][0], False, False]


def _for_weight(args: list[Any], slices: int) -> None:
    args[3] = None if args[3] is None else [slices]
    args[10] = [False, *args[10][1:]]


_OF_CONVOLUTION = (_Cut({0: 0}, {0: 0}), _Cut({1: 0, 2: 0}, {0: 1}))
"""By samples, or by output channels; those of groups stay together."""

_OF_CONVOLUTION_BACKWARD = (
    (_Cut({0: 0, 1: 0}, {0: 0}, _for_input), _Cut({1: 1, 2: 1}, {0: 1}, _for_input)),
    (_Cut({0: 1, 2: 0}, {1: 0, 2: 0}, _for_weight),),
)
"""The gradient of the input by samples or input channels, those of weight and bias by output channels."""

_OF_NORM = _Cut({0: 1, 1: 0, 2: 0, 3: 0, 4: 0}, {0: 1, 1: 0, 2: 0})
_OF_NORM_BACKWARD = _Cut({0: 1, 1: 1, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0}, {0: 1, 1: 0, 2: 0})

_CUTS: Mapping[str, Sequence[_Cut]] = {
    "cudnn_convolution": (_Cut({0: 0}, {0: 0}),),
    "mm": (_Cut({0: 0}, {0: 0}), _Cut({1: 1}, {0: 1})),
    "bmm": (_Cut({0: 0, 1: 0}, {0: 0}), _Cut({0: 1}, {0: 1}), _Cut({1: 2}, {0: 2})),
    "baddbmm": (_Cut({0: 0, 1: 0, 2: 0}, {0: 0}),),
    "native_batch_norm": (_OF_NORM,),
    "cudnn_batch_norm": (_OF_NORM,),
    "native_batch_norm_backward": (_OF_NORM_BACKWARD,),
    "cudnn_batch_norm_backward": (_OF_NORM_BACKWARD,),
    "max_pool2d_with_indices": (_Cut({0: 0}, {0: 0, 1: 0}),),
    "max_pool2d_with_indices_backward": (_Cut({0: 0, 1: 0, 7: 0}, {0: 0}),),
    "_adaptive_avg_pool2d": (_Cut({0: 0}, {0: 0}),),
    "_adaptive_avg_pool2d_backward": (_Cut({0: 0, 1: 0}, {0: 0}),),
    "upsample_bilinear2d": (_Cut({0: 0}, {0: 0}),),
}
"""Operation → how it can be cut, beside convolution's backward, softmax, and what treats every element by itself."""

_SOFTMAXES = {
    "_softmax": (1, (0,)),
    "_log_softmax": (1, (0,)),
    "_softmax_backward_data": (2, (0, 1)),
    "_log_softmax_backward_data": (2, (0, 1)),
}
"""Operation → which argument is its axis, and which are tensors."""

_MOVED_ELEMENTWISE = frozenset({"_to_copy", "copy_", "clone", "zero_", "masked_fill_"})


def _has_axis(value: Any, axis: int) -> bool:
    return isinstance(value, _Tensor) and value.dim() > axis


def _cut_along(value: Any, axis: int | None, index: slice, size: int) -> Any:
    """An argument cut where it has the axis in its whole size: statistics may be empty, a factor broadcast."""
    whole = axis is not None and _has_axis(value, axis) and value.shape[axis] == size
    return _along(value, axis, index) if whole else value


def _along(value: Any, axis: int | None, index: slice) -> Any:
    if not isinstance(value, _Tensor):
        return value
    if axis is None or value.dim() <= axis:
        return None
    return value[(slice(None),) * axis + (index,)]
