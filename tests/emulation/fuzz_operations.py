"""Draws arguments for every operation of the CPU from its schema, and runs it on the CPU and on the device.

Run as a script, in a process that may die: `fuzz_operations.py FIRST DRAWS SEED`. One JSON object a line says what is
about to run ({"op", "draw", "on"}) and what came of it ({"op", "draw", "outcome"}).
"""

from __future__ import annotations

import json
import random
import signal
import sys
import warnings
from typing import Any

import torch

from harness.lab.emulation import install
from harness.lab.emulation.dispatch_plan import overload
from harness.values.errors import DeviceError

# Answers that aren't defined: memory as it was found, tokens; and what reads or writes past its tensor on the CPU, or
# answers with another tensor than the `out` that it was given.
UNDEFINED = (
    "empty",
    "resize",
    "_make_dep_token",
    "is_pinned",
    "_pin_memory",
    "_logcumsumexp.out",
    "_add_relu.out",
    "_reshape_alias",
    "_log_softmax_backward_data",
    "_compute_linear_combination",
    "_weight_norm_interface",
)


LONGEST_SECONDS = 10


def names() -> list[str]:
    registered = torch._C._dispatch_get_registrations_for_dispatch_key
    known = {n for key in ("CPU", "CompositeExplicitAutograd") for n in registered(key) if n.startswith("aten::")}
    return sorted(n for n in known if not any(word in n for word in UNDEFINED))


class Draw:
    """One set of arguments; the same for the same seed, on either device."""

    def __init__(self, op: torch._ops.OpOverload, seed: str, device: str) -> None:
        self.random = random.Random(seed)  # noqa: S311 - drawn tests, not secrets
        self.device = device
        self.shape = self.random.choice([(2, 3), (3, 3), (4,), (1, 2, 4, 4), (2, 3, 4), (), (0, 3)])
        self.tensors: list[torch.Tensor] = []
        self.args, self.kwargs = [], {}
        for argument in op._schema.arguments:
            if argument.has_default_value() and self.random.random() < 0.7:
                if not argument.kwarg_only:
                    self.args.append(argument.default_value)
                continue
            value = self.value(str(argument.real_type), argument.is_out)
            if argument.kwarg_only:
                self.kwargs[argument.name] = value
            else:
                self.args.append(value)

    def value(self, kind: str, is_out: bool = False) -> Any:
        if kind.startswith("Optional["):
            return None if self.random.random() < 0.5 else self.value(kind[9:-1])
        if kind.startswith("List["):
            return [self.value(kind[5:-1], is_out) for _ in range(self.random.choice([1, 2, 2]))]
        simple = {
            "int": lambda: self.random.choice([0, 1, 1, 2, -1]),
            "SymInt": lambda: self.random.choice([1, 2, 2, 3]),
            "float": lambda: self.random.choice([0.5, 1.0, 0.1]),
            "bool": lambda: self.random.random() < 0.5,
            "number": lambda: self.random.choice([1, 2, 0.5]),
            "str": lambda: self.random.choice(["mean", "none", "sum"]),
            "Device": lambda: torch.device(self.device),
            "ScalarType": lambda: self.random.choice([torch.float32, torch.float64, torch.int64]),
            "Layout": lambda: torch.strided,
            "MemoryFormat": lambda: torch.contiguous_format,
        }
        if kind == "Tensor":
            return self.tensor(is_out)
        if kind in simple:
            return simple[kind]()
        return None

    def tensor(self, is_out: bool) -> torch.Tensor:
        shape = self.shape if self.random.random() < 0.7 else self.random.choice([(2, 3), (3,), (), (1,)])
        generator = torch.Generator().manual_seed(self.random.randrange(1 << 30))
        kind = self.random.choice(["float", "float", "float", "long", "bool", "double", "strided", "half", "complex"])
        made = torch.randn(shape, generator=generator)
        if is_out:
            made = torch.empty(0)
        elif kind == "long":
            made = torch.randint(0, 3, shape, generator=generator)
        elif kind == "bool":
            made = made > 0
        elif kind == "complex":
            made = torch.complex(made, made.flip(0) if made.dim() else made)
        elif kind == "strided" and len(shape) >= 2:
            made = made.transpose(-1, -2).contiguous().transpose(-1, -2)
        elif kind in {"double", "half"}:
            made = made.to(getattr(torch, "float64" if kind == "double" else "float16"))
        # Views of a copy, so that both devices see the same strides.
        made = made.to(self.device)
        self.tensors.append(made)
        return made


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        if not isinstance(b, torch.Tensor) or a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.layout is not torch.strided:
            return a.layout is b.layout
        return torch.equal(as_bits(a), as_bits(b.cpu()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)


def as_bits(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.nan_to_num(12345.0) if tensor.is_floating_point() else tensor


def attempt(op: torch._ops.OpOverload, seed: str, device: str) -> tuple[Any, Draw]:
    torch.manual_seed(0)
    draw = Draw(op, seed, device)
    return op(*draw.args, **draw.kwargs), draw


def compare(name: str, op: torch._ops.OpOverload, seed: str) -> str:
    try:
        (wanted, given), (again, _) = attempt(op, seed, "cpu"), attempt(op, seed, "cpu")
        if not same(wanted, again):
            return "no one answer on the CPU"
    except Exception:  # noqa: BLE001 - the CPU has no answer
        return "no answer on the CPU"
    say(op=name, draw=seed, on="sdaa")
    try:
        got, changed = attempt(op, seed, "sdaa")
        alike = same(wanted, got) and all(same(a, b) for a, b in zip(given.tensors, changed.tensors, strict=True))
    except DeviceError:
        return "typed error"
    except Exception as error:  # noqa: BLE001 - that is what is counted
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:160]}"
    return "same" if alike else "different"


def say(**record: object) -> None:
    print(json.dumps(record), flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    install("exact")
    first, draws, seed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for index, name in enumerate(names()):
        if index < first:
            continue
        try:
            op = overload(name)
        except AttributeError:
            continue
        for draw in range(draws):
            key = f"{seed} {name} {draw}"
            signal.alarm(LONGEST_SECONDS)
            say(index=index, op=name, draw=key, on="cpu")
            say(op=name, draw=key, outcome=compare(name, op, key))


if __name__ == "__main__":
    main()
