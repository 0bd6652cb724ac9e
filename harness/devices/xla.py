"""What XLA compiles for: TPUs, and the processors and plugins that PJRT has a client of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from harness.devices.device_type import DeviceType
from harness.values.errors import DeviceError

if TYPE_CHECKING:
    import torch

__all__ = ["Xla", "XlaEager"]

_HALF = 32
"""The generator's state is one number of 64 bits without a sign, which no tensor of integers holds whole."""


class Xla(DeviceType):
    """A device of PyTorch/XLA: operations are gathered, and compiled and run at each ``torch_xla.sync()``.

    There is no module ``torch.xla``. ``data_ptr`` is 0 for every tensor. The generator's state moves at each sync,
    whether something was drawn or not. What XLA has no lowering for goes to the host and is counted. A dispatch mode
    sees functionalized operations.

    Sources: https://docs.pytorch.org/xla/release/r2.8/learn/api-guide.html (``sync``, ``device``),
    https://docs.pytorch.org/xla/release/r2.7/learn/pjrt.html (PJRT_DEVICE, ``xla://``),
    https://docs.pytorch.org/xla/release/r2.8/learn/eager.html, and torch_xla 2.9.0 itself, run on its CPU client.
    """

    name = "xla"
    package = "torch_xla"
    maker = "Google TPU; others by PJRT"
    tried = "its CPU client alone (torch_xla 2.9.0)"
    group_backend = "xla"
    visible_variable = "TPU_VISIBLE_CHIPS"
    variables = ("XLA_", "PJRT_", "TPU_", "LIBTPU_")
    distributions = ("torch_xla", "libtpu")
    amp_dtypes = ("bfloat16", "float16")
    draws_move_state = False
    has_pointers = False
    keeps_total_weight = False  # it answers with 1, and its own backward counts again

    def is_available(self) -> bool:
        """Asking for the device starts the client; there is none where that fails."""
        import torch_xla

        try:
            torch_xla.device()
        except RuntimeError as failure:
            raise DeviceError("torch_xla finds no device", observed=str(failure), hint="PJRT_DEVICE=CPU") from None
        return True

    def count(self) -> int:
        """Those that this process may use."""
        import torch_xla

        return int(torch_xla.device_count())

    def select(self, index: int) -> None:
        """Another than the first has to be the only one that the process sees."""
        if index:
            super().select(index)

    def hardware(self) -> str:
        """The client's word: CPU, TPU, CUDA."""
        import torch_xla.core.xla_model as xm

        return f"XLA {xm.xla_device_hw(self._device())}"

    def build(self) -> dict[str, str]:
        """The release of PyTorch/XLA, its client and its mode."""
        import torch_xla

        return {"torch_xla": str(torch_xla.__version__), "hardware": self.hardware(), "mode": "lazy"}

    @property
    def module(self) -> Any:
        """None: torch_xla brings none."""
        return None

    def synchronize(self) -> None:
        """Compile and run what was gathered, and wait for it."""
        import torch_xla

        torch_xla.sync(wait=True)

    def end_step(self) -> None:
        """Without it a step runs when its first value is asked for, and again in part for the next one."""
        self.synchronize()

    def peak_memory(self) -> float | None:
        """What the client tells; the CPU's tells nothing."""
        import torch_xla.core.xla_model as xm

        try:
            told = xm.get_memory_info(self._device())
        except RuntimeError:
            return None
        return float(told.get("peak_bytes_used") or told.get("bytes_used") or 0)

    def generator_state(self) -> torch.Tensor | None:
        """Its number, as two halves: (2,)."""
        import torch
        import torch_xla.core.xla_model as xm

        state = int(xm.get_rng_state(str(self._device())))
        return torch.tensor([state & (1 << _HALF) - 1, state >> _HALF], dtype=torch.int64)

    def set_generator_state(self, state: torch.Tensor) -> None:
        """Put the halves together again."""
        import torch_xla.core.xla_model as xm

        low, high = (int(half) for half in state)
        xm.set_rng_state(low | high << _HALF, str(self._device()))

    def fallbacks(self) -> frozenset[str] | None:
        """Its counters of operations that ran by ATen's own kernels."""
        from torch_xla.debug import metrics

        return frozenset(name.partition("::")[2] for name in metrics.executed_fallback_ops())

    def join_group(self, environment: Mapping[str, str] = os.environ, timeout_seconds: float = 1800) -> None:
        """The backend is registered by a module of its own, and found by its address."""
        import torch.distributed as dist
        import torch_xla.distributed.xla_backend  # noqa: F401  # registers it

        dist.init_process_group("xla", init_method="xla://", timeout=timedelta(seconds=timeout_seconds))

    @staticmethod
    def _device() -> Any:
        import torch_xla

        return torch_xla.device()


class XlaEager(Xla):
    """PyTorch/XLA in its eager mode: each operation is compiled once for each shape, and run when it is called.

    A model with operations that XLA leaves to the host compiles again from the start at each of them in lazy mode; here
    it trains after the minutes that the first iteration takes.
    """

    name = "xla-eager"
    kind = "xla"

    def load(self) -> dict[str, str]:
        """Import it and switch its mode."""
        told = super().load()
        import torch_xla

        torch_xla.experimental.eager_mode(True)
        return told

    def build(self) -> dict[str, str]:
        """As in lazy mode, but for the mode."""
        return {**super().build(), "mode": "eager"}
