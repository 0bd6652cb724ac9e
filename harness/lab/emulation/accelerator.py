"""`torch.accelerator`: what it asks C++ guards, streams and allocators for, answered by the emulated card.

Its functions resolve a device and then call `torch._C._accelerator_…`; those two are what is replaced. This process has
no other accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch

from harness.lab.emulation.card import Card
from harness.lab.emulation.streams import stream_given, stream_of
from harness.values.errors import DeviceError

__all__ = ["register"]

_DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex64, torch.complex128,
)  # fmt: skip


def register(card: Card) -> None:
    """Replace the functions that would answer for device 0 alone, or run into PyTorch's internal asserts."""

    def exchange(index: int) -> int:
        before = card.current.index
        card.current = card.chip(index, "torch.accelerator.device_index")
        return before

    def choose(index: int) -> None:
        card.current = card.chip(index, "torch.accelerator.set_device_index")

    def check(index: int) -> None:
        card.chip(index, "torch.accelerator")

    def capability(index: int) -> dict[str, Any]:
        check(index)
        return {"supported_dtypes": set(_DTYPES)}

    def choose_with(chosen: torch.Stream) -> None:
        choose(stream_given(chosen, "torch.accelerator.set_stream").device_index)

    answers: dict[str, Callable[..., Any]] = {
        "getDeviceIndex": lambda: card.current.index,
        "setDeviceIndex": choose,
        "exchangeDevice": exchange,
        "maybeExchangeDevice": exchange,
        "getDeviceCapability": capability,
        "getStream": lambda index: stream_of(card.chip(index)),
        "setStream": choose_with,
        "synchronizeDevice": check,
        "emptyCache": lambda: None,
        "emptyHostCache": lambda: None,
        "isAllocatorInitialized": lambda: True,
        "getDeviceStats": lambda index: card.chip(index).memory.stats(),
        "getMemoryInfo": lambda index: card.chip(index).memory.free_and_total(),
        "resetPeakStats": lambda index: card.chip(index).memory.reset_peak(),
        "resetAccumulatedStats": check,
    }

    def index_of(device: Any, optional: bool = False) -> int:
        return card.chip(device, "torch.accelerator").index

    surface: Any = torch.accelerator
    # PyTorch's own takes what is no device at all for the current one.
    surface._get_device_index = surface.memory._get_device_index = index_of
    torch.accelerator.Graph.__new__ = _refuse_graphs  # type: ignore[method-assign]
    for name, answer in answers.items():
        if hasattr(torch._C, f"_accelerator_{name}"):
            setattr(torch._C, f"_accelerator_{name}", answer)


def _refuse_graphs(*args: Any, **kwargs: Any) -> NoReturn:
    raise DeviceError(
        "the emulated accelerator can't capture graphs", where="torch.accelerator.Graph", hint="run the code as it is"
    )
