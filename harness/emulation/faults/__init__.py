"""The fault catalogue: deliberately wrong kernels and settings, each standing for a bug that ports really have."""

from harness.emulation.faults.catalogue import FAULTS
from harness.emulation.faults.fault import Fault
from harness.emulation.faults.notation import parse_fault

__all__ = ["FAULTS", "Fault", "parse_fault"]
