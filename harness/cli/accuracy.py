"""`align accuracy` and `align plan-accuracy`: what trained runs say of a port, and how many of them a wish costs."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from harness.cli.options import reproduction
from harness.cli.terminal import STATUS_STYLES, open_console
from harness.language import say
from harness.values.errors import UsageError
from harness.values.result import Result
from harness.values.terms import Against, Terms

__all__ = ["add_parser", "show_verdict"]

_DESCRIPTION = """\
Says what trained reference runs and trained candidate runs say of a port: the difference of their accuracies with an
interval, the smallest difference that these runs could have seen, and whether a margin that you state holds.

  align accuracy --reference 77.31 77.91 76.89 --candidate 76.50 77.02 --margin 0.5
  align accuracy --reference ref-*/scores.json --candidate cand-*/scores.json --margin 99% --out report
  align accuracy --reference 77.4 --candidate 77.0
"""

_EPILOG = """\
--margin: points of the metric, or a published rule: 0.1% (Tecorigin, relative), 0.15% (PaddlePaddle, points), 99% and
99.9% (MLPerf, of the reference, one-sided). Without one equality can't be shown, and the verdict is never PASS.
One run a side decides nothing: the verdict is INCONCLUSIVE, and says by how much two healthy runs differ.
exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE"""


def add_parser(commands: Any) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "accuracy",
        help="judge the accuracies of trained runs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    what = "accuracies in percent, or scores.json of `align evaluate`, or their folders"
    parser.add_argument("--reference", nargs="+", action="extend", default=[], metavar="RUN", required=True, help=what)
    parser.add_argument("--candidate", nargs="+", action="extend", default=[], metavar="RUN", required=True, help=what)
    parser.add_argument("--margin", help="how far the candidate may be off: points, or a published rule's name")
    parser.add_argument("--one-sided", action="store_true", help="a better candidate is always within the margin")
    parser.add_argument("--metric", default="mIoU", help="which number of scores.json: mIoU (the default), aAcc, mAcc")
    parser.add_argument("--alpha", type=float, default=0.05, help="chance of a wrong PASS or FAIL at the margin")
    parser.add_argument(
        "--spread", type=float, help="standard deviation of a run in points, for what one run a side says"
    )
    parser.add_argument("--name", default="trained accuracy", help="what the report calls it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the report into this folder")
    parser.set_defaults(func=run)
    _add_plan(commands)


def _add_plan(commands: Any) -> None:
    parser = commands.add_parser(
        "plan-accuracy",
        help="how many trained runs a wish costs",
        description="Says how many runs a side it takes to see a difference, and to show that there is none beyond a "
        "margin, and what fewer runs see. Exact, by Student's t.",
    )
    parser.add_argument("--margin", type=float, required=True, metavar="POINTS", help="of the metric, for example 0.5")
    parser.add_argument(
        "--spread",
        type=float,
        metavar="POINTS",
        help="standard deviation of a run (default: 0.64, of three published triples of Cityscapes runs)",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="chance of a false alarm")
    parser.add_argument("--power", type=float, default=0.8, help="chance to see it")
    parser.set_defaults(func=plan)


def run(arguments: argparse.Namespace) -> int:
    """Judge."""
    from harness.accuracy.acceptance_margins import parse_margin
    from harness.accuracy.trained_runs import judge_runs

    alpha = _chance(arguments.alpha, "--alpha", 0.5)
    margin = parse_margin(arguments.margin, one_sided=arguments.one_sided) if arguments.margin else None
    if arguments.one_sided and margin is None:
        raise UsageError("--one-sided is of a margin", hint="--margin 0.5 --one-sided")
    reference = [_accuracy(word, arguments.metric) for word in arguments.reference]
    candidate = [_accuracy(word, arguments.metric) for word in arguments.candidate]
    verdict = judge_runs(arguments.name, reference, candidate, margin, alpha=alpha, spread=arguments.spread)
    runs = f"{arguments.metric} of {len(reference)} reference and {len(candidate)} candidate runs"
    asked = (runs, f"margin {margin.describe()}" if margin else "no margin")
    result = Result(verdict, command=reproduction(), terms=Terms(Against.ACCURACIES, alpha, asked=asked))
    return show_verdict(result, arguments.out)


def plan(arguments: argparse.Namespace) -> int:
    """Say what a wish costs."""
    from harness.accuracy.run_plan import (
        equivalence_power,
        power_to_see,
        runs_for,
        smallest_seen,
        two_healthy_runs,
    )
    from harness.accuracy.trained_runs import PUBLISHED_SPREAD

    alpha = _chance(arguments.alpha, "--alpha", 0.5)
    power = _chance(arguments.power, "--power", 1.0)
    spread = PUBLISHED_SPREAD if arguments.spread is None else arguments.spread
    margin = arguments.margin
    usual = two_healthy_runs(spread)  # refuses a spread that is none
    if not 0 < margin < math.inf:
        raise UsageError("a margin is a positive number of points", where="--margin", observed=margin)
    see = runs_for(lambda n: power_to_see(margin, spread, n, n, alpha), power)
    show = runs_for(lambda n: equivalence_power(margin, spread, n, n, alpha), power)
    whose = " (three published triples of Cityscapes runs: --spread says your own)" if arguments.spread is None else ""
    lines = [
        f"a run scatters by {spread:g} points{whose}; margin {margin:g} points, α {alpha:g}, power {power:g}",
        f"to see a candidate that is {margin:g} points off: {_count(see)} runs a side",
        f"to show that an equal candidate is within ± {margin:g} points: {_count(show)} runs a side",
        f"two healthy runs differ by up to {usual:.2g} points in 95 % of cases: one run a side decides nothing",
        "",
    ]
    columns = ("runs a side", "smallest difference seen", "chance to see the margin", "chance to show equivalence")
    rows = [
        (
            str(runs),
            f"{smallest_seen(spread, runs, runs, alpha, power):.2f}",
            _percent(power_to_see(margin, spread, runs, runs, alpha)),
            _percent(equivalence_power(margin, spread, runs, runs, alpha)),
        )
        for runs in (2, 3, 5, 10, 20, 50)
    ]
    names = [say(column) for column in columns]
    widths = [max(cell_len(cell) for cell in (name, *cells)) for name, *cells in zip(names, *rows, strict=True)]
    print("\n".join(say(line) for line in lines))
    for cells in (names, *rows):
        print("   ".join(" " * (width - cell_len(cell)) + cell for cell, width in zip(cells, widths, strict=True)))
    return 0


def show_verdict(result: Result, out: Path | None) -> int:
    """Print a verdict and its findings, write its report, and give its exit code."""
    from dataclasses import replace

    from harness.running.invoking import begin_invocation
    from reports.words.terms_words import terms_lines

    result = replace(result, invocation=begin_invocation(reproduction(), [result.case]))
    page = None
    if out is not None:
        import reports

        page = reports.write([result], out)
    console = open_console()
    verdict = result.verdict
    style = STATUS_STYLES[verdict.status]
    console.print(Text(verdict.status.value, style=style) + Text(f" {verdict.case}: {say(verdict.reason)}"))
    for line in terms_lines(result.terms):
        console.print(Text(f"  {say(line)}"))
    for finding in verdict.findings:
        console.print(Text(f"  {finding.signal:<10} {finding.status.value:<12} {say(finding.message)}"))
    if page is not None:
        console.print(f"{say('report')}: {page}", markup=False)
    return verdict.status.exit_code


def _accuracy(word: str, metric: str) -> float:
    """Points of a run: a number as it stands, or what `scores.json` holds, which is 0 … 1."""
    try:
        value = float(word)
    except ValueError:
        return _stored(Path(word), metric)
    if not 0 <= value <= 100:
        raise UsageError("an accuracy is a percentage", where=word, observed=value, allowed="0 … 100")
    if 0 < value <= 1:
        raise UsageError(
            "an accuracy is given in percent", where=word, observed=value, allowed=f"{100 * value:g}, if it is a share"
        )
    return value


def _stored(path: Path, metric: str) -> float:
    from harness.evaluating.evaluation_folder import SCORES
    from harness.store.atomic import read_bytes
    from harness.store.decoding import decode_plain

    if path.is_dir():
        path /= SCORES
    hint = "a percentage, or the folder of an evaluation by `align evaluate`"
    content = decode_plain(read_bytes(path, UsageError, hint=hint), path, UsageError, hint=hint)
    value = content.get(metric) if isinstance(content, dict) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        allowed = sorted(k for k, v in content.items() if isinstance(v, float)) if isinstance(content, dict) else None
        raise UsageError("the scores have no such number", where=path, observed=f"{metric}: {value!r}", allowed=allowed)
    return 100 * float(value)


def _chance(value: float, where: str, below: float) -> float:
    if not 0 < value < below:
        raise UsageError("not a chance that can be meant", where=where, observed=value, allowed=f"0 … {below:g}")
    return value


def _count(runs: int | None) -> str:
    return "more than 10000" if runs is None else str(runs)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
