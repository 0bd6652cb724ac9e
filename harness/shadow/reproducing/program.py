"""The program that makes one finding again: a device's result beside the host's, of the same inputs, with torch alone.

Its frame is here: what it says, where it runs, how it reads its inputs. What it computes is of the kind of the check:
``calls``, ``steps``, ``sums``, ``draws``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch

from harness.devices.device_registry import known_device_types
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.judging.operations import Allowance, bits_of

__all__ = [
    "Keep", "Origin", "UnwritableError", "Write", "Written", "compared", "keep_nothing", "render_program", "source_of",
    "without_program",
]  # fmt: skip

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
        device: what torch calls the device: ``cuda``.
    """

    emulated: bool = False
    profile: str = ""
    faults: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What a program's ``--device`` calls it."""
        return "emulated" if self.emulated else self.device


@dataclass(frozen=True)
class Written:
    """What a program is made of beside its frame.

    Args:
        inputs: name → tensor, on the host and contiguous; the program finds them in ``stored``.
        body: what it computes and prints, as Python; it finds the ``device`` that was asked for.
        note: what else is to be said, a sentence.
        strides: of the inputs that aren't contiguous.
        options: further options of its command line, as Python.
        call: the call as data, to be asked again: ``op``, ``arguments``, ``strides`` and ``result`` of a
            ``StoredCall``; empty where it is none of a single operation.
    """

    inputs: Mapping[str, torch.Tensor]
    body: str
    note: str = ""
    strides: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    options: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)


Write = Callable[[Allowance], Written]
"""Writes a program down, from what a healthy kernel may have; raises ``UnwritableError`` where that can't be."""

Keep = Callable[[ShadowCheck, Write], None]
"""Is told of each check, and how to write it down should it be a violation."""


def keep_nothing(check: ShadowCheck, write: Write) -> None:
    """The ``Keep`` of those who keep nothing."""


def without_program(reason: str) -> Write:
    """The ``Write`` of a check that has no program, and why."""

    def refuse(allowed: Allowance) -> NoReturn:
        raise UnwritableError(reason)

    return refuse


_PROGRAM = '''\
"""{words}

It says REPRODUCED and exits with 1, or NOT REPRODUCED and exits with 0; where the device is missing, with 2.
It runs with torch alone, on any device: python {name}.py --device cpu, cuda, sdaa …{note}
"""

import argparse
import importlib
import json
from pathlib import Path

import torch

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--device", default="{device}", help="without it {device}, where it came out wrong")
{options}arguments = parser.parse_args()
device = arguments.device
PACKAGES = {packages}
try:
{install}    torch.empty(1, device=device)
except Exception as reason:
    parser.exit(2, f"there is no device {{arguments.device}} here: {{type(reason).__name__}}: {{reason}}\\n")
TYPES = {{{types}}}
raw = Path(__file__).with_suffix(".safetensors").read_bytes()
start, stored = 8 + int.from_bytes(raw[:8], "little"), {{}}
header = json.loads(raw[8:start])
header.pop("__metadata__", None)
for name, entry in header.items():
    first, last = (start + offset for offset in entry["data_offsets"])
    stored[name] = torch.frombuffer(bytearray(raw[first:last]), dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])


def lay(tensor, strides):
    """The tensor with other strides; an axis of stride 0 repeats its first element."""
    if tensor.stride() == strides:
        return tensor
    one = tensor[tuple(slice(None) if stride else slice(1) for stride in strides)]
    steps = [stride or 1 for stride in strides]
    return torch.empty_strided(one.shape, steps, dtype=one.dtype, device=one.device).copy_(one).expand(tensor.shape)


def distance(c, r):
    """The error's norm over that of r, and the factor by which c is too large, less 1. An overflow of both is none."""
    c, r, narrow = c.double().flatten(), r.double().flatten(), r.to(c.dtype).double().flatten()
    both = c.isfinite() & narrow.isfinite()
    if not bool((both | (c == narrow) | (c.isnan() & r.isnan())).all()):
        return float("inf"), 0.0
    c, r = c[both], r[both]
    if torch.equal(c, r):
        return 0.0, 0.0
    return float((c - r).norm() / r.norm()), float((c - r) @ r / (r @ r))


{layouts}{body}
print("REPRODUCED" if wrong else "NOT REPRODUCED")
if __name__ == "__main__":
    raise SystemExit(int(wrong))
'''

