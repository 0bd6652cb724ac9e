"""`align judge`: judge runs that trainings watched in place have left."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from harness.baseline_folders.baseline_places import writing_folder
from harness.cli.options import add_judging_options, reproduction
from harness.cli.terminal import interim_line, open_console, print_results
from harness.cli.verify import worst
from harness.rules.budget import share_of
from harness.values.errors import UsageError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "judge",
        help="judge a run that your own loop recorded",
        description="Judges each RUN, a folder that harness.watch left, against its case's baseline, and writes the "
        "report.",
        epilog="The exit code is that of the worst verdict: 0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="DIR",
        help="the baseline's own folder, BASELINES/CASE/REFERENCE; the default is the case's only one in ./baselines",
    )
    parser.add_argument("--out", type=Path, default=Path("alignment-report"), metavar="DIR", help="the report's folder")
    add_judging_options(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, and say the worst verdict by the exit code."""
    import reports
    from harness.running.cases import require_distinct
    from harness.running.invoking import begin_invocation
    from harness.running.verification import judge_run

    root, reference = _baseline(arguments.baseline)
    share = share_of(arguments.false_alarm_rate, len(arguments.runs), arguments.gate_size)
    results = []
    for folder in arguments.runs:
        result = judge_run(
            folder,
            baselines=root,
            reference=reference,
            tier=arguments.tier,
            false_alarm_rate=share,
            gate_size=max(len(arguments.runs), arguments.gate_size),
            same=tuple(arguments.same),
            command=reproduction(),
        )
        results.append(result)
    names = [result.case for result in results]
    require_distinct(names)
    invocation = begin_invocation(reproduction(), names)
    results = [dataclasses.replace(result, invocation=invocation) for result in results]
    report = reports.Report(arguments.out, names, invocation)
    for number, result in enumerate(results, 1):
        report.add(result)
        if (line := interim_line(results[:number], len(results))) is not None:
            open_console(stderr=True).print(line)
    print_results(results, str(report.finish()))
    return worst([result.verdict.status for result in results]).exit_code


def _baseline(folder: Path | None) -> tuple[Path, str]:
    """The root of the baselines, and the reference's name."""
    if folder is None:
        return writing_folder(), ""
    if not (folder / "baseline.json").is_file():
        raise UsageError(
            "this is no baseline's folder",
            where="--baseline",
            observed=folder,
            allowed="BASELINES/CASE/REFERENCE, which holds baseline.json",
        )
    folder = folder.resolve()
    return folder.parent.parent, folder.name
