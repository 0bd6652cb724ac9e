"""`align record`: run a case on a trusted device k times, and keep the runs as its baseline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.options import (
    add_jobs_option,
    add_launch_options,
    add_options,
    add_timeout_options,
    count_argument,
    reproduction,
    run_folder,
    timeouts_of,
)
from harness.cli.progress import run_progress
from harness.cli.terminal import open_console
from harness.devices.choice import DeviceChoice, choose_device
from harness.language import say
from harness.rules.bounded import percent
from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.sight import DEMANDED, Sight, judge_sight
from harness.rules.tier import TierRules
from harness.rules.visibility import Visibility, measure_evaluation, measure_visibility
from harness.running.pool import slots_for
from harness.values.errors import UsageError
from harness.values.verdict import Outcome

if TYPE_CHECKING:
    from harness.running.baseline_recording import Change
    from harness.values.baseline import Baseline
    from harness.values.case import Case
    from harness.values.trace import Trace

__all__ = ["add_parser", "print_advice", "print_visibility"]

_SHOWN_ITERATIONS = (0, 1, 5, 10)

_SHORTEST_PIECE = 3
"""Iterations: momentum tells at the second update, so that it is judged while a piece sees."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "record",
        help="make a baseline of a case on a trusted device",
        description="Runs each CASE several times with its rounding varied, checks the runs, shows what the case can "
        "see and what would change, and writes the baseline.",
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="a case's name, or the path of a config or of a file with a case"
    )
    parser.add_argument(
        "--from",
        nargs="+",
        dest="runs",
        type=Path,
        metavar="RUN",
        help="make the baseline of runs that are there already: folders that harness.watch left as repeats",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="NAME[:INDEX]", help="the trusted device: cpu (the default), cuda, …"
    )
    parser.add_argument(
        "--repeats",
        type=count_argument,
        default=0,
        metavar="K",
        help="healthy runs per tier (default: as the case says)",
    )
    parser.add_argument(
        "--tiers",
        default="",
        metavar="A,B",
        help="precision tiers, tightest first: fp32,tf32 (default: as the case says)",
    )
    parser.add_argument(
        "--reference", default="", metavar="NAME", help="the baseline's name (default: the device's name)"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; asked for when a baseline is replaced")
    parser.add_argument("--baseline-dir", type=Path, metavar="DIR", help="where to write it (default: ./baselines)")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    add_options(parser)
    add_launch_options(parser)
    add_jobs_option(parser, "runs")
    add_timeout_options(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Record each case."""
    from harness.running.cases import find_case, require_distinct

    if arguments.runs:
        return _record_runs(arguments)
    if not arguments.cases:
        raise UsageError("nothing is recorded", allowed="CASE, or --from RUN", hint="align cases")
    choice = _trusted(arguments.device)
    cases = [find_case(name, arguments.cfg_options) for name in arguments.cases]
    require_distinct([case.name for case in cases])
    for case in cases:
        _record(case, choice, arguments)
    return 0


def _trusted(asked: str) -> DeviceChoice:
    """A reference is recorded on a real device.

    Raises:
        DeviceError: there is no such device here.
        UsageError: it is emulated.
    """
    choice = choose_device(asked)
    if choice.emulated:
        raise UsageError("an emulated device is no reference", where="--device", observed=asked, hint="--device cpu")
    return choice


def _record(case: Case, choice: DeviceChoice, arguments: argparse.Namespace) -> None:
    from harness.baseline_folders.baseline_places import writing_folder
    from harness.running.baseline_recording import record, require_reason
    from harness.running.order import EAGER, Order

    root = writing_folder(arguments.baseline_dir)
    reference = arguments.reference or choice.name
    if not arguments.dry_run:
        require_reason(root, case.name, reference, arguments.reason, reproduction())
    order = Order(
        config=case.address,
        device=str(choice),
        options=tuple(arguments.cfg_options),
        iterations=arguments.iterations,
        amp=arguments.amp,
        compile=EAGER,  # a reference is what the candidate's compiler has to reproduce
        launcher=arguments.launcher,
        processes=arguments.nproc_per_node,
        nodes=arguments.nnodes,
        node=arguments.node_rank,
        meeting=arguments.rdzv_endpoint,
        command=reproduction(),
    )
    tiers = tuple(arguments.tiers.split(",")) if arguments.tiers else case.tiers
    repeats = arguments.repeats or case.repeats
    runs = len(tiers) * repeats
    with run_folder(arguments.work_dir, case.name) as folder:
        total = runs * (arguments.iterations or case.iterations) + case.fp64_iterations
        with run_progress(f"{case.name}, {runs + bool(case.fp64_iterations)} runs", total) as advance:
            baseline = record(
                case,
                order,
                reference=reference,
                reason=arguments.reason,
                repeats=repeats,
                tiers=tiers,
                folder=folder,
                timeouts=timeouts_of(arguments),
                on_iteration=advance,
                slots=slots_for(choice, arguments.jobs, arguments.nproc_per_node, by_memory=True),
                device=choice,
                jobs=arguments.jobs,
            )
    _keep(baseline, root, arguments, case)


def _keep(baseline: Baseline, root: Path, arguments: argparse.Namespace, case: Case | None = None) -> None:
    """Show what the baseline can see and what it changes, and write it."""
    from harness.running.baseline_recording import compare_baselines, load_previous
    from harness.store.baselines import save_baseline

    console = open_console()
    print_visibility(console, baseline)
    print_advice(console, baseline, case)
    previous = load_previous(root, baseline.case, baseline.reference)
    if previous is not None:
        _print_changes(console, list(compare_baselines(previous, baseline)))
    if arguments.dry_run:
        console.print(say("nothing written (--dry-run)"))
        return
    console.print(f"{say('baseline')}: {save_baseline(root, baseline)}")


def _record_runs(arguments: argparse.Namespace) -> int:
    """A baseline of runs that were watched in place."""
    from harness.baseline_folders.baseline_places import writing_folder
    from harness.running.baseline_recording import record_runs, require_reason

    if len(arguments.cases) > 1:
        raise UsageError("runs are of one case", where="--from", observed=" ".join(arguments.cases))
    name = arguments.cases[0] if arguments.cases else ""
    baseline = record_runs(arguments.runs, name=name, reference=arguments.reference, reason=arguments.reason)
    root = writing_folder(arguments.baseline_dir)
    if not arguments.dry_run:
        require_reason(root, baseline.case, baseline.reference, arguments.reason, reproduction())
    _keep(baseline, root, arguments)
    return 0


def print_visibility(console: Console, baseline: Baseline) -> None:
    """The floor of each tier, and the smallest deviation that would be called."""
    for tier, healthy in baseline.tiers.items():
        rules = TierRules(tier, healthy, baseline.iterations, FALSE_ALARM_RATE)
        of_runs = (
            f"spread of {len(healthy)} healthy runs, and the smallest deviation that a gate of this one case calls, "
            f"at a false-alarm rate of {FALSE_ALARM_RATE:g}"
        )
        _print_spread(
            console,
            f"{baseline.case}, {tier}: {say(of_runs)}",
            measure_visibility(rules, _shown_iterations(healthy[0])),
        )
        if answers := measure_evaluation(rules):
            _print_spread(console, f"{baseline.case}, {tier}: {say('the same in evaluation mode')}", answers)
        for finding in judge_sight(rules.sights, tier):
            undecided = finding.status is Outcome.INCONCLUSIVE
            then = "; a gate on this baseline is INCONCLUSIVE" if undecided else ""
            console.print(Text(f"{say('warning')}: {tier}: {say(finding.message + then)}", style="bold yellow"))


def _shown_iterations(run: Trace) -> tuple[int, ...]:
    """A few early ones, the last; and of a run in pieces the first and the last of its last piece but one."""
    starts = run.iterations[run.piece_starts].tolist()
    of_pieces = (starts[-2], starts[-1] - 1, starts[-1]) if len(starts) > 1 else ()
    return (*_SHOWN_ITERATIONS, *of_pieces, int(run.iterations[-1]))


def print_advice(console: Console, baseline: Baseline, case: Case | None) -> None:
    """What the case sees at the tightest tier, in a sentence; where it is blind, what helps.

    Args:
        console: where to print.
        baseline: that was recorded.
        case: of which; None for runs that were watched in place.
    """
    tier, healthy = next(iter(baseline.tiers.items()))
    sights = {one.signal: one for one in TierRules(tier, healthy, baseline.iterations, FALSE_ALARM_RATE).sights}
    loss = sights["loss"]
    blind = [sights[name] for name in DEMANDED if name in sights and sights[name].blind]
    seen = "sees nothing of the loss"
    if not loss.throughout:
        off = " and ".join(
            f"by {percent(bound)} at iteration {at}" for bound, at in dict.fromkeys((loss.best, loss.worst))
        )
        seen = f"sees a loss that is off {off}"
    nothing = ", ".join(f"{one.signal} at {one.blind} of {one.iterations} iterations" for one in blind)
    at_last = f"it is blind to {nothing}" if nothing else "no demanded signal is blind"
    console.print(Text(f"{baseline.case}, {tier}: {say(f'{seen}; {at_last}')}"), soft_wrap=True)
    if not blind:
        return
    console.print(Text(say("rounding grows until the reference's own runs part; what helps:")))
    pieces = _pieces_that_see(blind)
    if case is not None and pieces:
        tried = f"{reproduction()} --cfg-options alignment.restarts={pieces} --dry-run"
        how = f"@harness.case(restarts={pieces}, …) in {case.config.name}" if case.function else tried
        console.print(Text(f"  {say(f'start anew on the way, in {pieces} pieces')}: {how}"), soft_wrap=True)
    if case is not None and not case.function:
        start = f"{reproduction()} --cfg-options alignment.start.last_norm=0.1 --dry-run"
        console.print(Text(f"  {say('residual branches that begin small')}: {start}"), soft_wrap=True)
    rate = "a lower learning rate" + (" (optim_wrapper.optimizer.lr)" if case and not case.function else "")
    console.print(Text(f"  {say(f'{rate}; {_MORE}')}"))


_MORE = "more repeats (--repeats) tighten the bounds, and don't lift the blindness"


def _pieces_that_see(blind: Sequence[Sight]) -> int:
    """In how many pieces a run would see throughout, if each is as long as its signals see now; 0 where none would."""
    seeing = [one for one in blind if not one.throughout]
    if not seeing:
        return 0
    now = seeing[0]
    length = max(_SHORTEST_PIECE, min((one.iterations - one.blind) // one.pieces for one in seeing))
    pieces = -(-now.iterations // length)
    return pieces if pieces > now.pieces else 0


def _print_spread(console: Console, title: str, seen: Sequence[Visibility]) -> None:
    """A row a signal, a column an iteration."""
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    table.add_column(say("signal"))
    for iteration in sorted({entry.iteration for entry in seen}):
        table.add_column(say(f"iteration {iteration}"), justify="right")
    for signal in dict.fromkeys(entry.signal for entry in seen):
        cells = [entry for entry in seen if entry.signal == signal]
        table.add_row(signal, *(f"{entry.floor:.1e} / {percent(entry.detectable)}" for entry in cells))
    console.print(table)


def _print_changes(console: Console, changes: list[Change]) -> None:
    """How the new baseline differs from the one that it replaces, signed."""
    table = Table(title=say("change from the baseline that is there"), box=None, pad_edge=False, title_justify="left")
    for name in ("tier", "signal", "mean", "largest", "at iteration"):
        table.add_column(say(name))
    for change in changes:
        mean, largest = f"{100 * change.mean:+.3g} %", f"{100 * change.largest:+.3g} %"
        table.add_row(change.tier, change.signal, mean, largest, str(change.iteration))
    console.print(table)