_COMPARED = """\
lines = []
for who, c in (("the run", made), (device, now)):
    error, projection = distance(c, due)
    wrong = not (error <= {error} and abs(projection) <= {projection})
    lines.append(f"{{who}}: {{c.flatten()[:4].tolist()}} …")
    lines.append(f"  error {{error:.3g}} (allowed {{{error}:.3g}})")
    lines.append(f"  projection {{projection:+.3g}} (allowed {{{projection}:.3g}})")
lines.append(f"the host in float64: {{due.flatten()[:4].tolist()}} …\\n")
print("\\n".join(lines), end="")
"""

_INSTALL = """\
    if device == "emulated":  # needs the alignment harness
        from harness.devices.choice import choose_device
        from harness.devices.device_opening import open_device
        from harness.devices.fault_registry import parse_fault

        device = open_device(choose_device(device), {profile!r}, [parse_fault(fault) for fault in {faults!r}]).kind
    elif device in PACKAGES:
        importlib.import_module(PACKAGES[device])
"""

_IMPORT = """\
    if device in PACKAGES:
        importlib.import_module(PACKAGES[device])
"""

_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def render_program(name: str, check: ShadowCheck, allowed: Allowance, written: Written, origin: Origin) -> str:
    """The text of a program.

    Args:
        name: of its file, without the ending.
        check: what was found.
        allowed: what a healthy kernel may have.
        written: what the program is made of.
        origin: where it came out wrong.
    """
    layouts = "".join(
        f'stored["{tensor}"] = lay(stored["{tensor}"], {strides})\n' for tensor, strides in written.strides.items()
    )
    faults = f" with {', '.join(origin.faults)}" if origin.faults else ""
    emulation = (
        f"\nIt was found on the emulated device{faults}: --device emulated reproduces it where the alignment harness"
        "\nis installed. A fault that strikes one layer by its number in the step doesn't strike a lone call."
        if origin.emulated
        else ""
    )
    said = f"{written.note}{emulation}"
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in written.inputs.values()}
    return _PROGRAM.format(
        words=_docstring(_words(check, allowed)),
        name=name,
        device=origin.name,
        note=_docstring(f"\n{said.strip()}" if said else ""),
        options=written.options,
        install=_INSTALL.format(profile=origin.profile, faults=list(origin.faults)) if origin.emulated else _IMPORT,
        packages=json.dumps(_packages()),
        types=", ".join(f'"{name}": torch.{dtype}' for name, dtype in _TYPES.items() if dtype in dtypes),
        layouts=layouts,
        body=written.body,
    )


def _packages() -> dict[str, str]:
    """Torch's device type → what has to be imported for it."""
    return {device.kind: device.package for device in known_device_types() if device.package}


def compared(allowed: Allowance) -> str:
    """The end of a body: prints what is ``made`` by the run and ``now`` by the device, beside what is ``due``."""
    return _COMPARED.format(error=source_of(allowed.error, {}), projection=source_of(allowed.projection, {}))


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


def _words(check: ShadowCheck, allowed: Allowance) -> str:
    where = ", ".join(filter(None, (check.module, check.op, check.tensor)))
    if check.part is Part.PRECISION:
        made, due = bits_of(check.error), bits_of(allowed.error)
        return f"{where}: {made} mantissa bits (at least {due} demanded) at iteration {check.iteration}."
    return (
        f"{where}: error {check.error:.3g} (allowed {allowed.error:.3g}), projection {check.projection:+.3g} "
        f"(allowed {allowed.projection:.3g}) at iteration {check.iteration}."
    )


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")
