"""What the faults outside of kernels do to mmengine's Runner: importing the package registers each in ``TRAININGS``."""

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.trainings import (
    augmentation_faults,
    batch_faults,
    collective_faults,
    optimizer_faults,
    schedule_faults,
    state_faults,
)
from harness.lab.faults.trainings.requirements import require, strikes_here

__all__ = [
    "TRAININGS",
    "augmentation_faults",
    "batch_faults",
    "collective_faults",
    "optimizer_faults",
    "require",
    "schedule_faults",
    "state_faults",
    "strikes_here",
]
