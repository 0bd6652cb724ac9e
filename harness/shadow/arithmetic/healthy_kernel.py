"""What a healthy kernel of a precision tier makes of a call: its roundings at random, in float64 on the host.

An operation is rounded at more places than at its inputs. Its operands are, where the tier keeps few bits of them, and
elements that are equal are rounded alike, so that nothing averages out. Each of its steps is: batch norm subtracts a
mean that has a rounding of its own, and where the values are much larger than their spread that is most of the error;
the coordinate that an interpolation takes its weights from is as uncertain as its own last bit, whatever the weights
are. And its result is.

So all of it is made. Operands are scaled by a random factor, rounded to the tier's bits, and scaled back. The steps are
those of PyTorch's own decomposition of the operation into elementary ones, each result of which is moved by ± u of
itself (Parker, *Monte Carlo Arithmetic*, 1997). The result is rounded like an operand. How far this is from the exact
result, over a few draws, is what a healthy kernel may have, whatever the model, the shapes and the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.shadow.arithmetic.call import Arguments, Call, dtype_name
from harness.shadow.arithmetic.conditioning import change_of, coins, perturbed
from harness.shadow.arithmetic.elementary import steps_of
from harness.shadow.arithmetic.host import map_tensors, tensors_of
from harness.shadow.arithmetic.kinds import Kind, read_operation
from harness.shadow.judging.error_model import kept_bits, result_bits, unit_roundoff

__all__ = ["EXACT", "Compute", "HealthyKernel", "rounded_to"]

Compute = Callable[..., Any]
Run = Callable[[Sequence[Any], Mapping[str, Any], "Compute | None"], Sequence[torch.Tensor]]

_DRAWS = 8

_STEP = 2.0**-20
"""By how much inputs and steps are moved; what comes of it is scaled down to float32's unit roundoff. A change as small
as that itself would be lost where an operation cancels nearly all of float64's digits."""

_BITS_OF_FLOAT32 = 23

_FLOAT32 = unit_roundoff(_BITS_OF_FLOAT32)

_LARGEST = 1e150
"""Of a relative change: its square is a number still."""

_SAME = 1e-9
"""A decomposition that isn't as close to the operation in float64 is of something else."""


