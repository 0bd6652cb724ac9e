"""Devices that the benchmarks and `tox -e xla` add: other kernels of the CPU, and XLA with faults mended or put in.

Each is a device of a package's, found by its entry point: ``install`` leaves it in a folder as an installer would.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.devices.cpu import Cpu
from harness.devices.device_registry import ENTRY_POINTS
from harness.devices.xla import XlaEager

__all__ = ["install"]

_KEPT: list[Any] = []
"""What has to live as long as the process: libraries of kernels."""


class PlainCpu(Cpu):
    """The CPU by ATen's own kernels."""

    name = "cpu-plain"
    kind = "cpu"

    def load(self) -> dict[str, str]:
        """Switch oneDNN off."""
        torch.backends.mkldnn.enabled = False
        return super().load()


class ChannelsLastCpu(Cpu):
    """The CPU with channels as the last dimension, from the first convolution on."""

    name = "cpu-channels-last"
    kind = "cpu"

    def load(self) -> dict[str, str]:
        """Hand every convolution its input in that format, which what follows keeps."""
        given = torch.nn.functional.conv2d

        def conv2d(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return given(x.contiguous(memory_format=torch.channels_last), *args, **kwargs)

        torch.nn.functional.conv2d = conv2d
        return super().load()


class PlainChannelsLastCpu(ChannelsLastCpu):
    """Both."""

    name = "cpu-plain-channels-last"

    def load(self) -> dict[str, str]:
        """Both."""
        torch.backends.mkldnn.enabled = False
        return super().load()


class XlaMended(XlaEager):
    """XLA whose batch norm is right: it keeps the unbiased variance, as PyTorch does."""

    name = "xla-mended"
    kind = "xla"

    def load(self) -> dict[str, str]:
        """Put the right kernel in."""
        told = super().load()
        _put_in("native_batch_norm", _batch_norm)
        return told


class XlaWrong(XlaMended):
    """The same with another fault: bilinear upsampling with ``align_corners`` the other way round."""

    name = "xla-wrong"

    def load(self) -> dict[str, str]:
        """Put the wrong kernel in."""
        told = super().load()
        _put_in("upsample_bilinear2d", _upsample)
        return told


_DEVICES = (PlainCpu, ChannelsLastCpu, PlainChannelsLastCpu, XlaMended, XlaWrong)


def install(folder: Path) -> Path:
    """Leave these devices in a folder as an installer leaves a package: on PYTHONPATH it brings them.

    Returns:
        The folder.
    """
    metadata = folder / "foreign_devices-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    shutil.copy(__file__, folder / "foreign_devices.py")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-devices\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{device.name} = foreign_devices:{device.__name__}" for device in _DEVICES]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *lines, ""]), encoding="utf-8")
    return folder


def _put_in(name: str, kernel: Any) -> None:
    """Have XLA compute an operation by another kernel."""
    library = torch.library.Library("aten", "IMPL")
    library.impl(name, kernel, "XLA", allow_override=True)
    _KEPT.append(library)


def _batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``native_batch_norm`` of (N, C, …): the output, the saved mean (C,) and inverse deviation (C,)."""
    over = [0, *range(2, x.dim())]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    used_mean = x.mean(over) if training or mean is None else mean
    used_variance = x.var(over, correction=0) if training or variance is None else variance
    inverse = torch.rsqrt(used_variance + eps)
    if training and mean is not None and variance is not None:
        count = x.numel() // x.shape[1]
        mean.copy_(mean * (1 - momentum) + used_mean * momentum)
        variance.copy_(variance * (1 - momentum) + used_variance * (momentum * count / (count - 1)))
    out = (x - used_mean.reshape(shape)) * inverse.reshape(shape)
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape), used_mean, inverse


def _upsample(
    x: torch.Tensor,
    size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> torch.Tensor:
    host = torch.ops.aten.upsample_bilinear2d(x.cpu(), size, not align_corners, scales_h, scales_w)
    made: torch.Tensor = host.to(x.device)
    return made
