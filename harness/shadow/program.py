"""The program that makes one call again: a device's result beside the host's, of the same inputs, with torch alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from harness.shadow.kinds import Kind, Operation
from harness.values.shadow import ShadowCheck

__all__ = ["Origin", "UnwritableError", "render_program", "source_of"]


_PLAIN: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((torch.dtype,), lambda value: f"wide({value})"),
    ((torch.device,), lambda value: '"cpu"' if value.type == "cpu" else "device"),
    ((torch.layout, torch.memory_format), str),
    ((float,), lambda value: repr(value) if math.isfinite(value) else f'float("{value}")'),
    ((bool, int, str, type(None)), repr),
)


class UnwritableError(ValueError):
    """An argument that can't be written down as Python."""


@dataclass(frozen=True)
class Origin:
    """Where a call came out wrong.

    Args:
        emulated: whether the device is emulated: then a program has to install it first.
        profile: the emulated device's numerics.
        faults: that were put in, as the command line spells them.
    """

    emulated: bool = False
    profile: str = ""
    faults: tuple[str, ...] = ()


_PROGRAM = '''\
"""{words}

It runs with torch alone, on any device: python {number}.py --device cpu, cuda or sdaa.{note}
"""

import argparse
import json
from pathlib import Path

import torch

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--device", default="cpu")
device = parser.parse_args().device
{install}
TYPES = {{{types}}}
raw = Path(__file__).with_suffix(".safetensors").read_bytes()
start, stored = 8 + int.from_bytes(raw[:8], "little"), {{}}
for name, entry in json.loads(raw[8:start]).items():
    first, last = (start + offset for offset in entry["data_offsets"])
    stored[name] = torch.frombuffer(bytearray(raw[first:last]), dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
{layouts}

def run(device, double):
    wide = lambda dtype: torch.float64 if double and dtype.is_floating_point else dtype
    x = {{name: value.to(device, wide(value.dtype)).clone() for name, value in stored.items()}}
    result = torch.ops.{op}({arguments})
    return {pick}.detach().cpu()


c, r = run(device, False), run("cpu", {double})
print(f"{{device}}:", c.flatten()[:4].tolist(), "…")
print("the host{in_double}:", r.flatten()[:4].tolist(), "…")
{verdict}
'''

_COMPUTED = """\
c, r = c.double().flatten(), r.double().flatten()
print(f"error {{float((c - r).norm() / r.norm()):.3g}} (allowed {error:.3g})")
print(f"projection {{float((c - r) @ r / (r @ r)):+.3g}} (allowed {projection:.3g})")"""

_MOVED = 'print(f"{{float((c != r).double().mean()):.3%}} of the elements differ (none may)")'

_INSTALL = """\
if device == "emulated":  # needs the alignment harness
    from harness.emulation import install, parse_fault

    install({profile!r}, [parse_fault(fault) for fault in {faults!r}])
    device = "sdaa"
elif device == "sdaa":
    import torch_sdaa  # noqa: F401
"""

_TORCH_SDAA = """\
if device == "sdaa":
    import torch_sdaa  # noqa: F401
"""

_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def render_program(
    number: int,
    op: Any,
    operation: Operation,
    check: ShadowCheck,
    allowed: tuple[float, float],
    *,
    arguments: str,
    pick: str,
    strides: Mapping[str, tuple[int, ...]],
    dtypes: Collection[str],
    note: str,
    origin: Origin,
) -> str:
    """The text of a program.

    Args:
        number: of the reproduction.
        op: the operation, with its overload.
        operation: what its schema says.
        check: what was found of the call.
        allowed: error and projection that a healthy kernel may have.
        arguments: of the call, as Python; tensors are ``x["0"]``, …
        pick: the result, as Python, of ``result`` and ``x``.
        strides: of the tensors that aren't contiguous.
        dtypes: of the inputs, by name.
        note: what else is to be said, a sentence.
        origin: where it came out wrong.
    """
    moved = operation.kind in {Kind.MOVE, Kind.VIEW}
    verdict = _MOVED.format() if moved else _COMPUTED.format(error=allowed[0], projection=allowed[1])
    layouts = "".join(
        f'stored["{name}"] = torch.empty_strided({"{0}"}.shape, {stride}, dtype={"{0}"}.dtype).copy_({"{0}"})\n'.format(
            f'stored["{name}"]'
        )
        for name, stride in strides.items()
    )
    faults = f" with {', '.join(origin.faults)}" if origin.faults else ""
    emulation = (
        f"\nIt was found on the emulated device{faults}: --device emulated makes it again where the alignment harness"
        "\nis installed. A fault that strikes one layer by its number in the step doesn't strike a lone call."
        if origin.emulated
        else ""
    )
    said = f"{note}{emulation}"
    return _PROGRAM.format(
        words=_docstring(_words(check, allowed)),
        number=number,
        note=_docstring(f"\n{said.strip()}" if said else ""),
        install=_INSTALL.format(profile=origin.profile, faults=list(origin.faults)) if origin.emulated else _TORCH_SDAA,
        types=", ".join(f'"{name}": torch.{dtype}' for name, dtype in _TYPES.items() if dtype in dtypes),
        layouts=layouts,
        op=f"{op.namespace}.{operation.name}.{op._overloadname}",
        arguments=arguments,
        pick=pick,
        double=not moved,
        in_double="" if moved else " in float64",
        verdict=verdict,
    )


def source_of(value: Any, names: dict[int, str]) -> str:
    """An argument as Python.

    Args:
        value: the argument.
        names: id of a tensor → its name among the inputs.

    Raises:
        UnwritableError: it can't be written down.
    """
    if isinstance(value, torch.Tensor):
        return f'x["{names[id(value)]}"]'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(source_of(element, names) for element in value)}]"
    for kinds, write in _PLAIN:
        if isinstance(value, kinds):
            return write(value)
    raise UnwritableError(f"an argument of type {type(value).__name__} can't be written down")


def _words(check: ShadowCheck, allowed: tuple[float, float]) -> str:
    where = ", ".join(filter(None, (check.module, check.op, check.tensor)))
    return (
        f"{where}: error {check.error:.3g} (allowed {allowed[0]:.3g}), projection {check.projection:+.3g} "
        f"(allowed {allowed[1]:.3g}) at iteration {check.iteration}."
    )


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")
