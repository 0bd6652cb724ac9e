"""What each attention block costs beside a non-local block on the same feature map, in the same run."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from harness.devices.choice import DeviceChoice, choose_device
from harness.devices.device_opening import open_device
from harness.devices.device_type import DeviceType
from harness.efficiency.comparisons import COMPARISONS, Claim, Comparison
from harness.values.errors import UsageError

__all__ = ["Row", "measure"]

_PATIENCE: Final = 60.0
"""Seconds of non-local passes after which no further pair is timed: at 256×128 one takes a minute on two cores."""


@dataclass(frozen=True)
class Row:
    """One measurement; ratios are non-local over block, so above 1 the block is leaner.

    Args:
        model: whose block it is.
        block: its name.
        against: the non-local form's name.
        shape: of the feature map, (N, C, H, W).
        device: where it was measured.
        measured: "training", a forward and a backward pass in training mode, or "inference", a forward pass in
            evaluation mode without gradients, less what an empty block takes.
        parameters: of the block.
        gmac: 10⁹ multiply–accumulates of the block's forward pass.
        memory_bytes: the block's peak over its input; of inference with its parameters, of training without them.
        seconds: the block's median.
        gmac_ratio: of the forward passes.
        memory_ratio: of the peaks; None where the non-local block doesn't fit.
        time_ratio: median of the ratios pair by pair; None likewise.
        claim: the paper's claims for this map, and whether they hold here.
    """

    model: str
    block: str
    against: str
    shape: tuple[int, int, int, int]
    device: str
    measured: str
    parameters: int
    gmac: float
    memory_bytes: int
    seconds: float
    gmac_ratio: float | None
    memory_ratio: float | None
    time_ratio: float | None
    claim: str


def measure(models: Sequence[str] = (), device: str = "cpu", *, repeats: int = 3) -> Iterator[Row]:
    """Measure block and non-local block in turn.

    Args:
        models: of ann, ccnet, emanet, ocrnet; none of them: all.
        device: any that ``align doctor`` lists and whose allocator counts, as PyTorch's own does.
        repeats: how many pairs are timed; fewer where they take minutes.

    Yields:
        A row for each comparison, as it is there.

    Raises:
        UsageError: no such model or device.
    """
    known = sorted({comparison.model for comparison in COMPARISONS})
    if unknown := sorted(set(models) - set(known)):
        raise UsageError("no such model", where="align efficiency", observed=", ".join(unknown), allowed=known)
    choice = choose_device(device)
    open_device(choice)
    if not choice.type.is_host and (missing := [name for name in _COUNTS if not hasattr(choice.type.module, name)]):
        raise UsageError(
            "the device doesn't tell how much memory a pass takes",
            where="--device",
            observed=f"torch.{choice.kind} has no {', '.join(missing)}",
            allowed="cpu, cuda, or another whose allocator counts",
        )
    for comparison in COMPARISONS:
        if not models or comparison.model in models:
            yield _measure_one(comparison, choice, repeats)


def _measure_one(comparison: Comparison, choice: DeviceChoice, repeats: int) -> Row:
    torch.manual_seed(0)
    device = torch.device(choice.kind if choice.index is None else f"{choice.kind}:{choice.index}")
    training = not comparison.inference
    x = torch.randn(comparison.shape, device=device, requires_grad=training)
    block = comparison.build().to(device).train(training)
    nonlocal_ = comparison.build_nonlocal().to(device).train(training)
    gmac = _gmac(block, x)
    ratios: dict[str, float | None] = {
        "gmac_ratio": _gmac(nonlocal_, x) / gmac,
        "memory_ratio": None,
        "time_ratio": None,
    }
    passing = _pass if training else _forward
    run, run_nonlocal = passing(block, x), passing(nonlocal_, x)

    def empty() -> float:
        return 0.0 if training else _seconds(_forward(nn.Identity(), x), choice.type)

    times = [_seconds(run, choice.type) - empty() for _ in range(repeats + 1)][1:]  # the first call warms up
    memory = _memory(block, run, choice.type, training=training)
    if _fits(comparison.shape, choice.type):
        pairs: list[tuple[float, float]] = []
        while len(pairs) < repeats and sum(seconds for _, seconds in pairs) < _PATIENCE:
            base = empty()
            pairs.append((_seconds(run, choice.type) - base, _seconds(run_nonlocal, choice.type) - base))
        times = [seconds for seconds, _ in pairs]
        ratios["memory_ratio"] = _memory(nonlocal_, run_nonlocal, choice.type, training=training) / memory
        ratios["time_ratio"] = statistics.median(seconds / own for own, seconds in pairs)
    return Row(
        model=comparison.model,
        block=comparison.block,
        against=comparison.against,
        shape=comparison.shape,
        device=str(choice),
        measured="training" if training else "inference",
        parameters=sum(parameter.numel() for parameter in block.parameters()),
        gmac=gmac,
        memory_bytes=memory,
        seconds=statistics.median(times),
        claim="; ".join(_judged(claim, ratios[claim.ratio]) for claim in comparison.claims),
        **ratios,
    )


def _judged(claim: Claim, ratio: float | None) -> str:
    if ratio is None:
        return f"{claim.text}: not measured, the non-local block doesn't fit in this machine's memory"
    return f"{claim.text}: {'holds' if ratio >= claim.at_least else 'does not hold'} ({ratio:.1f}×)"


def _fits(shape: tuple[int, int, int, int], device: DeviceType) -> bool:
    """Whether the memory holds four affinities of all pixels with all pixels, as a backward pass does at a time."""
    needed = 4 * 4 * shape[0] * (shape[2] * shape[3]) ** 2
    if not device.is_host and not device.emulated and hasattr(device.module, "mem_get_info"):
        return bool(needed < device.module.mem_get_info()[0])
    return needed < _available_memory()


def _available_memory() -> int:
    """Bytes that the host can give: what is free, and what files are only cached in, where the system tells it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        told = Path("/proc/meminfo").read_text(encoding="ascii").partition("MemAvailable:")[2]
        return int(told.split()[0]) * 1024  # the file counts in KiB
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _pass(block: nn.Module, x: Tensor) -> Callable[[], None]:
    """A forward and a backward pass, after which no gradient is left."""

    def run() -> None:
        block(x).sum().backward()
        block.zero_grad(set_to_none=True)
        x.grad = None

    return run


