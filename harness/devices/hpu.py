"""Intel's Gaudi accelerators."""

from __future__ import annotations

import os

from harness.devices.device_type import DeviceType

__all__ = ["Hpu"]


class Hpu(DeviceType):
    """A Gaudi card: ``import habana_frameworks.torch`` gives ``torch.hpu``. In its lazy mode a step ends with a mark.

    Sources: https://docs.habana.ai/en/latest/PyTorch/PyTorch_Gaudi_Theory_of_Operations.html (eager is the default),
    https://docs.habana.ai/en/latest/PyTorch/PyTorch_Model_Porting/Mixed_Precision.html (``mark_step``, ``hccl``,
    autocast), https://docs.habana.ai/en/latest/PyTorch/Python_Packages.html (the modules).
    """

    name = "hpu"
    package = "habana_frameworks.torch"
    maker = "Intel Gaudi"
    group_backend = "cpu:gloo,hpu:hccl"
    visible_variable = "HABANA_VISIBLE_MODULES"
    variables = ("HABANA_", "PT_HPU_", "PT_ENABLE_", "HCCL_", "HLS_")
    distributions = ("habana-torch-plugin",)
    amp_dtypes = ("bfloat16", "float16")

    def end_step(self) -> None:
        """In lazy mode operations are gathered until they are asked for."""
        if os.environ.get("PT_HPU_LAZY_MODE") == "1":
            from habana_frameworks.torch import core

            core.mark_step()
