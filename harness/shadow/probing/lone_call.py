"""A call alone: its tensors on the host, asked of a device and held against float64 like a call of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.arithmetic.counterparts import compute_on_host
from harness.shadow.arithmetic.host import in_double, map_tensors, tensors_of
from harness.shadow.arithmetic.kinds import Kind, read_operation
from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.checks import Part, ShadowCheck, ShadowRow
from harness.shadow.judging.operations import weigh_check
from harness.shadow.reproducing.call_file import StoredCall, argument_of, laid_out
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import Offered, ShadowOps
from harness.values.errors import RunError

__all__ = ["Answer", "Asking", "LoneCall", "asking_of", "format_of", "lone_call", "target_of"]

_ASKED = frozenset({Kind.COMPUTE, Kind.MOVE, Kind.VIEW})

_FLAT = frozenset({"nll_loss_forward", "nll_loss_backward"})
_LABELLED = _FLAT | {"nll_loss2d_forward", "nll_loss2d_backward"}
"""Losses whose labels are indices: of (N, C) or (C,), and of maps (N, C, H, W)."""


@dataclass(frozen=True, eq=False)
class LoneCall:
    """A call whose tensors lie on the host.

    Args:
        op: the operation, with its overload.
        arguments: name → value, defaults too.
    """

    op: Any
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, op: Any, /, **given: Any) -> LoneCall:
        """A call with the defaults that its schema has.

        Raises:
            ValueError: an argument is missing, or another operation's.
        """
        known = {a.name: a.default_value for a in op._schema.arguments if a.has_default_value()}
        names = {a.name for a in op._schema.arguments}
        if names != names & {*known, *given} or not given.keys() <= names:
            raise ValueError("the arguments are another operation's")
        return cls(op, known | given)

    @property
    def name(self) -> str:
        """The operation's name."""
        return read_operation(self.op).name

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Those that go in, in order."""
        return list(tensors_of(list(self.arguments.values())))

    @property
    def elements(self) -> int:
        """Of all tensors that go in."""
        return sum(tensor.numel() for tensor in self.tensors)

    @property
    def cost(self) -> int:
        """About how many elements go in and come out: what is resized is told its size."""
        size = self.arguments.get("output_size")
        first = next(iter(self.tensors), None)
        if isinstance(size, (list, tuple)) and size and first is not None and first.dim() == len(size) + 2:
            return self.elements + first.shape[0] * first.shape[1] * math.prod(size)
        return self.elements

    def given(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments by name as positional and keyword ones."""
        schema = self.op._schema.arguments
        args = [arguments[a.name] for a in schema if not a.kwarg_only]
        return args, {a.name: arguments[a.name] for a in schema if a.kwarg_only and a.name in arguments}

    def changed(self, /, **arguments: Any) -> LoneCall:
        """The call with other arguments."""
        return replace(self, arguments={**self.arguments, **arguments})

    def sizes(self) -> str:
        """Shapes of its tensors, for a person: ``2×8×8×8, 8×8×3×3``."""
        return ", ".join("×".join(map(str, tensor.shape)) or "1" for tensor in self.tensors)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a device makes of a call.

    Args:
        check: of the result that is looked at.
        row: the same beside what a healthy kernel may have.
        signature: of the call.
    """

    check: ShadowCheck
    row: ShadowRow
    signature: CallSignature

    @property
    def wrong(self) -> bool:
        """Whether a healthy kernel doesn't make that."""
        return self.row.violated

    def is_right_beside(self, wrong: Answer) -> bool:
        """Whether what is wrong in another call is surely not in this one.

        A bound can hide it where the call is small or its format narrow: then the measure that the other violates has
        to be a part of what it is there.

        Args:
            wrong: a call that is wrong.
        """
        if self.wrong:
            return False
        if self.check.part is Part.PRECISION and self.check.dtype != wrong.check.dtype:
            return False  # a narrow format has no bits to lose, whatever the kernel does
        if self.row.error == 0.0:
            return True
        by_error = not wrong.row.error <= wrong.row.allowed
        by_projection = not abs(wrong.row.projection) <= wrong.row.allowed_projection
        small = not by_error or self.row.error <= _PART * wrong.row.error
        return small and (not by_projection or abs(self.row.projection) <= _PART * abs(wrong.row.projection))


_PART = 0.5
"""Of a wrong call's error, what another one may have and count as right: chosen. Between, it counts as neither."""


def lone_call(stored: StoredCall, tensors: Mapping[str, torch.Tensor], device: str, where: object) -> LoneCall:
    """A call from its file.

    Args:
        stored: the call.
        tensors: that it names.
        device: what torch calls the one that it is to be asked of.
        where: the file.

    Raises:
        RunError: it is no call that can be made.
    """
    try:
        namespace, _, rest = stored.op.partition(".")
        op = reduce(getattr, rest.split("."), getattr(torch.ops, namespace))
        if not isinstance(op, torch._ops.OpOverload) or read_operation(op).kind not in _ASKED:
            raise ValueError(f"{stored.op} isn't computed from its arguments alone")
        given = {name: argument_of(plain, tensors, device) for name, plain in stored.arguments.items()}
        return LoneCall.of(op, **given)
    except (AttributeError, ValueError) as failure:
        raise RunError(
            "the call can't be made", where=where, observed=failure, allowed="a call of one operation"
        ) from None


