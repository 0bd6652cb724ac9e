"""What can be said of an operation's calls, from their signatures: the attributes that kernels are chosen by.

Levels, the plainest first:

1. what a kernel's author branches on by name: 1×1 or larger, dilated, strided, grouped, transposed, an option's value,
   a format, a layout, operands that are broadcast, an argument that is left out;
2. exact kernel sizes and strides, and sizes that are no multiple of 2, 4 … 64: vector loops and tiles;
3. (two of the first together)
4. sizes beyond a power of two: tables and blocks of a fixed length;
5. exact sizes, and where in the step the call stands;
6. (two of the first and second together)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.shadow.evidence.call_signature import CallSignature, Option, TensorSignature
from harness.shadow.judging.diagnosis.separation import Attribute

__all__ = ["Instance", "attributes_of"]

_TILES = (2, 4, 8, 16, 32, 64)
_LARGEST = (2**24, 2**31)  # past these an index in float32, and one of 32 bits, is no longer exact
_PERIODS = (8, 16, 32, 64, 128, 256)
_TURNS = 3  # of a period among the calls, below which it is none
_DIVIDE = {True: "divide", False: "don't divide"}
_WINDOWS = frozenset({"stride", "dilation", "groups"})
_MATRICES = frozenset({"mm", "bmm", "addmm", "baddbmm", "matmul", "linear"})
_NOT_CHOSEN_BY = frozenset({"generator", "dtype", "bias_sizes", "output_size", "input_size", "self_size", "sizes"})
"""Options that say again what the tensors' shapes say, or nothing of the kernel."""


@dataclass(frozen=True)
class Instance:
    """A call, or several of one signature.

    Args:
        op: the operation.
        signature: of the call.
        shape: of the result that is looked at.
        place: number of the call within its operation's calls of a step; −1 of one that was asked for outside of it.
        repeats: whether the operation's call before it had the same signature.
        among: how many calls the operation has in a step.
    """

    op: str
    signature: CallSignature
    shape: tuple[int, ...]
    place: int = 0
    repeats: bool = False
    among: int = 1


def attributes_of(instances: Sequence[Instance]) -> list[Attribute]:
    """Everything that holds for some of an operation's calls and not for all, the plainest of each level first.

    Args:
        instances: of one operation, numbered from 0 in their order.
    """
    holders: dict[tuple[int, str], set[int]] = defaultdict(set)
    sizes: dict[str, dict[int, int]] = defaultdict(dict)
    for number, instance in enumerate(instances):
        for level, words in _plain_words(instance):
            holders[level, words].add(number)
        for name, size in _sizes(instance):
            sizes[name][number] = size
    for name, values in sizes.items():
        for level, words, holds in _words_of_sizes(name, values):
            holders[level, words] |= holds
    return [Attribute(words, level, frozenset(holds)) for (level, words), holds in holders.items()]


def _plain_words(instance: Instance) -> Iterator[tuple[int, str]]:
    """Level and words of each attribute of a call but its sizes."""
    signature = instance.signature
    tensors = {tensor.name: tensor for tensor in signature.tensors}
    if _is_convolution(instance.op) and "weight" in tensors:
        yield from _words_of_kernel(tensors["weight"], signature.options)
    for name, value in signature.options.items():
        if name not in _NOT_CHOSEN_BY:
            yield from _words_of_option(name, value)
    yield from _words_of_operands(signature.tensors)
    yield from _words_of_bins(instance)
    if instance.place < 0:
        return
    yield 5, "that come first in the step" if instance.place == 0 else "that don't come first in the step"
    if instance.repeats:
        yield 5, "behind a call of the same shapes"
    for period in _PERIODS:
        if period * _TURNS <= instance.among:
            yield 5, f"at every {period}th place, from {instance.place % period}"


def _words_of_operands(tensors: Sequence[TensorSignature]) -> Iterator[tuple[int, str]]:
    if len({tensor.dtype for tensor in tensors}) > 1:
        yield 1, "with operands of several formats"
    for dtype in {tensor.dtype for tensor in tensors}:
        yield 1, f"with {dtype} operands"
    for tensor in tensors:
        told = tensor.name.replace("_", " ")
        yield 1, f"with {told}"
        yield 1, f"with {tensor.layout} {told}"
        if tensor.layout not in {"contiguous", "channels-last"}:
            yield 1, f"with {told} that isn't one block of memory in order"
        if tensor.offset:
            yield 2, f"with {told} that begins inside its memory"
        yield 2, f"with {told} of {len(tensor.shape)} axes"
    if any(tensor.layout != "contiguous" for tensor in tensors):
        yield 1, "with an operand that isn't contiguous"
    shapes = {tensor.shape for tensor in tensors if tensor.shape}
    yield 1, "with operands that are broadcast" if _broadcast(shapes) else "with operands of one shape"


def _words_of_bins(instance: Instance) -> Iterator[tuple[int, str]]:
    """Of what pools or resizes a map: whether its sizes divide, so that all bins are alike."""
    maps = [tensor.shape for tensor in instance.signature.tensors if len(tensor.shape) == 4]
    if maps and len(instance.shape) == 4 and maps[0][:2] == instance.shape[:2] and maps[0] != instance.shape:
        pairs = list(zip(maps[0][2:], instance.shape[2:], strict=True))
        for one, other, of in (("output", "input's", 1), ("input", "output's", -1)):
            even = all(larger % max(1, smaller) == 0 for larger, smaller in (pair[::of] for pair in pairs))
            yield 2, f"whose {one} sizes {_DIVIDE[even]} the {other}"


def _is_convolution(op: str) -> bool:
    return "convolution" in op or "conv2d" in op


