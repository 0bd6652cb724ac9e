"""`align verify --cluster`: the cases of a command on many machines, and one report of them all."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.cli.options import reproduction
from harness.cli.progress import Board
from harness.cli.report import show_records
from harness.cli.terminal import STATUS_STYLES, open_console
from harness.fleet.cluster import Cluster, cores_of_threads
from harness.fleet.remote import run_job
from harness.fleet.travel import Answer, Job, pack, unpack
from harness.language import say
from harness.running.invoking import begin_invocation, handed_on
from harness.store.atomic import write_text
from harness.values.errors import AlignmentError, RunError, UsageError
from harness.values.result import Result
from harness.values.verdict import Status, Verdict

if TYPE_CHECKING:
    from harness.values.case import Case
    from harness.values.invocation import Invocation
    from reports import Record

__all__ = ["verify_on_cluster"]

JOURNAL = "fleet.json"
"""In the report's folder: what a command was to do, so that the same one goes on with it."""

_OURS = frozenset(
    {
        *("help", "cases", "cluster", "resume", "out", "jobs", "work_dir", "baseline_dir", "history", "build"),
        *("markdown", "gate_size", "false_alarm_rate", "policy", "no_policy", "each_device", "repeat", "func"),
    }
)
"""Options that the command itself heeds, and a machine that it sends a case to doesn't."""

_WITHOUT = {"each_device": "--each-device", "history": "--history", "markdown": "--markdown"}


def verify_on_cluster(
    cases: Sequence[Case], share: float, arguments: argparse.Namespace, parser: argparse.ArgumentParser
) -> Status:
    """Verify every case somewhere, write one report, print it; the worst verdict.

    Args:
        cases: what to verify.
        share: the whole gate's false-alarm rate.
        arguments: every option of the command.
        parser: of ``add_verify_options``, to tell what isn't usual.

    Raises:
        UsageError: Ray isn't there, options contradict each other, or there is nothing to go on with.
    """
    import reports

    _require_possible(cases, arguments)
    with Cluster(arguments.cluster, _shipped(cases)) as cluster, _hinted():
        jobs = [_job(number, case, share, len(cases), arguments, parser) for number, case in enumerate(cases)]
        names = [case.name for case in cases]
        planned = begin_invocation(reproduction(), names)
        invocation, kept = _journal(jobs, names, planned, arguments)
        report = reports.Report(arguments.out, names, invocation, kept=kept)
        left = [replace(job, invocation=handed_on(invocation)) for job in jobs if job.number not in kept]
        with Board(len(cases), "cases") as board:
            board.done(len(kept))
            for ended, answer in enumerate(cluster.run(left, cores_of_threads(), run_job), len(kept) + 1):
                record = _keep(answer, names[answer.number], invocation, report)
                board.done()
                status = Text(record.verdict.status.value, style=STATUS_STYLES[record.verdict.status])
                where = f"{say(' on ')}{answer.host}" if answer.host else ""
                board.print(status + Text(f" {record.verdict.case}{where} ({say(f'{ended} of {len(cases)}')})"))
    merged = reports.merge([report.place(number) for number in range(len(cases))], arguments.out)
    show_records(merged.records)
    open_console().print(Text(f"{say('report')}: {merged.index}"))
    order = (Status.PASS, Status.INCONCLUSIVE, Status.FAIL, Status.ERROR)
    return max((record.verdict.status for record in merged.records), key=order.index)


@contextmanager
def _hinted() -> Iterator[None]:
    """Where the cluster is lost in the middle, the results that have come are there: the command can go on."""
    try:
        yield
    except RunError as failure:
        command = reproduction()
        failure.hint = command if " --resume" in command else f"{command} --resume"
        raise


def _keep(answer: Answer, case: str, invocation: Invocation, report: Any) -> Record:
    """The record of a case whose answer has come: checked as it arrives, an ERROR where it can't be trusted."""
    import reports

    place: Path = report.place(answer.number)
    reason = answer.said.strip() or "the machine sent no result"
    if answer.report.files:
        try:
            unpack(answer.report, place.parent)
            return reports.read_result(place)
        except AlignmentError as failure:
            reason = f"what arrived can't be used: {failure}"
    verdict = Verdict(case, Status.ERROR, reason.replace("\n", "; "))
    result = Result(verdict, command=invocation.command, invocation=invocation, host=answer.host, card=answer.card)
    return reports.read_result(report.add(result, answer.number))


