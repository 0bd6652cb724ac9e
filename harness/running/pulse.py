"""How far each process of a run has got: told in a file of its own, so that one that hangs can be named.

Processes that wait for each other stand in the same iteration; the one that hangs hasn't got as far within it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["rank_behind", "read_pulses", "tell_pulse"]

_STAGES = ("begun", "forward done")


def tell_pulse(folder: Path, rank: int, iteration: int, stage: int) -> None:
    """Tell that a process has begun an iteration (stage 0), or done the model's forward there (stage 1)."""
    with suppress(OSError):  # a full disk doesn't end a training
        (folder / f"rank.{rank}.pulse").write_text(f"{iteration} {stage}", encoding="ascii")


def read_pulses(folder: Path) -> dict[int, tuple[int, int]]:
    """Rank → iteration and stage, of the processes on this machine that told theirs."""
    found = {}
    for path in folder.glob("rank.*.pulse"):
        with suppress(OSError, ValueError):
            iteration, stage = path.read_text(encoding="ascii").split()
            found[int(path.name.split(".")[1])] = (int(iteration), int(stage))
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
