"""The inputs of calls that came out wrong, kept with a program that makes each call again.

A finding is an operation's tensor; its worst call of the first iteration that it is violated in is kept, of the ten
worst findings. Inputs larger than 32 MiB are cut along the batch where the operation allows that; else the finding is
listed without a program, and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save

from harness.rules.shadow import Allowance, allow
from harness.shadow.call import Call
from harness.shadow.host import tensors_of
from harness.shadow.kinds import Kind
from harness.shadow.program import Origin, UnwritableError, render_program, source_of
from harness.shadow.results import Result
from harness.store.atomic import write_bytes, write_text
from harness.store.reproductions import INDEX, index_entry
from harness.values.reproduction import Reproduction
from harness.values.shadow import Part, ShadowCheck, ShadowRow

__all__ = ["Reproductions"]

MOST_KEPT = 10
LARGEST_INPUTS = 32 * 2**20

_BATCHED: Mapping[str, tuple[int, ...]] = {
    "convolution": (0,),
    "convolution_backward": (0, 1),
    "mm": (0,),
    "bmm": (0, 1),
    "native_batch_norm": (0,),
    "max_pool2d_with_indices": (0,),
    "relu": (0,),
    "threshold_backward": (0, 1),
    "upsample_bilinear2d": (0,),
    "_softmax": (0,),
    "_log_softmax": (0,),
}
"""Operations that can be called with fewer samples → the positions of the arguments that have a batch as first axis."""

_HOST_HAS_NOT = ("cudnn_", "miopen_", "_amp_", "_batch_norm_with_update", "batch_norm_")


@dataclass(frozen=True)
class _Kept:
    found: Reproduction
    excess: float


class Reproductions:
    """Keeps the worst calls of a run in a folder, each as it happens.

    Args:
        folder: made when there is something to keep.
        tier: precision tier that calls are judged at.
        origin: the device that they came out wrong on.
    """

    def __init__(self, folder: Path, tier: str, origin: Origin | None = None) -> None:
        self._folder = folder
        self._tier = tier
        self._origin = origin or Origin()
        self._kept: dict[tuple[Part, str, str], _Kept] = {}

    def offer(self, check: ShadowCheck, result: Result, call: Call) -> None:
        """Keep a call if it came out wrong, and worse than those that would have to give way."""
        allowed = allow(check, self._tier)
        row = _row(check, allowed)
        if not row.violated:
            return
        key = (check.part, check.op, check.tensor)
        held = self._kept.get(key)
        if held is not None and (check.iteration > held.found.iteration or row.excess <= held.excess):
            return
        if held is None and len(self._kept) >= MOST_KEPT:
            weakest = min(self._kept, key=lambda other: self._kept[other].excess)
            if self._kept[weakest].excess >= row.excess:
                return
            held = self._kept.pop(weakest)
        number = held.found.number if held is not None else len(self._kept) + 1
        found = Reproduction(number, check.iteration, check.part.value, check.module, check.op, check.tensor)
        self._kept[key] = _Kept(self._write(found, check, allowed, result, call), row.excess)
        document = [index_entry(kept.found) for kept in self._kept.values()]
        write_text(self._folder / INDEX, json.dumps({"reproductions": document}, indent=1) + "\n")

    def _write(
        self, found: Reproduction, check: ShadowCheck, allowed: Allowance, result: Result, call: Call
    ) -> Reproduction:
        """The program and its inputs on disk; a note in their place where they can't be written down."""
        path = self._folder / f"{found.number}.py"
        try:
            inputs, strides, arguments, pick, note = _written_down(call, result)
        except UnwritableError as reason:
            path.unlink(missing_ok=True)
            path.with_suffix(".safetensors").unlink(missing_ok=True)
            return replace(found, note=f"It has no program: {reason}.")
        program = render_program(
            found.number,
            call.op,
            call.operation,
            check,
            (allowed.error, allowed.projection),
            arguments=arguments,
            pick=pick,
            strides=strides,
            dtypes={str(tensor.dtype).removeprefix("torch.") for tensor in inputs.values()},
            note=note,
            origin=self._origin,
        )
        write_bytes(path.with_suffix(".safetensors"), save(inputs))
        write_text(path, program)
        return replace(found, note=note, program=path.name)


