"""`align power`: what the gate sees, measured with the fault catalogue and with healthy ports."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.baseline_folders.baseline_places import places_to_read
from harness.cli.console import SafeConsole, shown
from harness.cli.options import jobs_argument, reproduction, whole_argument
from harness.cli.terminal import banner, open_console, plain_table
from harness.language import say
from harness.rules.budget import FALSE_ALARM_RATE
from harness.running.pool import host_cores
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.lab.power.many_machines import Elsewhere
    from harness.lab.power.outcome import PowerResult
    from harness.lab.power.study import Study
    from harness.lab.power.study_rows import Execution
    from harness.lab.power.study_run import Experiment
    from harness.values.case import Case

__all__ = ["add_parser"]

_LINE_EVERY = 25


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "power",
        help="measure what the gate sees, with faults and healthy ports",
        description="Runs the fault catalogue and healthy ports of each CASE on the emulated device, judges every run, "
        "and writes detection and false-alarm rates. A run that lies in the work folder is not run again: a study "
        "that was killed goes on where it was, and parts of a study that share the folder add up.",
        epilog="Without a CASE all small ones are studied: hours. `align power ann_small --faults bn-eps-1e-3 "
        "--healthy 2` takes minutes.",
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="a case's name, or the path of a config")
    parser.add_argument(
        "--faults", default="all", metavar="A,B", help="all, none, blind, known, or names; see `align faults`"
    )
    parser.add_argument(
        "--sample",
        type=whole_argument,
        default=0,
        metavar="N",
        help="only N faulty runs, drawn at random over cases, layers, known and blind faults alike; a larger N later "
        "adds to them",
    )
    parser.add_argument("--sample-seed", type=whole_argument, default=0, metavar="S", help="seed of that draw (0)")
    parser.add_argument("--healthy", type=whole_argument, default=50, metavar="N", help="healthy ports per case")
    parser.add_argument(
        "--iterations",
        type=whole_argument,
        default=0,
        metavar="N",
        help="iterations of each run (default: as the case says)",
    )
    parser.add_argument(
        "--profile", default="", metavar="NAME", help="numerics under the faults (default: the demanded tier's)"
    )
    parser.add_argument("--repeats", type=whole_argument, default=16, metavar="K", help="the largest ensemble to try")
    parser.add_argument(
        "--shadow", type=_iterations, default=(), metavar="I,J", help="shadow these iterations too, for example 0,1"
    )
    parser.add_argument("--forced", action="store_true", help="with --shadow: each operation with hard inputs too")
    parser.add_argument("--no-early-stop", action="store_true", help="run faulty runs to their end too")
    parser.add_argument(
        "--settle",
        type=whole_argument,
        default=2,
        metavar="N",
        help="how many iterations a run goes on after it is seen",
    )
    parser.add_argument(
        "--jobs", type=jobs_argument, default=0, metavar="N|auto", help="worker processes (default: auto, one per core)"
    )
    parser.add_argument(
        "--cluster",
        default="",
        metavar="ADDRESS",
        help="run what is missing on a Ray cluster: auto for the one that this machine is part of, or "
        "ray://HOST:10001; needs the extra [fleet]",
    )
    parser.add_argument("--judge-only", action="store_true", help="judge the runs that are there, and make none")
    parser.add_argument(
        "--false-alarm-rate", type=float, default=FALSE_ALARM_RATE, metavar="P", help="false-alarm rate of the gate"
    )
    parser.add_argument(
        "--work-dir", type=Path, default=Path("alignment-power-runs"), metavar="DIR", help="the folder of the runs"
    )
    parser.add_argument(
        "--baseline-dir",
        type=Path,
        metavar="DIR",
        help="where the baselines lie (default: $ALIGN_BASELINE_DIR, else ./baselines, then those that come along)",
    )
    parser.add_argument("--out", type=Path, default=Path("alignment-power"), metavar="DIR", help="the report's folder")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Study, judge, write; 0 where that could be done, whatever was found."""
    from harness.devices.surroundings import git_commit
    from harness.lab.power.study import Study
    from harness.lab.power.study_judging import judge_study
    from harness.lab.power.study_plan import Settings, choose_faults
    from harness.running.cases import find_case, small_cases
    from reports.study.study_report import write_power

    if arguments.forced and not arguments.shadow:
        raise UsageError("hard inputs are made of a shadowed step", where="--forced", hint="--shadow 0,1 --forced")
    banner()
    settings = Settings(
        faults=choose_faults(arguments.faults),
        healthy=arguments.healthy,
        iterations=arguments.iterations,
        profile=arguments.profile,
        repeats=arguments.repeats,
        stops=not arguments.no_early_stop,
        settle=arguments.settle,
        shadow=arguments.shadow,
        forced=arguments.forced,
        sample=arguments.sample,
        sample_seed=arguments.sample_seed,
    )
    cases = [find_case(name) for name in arguments.cases] or small_cases()
    baselines = places_to_read(arguments.baseline_dir)[-1].path
    with contextlib.ExitStack() as stack:
        elsewhere, workers = _elsewhere(cases, arguments, stack)
        study = Study(cases, settings, arguments.work_dir, baselines, arguments.false_alarm_rate, elsewhere)
        commit = git_commit(Path(__file__).parent)
        execution = None if arguments.judge_only else _make(study, workers)
    result = judge_study(
        study.collect(),
        settings,
        false_alarm_rate=arguments.false_alarm_rate,
        missing=study.missing(),
        command=reproduction(),
        commit=commit,
        execution=execution,
        sampling=study.sampling,
    )
    page = write_power(result, arguments.out)
    _print(open_console(), result)
    print(shown(f"{say('report')}: {page}"))
    return 0


