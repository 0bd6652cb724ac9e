"""Opening a device in the process that is to run on it, before torch is used there."""

from __future__ import annotations

import contextlib
import io
import platform
import re
from collections.abc import Sequence
from typing import Any

import torch

from harness.devices.choice import DeviceChoice
from harness.values.errors import DeviceError
from harness.values.provenance import Device

__all__ = ["open_device"]

_BUILD_LINE = re.compile(r"^[\s\-|]*([A-Za-z][A-Za-z0-9 _\-]*?)\s*(?:version)?\s*[:=|]\s*v?(\d[\w.+\-]*)[^|]*\|?\s*$")


def open_device(
    choice: DeviceChoice, profile: str = "", faults: Sequence[Any] = (), *, trusted: bool = False
) -> Device:
    """Make ``torch.device(choice.kind)`` usable in this process, and say what it is.

    Args:
        choice: the device.
        profile: numerics profile of the emulated device; the device's own where empty.
        faults: faults of ``harness.emulation`` to put in; only the emulated device takes those of kernels.
        trusted: whether a reference is recorded: then what the device would round by itself is switched off, so that
            a precision tier is what its name says.

    Raises:
        DeviceError: the device can't be opened here, or can't take a fault.
    """
    if kernels := [fault.name for fault in faults if fault.in_kernels and not choice.emulated]:
        raise DeviceError(
            "a fault in kernels can only be put into the emulated device",
            where="--fault",
            observed=f"{', '.join(kernels)} on {choice.name}",
            hint="--device emulated",
        )
    if trusted and choice.name == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    opening = {"cpu": _open_cpu, "cuda": _open_cuda, "sdaa": _open_sdaa}
    device = _open_emulated(profile, faults) if choice.emulated else opening[choice.name]()
    return Device(
        kind=device.kind,
        name=device.name,
        emulated=device.emulated,
        profile=device.profile,
        fault=", ".join(str(getattr(fault, "label", fault.name)) for fault in faults),
        build=device.build,
    )


def _open_cpu() -> Device:
    build = {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "MKL": str(torch.backends.mkl.is_available()),
        "oneDNN": str(torch.backends.mkldnn.is_available()),
    }
    return Device("cpu", _processor(), build=build)


def _open_cuda() -> Device:
    if not torch.cuda.is_available():
        raise DeviceError(
            "there is no CUDA device here",
            observed=f"torch {torch.__version__}, torch.cuda.is_available() is False",
            hint="align doctor",
        )
    major, minor = torch.cuda.get_device_capability()
    build = {
        "CUDA": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
        "compute capability": f"{major}.{minor}",
        "tf32 convolution": str(torch.backends.cudnn.allow_tf32),
        "tf32 matmul": str(torch.backends.cuda.matmul.allow_tf32),
    }
    return Device("cuda", torch.cuda.get_device_name(), build=build)


def _open_sdaa() -> Device:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            import torch_sdaa
    except ImportError as failure:
        raise DeviceError("torch_sdaa can't be imported", observed=str(failure), hint="align doctor") from None
    sdaa = getattr(torch, "sdaa", None)
    if sdaa is None or not sdaa.is_available():
        raise DeviceError("torch_sdaa is installed, but sees no card", hint="teco-smi shows the card and its driver")
    build = parse_build_table(printed.getvalue())
    build.setdefault("Torch-SDAA", str(getattr(torch_sdaa, "__version__", "unknown")))
    name = sdaa.get_device_name() if hasattr(sdaa, "get_device_name") else "SDAA"
    return Device("sdaa", str(name), build=build)


def _open_emulated(profile: str, faults: Sequence[Any]) -> Device:
    from harness import emulation

    profile = profile or "fp32"
    emulation.install(profile, faults)
    return Device("sdaa", "emulated SDAA (CPU)", emulated=True, profile=profile, build=emulation.describe())


def parse_build_table(text: str) -> dict[str, str]:
    """The table of versions that importing torch_sdaa prints: component → version.

    Lines of another form are left out: the table's frame changes from release to release.
    """
    matches = (_BUILD_LINE.match(line) for line in text.splitlines())
    return {match[1].strip(): match[2] for match in matches if match}


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # a device file
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