def _forward(block: nn.Module, x: Tensor) -> Callable[[], None]:
    """A forward pass without gradients."""

    def run() -> None:
        with torch.no_grad():
            block(x)

    return run


def _memory(block: nn.Module, run: Callable[[], None], device: DeviceType, *, training: bool) -> int:
    """Bytes that a block takes over its input. ANN's programs count the parameters too; the empty block takes none."""
    own = 0 if training else sum(tensor.nbytes for tensor in (*block.parameters(), *block.buffers()))
    return _peak(run, device) + own


def _gmac(block: nn.Module, x: Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(x)
    return float(counter.get_total_flops()) / 2e9


def _seconds(run: Callable[[], None], device: DeviceType) -> float:
    device.synchronize()
    start = time.perf_counter()
    run()
    device.synchronize()
    return time.perf_counter() - start


_COUNTS = ("reset_peak_memory_stats", "memory_allocated", "max_memory_allocated")
"""What a device's module has where its allocator counts."""


def _peak(run: Callable[[], None], device: DeviceType) -> int:
    """The most bytes that torch had allocated at a time during a pass, over what it had before; not the first pass."""
    if not device.is_host:
        device.module.reset_peak_memory_stats()
        before = int(device.module.memory_allocated())
        run()
        return int(device.module.max_memory_allocated()) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    live = peak = 0
    for _, change in changes:
        live += change
        peak = max(peak, live)
    return peak
