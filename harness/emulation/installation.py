"""Putting the emulated accelerator into this process, once."""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
import sys
import time
import warnings
from collections.abc import Sequence

import torch

from harness.emulation.device import Device
from harness.emulation.faults.fault import Fault
from harness.emulation.module import DEVICE_NAME, DEVICE_TYPE
from harness.emulation.profiles import get_profile
from harness.values.errors import DeviceError

__all__ = ["describe", "install"]

_OLDEST_TORCH = (2, 13)
_PROBE_SECONDS = 30
_installed: list[Device] = []


def install(profile: str = "fp32", faults: Sequence[Fault] = ()) -> Device:
    """Make `torch.device("sdaa")` work in this process, on the host's CPU.

    A second call gives the same device its new profile and faults. Call it before anything else has run a backward:
    PyTorch counts its devices once, at the first one.

    Args:
        profile: a key of `harness.emulation.PROFILES`.
        faults: from `harness.emulation.parse_fault`; those that act on kernels are put in here, the others when
            `attach` is called on them with the Runner.

    Raises:
        DeviceError: the profile is unknown, torch_sdaa is there, torch is older than 2.13, another private backend
            took the place, or a backward has run.
    """
    numerics = get_profile(profile)
    if not _installed:
        _refuse_beside_the_real_one()
        _refuse_old_torch()
        _refuse_taken_place()
        _refuse_after_backward()
        device = Device()
        device.register()
        _installed.append(device)
    device = _installed[0]
    device.use(numerics, faults)
    return device


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


def _refuse_after_backward() -> None:
    # No graph node was ever made on this thread, so nothing can have run backward.
    if torch._C._autograd._get_sequence_nr() == 0 or _could_run_backward():
        return
    raise DeviceError(
        "the emulated accelerator came too late: this process has run a backward already",
        where="harness.emulation.install",
        observed="autograd has counted its devices, at the first backward",
        allowed="a process in which autograd hasn't run",
        hint="install it before anything else touches torch, or in a fresh process",
    )


def _could_run_backward() -> bool:
    """Try it in a forked child: autograd can't be asked, and trying here would start its threads, or hang at exit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            Device().register()
            (torch.ones(1, device=DEVICE_TYPE, requires_grad=True) * 1).backward()
        except BaseException:  # noqa: BLE001 - whatever it is, the child's exit code tells it
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
