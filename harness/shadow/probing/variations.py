"""A call with one thing changed: what kernels are chosen by, in turn.

Values are drawn anew from those that the call's tensors have, so that their range, their sign and how many are zero
stay what they are, and nothing repeats along an axis that was made longer. Lengths of 1 are not among the changes: at
these a kernel's loops vanish, and with them what is wrong of nearly any kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import zip_longest

import torch

from harness.shadow.probing.lone_call import LoneCall
from harness.shadow.probing.sizes import REFUSALS, axes_of, laid_like, repaired, resized

__all__ = ["Values", "redrawn", "variations_of"]

LARGEST = 1 << 17
"""Elements of a call that is asked: float64 on the host takes some milliseconds for them."""

_LISTS = 12
"""How many shorter parts of a list of tensors are asked."""

_FEW = 16
"""How many of a tensor's largest, or smallest, values are drawn from: chosen."""

_TILES = (0, 32, 16, 8, 4, 2, 1)
"""Past a multiple of 64: lengths that are a multiple of 32 and not of 64, of 16 and not of 32, and so on."""

_OF_KERNEL = frozenset("RS")
"""Axes whose lengths are changed with the padding."""

_WINDOWS = ("stride", "dilation", "padding", "kernel_size")
_CHOICES = frozenset({"output_mask", "transposed", "half_to_float", "non_blocking", "copy"})
"""Truths that say what is asked for, not how. Whether a norm trains is one as well: otherwise it reads other operands,
and crashes where they aren't there."""


def variations_of(call: LoneCall) -> Iterator[LoneCall]:
    """Calls that differ from one in one thing, the most telling ones of each kind first.

    Args:
        call: that is wrong.
    """
    kinds = [_options(call), _layouts(call), _formats(call), _lengths(call)]
    for changed in zip_longest(*map(_made, kinds)):  # in turn, so that a short time asks of every kind
        for each in changed:
            if each is not None and each.cost <= max(LARGEST, 2 * call.cost):
                yield each


class Values(Enum):
    """Which of the values that a tensor has are drawn from."""

    ALL = "all"
    LARGEST = "the largest"
    SMALLEST = "the smallest that aren't zero"


def redrawn(call: LoneCall, generator: torch.Generator, values: Values = Values.ALL) -> LoneCall:
    """The call with each floating tensor's elements drawn from those that it has, with repetition, in its layout.

    Args:
        call: whose values are drawn.
        generator: that draws.
        values: a few of them alone show a fault of large, or of small, numbers in a call of few elements too.
    """

    def draw(value: object) -> object:
        if isinstance(value, (list, tuple)) and any(isinstance(each, torch.Tensor) for each in value):
            return [draw(each) for each in value]
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.numel() < 2:
            return value
        drawn_from = _chosen(value.contiguous().view(-1), values)
        places = torch.randint(len(drawn_from), (value.numel(),), generator=generator)
        return laid_like(drawn_from[places].view(value.shape), value)

    return call.changed(**{name: draw(value) for name, value in call.arguments.items()})


def _chosen(flat: torch.Tensor, values: Values) -> torch.Tensor:
    """The elements of (n,) that are drawn from."""
    if values is Values.ALL:
        return flat
    sizes = flat.abs()
    if values is Values.SMALLEST:
        flat = flat[sizes > 0] if bool((sizes > 0).any()) else flat
        sizes = flat.abs()
    return flat[sizes.topk(min(_FEW, len(flat)), largest=values is Values.LARGEST).indices]


def _made(changes: Iterator[LoneCall]) -> Iterator[LoneCall]:
    """Those that can be made: what a forward refuses has no backward."""
    while True:
        try:
            yield next(changes)
        except StopIteration:
            return
        except REFUSALS:
            return


def _lengths(call: LoneCall) -> Iterator[LoneCall]:
    """Each axis, and both of a map, at other lengths: a little more and less, multiples of powers of two, halves."""
    axes, sizes = axes_of(call)
    alone = [(name,) for name, size in sizes.items() if size > 1 and name not in _OF_KERNEL]
    square = [pair for pair in (("H", "W"), ("O", "P")) if all(sizes.get(name, 1) > 1 for name in pair)]
    names = [*alone, *square]
    lengths = [_other_lengths(sizes[each[0]]) for each in names]
    for column in zip_longest(*lengths):
        for each, length in zip(names, column, strict=True):
            if length is not None and all(_keeps_side(sizes, name, length) for name in each):
                yield from _tried(partial(resized, call, axes, dict.fromkeys(each, length)))


