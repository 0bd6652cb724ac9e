"""What lies around each iteration of a run: other rounding, and what watches its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from harness.recording.healthy_noise import HealthyNoise
from harness.recording.other_kernels import OtherKernels
from harness.running.compiling import judges_compiled
from harness.running.folder import FORCED, REPRODUCTIONS, shadow_file
from harness.running.order import Order
from harness.running.pulse import CheckPulse
from harness.shadow.files.check_stream import ShadowStream
from harness.shadow.forced.forcing import ForcedCalls
from harness.shadow.reproducing.program import Origin
from harness.shadow.reproducing.reproductions import Reproductions
from harness.shadow.shadow_hook import ShadowSteps
from harness.training.unseen_code import COMPILER
from harness.values.provenance import Device

__all__ = ["Around", "noise_of", "shadowed", "together"]

Around = Callable[[int], AbstractContextManager[Any]]
"""Makes what is entered around an iteration, from its number."""


def noise_of(order: Order) -> list[Around]:
    """The healthy noise of a run: other rounding, anew at each iteration. None for a plain run.

    Every second of a reference's repeats that round as finely as float32 takes other kernels of its device too.
    """
    if not order.noise_tier:
        return []
    around: list[Around] = [
        lambda iteration: HealthyNoise(tier=order.noise_tier, seed=order.noise_seed * 1_000_003 + iteration)
    ]
    if order.trusted and order.noise_tier == "fp32" and order.noise_seed % 2:
        around.append(lambda iteration: OtherKernels(order.noise_seed * 1_000_003 + iteration))
    return around


@contextmanager
def shadowed(order: Order, folder: Path, rank: int, device: Device) -> Iterator[ShadowSteps]:
    """What shadows the order's iterations, and its stream; it keeps what comes out wrong in this process."""
    chosen = frozenset(order.shadow_ops)

    def wanted(name: str) -> bool:
        return not chosen or name in chosen

    with ExitStack() as stack:
        stream = stack.enter_context(ShadowStream(shadow_file(folder, rank), order.shadow_tier))
        forced = None
        if order.shadow_forced and rank == 0:
            calls = stack.enter_context(ShadowStream(folder / FORCED, order.shadow_tier))
            forced = ForcedCalls(calls, order.shadow_tier)
        origin = Origin(device.emulated, device.profile, order.faults, device.kind)
        kept = Reproductions(folder / REPRODUCTIONS, order.shadow_tier, origin, rank)
        hook = ShadowSteps(
            stream,
            order.shadow,
            order.shadow_tier,
            wanted,
            order.shadow_budget,
            kept,
            forced,
            on_check=CheckPulse(folder, rank),
        )
        if COMPILER in device.build:
            if judges_compiled(order, device.build[COMPILER]):
                hook.judge_compiled()
                hook.leave_out_always(COMPILER, "a graph is held against itself: its decompositions are taken as given")
            else:
                hook.leave_out_always(
                    COMPILER, "a shadowed iteration runs eager code: the trace alone judges what is compiled"
                )
        yield hook


def together(around: list[Around]) -> Around | None:
    """All of them as one, entered in their order, so that the last one sees each operation first; None for none."""
    if not around:
        return None

    @contextmanager
    def entered(iteration: int) -> Iterator[None]:
        with ExitStack() as stack:
            for enter in around:
                stack.enter_context(enter(iteration))
            yield

    return entered
