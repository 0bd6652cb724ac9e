"""A graph of ATen operations run node by node on the host: in float64, or as another healthy kernel would round it.

A compiled graph rounds in other places than its eager form, and the first is as right as the second. What it may differ
by is measured on the graph itself: each node's result is moved by the rounding that the operation has, at random, a few
times (Parker, *Monte Carlo Arithmetic*, 1997), as ``healthy_kernel`` does for a single operation.

Where a result jumps, rounding doesn't average out: an activation next to zero is on its other side, and an element of a
gradient is there or isn't. One such element is rare, and a few draws would miss it. So before each operation that jumps
what was moved so far is moved ``_REACH`` times as far: who stands that near to the jump is beyond it in many draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.conditioning import coins
from harness.shadow.arithmetic.counterparts import compute_on_host
from harness.shadow.arithmetic.healthy_kernel import EXACT
from harness.shadow.arithmetic.host import in_double, map_tensors, tensors_of
from harness.shadow.arithmetic.kinds import Kind, Operation, read_operation
from harness.shadow.arithmetic.term_counts import count_terms
from harness.shadow.judging.error_model import mantissa_bits, rounding, unit_roundoff

__all__ = ["GraphRun", "RefusedError"]

_Tensor = torch.Tensor

_REACH = 4.0

_JUMPS = frozenset(
    {
        *("le", "lt", "ge", "gt", "eq", "ne", "sign", "sgn", "threshold_backward", "hardtanh_backward", "floor"),
        *("hardswish_backward", "hardsigmoid_backward", "leaky_relu_backward", "round", "trunc", "ceil", "argmax"),
        *("argmin", "max_pool2d_with_indices", "_low_memory_max_pool_with_offsets", "topk", "sort", "max", "min"),
        *("signbit", "floor_divide", "fmod", "remainder", "_to_copy", "convert_element_type", "bucketize"),
    }
)
"""Operations whose result jumps, or depends on an order. Of casts only those to integers and truths."""

_CASTS = frozenset({"_to_copy", "convert_element_type"})


_DROPOUT = "native_dropout"
"""Gives what it leaves of its input, and its mask."""

_TINY = 1e-300


class RefusedError(Exception):
    """The host can't run the graph; the reason is its text."""


class GraphRun(fx.Interpreter):
    """One run of a graph on the host, in float64.

    Args:
        graph: of ATen operations, as a compiler was given it; its nodes say their results' shapes and dtypes.
        tier: precision tier, a key of ``SHADOW_TIERS``.
        exact: the run without rounding, beside which this one is rounded; None for that one itself.
        seed: of the roundings.

    Attributes:
        drawn: node → what it drew.
        before_jumps: node → the floating arguments of an operation that jumps.
    """

    def __init__(self, graph: fx.GraphModule, tier: str, exact: GraphRun | None = None, seed: int = 0) -> None:
        super().__init__(graph)
        self._tier = tier
        self._exact = exact
        self._generator = torch.Generator().manual_seed(seed)
        self.drawn: dict[str, _Tensor] = exact.drawn if exact is not None else {}
        self.before_jumps: dict[str, list[_Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, by the host's counterpart of its operation."""
        if n.op == "get_attr":
            return in_double(super().run_node(n))
        if n.op != "call_function" or not isinstance(n.target, torch._ops.OpOverload):
            return super().run_node(n)
        operation = read_operation(n.target)
        given, named = self.fetch_args_kwargs_from_env(n)
        if operation.kind is Kind.RANDOM:
            return self._draw(n, operation, given, named)
        args = [in_dtype(value) for value in given]
        kwargs = {name: in_dtype(value) for name, value in named.items()}
        if operation.name in _JUMPS and not _only_widens(operation, n):
            args = self._further(n, args)
        made, reason = compute_on_host(n.target, operation, args, kwargs)
        if reason:
            raise RefusedError(f"{operation.name}: {reason}")
        return made if self._exact is None else self._rounded(n, operation, args, made)

    def _draw(self, node: fx.Node, operation: Operation, args: Any, kwargs: Any) -> Any:
        """What was drawn: from the same state of the host's generator, in the dtypes that the graph has."""
        if node.name not in self.drawn:
            dtypes = iter([value.dtype for value in _values_of(node)])
            as_given = [map_tensors(value, lambda tensor: tensor.to(next(dtypes))) for value in args]
            made = node.target(*as_given, **kwargs)  # type: ignore[operator]  # an operation, as was asked before
            drawn = made[1] if operation.name == _DROPOUT else made
            if not isinstance(drawn, _Tensor) or any(not value.is_cpu for value in tensors_of(node.meta.get("val"))):
                raise RefusedError("it draws random numbers on the device")
            self.drawn[node.name] = in_double(drawn)
        drawn = self.drawn[node.name].clone()
        if operation.name == _DROPOUT:
            return args[0] * drawn / max(1.0 - float(args[1]), _TINY), drawn
        return drawn

    def _further(self, node: fx.Node, args: Sequence[Any]) -> list[Any]:
        """The arguments of an operation that jumps, moved on in the direction in which rounding moved them."""
        floating = [tensor for tensor in tensors_of(args) if tensor.is_floating_point()]
        if self._exact is None:
            self.before_jumps[node.name] = [tensor.clone() for tensor in floating]
            return list(args)
        known = dict(zip(map(id, floating), self._exact.before_jumps[node.name], strict=True))

        def moved(tensor: _Tensor) -> _Tensor:
            due = known.get(id(tensor))
            return tensor if due is None else due + _REACH * (tensor - due)

        return [map_tensors(value, moved) for value in args]

    def _rounded(self, node: fx.Node, operation: Operation, args: Sequence[Any], made: Any) -> Any:
        if operation.kind is not Kind.COMPUTE or operation.written or operation.name in EXACT:
            return made
        dtypes = [dtype_name(value.dtype) for value in tensors_of(node.meta.get("val"))]
        operands = [dtype_name(value.dtype) for value in _values_of(node) if value.is_floating_point()]
        operand = min(map(mantissa_bits, operands), default=23)
        places = iter(range(len(dtypes)))

        def moved(tensor: _Tensor) -> _Tensor:
            place = next(places, 0)
            dtype = dtypes[place] if place < len(dtypes) else "float32"
            if not tensor.is_floating_point() or dtype == "float64":
                return tensor
            terms = count_terms(operation.name, args, tensor, place)
            size = rounding(operation.name, dtype, operand, terms, self._tier)
            # An element of a sum is as uncertain as the sum's terms are large, any other as itself.
            largest = tensor.abs() if terms <= 1 else tensor.square().mean().sqrt().maximum(tensor.abs())
            steps = coins(tensor.numel(), self._generator).view(tensor.shape).mul_(2).sub_(1)
            return tensor + steps * largest * max(size, unit_roundoff(mantissa_bits(dtype)))

        return map_tensors(made, moved)


def in_dtype(value: Any) -> Any:
    """An argument of a node: a dtype that is asked for is widened; a tensor is the host's already."""
    return in_double(value) if isinstance(value, torch.dtype) else value


def _only_widens(operation: Operation, node: fx.Node) -> bool:
    """Whether a cast keeps a floating number one: nothing jumps then."""
    if operation.name not in _CASTS:
        return False
    return all(value.is_floating_point() for value in tensors_of(node.meta.get("val")))


def _values_of(node: fx.Node) -> list[_Tensor]:
    """What stands for the tensors that a node is given: without numbers, with shapes and dtypes."""
    values = (source.meta.get("val") for source in node.all_input_nodes)
    return [value for value in values if isinstance(value, _Tensor)]
