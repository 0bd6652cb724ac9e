"""Runs PyTorch's own sample inputs of its operations on the CPU and on the device, forward and backward.

What drawn arguments seldom hit, shapes and settings that an operation can be called with, PyTorch's tests know for
each. Run as a script, in a process that may die: `fuzz_samples.py FIRST DTYPE…`. One JSON object a line says what is
about to run ({"index", "op", "draw", "on"}) and what came of it ({"op", "dtype", "draw", "outcome"}).
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import types
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from harness.lab.emulation import install
from harness.values.errors import DeviceError
from tests.emulation.fuzz_operations import same, say

SAMPLES = 4
DEVICE = "sdaa:1"

# Left out, and why.
LEFT_OUT = {
    "empty": "memory as it was found",
    "empty_like": "memory as it was found",
    "empty_permuted": "memory as it was found",
    "empty_strided": "memory as it was found",
    "new_empty": "memory as it was found",
    "new_empty_strided": "memory as it was found",
    "as_strided": "its samples look past the tensor, into a storage that a copy to the device hasn't",
    "as_strided_copy": "as as_strided",
    "as_strided_scatter": "as as_strided",
    "tensor_split": "wants its indices on the host, where the samples' are moved away from",
    "linalg.lstsq": "gives no one answer on the CPU, where a matrix has no full rank",
    "torch._scaled_mm": "float8, which this comparison can't read",
    "nn.functional.linear_cross_entropy": "sums half precision in a width that it chooses by the kind of device",
}


def operations() -> list[Any]:
    """PyTorch's table of operations; `expecttest`, which its tests import and don't need here, is stood in for."""
    if importlib.util.find_spec("expecttest") is None:
        stand_in: Any = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stand_in
    from torch.testing._internal.common_methods_invocations import op_db

    return [op for op in op_db if op.name not in LEFT_OUT]


def samples(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    """The first samples of that dtype, if it has it."""
    if dtype not in op.supported_dtypes("cpu"):
        return
    differentiable = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    torch.manual_seed(0)
    yield from itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=differentiable), SAMPLES)


def results(op: Any, sample: Any, device: str) -> list[Any]:
    """What the operation makes of the sample on that device, and the gradients of all that needs one."""
    inputs = tree_map_only(
        torch.Tensor,
        lambda t: t.detach().to(device).requires_grad_(t.requires_grad),
        (sample.input, sample.args, dict(sample.kwargs)),
    )
    given, args, kwargs = inputs
    if "device" in kwargs:
        kwargs["device"] = device
    torch.manual_seed(0)
    made = op.op(given, *args, **kwargs)
    leaves = [t for t in tree_leaves(inputs) if isinstance(t, torch.Tensor) and t.requires_grad]
    roots = [t for t in tree_leaves(made) if isinstance(t, torch.Tensor) and t.requires_grad]
    gradients: tuple[Any, ...] = ()
    if roots and leaves:
        total = sum((t.abs() if t.is_complex() else t).sum() for t in roots)
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    return [made, *gradients]


def compare(op: Any, name: str, sample: Any) -> str:
    try:
        wanted, again = results(op, sample, "cpu"), results(op, sample, "cpu")
        if not same(wanted, again):
            return "no one answer on the CPU"
    except Exception:  # noqa: BLE001 - the CPU has no answer
        return "no answer on the CPU"
    say(op=name, on="sdaa")
    try:
        alike = same(wanted, results(op, sample, DEVICE))
    except DeviceError:
        return "typed error"
    except Exception as error:  # noqa: BLE001 - that is what is counted
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:160]}"
    return "same" if alike else "different"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    install("exact")
    first, dtypes = int(sys.argv[1]), sys.argv[2:]
    for index, (dtype, op) in enumerate(itertools.product(dtypes, operations())):
        if index < first:
            continue
        name = f"{op.name}.{op.variant_test_name}".rstrip(".")
        for number, sample in enumerate(samples(op, getattr(torch, dtype))):
            say(index=index, op=name, draw=number, on="cpu")
            say(op=name, dtype=dtype, draw=number, outcome=compare(op, name, sample))


if __name__ == "__main__":
    main()
