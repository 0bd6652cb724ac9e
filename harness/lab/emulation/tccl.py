"""`tccl`, the accelerator's collective library, as a process group over gloo.

The device's tensors live in host memory, so gloo works on them in place; what it writes lands in the device's tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from harness.lab.emulation.card import DEVICE_TYPE
from harness.lab.emulation.relabel import host_tensor

__all__ = ["register"]

_COLLECTIVES = (
    "allreduce", "allreduce_coalesced", "allgather", "allgather_into_tensor_coalesced", "allgather_coalesced",
    "alltoall", "alltoall_base", "barrier", "broadcast", "gather", "monitored_barrier", "recv",
    "recv_anysource", "reduce", "reduce_scatter", "reduce_scatter_tensor_coalesced", "_reduce_scatter_base",
    "scatter", "send",
)  # fmt: skip


def register() -> None:
    """Make `init_process_group("tccl")` work, for tensors of the device and of the host."""
    if not dist.is_available() or "tccl" in dist.Backend.backend_list:
        return
    dist.Backend.register_backend("tccl", _make_group(), devices=[DEVICE_TYPE, "cpu"])


def _make_group() -> Callable[[Any, int, int, timedelta], dist.ProcessGroup]:
    class TCCL(dist.ProcessGroup):
        """Each collective, over host views of its tensors."""

        def __init__(self, store: Any, rank: int, size: int, timeout: timedelta) -> None:
            super().__init__(rank, size)  # type: ignore[call-arg]
            self.gloo: Any = dist.ProcessGroupGloo(store, rank, size, timeout)

        def getBackendName(self) -> str:  # noqa: N802 - PyTorch asks for it by this name
            return "tccl"

        def _allgather_base(self, out: torch.Tensor, inp: torch.Tensor, *options: Any) -> Any:
            # gloo cuts the output along its first axis, which a joined tensor needn't have once a rank.
            return self.gloo._allgather_base(_on_host(out).view(-1), _on_host(inp).reshape(-1), *options)

        all_gather_single = _allgather_base  # type: ignore[assignment]

        def reduce_scatter_single(self, out: torch.Tensor, inp: torch.Tensor, *options: Any) -> Any:
            return self.gloo._reduce_scatter_base(_on_host(out), _on_host(inp), *options)

    for name in _COLLECTIVES:
        if hasattr(dist.ProcessGroupGloo, name):
            setattr(TCCL, name, _forwarded(name))
    return TCCL


def _forwarded(name: str) -> Callable[..., Any]:
    def collective(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.gloo, name)(*map(_on_host, args), **{k: _on_host(v) for k, v in kwargs.items()})

    collective.__name__ = name
    return collective


def _on_host(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach() if value.is_cpu else host_tensor(value.detach())
    if isinstance(value, (list, tuple)):
        return [_on_host(element) for element in value]
    return value
