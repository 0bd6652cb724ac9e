"""What a shadowed step costs: its time and its peak of memory, over a plain step's.

    python benchmarks/shadow_cost.py [CASE …] [--device emulated] [--profile tf32] [--pairs 5]
    python benchmarks/shadow_cost.py CASE … --device cpu --once

Steps are taken in turn, plain and shadowed, in one process; the ratio of their times is that of each pair. The peaks
are those of two further processes, of resident memory, one with plain steps alone. With ``--once``, for a case at full
size, one plain step and then a shadowed one are taken in one process; told beside them is what was checked.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from training_step import TrainingStep

from harness.devices.choice import choose_device
from harness.devices.device_opening import open_device
from harness.devices.surroundings import git_commit, versions
from harness.running.cases import small_cases
from harness.shadow.by_program.dropping import OwnDropout
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

_PEAK = "peak of resident memory, MiB:"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="none: all small ones")
    parser.add_argument("--device", default="emulated", help="any that `align doctor` lists")
    parser.add_argument("--profile", default="tf32")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--once", action="store_true", help="one step of each kind, and what was checked")
    parser.add_argument("--peak", choices=("plain", "shadowed"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = arguments.cases or [case.name for case in small_cases()]
    if arguments.peak:
        training = Training(cases[0], arguments.device, arguments.profile)
        for _ in range(3):
            training.plain() if arguments.peak == "plain" else training.shadowed()
        print(_PEAK, _peak_of_this_process())
        return
    print(f"torch {versions()['torch']}, {torch.get_num_threads()} threads, commit {git_commit(Path(__file__).parent)}")
    for name in cases:
        if arguments.once:
            once(name, arguments)
            continue
        peaks = {kind: peak(name, kind, arguments) for kind in ("plain", "shadowed")}
        training = Training(name, arguments.device, arguments.profile)
        training.plain(), training.shadowed()
        timed = [(training.plain(), training.shadowed()) for _ in range(arguments.pairs)]
        ratio = statistics.median(shadowed / plain for plain, shadowed in timed)
        seconds = statistics.median(plain for plain, _ in timed)
        print(
            f"{name} {arguments.device}: {ratio:.2f} × the time ({seconds:.2f} s plain), "
            f"{peaks['shadowed'] / peaks['plain']:.2f} × the memory ({peaks['plain']:.0f} MiB plain)",
            flush=True,
        )


def once(name: str, arguments: argparse.Namespace) -> None:
    """Print what one plain and one shadowed step of a case take, and what of the latter was checked."""
    training = Training(name, arguments.device, arguments.profile)
    plain, plain_peak = training.plain(), _peak_of_this_process()
    shadowed = training.shadowed()
    mode = training.mode
    calls, checked = mode.calls.total(), mode.checked.total()
    reasons = Counter(each.reason for each in mode.unchecked)
    print(
        f"{name} {arguments.device}: {plain:.0f} s plain, {shadowed:.0f} s shadowed ({shadowed / plain:.1f} ×); "
        f"{plain_peak / 1024:.1f} GiB at most, then {_peak_of_this_process() / 1024:.1f} GiB; "
        f"{checked} of {calls} calls checked whole ({checked / calls:.1%})"
    )
    for reason, count in reasons.most_common():
        print(f"  {count} × {reason}", flush=True)


def peak(name: str, kind: str, arguments: argparse.Namespace) -> float:
    """MiB that a process of plain, or of shadowed, steps had at most."""
    words = [sys.executable, __file__, name, "--device", arguments.device, "--profile", arguments.profile]
    ended = subprocess.run([*words, "--peak", kind], capture_output=True, text=True, check=True)  # noqa: S603
    return float(ended.stdout.rpartition(_PEAK)[2])


def _peak_of_this_process() -> float:
    """MiB, by Linux's own count: what getrusage says of a child includes its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) / 2**10


class Training:
    """Steps of a case on one device, plain and shadowed.

    Args:
        name: the case.
        device: what ``--device`` takes.
        profile: numerics of the emulated device, and the tier that shadow ops judge at.
    """

    def __init__(self, name: str, device: str, profile: str) -> None:
        choice = choose_device(device)
        open_device(choice, profile if choice.emulated else "")
        self._tier = profile if choice.emulated else "tf32"
        self._step = TrainingStep(name, choice.kind)
        self._fed = self._step.feed()
        self._where = CallSites(self._step.model)

    def plain(self) -> float:
        """Seconds of one training step."""
        return self._step.take(*self._fed, self._where.optimizing())

    def shadowed(self) -> float:
        """Seconds of one training step under shadow ops, and of what they ask for beside it."""
        started = time.perf_counter()
        self.mode = ShadowOps(self._where, 0, self._tier)
        with self._where.following(), OwnDropout(self._where, 0) as dropout, self.mode:
            self.plain()
            dropout.ask(self.mode)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
