"""What the faults in kernels do, a subject a file: importing the package registers every one in ``KERNELS``."""

from harness.lab.faults.actions import KERNELS
from harness.lab.faults.kernels import (
    activation_faults,
    attention_faults,
    buffer_faults,
    convolution_faults,
    layout_faults,
    list_faults,
    loss_faults,
    memory_faults,
    moment_faults,
    normalization_faults,
    precision_faults,
    resizing_faults,
    scaling_faults,
    winograd_faults,
)

__all__ = [
    "KERNELS",
    "activation_faults",
    "attention_faults",
    "buffer_faults",
    "convolution_faults",
    "layout_faults",
    "list_faults",
    "loss_faults",
    "memory_faults",
    "moment_faults",
    "normalization_faults",
    "precision_faults",
    "resizing_faults",
    "scaling_faults",
    "winograd_faults",
]
