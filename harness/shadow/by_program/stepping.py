"""The step of the optimizer by program: what it made of each parameter, beside float64's update.

Operations can't show this: an optimizer that skips the decay of one layer runs healthy kernels. So the gradients are
sampled as the backward left them, the parameters and the optimizer's state as the step found them, and the groups as
they were configured; what should come of them is computed in float64, and compared with what came.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.measure import Distance, measure, smallest_normal_of
from harness.shadow.arithmetic.sample import sample
from harness.shadow.by_program.update import UPDATES, Update
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.judging.error_model import rounding
from harness.shadow.judging.operations import allow_rounding
from harness.shadow.reproducing.program import Keep, Write, keep_nothing, without_program
from harness.shadow.reproducing.steps import write_step
from harness.training.unseen_code import has_compiled

__all__ = ["BareWrapper", "StepProgram"]

_DRAWS = 8
"""How many healthy steps a suspicious one is held to."""


@dataclass
class BareWrapper:
    """What the check of an optimizer's step asks of mmengine's wrapper, around an optimizer that has none."""

    optimizer: torch.optim.Optimizer
    loss_scaler: Any = None
    clip_grad_kwargs: Mapping[str, Any] | None = None
    clip_func: Any = None
    _accumulative_counts: int = 1


@dataclass
class _Before:
    """A parameter as the step finds it, sampled: (n,) each."""

    name: str
    parameter: torch.nn.Parameter
    group: int
    value: torch.Tensor
    state: dict[str, torch.Tensor]
    last_write: tuple[int, int]
    gradient: torch.Tensor | None = None


@dataclass(frozen=True)
class _Due:
    """What float64 makes of a parameter: value and state after the step.

    Args:
        group: the settings that it is due with.
        gradient: unscaled and clipped, (n,); None where the step is skipped.
        value: of the parameter, (n,).
        state: by name, (n,) each.
    """

    group: dict[str, Any]
    gradient: torch.Tensor | None
    value: torch.Tensor
    state: Mapping[str, torch.Tensor]


@dataclass
class StepProgram:
    """One shadowed step of an optimizer.

    Call the three in order: ``before`` the iteration, ``after_backward``, ``after`` the step.

    Args:
        wrapper: mmengine's, around the optimizer.
        names: parameter's id → its dotted name.
        iteration: number of the step.
        groups: the settings that the parameter groups were built with.
        rates: the learning rate that each group is due at this iteration; the group's own where None.
        keep: is told of each check, and how to write it down.
    """

    wrapper: Any
    names: Mapping[int, str]
    iteration: int
    groups: list[dict[str, Any]]
    rates: list[float] | None
    keep: Keep = keep_nothing
    _kept: list[_Before] = field(default_factory=list)
    _factor: float | None = None

    @property
    def reason(self) -> str:
        """Why the step can't be checked; empty where it can."""
        kind = type(self.wrapper.optimizer)
        if kind.__name__ not in UPDATES or kind is not getattr(torch.optim, kind.__name__):
            return f"no float64 update is known of {kind.__module__}.{kind.__qualname__}"
        return "gradients are accumulated over iterations" if self.wrapper._accumulative_counts != 1 else ""

    @property
    def updates(self) -> int:
        """How many updates a step makes: one of each parameter that is trained."""
        groups = self.wrapper.optimizer.param_groups
        return sum(parameter.requires_grad for group in groups for parameter in group["params"])

    def before(self) -> None:
        """Sample parameters and state as the iteration finds them."""
        optimizer = self.wrapper.optimizer
        for number, group in enumerate(optimizer.param_groups):
            for parameter in group["params"]:
                state = {
                    name: sample(value)
                    for name, value in optimizer.state.get(parameter, {}).items()
                    if isinstance(value, torch.Tensor)
                }
                name = self.names.get(id(parameter), f"group {number}")
                last = _last_write(parameter)
                self._kept.append(_Before(name, parameter, number, sample(parameter), state, last))

    def after_backward(self) -> None:
        """Sample the gradients as the backward left them, and find what loss scale and clipping make of them."""
        inverse = 1.0 / _loss_scale(self.wrapper)
        squares, finite = 0.0, True
        for kept in self._kept:
            gradient = kept.parameter.grad
            if gradient is None:
                continue
            kept.gradient = sample(gradient) * inverse
            if _last_write(kept.parameter) != kept.last_write:
                kept.value = sample(kept.parameter)  # the program wrote to it itself, as a norm or a clamp does
            norm = _norm_of(gradient.detach())
            finite &= math.isfinite(norm)
            squares += (norm * inverse) ** 2
        self._factor = _clipping(self.wrapper, math.sqrt(squares)) if finite else None

    def after(self) -> Iterator[ShadowCheck]:
        """What the step made of each parameter and of its state, beside float64's update."""
        for kept in self._kept:
            if kept.gradient is None:
                continue
            due = self._due(kept, kept.gradient)
            made = sample(kept.parameter)
            distance, scale = _of_update(kept.value, made, due, kept.parameter.dtype)
            yield self._check(kept, due, "update", made, distance, scale)
            found = self.wrapper.optimizer.state.get(kept.parameter, {})
            for name, expected in due.state.items():
                if name == "step":
                    continue
                held = sample(found[name]) if name in found else None
                lost = Distance(math.inf, 0.0, float(expected.norm()), 1.0)
                flushed = smallest_normal_of(kept.parameter.dtype)
                known = _in_range(held, expected, kept.parameter.dtype) if held is not None else None
                distance = measure(*known, flushed) if known is not None else lost
                yield self._check(kept, due, name, held, distance, 1.0)

    def _due(self, kept: _Before, gradient: torch.Tensor) -> _Due:
        optimizer = self.wrapper.optimizer
        group = dict(self.groups[kept.group])
        group["lr"] = self.rates[kept.group] if self.rates is not None else optimizer.param_groups[kept.group]["lr"]
        if self._factor is None and _scaler(self.wrapper) is not None:  # the scaler skips the step
            return _Due(group, None, kept.value, kept.state)
        gradient = _clipped(self.wrapper, gradient, self._factor if self._factor is not None else 1.0)
        update = UPDATES[type(optimizer).__name__]
        value, state = update(kept.value, gradient, kept.state, group)
        return _Due(group, gradient, value, state)

    def _written(self, kept: _Before, due: _Due, what: str, made: torch.Tensor | None) -> Write:
        """How to write the step of a parameter down, from the gradient that it was due with."""
        if due.gradient is None:
            return without_program("the loss scaler was to skip the step, which a lone step doesn't show")
        if made is None:
            return without_program(f"the optimizer keeps no {what.replace('_', ' ')}")
        before = {"parameter": kept.value, "gradient": due.gradient}
        before |= {f"state.{name}": value for name, value in kept.state.items()}
        return write_step(self.wrapper.optimizer, kept.parameter, before, due.group, what, made)

    def _check(
        self, kept: _Before, due: _Due, what: str, made: torch.Tensor | None, distance: Distance, scale: float
    ) -> ShadowCheck:
        module, _, leaf = kept.name.rpartition(".")
        check = ShadowCheck(
            iteration=self.iteration,
            part=Part.OPTIMIZER,
            module=module,
            op=type(self.wrapper.optimizer).__name__,
            tensor=f"{leaf} {what.replace('_', ' ')}",
            call=-1,
            dtype=dtype_name(kept.parameter.dtype),
            shape=tuple(kept.parameter.shape),
            contiguous=kept.parameter.is_contiguous(),
            error=distance.error,
            projection=distance.projection,
            scale=scale,
            spread=distance.spread,
        )
        if due.gradient is not None and made is not None and _is_suspicious(check):
            check = self._beside_healthy(check, kept, due, what)
        self.keep(check, self._written(kept, due, what, made))
        return check

    def _beside_healthy(self, check: ShadowCheck, kept: _Before, due: _Due, what: str) -> ShadowCheck:
        """The check with what healthy steps of the same optimizer are off by, in the parameter's own arithmetic."""
        update = UPDATES[type(self.wrapper.optimizer).__name__]
        gradient = due.gradient if due.gradient is not None else torch.zeros_like(kept.value)
        steps = _healthy_steps(update, kept, gradient, due.group)
        flushed = smallest_normal_of(kept.parameter.dtype)
        if what == "update":
            found = [_of_update(kept.value, value, due, kept.parameter.dtype)[0] for value, _ in steps]
        else:
            found = [measure(state[what], due.state[what], flushed) for _, state in steps]
        # In a narrow dtype a sum of squares may vanish, and what is divided by it has no number: that says nothing.
        found = [distance for distance in found if math.isfinite(distance.error)]
        if not found:
            return check
        base = rounding(check.op, check.dtype, check.operand, check.terms, _ANY_TIER)
        error = math.sqrt(sum(distance.error**2 for distance in found) / len(found)) / base
        along = max(abs(distance.projection) for distance in found) / base
        return replace(check, scale=max(check.scale, error), along=along)


