"""The loss by program: the total that is trained on beside the sum of its weighted components."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.reproducing.program import Keep, keep_nothing
from harness.shadow.reproducing.sums import write_total

__all__ = ["check_loss_scale", "check_total"]


def check_total(outputs: Mapping[str, Any], iteration: int, keep: Keep = keep_nothing) -> Iterator[ShadowCheck]:
    """The logged total beside the float64 sum of every component, those whose name holds ``loss``.

    Args:
        outputs: what the training step returned: name → scalar; ``loss`` is the total.
        iteration: number of the step.
        keep: is told of the check, and how to write it down.
    """
    parts = [float(value) for name, value in outputs.items() if "loss" in name and name != "loss"]
    if "loss" not in outputs or not parts:
        return
    expected, total = math.fsum(parts), float(outputs["loss"])
    check = _check("total", "sum", total, expected, iteration, terms=len(parts), size=math.fsum(map(abs, parts)))
    keep(check, write_total(parts, total))
    yield check


def check_loss_scale(wrapper: Any, configured: Any, iteration: int) -> Iterator[ShadowCheck]:
    """The loss scale beside the range that its configuration leaves it after so many iterations.

    Args:
        wrapper: mmengine's, around the optimizer that trains.
        configured: the same, built anew from the config.
        iteration: number of the step.
    """
    fresh = getattr(configured, "loss_scaler", None)
    if fresh is None or not fresh.is_enabled():
        return
    scale, initial = float(wrapper.loss_scaler.get_scale()), float(fresh.get_scale())
    grown = initial * fresh.get_growth_factor() ** (iteration // fresh.get_growth_interval())
    shrunk = initial * fresh.get_backoff_factor() ** iteration
    nearest = min(max(scale, shrunk), grown)
    yield _check("loss scale", "scale", scale, nearest, iteration, terms=1, size=nearest)


def _check(
    tensor: str, op: str, observed: float, expected: float, iteration: int, *, terms: int, size: float
) -> ShadowCheck:
    error = abs(observed - expected) / abs(expected) if expected else (math.inf if observed else 0.0)
    if not (math.isfinite(observed) and math.isfinite(expected)):
        error = 0.0 if repr(observed) == repr(expected) else math.inf
    return ShadowCheck(
        iteration=iteration,
        part=Part.LOSS,
        module="",
        op=op,
        tensor=tensor,
        call=-1,
        dtype=str(torch.float32).removeprefix("torch."),
        shape=(),
        contiguous=True,
        error=error,
        projection=(observed - expected) / expected if expected and math.isfinite(error) else 0.0,
        scale=max(1.0, size / abs(expected)) if expected else 1.0,
        terms=float(terms),
    )