class HealthyKernel:
    """Kernels of a call that differ as healthy ones differ.

    Args:
        call: as it was given.
        tier: precision tier, a key of ``SHADOW_TIERS``.
        smallest: the smallest normal number of the range that the tier rounds in; 0 for float32's.
    """

    def __init__(self, call: Call, tier: str, smallest: float) -> None:
        self._call, self._tier, self._smallest = call, tier, smallest
        self._bits = kept_bits(call.name, tier)

    def measure(
        self, run: Run, before: Arguments, references: Sequence[torch.Tensor], dtypes: Sequence[torch.dtype], seed: int
    ) -> list[tuple[float, float]]:
        """How far healthy kernels are from the exact results.

        Args:
            run: computes the results, in float64, from arguments that it may change; by another function where one is
                given.
            before: the arguments, in float64, as the call met them.
            references: what the operation makes of them.
            dtypes: that the call's results are written in.
            seed: of the draws.

        Returns:
            For each result: ‖δr‖ / ‖r‖, or ‖δr‖ where r is zero, and ⟨δr, r⟩ / ⟨r, r⟩, root mean square.
        """
        generator = torch.Generator().manual_seed(seed)
        steps = self._steps(run, before, references)
        totals = [[0.0, 0.0] for _ in references]
        for _ in range(_DRAWS):
            rounded = _changed(before, lambda tensor: self._rounded(tensor, generator))
            due = run(*rounded, None)
            made = [self._result(result, dtype, generator) for result, dtype in zip(due, dtypes, strict=True)]
            changes = [change_of(reference, result) for reference, result in zip(references, made, strict=True)]
            if steps is not None:
                moving = _Moving(generator)

                def moved(*args: Any, mode: _Moving = moving, **kwargs: Any) -> Any:
                    with mode:
                        return steps(*args, **kwargs)

                after = run(*_changed(before, lambda tensor: perturbed(tensor, generator)), moved)
                linear = [change_of(reference, result) for reference, result in zip(references, after, strict=True)]
                share = _FLOAT32 / _STEP
                changes = [
                    (math.hypot(norm, share * other), math.hypot(along, share * beside))
                    for (norm, along), (other, beside) in zip(changes, linear, strict=True)
                ]
            for total, (norm, along), reference in zip(totals, changes, references, strict=True):
                size = float(torch.linalg.vector_norm(reference.nan_to_num(0, 0, 0))) or 1.0
                total[0] += min(norm / size, _LARGEST) ** 2
                total[1] += along**2
        measured = [(math.sqrt(norm / _DRAWS), math.sqrt(along / _DRAWS)) for norm, along in totals]
        if self._call.operand_bits > _BITS_OF_FLOAT32:
            return measured
        for narrow in self._narrowed(before):
            plain = self._of_the_host(run, narrow, references)
            measured = [(max(a[0], b[0]), max(a[1], b[1])) for a, b in zip(measured, plain, strict=True)]
        return measured

    def _narrowed(self, before: Arguments) -> Iterator[Arguments]:
        """The arguments in float32, and where some came in half precision in the dtypes that they came in.

        PyTorch's own kernels of the CPU add up what has one index, or is padded with, in half precision itself.
        """
        yield _changed(before, lambda t: t.to(torch.float32) if t.dtype is torch.float64 else t.clone())
        if self._call.operand_bits < _BITS_OF_FLOAT32:
            (args, kwargs), (given, named) = before, self._call.given
            as_given = [_in_dtypes_of(value, other) for value, other in zip(args, given, strict=True)]
            yield as_given, {name: _in_dtypes_of(value, named[name]) for name, value in kwargs.items()}

    def _of_the_host(
        self, run: Run, narrow: Arguments, references: Sequence[torch.Tensor]
    ) -> list[tuple[float, float]]:
        """How far the host's own kernel in a narrow dtype is from the exact results, as ``measure`` has it.

        Roundings at random average out. Those of a sum needn't: where its terms are equal, as the gradient of an
        average is in each place, each step from one partial sum to the next rounds alike. PyTorch's norm of 8 million
        equal elements is 0.7 % off on the CPU, a norm's bias gradient of 30,000 of them 0.035 %; oneDNN adds up a
        convolution's bias gradient in one lane, where a detector's thousands of empty places are nearly equal terms.
        How far depends on the values and the order, so the host's kernel is asked.
        """
        try:
            results = run(*narrow, None)
        except RuntimeError:  # a kernel may be written for one dtype of an index or a scale
            return [(0.0, 0.0)] * len(references)
        found = []
        for reference, made in zip(references, results, strict=True):
            norm, along = change_of(reference, made.to(reference.dtype))
            found.append((norm / (float(torch.linalg.vector_norm(reference.nan_to_num(0, 0, 0))) or 1.0), abs(along)))
        return found

    def _steps(self, run: Run, before: Arguments, references: Sequence[torch.Tensor]) -> Compute | None:
        """The operation as elementary ones; None where PyTorch has no such decomposition."""
        steps = steps_of(self._call.op)
        if steps is None:
            return None
        try:
            again = run(*_copied(before), steps)
        except Exception:  # noqa: BLE001  # written for a compiler's tracing, it may refuse in any way
            return None
        for due, made in zip(references, again, strict=True):
            norm, _ = change_of(due, made)
            if not norm <= _SAME * float(torch.linalg.vector_norm(due.nan_to_num(0, 0, 0))) + _SAME:
                return None
        return steps

    def _rounded(self, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """An operand at the tier's bits, by a scaling of its own."""
        if self._bits >= self._call.operand_bits:
            return tensor.clone()
        return rounded_to(tensor, self._bits, _factor(generator), self._smallest)

    def _result(self, tensor: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
        bits = result_bits(self._call.name, dtype_name(dtype), self._tier)
        return rounded_to(tensor, bits, _factor(generator), self._smallest)


def rounded_to(tensor: torch.Tensor, bits: int, factor: float = 1.0, smallest: float = 0.0) -> torch.Tensor:
    """A float64 tensor whose elements, scaled by a factor, keep so many explicit mantissa bits.

    Args:
        tensor: of any shape; one that isn't floating is copied.
        bits: explicit mantissa bits.
        factor: that it is scaled with before it is rounded, and divided by afterwards.
        smallest: the smallest normal number: below it the step of the grid is that of it.
    """
    if not tensor.is_floating_point():
        return tensor.clone()
    scaled = tensor * factor
    _, exponent = torch.frexp(scaled.abs().clamp_min(smallest) if smallest else scaled)
    step = torch.ldexp(torch.ones_like(scaled), exponent - 1 - bits)
    return (scaled / step).round_().mul_(step).div_(factor)


EXACT = frozenset(
    {
        *("floor", "ceil", "round", "trunc", "frac", "sign", "sgn", "abs", "neg", "relu", "clamp", "clamp_min"),
        *("clamp_max", "maximum", "minimum", "amax", "amin", "max", "min", "sort", "topk", "pad", "unbind", "split"),
        *("remainder", "fmod", "copysign", "index_put", "scatter", "masked_scatter", "linspace"),
    }
)
"""Elementary steps that aren't rounded. The cell of a grid that a whole number stands for is that number."""


class _Moving(TorchDispatchMode):
    """While it is entered, each floating result of an operation that computes is moved by ± u of itself at random."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = generator

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = op(*args, **(kwargs or {}))
        operation = read_operation(op)
        if operation.kind is not Kind.COMPUTE or operation.written or operation.name in EXACT:
            return made
        return map_tensors(made, self._move)

    def _move(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype is not torch.float64:
            return tensor
        steps = coins(tensor.numel(), self._generator).view(tensor.shape).mul_(2 * _STEP).sub_(_STEP)
        return tensor + steps.mul_(tensor)


def _factor(generator: torch.Generator) -> float:
    """Between √½ and √2, log-uniform."""
    return float(2.0 ** (float(torch.rand((), generator=generator)) - 0.5))


def _changed(arguments: Arguments, change: Callable[[torch.Tensor], torch.Tensor]) -> Arguments:
    args, kwargs = arguments
    return [map_tensors(value, change) for value in args], {k: map_tensors(v, change) for k, v in kwargs.items()}


def _in_dtypes_of(value: Any, given: Any) -> Any:
    """An argument's tensors, in the dtypes that the call's own had."""
    others = tensors_of(given)

    def narrowed(tensor: torch.Tensor) -> torch.Tensor:
        other = next(others, tensor)
        return tensor.to(other.dtype) if tensor.is_floating_point() and other.is_floating_point() else tensor.clone()

    return map_tensors(value, narrowed)


def _copied(arguments: Arguments) -> Arguments:
    return _changed(arguments, lambda tensor: tensor.clone())
