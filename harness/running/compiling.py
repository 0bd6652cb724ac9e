"""A model that torch.compile compiles: the same experiment by other kernels, and which iterations ran them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from harness.running.order import EAGER, Order
from harness.shadow.compiled.watched_backend import can_watch, watched_backend
from harness.training.unseen_code import COMPILER
from harness.values.errors import RunError, UsageError

__all__ = ["compile_in_place", "compile_settings", "judges_compiled"]


def compile_settings(order: Order, configured: Any) -> dict[str, Any] | None:
    """The arguments of ``torch.compile``, and mmengine's ``target``, the method that is compiled.

    Args:
        order: what to run; its backend goes before the config's.
        configured: the config's ``compile``, as mmengine takes it: a flag, or a mapping.

    Returns:
        None where nothing is compiled.
    """
    if order.compile == EAGER:
        return None
    own = dict(configured) if isinstance(configured, Mapping) else {}
    if order.compile:
        return {"target": "forward", **own, "backend": order.compile}
    return {"target": "train_step", **own} if configured else None


def judges_compiled(order: Order, backend: object) -> bool:
    """Whether what is compiled is judged at shadowed iterations, graph by graph, and not eager code in its place.

    Args:
        order: what is run. Hard inputs are made of eager calls, and so of an eager iteration.
        backend: of ``torch.compile``: a name, or a function of the config's.
    """
    return bool(order.shadow) and not order.shadow_forced and can_watch(backend)


def compile_in_place(runner: Any, settings: Mapping[str, Any], order: Order, iterations: int) -> None:
    """Compile a method of a Runner's model in its place; where a mode watches that can't judge it, the eager one runs.

    torch.compile passes a frame that such a mode watches, and never compiles it afterwards: without the choice that is
    made here a run whose first iteration is shadowed would be eager throughout, and say that it passes compiled.

    Inductor draws random numbers by a generator of its own unless it is told to leave them to PyTorch's; then dropout's
    masks are the reference's.

    Args:
        runner: mmengine's, with its model, wrapped or not.
        settings: from ``compile_settings``.
        order: what is run.
        iterations: how many.

    Raises:
        UsageError: every iteration is shadowed, so that nothing compiled would run.
    """
    backend = settings.get("backend", "inductor")
    judged = judges_compiled(order, backend)
    if not judged and set(range(iterations)) <= set(order.shadow):
        raise UsageError(
            "every iteration is shadowed, and a shadowed one runs eager code: nothing compiled would be judged",
            where="--shadow",
            observed=f"{len(order.shadow)} of {iterations} iterations",
            hint="--shadow 0, or --compile none",
        )
    from torch._inductor import config as inductor

    inductor.fallback_random = True
    arguments = dict(settings)
    target = arguments.pop("target")
    eager = getattr(runner.model, target)
    if judged:
        own: dict[str, Any] = {name: arguments.pop(name) for name in ("mode", "options") if name in arguments}
        arguments["backend"] = watched_backend(str(backend), own)
    compiled = torch.compile(eager, **arguments)

    def chosen(*args: Any, **kwargs: Any) -> Any:
        watching = _get_current_dispatch_mode_stack()
        passes = not watching or (judged and all(mode.ignore_compile_internals() for mode in watching))
        return (compiled if passes else eager)(*args, **kwargs)

    setattr(runner.model, target, chosen)
    runner.register_hook(_CompiledHook(target), priority="VERY_LOW")


class _CompiledHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Ends a run as an ERROR that compiled nothing: it was an eager one, and would pass as such."""

    def __init__(self, target: str) -> None:
        self._target = target

    def after_train(self, runner: Any) -> None:
        """Count the graphs that were compiled in this process."""
        from torch._dynamo.utils import counters

        if not counters["stats"].get("unique_graphs", 0):
            raise RunError(
                "nothing was compiled: the run was an eager one",
                where=f"{COMPILER} of {self._target}",
                observed="no graph",
                hint="--compile none; TORCH_LOGS=graph_breaks says why",
            )
