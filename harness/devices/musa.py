"""Moore Threads' GPUs."""

from __future__ import annotations

from typing import Any

from harness.devices.device_type import DeviceType

__all__ = ["Musa"]


class Musa(DeviceType):
    """A GPU by MUSA: ``import torch_musa`` gives ``torch.musa``, whose interface is that of ``torch.cuda``.

    Sources: https://github.com/MooreThreads/torch_musa (README; ``torch.backends.mudnn.allow_tf32``; ``mccl``).
    """

    name = "musa"
    package = "torch_musa"
    maker = "Moore Threads"
    group_backend = "cpu:gloo,musa:mccl"
    visible_variable = "MUSA_VISIBLE_DEVICES"
    variables = ("MUSA_", "MUDNN_", "MCCL_", "PYTORCH_MUSA_", "TORCH_MUSA_")
    distributions = ("torch_musa",)

    def build(self) -> dict[str, str]:
        """The switch of tf32."""
        import torch

        backends: Any = torch.backends
        return {"tf32": str(backends.mudnn.allow_tf32)}

    def compute_exactly(self) -> None:
        """No tf32."""
        import torch

        backends: Any = torch.backends
        backends.mudnn.allow_tf32 = False