def _keeps_side(sizes: Mapping[str, int], name: str, length: int) -> bool:
    """Whether what is resized stays larger than what it is made of, or smaller: a pooling that enlarges is another."""
    pairs = {"O": "H", "P": "W", "H": "O", "W": "P"}
    other = sizes.get(pairs.get(name, ""))
    return other is None or (sizes[name] > other) == (length > other)


def _other_lengths(size: int) -> list[int]:
    """Lengths that tell what is special in one."""
    block = -(-size // 64) * 64
    power = 1 << (size.bit_length() - 1)
    near = [size // 2, size + 1, block, size - 1, size + 2, *(block + past for past in _TILES)]
    around = [power, power + 1, 2 * power, 2 * power + 1]
    halves = [size >> times for times in range(2, size.bit_length())]
    small = [16, 8, 12, 4, 6, 3, 5, 7, 2]
    wanted = [*near, *around, *halves, *(each for each in small if size <= 64)]
    return [each for each in dict.fromkeys(wanted) if each > 1 and each != size]


def _options(call: LoneCall) -> Iterator[LoneCall]:
    """Each option at another value."""
    given = call.arguments
    for name, value in given.items():
        others: list[object] = []
        if isinstance(value, bool) and name not in _CHOICES and "norm" not in call.name:
            others = [not value]
        elif name in _WINDOWS and _is_numbers(value):
            others = [[each] * len(value) for each in _window_values(name) if [each] * len(value) != list(value)]
        elif name == "dim" and isinstance(value, int) and call.tensors:
            others = [axis for axis in range(call.tensors[0].dim()) if axis != value % call.tensors[0].dim()]
        for other in others:
            yield from _tried(partial(_changed, call, **{name: other}))
    if "convolution" in call.name:
        yield from _of_convolution(call)
    yield from _without_operands(call)
    yield from _of_lists(call)
    yield from _stretched(call)


def _changed(call: LoneCall, /, **arguments: object) -> LoneCall:
    return repaired(call.changed(**arguments))


def _window_values(name: str) -> Sequence[int]:
    if name == "padding":
        return (0, 1, 2)
    if name == "kernel_size":
        return (2, 3)
    return (1, 2, 3)


def _of_convolution(call: LoneCall) -> Iterator[LoneCall]:
    """Other kernels, with the padding that keeps the map's size and without any; depthwise, and a bias."""
    axes, sizes = axes_of(call)
    given = call.arguments
    dilation = max(given["dilation"])
    if "R" in axes and "S" in axes:
        for kernel in (1, 3, 5, 2):
            for padding in dict.fromkeys(((kernel - 1) * dilation // 2, 0, 1)):

                def other(kernel: int = kernel, padding: int = padding) -> LoneCall:
                    padded = call.changed(padding=[padding] * len(given["padding"]))
                    return resized(padded, axes, {"R": kernel, "S": kernel})

                yield from _tried(other)
    if given.get("groups") == 1 and sizes.get("C") == sizes.get("K") and not given["transposed"]:
        weight = given["weight"][:, :1]
        yield from _tried(lambda: repaired(call.changed(groups=sizes["C"], weight=weight.contiguous())))
    if "bias" in given and given["bias"] is None:
        outer = given["weight"].shape[1 if given["transposed"] else 0]
        yield call.changed(bias=given["weight"].contiguous().view(-1)[torch.arange(outer) % given["weight"].numel()])


def _without_operands(call: LoneCall) -> Iterator[LoneCall]:
    """Without a bias, and without a weight and a bias: other operands are missing together, or a kernel crashes."""
    optional = {a.name for a in call.op._schema.arguments if "Optional" in str(a.type)}
    given = {name for name in optional if isinstance(call.arguments.get(name), torch.Tensor)}
    for names in ({"bias"}, {"weight", "bias"}):
        if names <= given:
            yield call.changed(**dict.fromkeys(names))


def _of_lists(call: LoneCall) -> Iterator[LoneCall]:
    """Of what takes one list of tensors: fewer of them, and more."""
    lists = [(name, value) for name, value in call.arguments.items() if isinstance(value, (list, tuple))]
    lists = [(name, value) for name, value in lists if value and all(isinstance(each, torch.Tensor) for each in value)]
    if len(lists) != 1:
        return
    ((name, value),) = lists
    fewer = [
        *(value[:count] for count in range(len(value) - 1, 0, -1)),
        *(value[first:] for first in range(1, len(value))),
    ]
    for part in [*fewer[:_LISTS], [value[0], value[-1]], [*value, value[-1]], [*value, *value]]:
        if len(part) != len(value):
            yield call.changed(**{name: list(part)})


def _stretched(call: LoneCall) -> Iterator[LoneCall]:
    """Of what works element by element: an operand that is broadcast made as large as the other, or the other way."""
    named = [(name, value) for name, value in call.arguments.items() if isinstance(value, torch.Tensor) and value.dim()]
    if len(named) != 2 or torch.Tag.pointwise not in call.op.tags:
        return
    (left, a), (right, b) = named
    whole = torch.broadcast_shapes(a.shape, b.shape)
    for name, tensor in ((left, a), (right, b)):
        if tensor.shape != whole:
            yield call.changed(**{name: tensor.expand(whole).contiguous()})
    if a.shape == b.shape == whole and a.dim() > 1:
        for kept in (slice(1), slice(None)):  # a value for each column, and one for each row
            one = b[(slice(1),) * (b.dim() - 1)] if kept == slice(1) else b[..., :1]
            yield call.changed(**{right: one.contiguous()})


def _layouts(call: LoneCall) -> Iterator[LoneCall]:
    """All tensors in another layout, and each alone."""
    large = [name for name, value in call.arguments.items() if isinstance(value, torch.Tensor) and value.dim() > 1]
    lists = [name for name, value in call.arguments.items() if isinstance(value, (list, tuple)) and _has_maps(value)]
    for change in (_plain, _channels_last, _turned, _gapped, _offset):
        chosen = [large + lists, *([name] for name in large if len(large) > 1)]
        for names in chosen:
            changed: dict[str, object] = {}
            for name in names:
                value = call.arguments[name]
                changed[name] = [change(each) for each in value] if isinstance(value, (list, tuple)) else change(value)
            if changed:
                yield call.changed(**changed)


def _formats(call: LoneCall) -> Iterator[LoneCall]:
    """All floating tensors in another format."""
    floating = {tensor.dtype for tensor in call.tensors if tensor.is_floating_point()}
    if len(floating) != 1 or any(isinstance(value, torch.dtype) for value in call.arguments.values()):
        return
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        if dtype not in floating:

            def convert(value: object, dtype: torch.dtype = dtype) -> object:
                if isinstance(value, (list, tuple)):
                    return [convert(each) for each in value]
                return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

            yield call.changed(**{name: convert(value) for name, value in call.arguments.items()})


def _tried(make: Callable[[], LoneCall]) -> Iterator[LoneCall]:
    """The changed call, where it can be made."""
    try:
        yield make()
    except REFUSALS:
        return


def _is_numbers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, int) for each in value)


def _has_maps(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(each, torch.Tensor) and each.dim() > 1 for each in values)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous()


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor.contiguous()


def _turned(tensor: torch.Tensor) -> torch.Tensor:
    """The last two axes the other way round in memory."""
    return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)


def _gapped(tensor: torch.Tensor) -> torch.Tensor:
    """Every second element of a tensor twice as large."""
    wide = tensor.new_zeros((*tensor.shape, 2))
    wide[..., 0] = tensor
    return wide[..., 0]


def _offset(tensor: torch.Tensor) -> torch.Tensor:
    """The same behind one element in memory."""
    longer = torch.cat([tensor.new_zeros(1), tensor.contiguous().view(-1)])
    return longer[1:].view(tensor.shape)
