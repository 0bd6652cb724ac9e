"""How far each process of a run has got: told in a file of its own, so that one that hangs can be named.

Processes that wait for each other stand in the same iteration; the one that hangs hasn't got as far within it. A
shadowed iteration of a large model takes many minutes: how many of its operations are checked tells that it lives.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

__all__ = ["CheckPulse", "rank_behind", "read_checked", "read_pulses", "tell_pulse"]

_STAGES = ("begun", "forward done")
_EVERY = 1.0  # seconds, at most, between two words of a shadowed iteration


def tell_pulse(folder: Path, rank: int, iteration: int, stage: int) -> None:
    """Tell that a process has begun an iteration (stage 0), or done the model's forward there (stage 1)."""
    _tell(folder / f"rank.{rank}.pulse", iteration, stage)


def read_pulses(folder: Path) -> dict[int, tuple[int, int]]:
    """Rank → iteration and stage, of the processes on this machine that told theirs."""
    return _read(folder, "pulse")


class CheckPulse:
    """Tells once a second, at most, how many operations of a shadowed iteration have been checked.

    Args:
        folder: of the run.
        rank: of this process.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._file = folder / f"rank.{rank}.checked"
        self._told = time.monotonic()

    def __call__(self, iteration: int, checked: int) -> None:
        """An iteration has come so far; an operation that is checked in several parts may say so with each."""
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            _tell(self._file, iteration, checked)


def read_checked(folder: Path) -> dict[int, tuple[int, int]]:
    """Rank → a shadowed iteration and how many of its operations are checked, of processes that told it."""
    return _read(folder, "checked")


def _tell(file: Path, iteration: int, so_far: int) -> None:
    with suppress(OSError):  # a full disk doesn't end a training
        file.write_text(f"{iteration} {so_far}", encoding="ascii")


def _read(folder: Path, ending: str) -> dict[int, tuple[int, int]]:
    found = {}
    for path in folder.glob(f"rank.*.{ending}"):
        with suppress(OSError, ValueError):  # one that is being written tells nothing
            iteration, so_far = path.read_text(encoding="ascii").split()
            found[int(path.name.split(".")[1])] = (int(iteration), int(so_far))
    return dict(sorted(found.items()))


def rank_behind(folder: Path) -> str:
    """Which process hasn't got as far as the others, in a few words; empty where none told anything."""
    pulses = read_pulses(folder)
    if not pulses:
        return ""
    least = min(pulses.values())
    where = f"iteration {least[0]}, {_STAGES[least[1]]}"
    behind = [rank for rank, pulse in pulses.items() if pulse == least]
    if len(behind) == len(pulses):
        ranks = ", ".join(map(str, pulses))
        return f"ranks {ranks} of this machine all stand at {where}"
    return f"{'rank' if len(behind) == 1 else 'ranks'} {', '.join(map(str, behind))} got no further than {where}"
