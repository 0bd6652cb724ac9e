"""Healthy ports: what a device may do and still be right. Rounding, summation order, the choice of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CALIBRATION_SEEDS", "EVALUATION_SEED", "PORTS", "Port", "list_ports", "rounding_seeds"]

CALIBRATION_SEEDS = 100
"""Seeds of healthy noise below this are for calibration: baselines and further repeats of the reference."""

_ROUNDING_SEED = 500
"""From here on: runs that show what rounding does to gradients."""

EVALUATION_SEED = 3000
"""From here on: the healthy ports that false alarms are counted on. Nothing was calibrated on them, nor on ports of
the same seeds in an earlier study: those began at 1000."""


@dataclass(frozen=True)
class Port:
    """A kind of healthy port; a seed of healthy noise makes a run of it.

    Args:
        name: what tables call it.
        summary: what is different.
        profile: numerics of the emulated device.
        noise_tier: what its noise rounds to; only the scaling by s and 1/s where the profile rounds by itself.
        threads: of the host's kernels.
        onednn: whether convolutions may take oneDNN's kernels.
        channels_last: whether weights lie with channels last.
    """

    name: str
    summary: str
    profile: str
    noise_tier: str = "fp32"
    threads: int = 1
    onednn: bool = True
    channels_last: bool = False


PORTS = (
    Port("tf32", "operands of convolution and matmul rounded to tf32, sums in another order", "tf32"),
    Port("fp32", "float32, sums in another order", "fp32"),
    Port("tf32-cpu-order", "operands rounded to tf32, sums in the reference's order", "exact", noise_tier="tf32"),
    Port("tf32-channels-last", "tf32, weights with channels last: other kernels", "tf32", channels_last=True),
    Port("tf32-two-threads", "tf32, kernels split over two threads", "tf32", threads=2),
    Port("tf32-no-onednn", "tf32, convolutions by im2col and a matrix product", "tf32", onednn=False),
)
"""The kinds, in the order in which runs are dealt out to them."""


def list_ports(count: int) -> Iterator[tuple[Port, int]]:
    """The first ``count`` healthy ports of a case, each with its seed; no seed twice."""
    for number in range(count):
        yield PORTS[number % len(PORTS)], EVALUATION_SEED + number


def rounding_seeds(count: int) -> range:
    """Seeds of the runs that show what rounding does to gradients: neither calibration's nor evaluation's."""
    return range(_ROUNDING_SEED, _ROUNDING_SEED + count)