_ANY_TIER = "fp32"
"""Tiers speak of products; an update is elementwise."""


def _is_suspicious(check: ShadowCheck) -> bool:
    """Whether an update is past what is allowed where roundings are independent of each other."""
    numbers = (check.dtype, check.operand, check.terms, check.spread, check.scale)
    allowed = allow_rounding(check.op, *numbers, tier=_ANY_TIER)
    return not (check.error <= allowed.error and abs(check.projection) <= allowed.projection)


def _of_update(before: torch.Tensor, after: torch.Tensor, due: _Due, dtype: torch.dtype) -> tuple[Distance, float]:
    """The distance of the update made from the update due, and how much larger the parameter is, which it rounds with.

    Where no update is due the parameter itself is compared. Elements that are past the dtype's range aren't, nor those
    of which a state is: float64 knows a quotient where the dtype has infinity below the line.
    """
    known, expected = before.isfinite(), due.value
    for value in (expected, *(state for state in due.state.values() if state.shape == expected.shape)):
        known &= value.to(dtype).isfinite()
    if not bool(known.all()):
        before, after, expected = before[known], after[known], expected[known]
    update = expected - before
    size = float(update.norm())
    if not size:
        return measure(after, expected), 1.0
    return measure(after - before, update), math.sqrt(float(expected.norm()) ** 2 + size**2) / size


