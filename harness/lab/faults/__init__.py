"""The fault catalogue: deliberately wrong kernels and settings, each standing for a bug that ports really have.

An entry of ``catalogue/`` is data: what it does and what it stands for. The function that does it lies in the module of
its subject and names the entry: in ``kernels/``, under ``@KERNELS.strikes("NAME")``, it answers operation name →
wrapper, which the emulated device puts around its kernel; in ``trainings/``, under ``@TRAININGS.strikes("NAME")``, it
takes the training.

To add a fault: the entry, the function, and a relation in ``tests/emulation/kernel_faults`` or ``runner_faults`` that
says at which operation it shows and what it leaves alone. ``align faults`` lists it from then on.
"""

from harness.lab.faults.catalogue import FAULTS
from harness.lab.faults.fault import Fault
from harness.lab.faults.notation import parse_fault

__all__ = ["FAULTS", "Fault", "parse_fault"]
