"""Intel's GPUs."""

from __future__ import annotations

from harness.devices.device_type import DeviceType

__all__ = ["Xpu"]


class Xpu(DeviceType):
    """An Intel GPU: torch itself brings ``torch.xpu`` since 2.4, the process-group backend ``xccl`` since 2.8.

    Sources: https://docs.pytorch.org/docs/stable/xpu.html, https://docs.pytorch.org/docs/stable/distributed.html
    (``xccl``), https://docs.pytorch.org/docs/stable/notes/get_start_xpu.html,
    https://intel.github.io/llvm-docs/EnvironmentVariables.html (ONEAPI_DEVICE_SELECTOR).
    """

    name = "xpu"
    maker = "Intel"
    group_backend = "cpu:gloo,xpu:xccl"
    visible_variable = "ZE_AFFINITY_MASK"
    variables = ("ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR", "SYCL_", "CCL_", "ONEDNN_", "DNNL_")