def _in_range(held: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A state's elements that the dtype can hold, where it has as many as are due."""
    if held.shape != expected.shape:
        return held, expected
    known = expected.to(dtype).isfinite()
    return (held, expected) if bool(known.all()) else (held[known], expected[known])


def _healthy_steps(
    update: Update, kept: _Before, gradient: torch.Tensor, group: Mapping[str, Any]
) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Values and states after some steps in the parameter's dtype, from gradients and states moved by a last bit.

    An update that isn't much larger than the weight's last place is rounded there, and alike in all weights of one
    binade where the updates are alike, as Adam's first are; one that is smaller vanishes. So it is made in that dtype's
    arithmetic. Where a difference of a last bit in the rate tips such a rounding over, either is right.
    """
    dtype = kept.parameter.dtype if kept.parameter.dtype.is_floating_point else torch.float32
    generator = torch.Generator().manual_seed(zlib.crc32(kept.name.encode()))
    last_bit = torch.finfo(dtype).eps
    steps = []
    for draw in range(_DRAWS):
        moved = {**group, "lr": float(group["lr"]) * (1 + (draw - _DRAWS // 2) * last_bit / 2)}
        state = {
            name: value if name == "step" else _nudged(value, last_bit, generator).to(dtype)
            for name, value in kept.state.items()
        }
        if group.get("capturable") or has_compiled():
            # Then it is counted in a tensor, and 1 − βᵗ is float32's, which at the first steps has few of its bits.
            state["step"] = kept.state.get("step", torch.zeros(())).to(torch.float32)
        value, after = update(kept.value.to(dtype), _nudged(gradient, last_bit, generator).to(dtype), state, moved)
        steps.append((value.double(), {name: each.double() for name, each in after.items()}))
    return steps


def _nudged(tensor: torch.Tensor, last_bit: float, generator: torch.Generator) -> torch.Tensor:
    return tensor * (1 + last_bit * (torch.rand(tensor.shape, generator=generator, dtype=torch.float64) - 0.5))


def _last_write(parameter: torch.Tensor) -> tuple[int, int]:
    """What changes where a program writes to a parameter, or puts another tensor into ``p.data``."""
    has_pointers = type_of_kind(parameter.device.type).has_pointers
    return parameter._version, parameter.data_ptr() if has_pointers else 0


def _norm_of(gradient: torch.Tensor) -> float:
    dense = gradient if gradient.layout is torch.strided else gradient.to_dense()
    wide = torch.complex128 if dense.is_complex() else torch.float64
    return float(torch.linalg.vector_norm(dense, dtype=wide if dense.is_cpu else None))


def _scaler(wrapper: Any) -> Any:
    scaler = getattr(wrapper, "loss_scaler", None)
    return scaler if scaler is not None and scaler.is_enabled() else None


def _loss_scale(wrapper: Any) -> float:
    scaler = _scaler(wrapper)
    return float(scaler.get_scale()) if scaler is not None else 1.0


def _clipping(wrapper: Any, norm: float) -> float:
    """What clipping by norm multiplies the gradients with."""
    settings = wrapper.clip_grad_kwargs or {}
    if settings and wrapper.clip_func is torch.nn.utils.clip_grad_norm_ and "max_norm" in settings:
        return min(1.0, float(settings["max_norm"]) / (norm + 1e-6))
    return 1.0


def _clipped(wrapper: Any, gradient: torch.Tensor, factor: float) -> torch.Tensor:
    settings = wrapper.clip_grad_kwargs or {}
    if settings and wrapper.clip_func is torch.nn.utils.clip_grad_value_:
        return gradient.clamp(-settings["clip_value"], settings["clip_value"])
    return gradient * factor
