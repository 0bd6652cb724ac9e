"""Huawei's Ascend accelerators."""

from __future__ import annotations

from harness.devices.device_type import DeviceType

__all__ = ["Npu"]


class Npu(DeviceType):
    """An Ascend NPU: ``import torch_npu`` gives ``torch.npu``. Convolution rounds to hf32 unless it is switched off.

    Sources: https://pypi.org/project/torch-npu/,
    https://www.hiascend.com/document/detail/zh/Pytorch/600/apiref/apilist/ptaoplist_000923.html
    (``torch_npu.npu.conv.allow_hf32`` is True by default),
    https://www.hiascend.com/doc_center/source/zh/canncommercial/80RC3/apiref/envvar/envref_07_0055.html (variables).
    """

    name = "npu"
    package = "torch_npu"
    maker = "Huawei Ascend"
    group_backend = "cpu:gloo,npu:hccl"
    visible_variable = "ASCEND_RT_VISIBLE_DEVICES"
    variables = ("ASCEND_", "TASK_QUEUE_ENABLE", "PYTORCH_NPU_", "INF_NAN_MODE_ENABLE", "HCCL_", "LCCL_", "ACL_")
    distributions = ("torch_npu",)

    def build(self) -> dict[str, str]:
        """The switches of hf32."""
        npu = self.module
        return {"hf32 convolution": str(npu.conv.allow_hf32), "hf32 matmul": str(npu.matmul.allow_hf32)}

    def compute_exactly(self) -> None:
        """No hf32."""
        self.module.conv.allow_hf32 = self.module.matmul.allow_hf32 = False