def _elsewhere(
    cases: Sequence[Case], arguments: argparse.Namespace, stack: contextlib.ExitStack
) -> tuple[Elsewhere | None, int]:
    """What runs the experiments on a cluster, where one is asked for; and how many run at once.

    Raises:
        UsageError: Ray isn't there, or there is no cluster.
    """
    if not arguments.cluster or arguments.judge_only:
        return None, arguments.jobs or host_cores()
    if arguments.jobs:
        raise UsageError("a cluster's cores are all used", where="--jobs", hint="leave --jobs out")
    from harness.fleet.cluster import Cluster
    from harness.lab.power.many_machines import Elsewhere
    from harness.running.cases import is_own

    ships = Path.cwd() if any(is_own(case) for case in cases) else None
    cluster = stack.enter_context(Cluster(arguments.cluster, ships))
    return Elsewhere(cluster, cases), cluster.cores


def _make(study: Study, workers: int) -> Execution:
    from harness.lab.power.study_rows import Execution

    importlib.import_module("mmengine.runner")  # what every run needs and can be missing: told before any is made
    started = time.monotonic()
    with _progress() as advance:
        runs = study.run(workers, advance)
    return Execution(runs, workers, time.monotonic() - started)


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A bar over the runs of a stage; a line now and then where standard error is not a terminal."""
    console = SafeConsole(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(say("runs"), total=None, last="")

        def advance(done: int, total: int, experiment: Experiment | None) -> None:
            if experiment is None:
                progress.reset(task, total=total, completed=done)
                return
            last = f"{experiment.case} {experiment.kind.value} {experiment.name}"
            progress.update(task, completed=done, total=total, last=last)
            if not console.is_terminal and (done % _LINE_EVERY == 0 or done == total):
                console.print(say(f"{done} of {total} runs"))

        yield advance


def _print(console: SafeConsole, result: PowerResult) -> None:
    from reports.study.study_rates import alarm_rows, execution_words, rate_rows

    table = plain_table("what", "count", "rate", "95 % interval")
    for row in rate_rows(result):
        table.add_row(say(row.name), say(row.counts), row.share, row.interval)
    console.print(table)
    if result.median_iterations is not None:
        console.print(say(f"median iterations to detection: {result.median_iterations:g}"))
    if result.execution is not None:
        console.print(say(execution_words(result)))
    if result.sampling is not None:
        console.print(say(str(result.sampling)))
    for unseen in result.unseen:
        console.print(say(f"unseen: {unseen.case} {unseen.fault} ({unseen.effect.extent.value})"))
    for alarm in alarm_rows(result):
        console.print(say(f"FALSE ALARM: {alarm}"))
    for case, count in result.missing.items():
        if count:
            console.print(say(f"not run yet: {count} runs of {case}"))


def _iterations(text: str) -> tuple[int, ...]:
    return tuple(sorted({whole_argument(word) for word in text.split(",")}))