def _words_of_kernel(weight: TensorSignature, options: Mapping[str, Option]) -> Iterator[tuple[int, str]]:
    kernel = weight.shape[2:]
    pointwise = all(size == 1 for size in kernel)
    yield 1, f"with {_times([1] * len(kernel))} kernels" if pointwise else "with kernels larger than 1×1"
    yield 2, f"with {_times(kernel)} kernels"
    groups = options.get("groups")
    if isinstance(groups, int) and groups > 1 and weight.shape[1] == 1:
        yield 1, "that are depthwise"


def _words_of_option(name: str, value: Option) -> Iterator[tuple[int, str]]:
    told = name.replace("_", " ")
    if name in _WINDOWS:
        largest = max(value, default=1) if isinstance(value, tuple) else value
        if isinstance(largest, int):
            yield 1, f"with {told} > 1" if largest > 1 else f"with {told} 1"
            yield 2, f"with {told} {_value(value)}"
    elif name == "padding" and isinstance(value, tuple):
        yield 1, "with padding" if any(value) else "without padding"
        yield 2, f"with padding {_value(value)}"
    elif isinstance(value, bool):
        yield 1, f"with {told}" if value else f"without {told}"
    elif value is None:
        yield 1, f"without {told}"
    else:
        yield 1, f"with {told} {_value(value)}"


def _sizes(instance: Instance) -> Iterator[tuple[str, int]]:
    """Sizes of a call that loops run over, each with a name that reads after "whose"."""
    tensors = {tensor.name: tensor for tensor in instance.signature.tensors}
    main = instance.signature.tensors[0] if instance.signature.tensors else None
    if _is_convolution(instance.op) and "weight" in tensors:
        weight, transposed = tensors["weight"], instance.signature.options.get("transposed") is True
        groups = instance.signature.options.get("groups")
        outer, inner = weight.shape[0], weight.shape[1] * (groups if isinstance(groups, int) else 1)
        yield "output channels", inner if transposed else outer
        yield "input channels", outer if transposed else inner
        main = tensors.get("input", main)
    elif instance.op in _MATRICES and len(instance.signature.tensors) >= 2:
        left, right = instance.signature.tensors[-2:]
        yield "summed axis", left.shape[-1] if left.shape else 1
        yield "rows", left.shape[-2] if len(left.shape) > 1 else 1
        yield "columns", right.shape[-1] if right.shape else 1
    elif main is not None and len(main.shape) >= 3:
        yield "channels", main.shape[1]
    axis = instance.signature.options.get("dim")
    if main is not None and isinstance(axis, int) and -len(main.shape) <= axis < len(main.shape):
        yield "reduced axis", main.shape[axis]
    yield from _sizes_of_maps(instance, main)
    if main is not None:
        yield "first axis", main.shape[0] if main.shape else 1
        yield "last axis", main.shape[-1] if main.shape else 1
    for name, value in instance.signature.options.items():
        if name.startswith("number of ") and isinstance(value, int):
            yield name, value


def _sizes_of_maps(instance: Instance, main: TensorSignature | None) -> Iterator[tuple[str, int]]:
    """Sizes of what comes out and of what goes in, those of the output first: kernels loop over it."""
    if main is not None and len(main.shape) == 4 and "norm" in instance.op:
        yield "values a channel", main.shape[0] * main.shape[2] * main.shape[3]
    gradients = [tensor.shape for tensor in instance.signature.tensors if tensor.name == "grad_output"]
    made = gradients[0] if gradients else instance.shape
    for side, shape in (("output", made), ("input", main.shape if main is not None else ())):
        if len(shape) == 4:
            yield f"{side} width", shape[3]
            yield f"{side} height", shape[2]
            yield f"{side} pixels", shape[2] * shape[3]
        yield f"{side} elements", math.prod(shape)


def _words_of_sizes(name: str, values: Mapping[int, int]) -> Iterator[tuple[int, str, set[int]]]:
    """Level and words of what can be said of a size, with the calls that it holds for."""

    def where(holds: Callable[[int], bool]) -> set[int]:
        return {number for number, size in values.items() if holds(size)}

    single = name.endswith(("height", "width", "axis")) or name.startswith("number of ")
    verb = "is" if single else "are"

    def told(amount: str) -> str:
        return f"whose {name} is {amount}" if single else f"with {amount} {name}"

    for tile in _TILES:
        yield 2, f"whose {name} {verb} no multiple of {tile}", where(lambda size: size % tile != 0)  # noqa: B023
        yield 2, f"whose {name} {verb} a multiple of {tile}", where(lambda size: size % tile == 0)  # noqa: B023
    largest = max(values.values(), default=1)
    few = name.startswith("number of ")  # of operands: a kernel takes two, or four, at a time
    least, level = (0, 2) if few else (3, 4)
    powers = [2**power for power in range(least, 21) if 2**power < largest]
    for power in [*powers, *(size for size in _LARGEST if size < largest)]:
        yield level, told(f"more than {power}"), where(lambda size: size > power)  # noqa: B023
        yield level, told(f"at most {power}"), where(lambda size: size <= power)  # noqa: B023
    for exact in set(values.values()):
        yield 5, told(str(exact)), where(lambda size: size == exact)  # noqa: B023


def _broadcast(shapes: set[tuple[int, ...]]) -> bool:
    """Whether shapes differ, and one of them stretches over another."""
    ranked = sorted(shapes, key=math.prod)
    return any(
        one != other and all(mine in (1, theirs) for mine, theirs in zip(reversed(one), reversed(other), strict=False))
        for number, one in enumerate(ranked)
        for other in ranked[number + 1 :]
    )


def _value(value: Option) -> str:
    if isinstance(value, tuple):
        return _times(value) if len(set(value)) > 1 else (str(value[0]) if value else "nothing")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))
