"""A study on a cluster: its experiments in parts, each on some machine, whose runs come back as files.

A part is a few experiments of one case, run one after another by a worker as on one machine: what an experiment needs
of this machine, the baseline and its twin's samples, travels along, and the folders of the runs travel back. Which part
an experiment is in changes nothing of it.
"""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from harness.fleet.cluster import Cluster
from harness.fleet.travel import Answer, Parcel, pack, unpack
from harness.lab.power.code_digest import code_digest
from harness.lab.power.finished_run import find_record, write_outcome
from harness.lab.power.study_folder import OUTCOME, SAMPLES
from harness.lab.power.study_worker import Request
from harness.running.cases import find_case, is_own
from harness.running.isolation import isolated_python
from harness.running.lifeline import die_with_parent, watched
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.store.temporary import owned_folder
from harness.values.case import Case
from harness.values.errors import AlignmentError, RunError, UsageError

__all__ = ["MOST_A_PART", "Elsewhere", "Part", "child", "run_part"]

MOST_A_PART = 8
"""Experiments that a worker runs before it is asked anew: starting one takes as long as one or two of them, and those
of a part are made again where its node is lost."""

_PARTS_A_CORE = 4
"""Parts that a core gets at least, where there are as many experiments: else some would wait for the last."""

_TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class Part:
    """Some experiments of a case, for one machine.

    Args:
        number: its place among the parts.
        case: as ``find_case`` finds it there.
        requests: with their folders' names alone.
        code: digest of the code that each runs, which the machine's own must have.
        baselines: what the root of the baselines holds of the case.
        twin: the samples of the experiments' twin; nothing where they have none.
        device: the emulated one, which takes a core.
    """

    number: int
    case: str
    requests: tuple[Request, ...]
    code: tuple[str, ...]
    baselines: Parcel = field(default_factory=Parcel)
    twin: Parcel = field(default_factory=Parcel)
    device: str = "emulated"


@dataclass(frozen=True)
class _Asked:
    """What a part's own process is to run."""

    requests: tuple[Request, ...]


