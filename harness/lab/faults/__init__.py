"""The fault catalogue: deliberately wrong kernels and settings, each standing for a bug that ports really have."""

from harness.lab.faults.catalogue import FAULTS
from harness.lab.faults.fault import Fault
from harness.lab.faults.notation import parse_fault

__all__ = ["FAULTS", "Fault", "parse_fault"]
