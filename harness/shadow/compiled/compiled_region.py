"""A graph that was compiled, beside the same graph in float64, from what it was given."""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.conditioning import change_of
from harness.shadow.arithmetic.host import are_finite, in_double
from harness.shadow.arithmetic.measure import Distance, measure, measure_where_finite, smallest_normal_of
from harness.shadow.compiled.graph_run import GraphRun, RefusedError
from harness.shadow.judging.error_model import rounding

__all__ = ["CompiledRegion", "RegionResult", "copy_graph"]

_DRAWS = 8

_Tensor = torch.Tensor


@dataclass(frozen=True)
class RegionResult:
    """A result of a compiled graph beside float64's.

    Args:
        tensor: its node.
        module: the path of the module that the node is of; empty where that isn't known.
        candidate: what the compiled code made.
        distance: from float64's.
        scale: what a healthy kernel may make of it, as a check has it.
        along: likewise.
    """

    tensor: str
    module: str
    candidate: _Tensor
    distance: Distance
    scale: float
    along: float


class CompiledRegion:
    """A graph and what a compiler made of it; it takes its inputs as a list, which it empties, as compilers' code does.

    Args:
        name: for findings: ``compiled graph 0 forward``.
        graph: as the compiler was given it.
        compiled: what it made of it.
    """

    def __init__(self, name: str, graph: fx.GraphModule, compiled: Callable[[list[Any]], Any]) -> None:
        self.name = name
        self._boxed_call = True  # of the instance: wrappers copy no more
        self._graph = graph
        self._compiled = compiled

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # else Dynamo compiles what judges it
    def __call__(self, inputs: list[Any]) -> Any:
        """What the compiled code makes of the inputs; judged where a mode that judges regions is entered."""
        for mode in reversed(_get_current_dispatch_mode_stack()):
            if hasattr(mode, "take_region"):
                return mode.take_region(self, inputs)
        return self._compiled(inputs)

    def run(
        self, inputs: list[Any], tier: str, seed: int, on_run: Callable[[], None] = lambda: None
    ) -> tuple[Any, str, list[RegionResult]]:
        """Run the compiled code, and judge it: its results, why it can't be judged, and each beside float64's.

        Args:
            inputs: of the graph.
            tier: precision tier.
            seed: of the healthy runs' rounding.
            on_run: called after each run of the graph on the host.
        """
        before = [in_double(value) for value in inputs]
        given, state = list(inputs), torch.get_rng_state()
        returned = self._compiled(inputs)
        after = torch.get_rng_state()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.set_rng_state(state)
            try:
                exact = GraphRun(self._graph, tier)
                due = self._results(exact, before)
                on_run()
                if not torch.equal(torch.get_rng_state(), after):
                    return returned, "it draws random numbers in another way than its graph says", []
                healthy = []
                for draw in range(_DRAWS):
                    run = GraphRun(self._graph, tier, exact, seed=_seed(seed, draw, self.name))
                    healthy.append(self._results(run, before))
                    on_run()
            except RefusedError as refused:
                return returned, str(refused).splitlines()[0], []
            except (RuntimeError, TypeError, ValueError, NotImplementedError) as failure:
                return returned, f"the host can't run its graph: {str(failure).splitlines()[0][:120]}", []
        made = [*_flat(returned), *(given[place] for place in self._written)]
        distance_of = measure if are_finite(before) else measure_where_finite
        return returned, "", list(self._compared(made, due, healthy, tier, distance_of))

    def _results(self, run: GraphRun, before: Sequence[Any]) -> list[Any]:
        """What a run makes of the inputs: the outputs, then those inputs that it writes."""
        inputs = [copy_of(value) for value in before]
        outputs = run.run(*inputs)
        return [*_flat(outputs), *(inputs[place] for place in self._written)]

    @property
    def _written(self) -> list[int]:
        """The places of the inputs that the graph writes: running statistics."""
        holders = [node for node in self._graph.graph.nodes if node.op == "placeholder"]
        written = [node.args[0] for node in self._graph.graph.nodes if _writes(node)]
        return [place for place, node in enumerate(holders) if node in written]

    @property
    def _nodes(self) -> list[Any]:
        """The node of each result."""
        holders = [node for node in self._graph.graph.nodes if node.op == "placeholder"]
        output = next(node for node in reversed(self._graph.graph.nodes) if node.op == "output")
        return [*_flat(output.args[0]), *(holders[place] for place in self._written)]

    def _compared(
        self,
        made: Sequence[Any],
        due: Sequence[Any],
        healthy: Sequence[Sequence[Any]],
        tier: str,
        distance_of: Callable[[_Tensor, _Tensor, float], Distance],
    ) -> Iterator[RegionResult]:
        for place, (node, candidate, reference) in enumerate(zip(self._nodes, made, due, strict=True)):
            if not (isinstance(candidate, _Tensor) and isinstance(reference, _Tensor) and candidate.numel()):
                continue
            if not candidate.is_floating_point():
                continue
            dtype = dtype_name(candidate.dtype)
            distance = distance_of(candidate.detach().cpu(), reference, smallest_normal_of(candidate.dtype))
            changes = [change_of(reference, draw[place]) for draw in healthy]
            norm, along = (math.sqrt(sum(c[i] ** 2 for c in changes) / len(changes)) for i in (0, 1))
            base = rounding(self.name, dtype, 23, 1.0, tier)
            scale = 1.0
            if distance.size:
                scale = max(1.0, norm / distance.size / base)
            elif math.isinf(distance.error) and norm:  # exactly zero in float64
                size = float(candidate.detach().cpu().double().norm())
                distance = replace(distance, error=size * base / norm)
            yield RegionResult(node.name, _module_of(node), candidate, distance, scale, along / base)


def copy_graph(graph: fx.GraphModule) -> fx.GraphModule:
    """A copy that a compiler's passes don't change."""
    return fx.GraphModule(graph, copy.deepcopy(graph.graph))


def copy_of(value: Any) -> Any:
    """A tensor's copy; anything else as it is."""
    return value.clone() if isinstance(value, _Tensor) else value


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _writes(node: Any) -> bool:
    return node.op == "call_function" and str(node.target) in {"aten.copy_.default", "aten.copy_"}


def _seed(seed: int, draw: int, name: str) -> int:
    return zlib.crc32(f"{name} {seed} {draw}".encode())


def _module_of(node: Any) -> str:
    """``backbone.conv1`` of a node that was traced there."""
    stack = getattr(node, "meta", {}).get("nn_module_stack") or {}
    path = next(reversed(stack.values()), ("", None))[0] if stack else ""
    return str(path).replace("L['self'].", "").replace("L['self']", "").replace("_modules.", "")