def _row(check: ShadowCheck, allowed: Allowance) -> ShadowRow:
    return ShadowRow(
        check.iteration, check.part, check.module, check.op, check.tensor,
        check.error, allowed.error, check.projection, allowed.projection,
    )  # fmt: skip


def _written_down(
    call: Call, result: Result
) -> tuple[dict[str, torch.Tensor], dict[str, tuple[int, ...]], str, str, str]:
    """Inputs by name, strides of those that aren't contiguous, the arguments and the result as Python, and a note.

    Raises:
        UnwritableError: the call can't be made again by itself.
    """
    if call.before is None or call.operation.kind is Kind.RANDOM:
        raise UnwritableError("a random draw can't be made again from its inputs")
    if call.operation.name.startswith(_HOST_HAS_NOT):
        raise UnwritableError("the host has no operation of that name")
    given = list(tensors_of([*call.given[0], *call.given[1].values()]))
    before = list(tensors_of([*call.before[0], *call.before[1].values()]))
    if len(given) != len(before) or any(not tensor.numel() for tensor in before):
        raise UnwritableError("one of its inputs is empty, or of no tensor's kind")
    names = {id(tensor): str(place) for place, tensor in reversed(list(enumerate(given)))}
    inputs = {names[id(tensor)]: _as_given(tensor, host) for tensor, host in zip(given, before, strict=True)}
    inputs, note = _cut(call, inputs, names)
    strides = {
        name: tuple(given[int(name)].stride())
        for name, tensor in inputs.items()
        if tensor.shape == given[int(name)].shape and _strided(given[int(name)])
    }
    positional = [source_of(value, names) for value in call.given[0]]
    by_name = [f"{name}={source_of(value, names)}" for name, value in call.given[1].items()]
    return inputs, strides, ", ".join([*positional, *by_name]), _pick(result, names), note


def _as_given(tensor: torch.Tensor, host: torch.Tensor) -> torch.Tensor:
    """The host's copy of an input in the dtype that the device had, which loses nothing."""
    if tensor.dtype.is_complex:
        raise UnwritableError("safetensors holds no complex numbers")
    return host.to(tensor.dtype).contiguous()


def _strided(tensor: torch.Tensor) -> bool:
    """Whether it has a layout of its own that a tensor can be made with: dense, not overlapping, not contiguous."""
    return not tensor.is_contiguous() and bool(torch.ops.aten.is_non_overlapping_and_dense(tensor))


def _cut(call: Call, inputs: dict[str, torch.Tensor], names: Mapping[int, str]) -> tuple[dict[str, torch.Tensor], str]:
    """The inputs within what is allowed, by fewer samples where they are too large, and a sentence that says so."""
    size = sum(map(_bytes, inputs.values()))
    if size <= LARGEST_INPUTS:
        return inputs, ""
    args = call.given[0]
    places = _BATCHED.get(call.operation.name, ())
    over_batch = call.operation.name.endswith("softmax") and args[1] in {0, -args[0].dim()}
    batched = {names[id(args[place])] for place in places}
    samples = min((len(inputs[name]) for name in batched), default=0)
    fixed = sum(_bytes(tensor) for name, tensor in inputs.items() if name not in batched)
    each = (size - fixed) / samples if samples else 0.0
    kept = int((LARGEST_INPUTS - fixed) // each) if each else 0
    if kept < 1 or over_batch:
        raise UnwritableError(f"its inputs have {size / 2**20:.0f} MiB, which can't be cut to 32")
    cut = {name: tensor[:kept].contiguous() if name in batched else tensor for name, tensor in inputs.items()}
    return cut, f"Its inputs are cut to the first {kept} of {samples} samples."


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _pick(result: Result, names: Mapping[int, str]) -> str:
    """The result that was wrong, of what the call returned or changed."""
    if result.place >= 0:
        return f"(result[{result.place}] if isinstance(result, (list, tuple)) else result)"
    if result.original is None or id(result.original) not in names:
        raise UnwritableError("what it changed isn't among its inputs")
    return f'x["{names[id(result.original)]}"]'
