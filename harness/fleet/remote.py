"""A job on the machine that it was sent to: `align verify` of one case, in a process of its own.

The same command as anywhere: it gets the baseline as files in a folder of its own, and what it writes into its report
is sent back.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.baseline_folders.baseline_places import VARIABLE as BASELINES
from harness.devices.choice import choose_device
from harness.fleet.travel import Answer, Job, pack, unpack
from harness.running.invoking import VARIABLE as INVOCATION
from harness.running.isolation import isolated_python
from harness.running.lifeline import die_with_parent, watched
from harness.running.pool import cards_of
from harness.store.temporary import owned_folder
from harness.values.errors import AlignmentError

__all__ = ["CARD", "HOST", "child", "run_job"]

HOST = "ALIGN_HOST"
"""The environment variable that says what a result is to call the machine that it was made on."""

CARD = "ALIGN_CARD"
"""The same of its card."""

_WAITING = 0.5
"""Seconds from one look for a free card to the next."""


def run_job(job: Job, node: str, shown: str = "") -> Answer:
    """Do a job, and say what came of it; whatever goes wrong is part of the answer.

    Args:
        job: what is to be done.
        node: of the cluster, in a few letters: several may be on one host.
        shown: the card that the cluster has given, where it gives cards itself.
    """
    host = f"{platform.node()} (node {node})" if node else platform.node()
    if job.seconds:
        time.sleep(job.seconds)
        return Answer(job.number, host)
    try:
        with owned_folder("align-fleet-") as folder, _card(job.device, shown) as (card, environment):
            unpack(job.baselines, folder / "baselines")
            command = isolated_python("harness.fleet.remote:child", job.case, *job.words, "--out", str(folder / "out"))
            told = {BASELINES: str(folder / "baselines"), INVOCATION: job.invocation, HOST: host, CARD: card}
            ended = subprocess.run(  # noqa: S603  # our own words
                command,
                env={**os.environ, **environment, **told, **watched()},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            made = sorted((folder / "out").glob("*/result.json"))
            if not made:
                return Answer(job.number, host, card, said=ended.stderr[-2000:] or f"exit code {ended.returncode}")
            return Answer(job.number, host, card, pack(made[0].parent, made[0].parent))
    except AlignmentError as failure:
        return Answer(job.number, host, said=str(failure))


def child(words: Sequence[str]) -> int:
    """`align verify`, which ends with the process that sent for it."""
    die_with_parent()
    return int(importlib.import_module("harness.cli").main(["verify", *words]))


@contextmanager
def _card(device: str, shown: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A card that no other job on this machine has, and the variable that shows it alone.

    Of devices that the cluster counts but doesn't number, a card is taken by a lock on a file, which the system drops
    when this process ends. The host and the emulated device have none to take.
    """
    choice = choose_device(device or None)
    variable = choice.type.visible_variable
    if shown or choice.type.is_host or choice.emulated or not variable or choice.index is not None:
        yield shown, {}
        return
    cards = cards_of(choice)
    while True:
        for card in cards:
            place = Path(tempfile.gettempdir()) / f"align-card-{os.getuid()}-{choice.name}-{card.replace('/', '-')}"
            with place.open("a") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield card, {variable: card}
                return
        time.sleep(_WAITING)
