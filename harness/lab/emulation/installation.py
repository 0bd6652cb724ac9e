"""Putting the emulated accelerator into this process, once."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Sequence

import torch

from harness.lab.emulation.card import DEVICE_TYPE
from harness.lab.emulation.device import EmulatedDevice, KernelFault
from harness.lab.emulation.module import DEVICE_NAME
from harness.lab.emulation.profiles import get_profile
from harness.values.errors import DeviceError

__all__ = ["describe", "install", "installed_device"]

_OLDEST_TORCH = (2, 13)
_installed: list[EmulatedDevice] = []


def install(profile: str = "fp32", faults: Sequence[KernelFault] = ()) -> EmulatedDevice:
    """Make `torch.device("sdaa")` work in this process, on the host's CPU.

    A second call gives the same device its new profile and faults. How many devices the card has is the environment's
    word, `SDAA_VISIBLE_DEVICES`, at the first call.

    Args:
        profile: a key of `harness.lab.emulation.PROFILES`.
        faults: from `harness.lab.faults`; those that act on kernels are put in here, the others when
            `attach` is called on them with the Runner.

    Raises:
        DeviceError: the profile is unknown, torch_sdaa is there, torch is older than 2.13, another private backend
            took the place, or the variable can't be read.
    """
    numerics = get_profile(profile)
    if not _installed:
        _refuse_beside_the_real_one()
        _refuse_old_torch()
        _refuse_taken_place()
        device = EmulatedDevice()
        device.register()
        _installed.append(device)
    device = _installed[0]
    device.use(numerics, faults)
    return device


def installed_device() -> EmulatedDevice | None:
    """The emulated device of this process; None where none was installed."""
    return _installed[0] if _installed else None


def describe() -> dict[str, str]:
    """The emulated build table, in the words of torch_sdaa's; every value says that it is emulated."""
    profile = _installed[0].profile.name if _installed else "none: not installed"
    return {
        "Device": f"emulated: {DEVICE_NAME}",
        "PyTorch": f"emulated on {torch.__version__}",
        "Torch-SDAA": "emulated: none",
        "SDAA Driver": "emulated: none",
        "SDAA Runtime": "emulated: none",
        "TecoDNN": "emulated: none",
        "TecoBLAS": "emulated: none",
        "TCCL": "emulated over gloo",
        "Numerics profile": f"emulated {profile}",
        "Host": f"emulated on {platform.machine()} {platform.system()}",
    }


def _refuse_beside_the_real_one() -> None:
    if "torch_sdaa" in sys.modules or importlib.util.find_spec("torch_sdaa") is not None:
        raise DeviceError(
            "the accelerator can't be emulated beside the real torch_sdaa: both want the same device name",
            where="import torch_sdaa",
            observed="imported" if "torch_sdaa" in sys.modules else "installed",
            allowed="an environment without torch_sdaa",
            hint="use --device sdaa, or emulate in a virtual environment of its own",
        )


def _refuse_old_torch() -> None:
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _OLDEST_TORCH:
        raise DeviceError(
            "the accelerator can't be emulated with this PyTorch",
            where="torch.__version__",
            observed=torch.__version__,
            allowed="2.13 or newer",
            hint="pip install 'torch>=2.13' (verifying on a real device needs 2.4 only)",
        )


def _refuse_taken_place() -> None:
    taken = torch._C._get_privateuse1_backend_name()
    if taken != "privateuseone":
        raise DeviceError(
            "another out-of-tree backend is registered in this process",
            where="PrivateUse1",
            observed=taken,
            allowed=f"none, so that {DEVICE_TYPE} can take the place",
            hint="emulate in a fresh process",
        )
