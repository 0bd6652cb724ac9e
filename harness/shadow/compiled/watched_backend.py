"""Backends of torch.compile whose graphs can be had: those that compile what AOTAutograd traced.

Such a graph is a list of ATen operations after the compiler's decompositions, one of a forward and one of its backward.
A backend that isn't here compiles by itself, and what it makes can't be held against anything but the baseline's trace.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from torch import fx
from torch.utils._python_dispatch import TorchDispatchMode

from harness.shadow.compiled.compiled_region import CompiledRegion, copy_graph

__all__ = ["can_watch", "watched_backend"]

_Backend = Callable[..., Any]

_numbers = itertools.count()


def can_watch(backend: object) -> bool:
    """Whether the graphs of a backend are judged at shadowed iterations, by this PyTorch.

    Before 2.9 torch.compile passes every frame that a dispatch mode watches, and runs its eager code.

    Args:
        backend: of ``torch.compile``: a name, or a function.
    """
    return isinstance(backend, str) and backend in _WATCHED and hasattr(TorchDispatchMode, "ignore_compile_internals")


def watched_backend(backend: str, options: Mapping[str, Any]) -> _Backend:
    """A backend that compiles as the one of that name does, and keeps each graph beside what it made of it.

    Args:
        backend: one that ``can_watch``.
        options: of Inductor: its ``mode`` and ``options``, as ``torch.compile`` takes them.
    """
    return _WATCHED[backend](options)


def _inductor(options: Mapping[str, Any]) -> _Backend:
    import torch._inductor
    from torch._functorch import config as functorch
    from torch._inductor import config as inductor
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    modes = torch._inductor.list_mode_options(options["mode"]) if options.get("mode") else {}
    patches = {**modes, **(options.get("options") or {})}

    def compile_graph(graph: fx.GraphModule, examples: Any, **settings: Any) -> Any:
        kept = copy_graph(graph)
        made = compile_fx_inner(graph, examples, **settings)
        return CompiledRegion(_name(backward=bool(settings.get("is_backward"))), kept, made)

    def compile_all(graph: fx.GraphModule, examples: Any, **_: Any) -> Any:
        # A graph that comes out of AOTAutograd's cache is compiled by no one, and so not seen here.
        with inductor.patch(patches), functorch.patch({"enable_autograd_cache": False}):
            return compile_fx(graph, examples, inner_compile=compile_graph)

    return compile_all


def _aot_eager(_: Mapping[str, Any]) -> _Backend:
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.partitioners import min_cut_rematerialization_partition

    def keep(*, backward: bool) -> Callable[..., CompiledRegion]:
        def compile_graph(graph: fx.GraphModule, _: Any) -> CompiledRegion:
            return CompiledRegion(_name(backward=backward), copy_graph(graph), lambda inputs: _run(graph, inputs))

        return compile_graph

    made: _Backend = aot_autograd(
        fw_compiler=keep(backward=False),
        bw_compiler=keep(backward=True),
        partition_fn=min_cut_rematerialization_partition,
        keep_inference_input_mutations=True,
    )
    return made


def _run(graph: fx.GraphModule, inputs: list[Any]) -> Any:
    given = list(inputs)
    inputs.clear()
    return graph(*given)


def _name(*, backward: bool) -> str:
    return f"compiled graph {next(_numbers)} {'backward' if backward else 'forward'}"


_WATCHED: Mapping[str, Callable[[Mapping[str, Any]], _Backend]] = {"inductor": _inductor, "aot_eager": _aot_eager}
