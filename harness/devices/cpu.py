"""The machine's own processor."""

from __future__ import annotations

import contextlib
import platform
from typing import Any

from harness.devices.device_type import DeviceType

__all__ = ["Cpu"]


class Cpu(DeviceType):
    """The processor, by PyTorch's own kernels, oneDNN and a BLAS.

    Sources: https://docs.pytorch.org/docs/stable/torch_environment_variables.html (ATEN_CPU_CAPABILITY),
    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html (ONEDNN_MAX_CPU_ISA),
    https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/ (MKL_CBWR).
    """

    name = "cpu"
    maker = "the machine's own processor"
    tried = "x86-64"
    is_host = True
    group_backend = "gloo"
    variables = ("ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "ONEDNN_", "DNNL_", "MKL_")
    amp_dtypes = ("bfloat16", "float16")
    synchronizes_norms = False  # PyTorch has none for the CPU

    def is_available(self) -> bool:
        """It is always there."""
        return True

    def hardware(self) -> str:
        """The processor's name, as the system tells it."""
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # a device file
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        return platform.processor() or platform.machine()

    def build(self) -> dict[str, str]:
        """Which instructions PyTorch's kernels use, and which libraries it has."""
        import torch

        return {
            "capability": torch.backends.cpu.get_cpu_capability(),
            "MKL": str(torch.backends.mkl.is_available()),
            "oneDNN": str(torch.backends.mkldnn.is_available()),
        }

    @property
    def module(self) -> Any:
        """None: ``torch.cpu`` counts no memory, and the host's generator isn't the device's."""
        return None
