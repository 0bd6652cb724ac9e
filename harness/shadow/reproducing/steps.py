"""An optimizer's step of one parameter, written down as a program that takes it again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from harness.shadow.judging.operations import Allowance
from harness.shadow.reproducing.program import Write, Written, compared, source_of

__all__ = ["write_step"]

_HOW = ("foreach", "fused", "capturable", "differentiable")
"""Settings that say how the device computes, not what."""

_BODY = """
SETTINGS = {settings}
HOW = {how}  # of the device's kernels


def run(device, double):
    dtype = torch.float64 if double else torch.{dtype}
    parameter = torch.nn.Parameter(stored["parameter"].to(device, dtype).clone())
    parameter.grad = stored["gradient"].to(device, dtype).clone()
    optimizer = torch.optim.{optimizer}([parameter], **SETTINGS, **({{}} if double or device == "cpu" else HOW))
    state = {{name[6:]: value.clone() for name, value in stored.items() if name.startswith("state.")}}
    optimizer.load_state_dict({{**optimizer.state_dict(), "state": {{0: state}} if state else {{}}}})
    optimizer.step()
    return {result}.detach().cpu().double(){less}


made, now, due = stored["made"].double(){less}, run(device, False), run("cpu", True)
"""

_NOTE = """\
A step of torch.optim from the parameter, state, gradient and settings that it was due from{thinned}.
Where the device is right here, what went wrong lies outside of the optimizer's kernels: in how the step was called."""


def write_step(
    optimizer: torch.optim.Optimizer,
    parameter: torch.nn.Parameter,
    before: Mapping[str, torch.Tensor],
    group: Mapping[str, Any],
    what: str,
    made: torch.Tensor,
) -> Write:
    """How to write down the step of one parameter.

    Args:
        optimizer: that took it.
        parameter: that it took it with.
        before: samples in float64, (n,) each, of what the step was due from: ``parameter``, ``gradient`` as it was
            unscaled and clipped, and ``state.<name>``.
        group: the settings that it was due with.
        what: ``update``, or the state that was wrong.
        made: the parameter or state that the step left, sampled, (n,).
    """

    def write(allowed: Allowance) -> Written:
        live = optimizer.state.get(parameter, {})
        inputs = {name: _as_it_was(value, live.get(name.removeprefix("state."))) for name, value in before.items()}
        inputs["parameter"] = before["parameter"].to(parameter.dtype)
        inputs["made"] = made.to(parameter.dtype if what == "update" else made.dtype)
        known = inspect.signature(type(optimizer)).parameters
        settings = {name: _plain(value) for name, value in group.items() if name in known and name != "params"}
        how = {name: settings.pop(name) for name in _HOW if name in settings}
        body = _BODY.format(
            settings=_source({name: value for name, value in settings.items() if value is not None}),
            how=_source({name: value for name, value in how.items() if value}),
            dtype=str(parameter.dtype).removeprefix("torch."),
            optimizer=type(optimizer).__name__,
            result="parameter" if what == "update" else f'optimizer.state[parameter]["{what}"]',
            less=' - stored["parameter"].double()' if what == "update" else "",
        )
        size = len(before["parameter"])
        thinned = f", {size} of {parameter.numel()} elements" if size < parameter.numel() else ""
        return Written(inputs, body + compared(allowed), _NOTE.format(thinned=thinned))

    return write


def _as_it_was(sample: torch.Tensor, live: Any) -> torch.Tensor:
    """A sample in the dtype of what it is of; a number where that is one."""
    if not isinstance(live, torch.Tensor):
        return sample
    return sample.to(live.dtype).reshape(live.shape if not live.dim() else sample.shape).contiguous()


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, torch.Tensor) else value


def _source(settings: Mapping[str, Any]) -> str:
    return f"dict({', '.join(f'{name}={source_of(value, {})}' for name, value in settings.items())})"