class Elsewhere:
    """Runs experiments on a cluster.

    Args:
        cluster: that is in use.
        cases: of the study.
    """

    def __init__(self, cluster: Cluster, cases: Sequence[Case]) -> None:
        self._cluster = cluster
        self._words = {case.name: _word(case) for case in cases}

    def __call__(self, requests: Sequence[Request], on_done: Callable[[Request], None]) -> None:
        """Run all, each folder written as its part comes back.

        Args:
            requests: in the order in which they are begun.
            on_done: called after each.

        Raises:
            RunError: a part came back without its runs; all others are there by then.
        """
        size = max(1, min(MOST_A_PART, len(requests) // (_PARTS_A_CORE * self._cluster.cores)))
        groups = list(_parts(requests, size))
        parts = [self._part(number, group) for number, group in enumerate(groups)]
        lost: Answer | None = None
        for answer in self._cluster.run(parts, 1, run_part):
            if answer.said:
                lost = answer
                continue
            for asked in groups[answer.number]:
                _keep(answer.report, Path(asked.folder))
                on_done(asked)
        if lost is not None:
            raise RunError(
                "a machine of the cluster has not run its part of the study",
                where=lost.host or "--cluster",
                observed=lost.said,
                hint="the same command goes on where it was",
            )

    def _part(self, number: int, group: Sequence[Request]) -> Part:
        first = group[0]
        twin = Path(first.twin)
        samples = pack(twin, twin / SAMPLES) if first.twin and (twin / SAMPLES).exists() else Parcel()
        experiments = [asked.experiment for asked in group]
        return Part(
            number,
            self._words[first.experiment.case],
            tuple(replace(asked, folder=Path(asked.folder).name, twin="", baselines="") for asked in group),
            tuple(code_digest(Path(each.config), shadowed=bool(each.shadow)) for each in experiments),
            pack(Path(first.baselines), Path(first.baselines) / first.experiment.case),
            samples,
        )


def _parts(requests: Sequence[Request], size: int) -> Iterator[list[Request]]:
    """Requests of one case and twin, at most so many together."""
    for _, alike in groupby(requests, key=lambda asked: (asked.experiment.case, asked.twin)):
        waiting = list(alike)
        for first in range(0, len(waiting), size):
            yield waiting[first : first + size]


def _keep(report: Parcel, folder: Path) -> None:
    """Write one run's folder; how it ended comes last, since a folder that says so is whole.

    Raises:
        RunError: it isn't there, or arrived changed.
    """
    inside = f"{folder.name}/"
    names = [name for name in report.files if name.startswith(inside)]
    if inside + OUTCOME not in names:
        raise RunError("a run is missing of those that were asked for", where=folder, hint="run the command again")
    last = [inside + OUTCOME]
    for some in ([name for name in names if name not in last], last):
        files = {name: report.files[name] for name in some}
        unpack(Parcel(files, {name: report.digests[name] for name in some}), folder.parent)


def run_part(part: Part, node: str, shown: str = "") -> Answer:
    """Run a part on the machine that it was sent to; whatever goes wrong is part of the answer.

    Args:
        part: what to run.
        node: of the cluster, in a few letters.
        shown: cards that the cluster has given: none.
    """
    host = f"{platform.node()} (node {node})" if node else platform.node()
    try:
        with owned_folder("align-power-") as folder:
            unpack(part.baselines, folder / "baselines")
            unpack(part.twin, folder / "twin")
            config = find_case(part.case).config
            _require_same_code(part, config)
            requests = tuple(
                replace(
                    asked,
                    experiment=replace(asked.experiment, config=str(config)),
                    folder=str(folder / "runs" / asked.folder),
                    twin=str(folder / "twin") if part.twin.files else "",
                    baselines=str(folder / "baselines"),
                )
                for asked in part.requests
            )
            write_text(folder / "part.json", encode_value(_Asked(requests)))
            ended = subprocess.run(  # noqa: S603  # our own words
                isolated_python("harness.lab.power.many_machines:child", str(folder / "part.json")),
                env={**os.environ, **watched()},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            if ended.returncode:
                return Answer(part.number, host, said=ended.stderr[-2000:] or f"exit code {ended.returncode}")
            for asked, sent in zip(requests, part.requests, strict=True):
                _as_sent(Path(asked.folder), sent)
            return Answer(part.number, host, report=pack(folder / "runs", folder / "runs"))
    except AlignmentError as failure:
        return Answer(part.number, host, said=str(failure))


def _require_same_code(part: Part, config: Path) -> None:
    for asked, code in zip(part.requests, part.code, strict=True):
        own = code_digest(config, shadowed=bool(asked.experiment.shadow))
        if own != code:
            raise RunError(
                "this machine has other code than the command, or other versions of what it runs on",
                where=platform.node(),
                observed=own,
                allowed=code,
                hint="pip install the same version of the project, PyTorch and mmengine there",
            )


def _as_sent(folder: Path, sent: Request) -> None:
    """Say how a run ended of the experiment that was asked for: its config lies elsewhere on this machine."""
    record = find_record(folder)
    if record is not None:
        write_outcome(folder, sent.experiment, record.ending, record.error, record.seconds)


def child(words: Sequence[str]) -> int:
    """Run a part's experiments in a process that ends with the one that sent for it.

    Args:
        words: the path of the part's file.
    """
    die_with_parent()
    path = Path(words[0])
    asked = read_value(path, _Asked, RunError)
    workers = importlib.import_module("harness.lab.power.workers")
    workers.run_requests(asked.requests, 1, path.parent / "logs", _TIMEOUT_SECONDS, lambda _: None)
    return 0


def _word(case: Case) -> str:
    """How the machines find a case: by its name, a user's own by its path in the folder that is sent.

    Raises:
        UsageError: a user's own lies elsewhere.
    """
    if not is_own(case):
        return case.name
    here, path = Path.cwd().resolve(), case.config.resolve()
    if not path.is_relative_to(here):
        raise UsageError(
            "a case that travels lies in or below the working directory",
            where="--cluster",
            observed=case.address,
            allowed=f"paths below {here}",
        )
    return path.relative_to(here).as_posix()