def _require_possible(cases: Sequence[Case], arguments: argparse.Namespace) -> None:
    refused = [name for field, name in _WITHOUT.items() if getattr(arguments, field, None)]
    refused += ["--repeat"] if arguments.repeat > 1 else []
    refused += ["--nnodes"] if arguments.nnodes > 1 else []
    if refused:
        raise UsageError("a cluster's machines have no such option", where="--cluster", observed=", ".join(refused))
    outside = [case.address for case in cases if _is_outside(case)]
    if outside:
        raise UsageError(
            "a case that travels lies in or below the working directory",
            where="--cluster",
            observed=", ".join(outside),
            allowed=f"paths below {Path.cwd()}",
        )


def _is_outside(case: Case) -> bool:
    from harness.running.cases import is_own

    return is_own(case) and not case.config.resolve().is_relative_to(Path.cwd().resolve())


def _shipped(cases: Sequence[Case]) -> Path | None:
    """The working directory, where a case of the user's own needs it."""
    from harness.running.cases import is_own

    return Path.cwd() if any(is_own(case) for case in cases) else None


def _job(
    number: int, case: Case, rate: float, size: int, arguments: argparse.Namespace, parser: argparse.ArgumentParser
) -> Job:
    """A case with all that its machine has to know; its baseline travels along."""
    from harness.baseline_folders.baseline_places import choose_place, places_to_read
    from harness.running.cases import is_own
    from harness.store.baselines import load_baseline

    words = [*_words(arguments, parser), f"--false-alarm-rate={rate!r}"]
    words += [f"--gate-size={max(size, arguments.gate_size)}", "--no-policy"]
    name = case.name
    if is_own(case):
        path = case.config.resolve().relative_to(Path.cwd().resolve()).as_posix()
        name = f"{path}:{case.function}" if case.function else path
    if arguments.no_baseline:
        return Job(number, name, tuple(words), arguments.device or "")
    asked = arguments.reference or case.reference
    root = choose_place(places_to_read(arguments.baseline_dir, own=is_own(case)), case.name, asked)
    load_baseline(root, case.name, asked)  # what can't be read is told before anything is sent
    return Job(number, name, tuple(words), arguments.device or "", baselines=pack(root, root / case.name))


def _words(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> list[str]:
    """The options that aren't as usual, as the command line spells them."""
    words: list[str] = []
    for action in parser._actions:
        if action.dest in _OURS or not action.option_strings:
            continue
        value, name = getattr(arguments, action.dest, action.default), action.option_strings[-1]
        if value == action.default:
            continue
        if isinstance(value, bool):
            words.append(name)
        elif isinstance(value, list) and action.nargs == "+":
            words += [name, *map(str, value)]
        elif isinstance(value, list):
            words += [f"{name}={each}" for each in value]
        else:
            words.append(f"{name}={value}")
    return words


def _journal(
    jobs: Sequence[Job], names: Sequence[str], planned: Invocation, arguments: argparse.Namespace
) -> tuple[Invocation, frozenset[int]]:
    """The invocation that the results belong to, and the numbers of those that are whole already.

    Raises:
        UsageError: ``--resume``, and the folder holds no such command, or one that was asked for something else.
    """
    import reports
    from harness.store.decoding import convert_value, decode_plain
    from harness.values.invocation import Invocation
    from reports.run.folder_names import folder_names

    digest = _digest(jobs, planned)
    path = arguments.out / JOURNAL
    if not arguments.resume:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"digest": digest, "invocation": json.loads(handed_on(planned))}, indent=1) + "\n")
        return planned, frozenset()
    if not path.is_file():
        raise UsageError("there is nothing to go on with", where=path, hint="leave --resume out")
    told = decode_plain(path.read_bytes(), path, UsageError)
    if not isinstance(told, dict) or told.get("digest") != digest:
        raise UsageError(
            "the folder holds a command that was asked for something else, or of other code or baselines",
            where=path,
            hint="leave --resume out, or choose another --out",
        )
    before = convert_value(told["invocation"], Invocation, path, UsageError)
    kept = set()
    for number, folder in enumerate(folder_names(names)):
        try:
            record = reports.read_result(arguments.out / folder / "result.json")
        except AlignmentError:
            continue
        whole = record.verdict.status is not Status.ERROR  # an ERROR may have been the cluster's
        if whole and record.invocation is not None and record.invocation.id == before.id:
            kept.add(number)
    return before, frozenset(kept)


def _digest(jobs: Sequence[Job], planned: Invocation) -> str:
    """SHA-256 of what a command asks for: cases, options, baselines, version and commit."""
    asked = [[job.case, job.words, job.device, sorted(job.baselines.digests.items())] for job in jobs]
    return hashlib.sha256(json.dumps([asked, planned.version, planned.commit]).encode()).hexdigest()
