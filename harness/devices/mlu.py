"""Cambricon's accelerators."""

from __future__ import annotations

from typing import Any

from harness.devices.device_type import DeviceType

__all__ = ["Mlu"]


class Mlu(DeviceType):
    """An MLU: ``import torch_mlu`` gives ``torch.mlu``, whose interface is that of ``torch.cuda``.

    Sources: https://github.com/Cambricon/torch_mlu (``torch.backends.mlu.matmul.allow_tf32``,
    ``torch.backends.cnnl.allow_tf32``), https://github.com/open-mmlab/mmengine/pull/1075 (``cncl``),
    https://github.com/huggingface/transformers/pull/29627 (the interface).
    """

    name = "mlu"
    package = "torch_mlu"
    maker = "Cambricon"
    group_backend = "cpu:gloo,mlu:cncl"
    visible_variable = "MLU_VISIBLE_DEVICES"
    variables = ("MLU_VISIBLE_DEVICES", "PYTORCH_MLU_", "TORCH_MLU_", "CNCL_", "CNNL_", "CNRT_")
    distributions = ("torch_mlu",)

    def build(self) -> dict[str, str]:
        """The switches of tf32."""
        convolution, product = self._switches()
        return {"tf32 convolution": str(convolution.allow_tf32), "tf32 matmul": str(product.allow_tf32)}

    def compute_exactly(self) -> None:
        """No tf32."""
        for switch in self._switches():
            switch.allow_tf32 = False

    @staticmethod
    def _switches() -> tuple[Any, Any]:
        import torch

        backends: Any = torch.backends
        return backends.cnnl, backends.mlu.matmul