def format_of(result: str) -> str:
    """What the check of a result's format calls it."""
    return f"format of {result}"


def target_of(stored: StoredCall) -> str:
    """Which answer tells whether a stored call is wrong."""
    return format_of(stored.result) if stored.part == Part.PRECISION.value else stored.result


def asking_of(stored: StoredCall, device: str) -> Asking:
    """What asks a device a stored call.

    Args:
        stored: the call.
        device: what torch calls it.
    """
    part = Part.BACKWARD if "backward" in stored.op else Part.FORWARD
    return Asking(device, stored.tier, (part, stored.module), stored.iteration)


class Asking:
    """Asks a device what it makes of calls, and holds that against float64 on the host.

    Args:
        device: what torch calls it.
        tier: precision tier that calls are judged at.
        place: where the wrong call stood: the part of the step, the module.
        iteration: that it was made in.
        healthy: whether the device is the host, with nothing between.

    Attributes:
        asked: how many calls were made.
    """

    def __init__(
        self,
        device: str,
        tier: str,
        place: tuple[Part, str] = (Part.FORWARD, ""),
        iteration: int = 0,
        *,
        healthy: bool = False,
    ) -> None:
        self.device, self.tier = device, tier
        self._place, self._iteration, self._healthy = place, iteration, healthy
        self.asked = 0

    def on_host(self) -> Asking:
        """The same of the host's own kernels."""
        return Asking("cpu", self.tier, self._place, self._iteration, healthy=True)

    def ask(self, call: LoneCall, kept: Offered | None = None) -> dict[str, Answer]:
        """What the device makes of a call: a result's name → an answer, ``format of`` it → one of its format.

        The host is asked first: what it refuses, by its sizes or by an index, is never asked of the device. Nothing is
        answered where either refuses.

        Args:
            call: to ask.
            kept: is offered what comes of it.
        """
        if self._refused_by_host(call):
            return {}
        args, kwargs = call.given({name: self._moved(value) for name, value in call.arguments.items()})
        mode = ShadowOps(_OnePlace(self._place), self._iteration, self.tier, reproductions=kept)
        self.asked += 1
        try:
            with _disable_current_modes() if self._healthy else nullcontext(), torch.no_grad(), mode:
                call.op(*args, **kwargs)
        except Exception:  # noqa: BLE001  # a device's kernel, in Python or not, may refuse in any way
            return {}
        if not mode.signatures:
            return {}
        signature = next(iter(mode.signatures.values()))
        found: dict[str, Answer] = {}
        for check in mode.checks:
            formed = format_of(check.tensor)
            if check.part is not Part.PRECISION:  # a format that is wide enough has no check of its own
                plain = replace(check, tensor=formed, part=Part.PRECISION, error=0.0, projection=0.0)
                found.setdefault(formed, Answer(plain, weigh_check(plain, self.tier), signature))
            found[check.tensor] = Answer(check, weigh_check(check, self.tier), signature)
        return found

    @staticmethod
    def _refused_by_host(call: LoneCall) -> bool:
        if _has_labels_past_its_classes(call):
            return True
        args, kwargs = call.given(call.arguments)
        with torch.no_grad(), _disable_current_modes():
            host = [in_double(value) for value in args], {name: in_double(value) for name, value in kwargs.items()}
            return bool(compute_on_host(call.op, read_operation(call.op), *host)[1])

    def _moved(self, value: Any) -> Any:
        """An argument with its tensors on the device, in the layout that they have on the host."""
        if isinstance(value, torch.device):
            return value

        def move(tensor: torch.Tensor) -> torch.Tensor:
            base = tensor._base if tensor.storage_offset() else None
            if base is not None:  # a view that begins inside its memory stays one
                moved = base.to(self.device).clone()
                return moved.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
            return laid_out(tensor.to(self.device).clone(), tensor.stride())

        return map_tensors(value, move)


def _has_labels_past_its_classes(call: LoneCall) -> bool:
    """Whether a loss is given a label of a class that it hasn't, as where its classes were made fewer.

    PyTorch's forward on the host refuses that, but its backward writes where the label points.
    """
    if call.name not in _LABELLED:
        return False
    labels, classes = call.arguments["target"], call.arguments["self"].shape[-1 if call.name in _FLAT else 1]
    foreign = (labels < 0) | (labels >= classes)
    return bool((foreign & (labels != call.arguments["ignore_index"])).any())


class _OnePlace(CallSites):
    """A call that no module makes: it stands where the wrong one stood."""

    def __init__(self, place: tuple[Part, str]) -> None:
        super().__init__(torch.nn.Module())
        self._place = place

    def here(self) -> tuple[Part, str]:
        """The part of the step, and the module."""
        return self._place
