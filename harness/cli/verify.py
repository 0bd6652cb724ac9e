"""`align verify`: run cases on the candidate, judge them against their baselines, write the report."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.card_sharing import CardSharing
from harness.cli.cards import Planned, add_card_options, on_cards, plan_on_cards, tell_cards
from harness.cli.ci_outputs import print_markdown, tell_github
from harness.cli.cluster_options import add_cluster_options
from harness.cli.console import VERDICT_CODES
from harness.cli.history import add_history_options, keep_result, open_history
from harness.cli.options import (
    add_compile_option,
    add_device_options,
    add_follow_up_options,
    add_forced_option,
    add_jobs_option,
    add_judging_options,
    add_launch_options,
    add_options,
    add_shadow_options,
    add_timeout_options,
    chosen_device,
    follow_up_of,
    reproduction,
    run_folder,
    timeouts_of,
    whole_argument,
)
from harness.cli.policy_options import add_policy_option
from harness.cli.progress import Board, RunSteps
from harness.cli.terminal import announce, interim_line, print_results
from harness.language import say
from harness.rules.budget import share_of
from harness.running.pool import Slot, run_side_by_side, slots_for
from harness.shadow.judging.error_model import SHADOW_TIERS
from harness.values.errors import UsageError
from harness.values.precision import TIERS
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.running.order import Order
    from harness.values.case import Case
    from harness.values.result import Result

__all__ = [
    "add_parser",
    "add_verify_options",
    "planned_iterations",
    "require_evidence",
    "require_judged",
    "verify_case",
    "worst",
]

SETTLE = 9
"""Iterations that a run goes on after a violation: with the first one ten points, enough to see where a curve goes."""

_ITERATIONS_ALONE = 3
"""Iterations that shadow ops need alone: no chaos has to be waited for."""

_SEVERITY = (Status.PASS, Status.INCONCLUSIVE, Status.FAIL, Status.ERROR)


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="run cases on the candidate and judge them against their baselines",
        description="Runs each CASE on the candidate device, judges it against its baseline, and writes the report.",
        epilog="Without a CASE those of `align cases --small` are run; `align cases` lists all.",
        exit_codes=VERDICT_CODES,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="a case's name, or the path of a config")
    add_verify_options(parser)
    add_card_options(parser)
    add_cluster_options(parser)
    add_policy_option(parser)
    parser.add_argument("--no-policy", action="store_true", help="take no policy's defaults")
    parser.set_defaults(func=run)


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Every option of a verification; the defaults of some can be a policy's."""
    add_device_options(parser)
    add_options(parser)
    add_compile_option(parser)
    parser.add_argument("--out", type=Path, default=Path("alignment-report"), metavar="DIR", help="the report's folder")
    parser.add_argument(
        "--baseline-dir",
        type=Path,
        metavar="DIR",
        help="where the baselines lie (default: $ALIGN_BASELINE_DIR, else ./baselines, then those that come along)",
    )
    parser.add_argument(
        "--reference",
        default="",
        metavar="NAME",
        help="which of a case's baselines; the default is what the config names, else the only one that is there",
    )
    add_judging_options(parser)
    parser.add_argument(
        "--settle",
        type=whole_argument,
        default=SETTLE,
        metavar="N",
        help="where the verdict can't change any more, go on for N iterations, so that the curve is seen",
    )
    add_shadow_options(parser)
    add_forced_option(parser)
    add_follow_up_options(parser)
    parser.add_argument(
        "--no-baseline", action="store_true", help="judge by shadow ops alone, against the candidate's own host"
    )
    add_history_options(parser)
    parser.add_argument("--markdown", action="store_true", help="print a table for a pull request")
    add_launch_options(parser)
    add_jobs_option(parser, "cases")
    add_timeout_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify, and say the worst verdict by the exit code."""
    from harness.running.invoking import begin_invocation

    require_evidence(arguments)
    cases = _asked_cases(arguments)  # before the device, which is looked for by importing torch
    if arguments.cluster:
        from harness.cli.cluster import verify_on_cluster

        usual = argparse.ArgumentParser()
        add_verify_options(usual)
        return verify_on_cluster(cases, arguments.false_alarm_rate, arguments, usual).exit_code
    if arguments.resume:
        raise UsageError("only a command on a cluster goes on where it was", where="--resume", hint="--cluster auto")
    choice = chosen_device(arguments)
    announce(choice)
    if arguments.node_rank:
        return take_part(cases, str(choice), arguments)
    import reports

    plan = plan_on_cards(cases, choice, arguments)
    compares = arguments.each_device or arguments.repeat > 1
    arguments.no_early_stop |= compares  # what isn't whole can't be compared
    share = share_of(arguments.false_alarm_rate, len(plan), arguments.gate_size)
    gate_size = max(len(plan), arguments.gate_size)
    planned = [each.case.name for each in plan]
    invocation = begin_invocation(reproduction(), planned)
    history = open_history(arguments, create=True)
    report = reports.Report(arguments.out, planned, invocation)
    by_memory = not arguments.each_device
    slots = slots_for(choice, arguments.jobs, arguments.nproc_per_node, by_memory=by_memory)
    sharing = CardSharing(choice, plan, arguments, lambda each: (each.case, arguments))
    ended: dict[int, Result] = {}
    with Board(len(plan), "cases", sum(planned_iterations(each.case, arguments) for each in plan)) as board:

        def verified(each: Planned, slot: Slot) -> Result:
            made = verify_case(each.case, str(choice), share, gate_size, arguments, board=board, slot=slot)
            return sharing.seen(each, made)

        def keep(number: int, result: Result) -> None:
            board.done()
            host, card = (os.environ.get(name, "") for name in ("ALIGN_HOST", "ALIGN_CARD"))  # a cluster's machine
            ended[number] = dataclasses.replace(result, invocation=invocation, host=host, card=result.card or card)
            written = report.add(ended[number], number)
            if history is not None:
                keep_result(history, ended[number], written, arguments.build)
            if (line := interim_line(list(ended.values()), len(plan))) is not None:
                board.print(line)

        run_side_by_side(plan, on_cards(choice, verified), slots, keep, sharing.place)
    sharing.keep()
    results = [ended[number] for number in sorted(ended)]
    _tell(results, str(report.finish()), arguments)
    cards = tell_cards(plan, results, choice, arguments) if compares else Status.PASS
    return worst([cards, *(result.verdict.status for result in results)]).exit_code


def _tell(results: Sequence[Result], page: str, arguments: argparse.Namespace) -> None:
    if arguments.markdown:
        print_markdown(results, "verify")
    else:
        print_results(results, page)
    tell_github(results, "verify")


def _asked_cases(arguments: argparse.Namespace) -> list[Case]:
    """The cases that the command names, or the small ones: each config is loaded here, and once more in its child."""
    from harness.running.cases import load_case, require_distinct, small_cases

    names = arguments.cases or [case.name for case in small_cases()]
    loaded = [load_case(name, arguments.cfg_options) for name in names]
    require_distinct([case.name for case, _ in loaded])
    for case, config in loaded:
        require_judged(case, config, arguments)
    return [case for case, _ in loaded]


def take_part(cases: Sequence[Case], device: str, arguments: argparse.Namespace) -> int:
    """Run this machine's processes of each case; the machine of node rank 0 records and judges them.

    Raises:
        RunError: one of them crashed or hung.
    """
    from harness.running.watchdog import execute

    for case in cases:
        with run_folder(arguments.work_dir, case.name) as folder:
            order = order_of(case, device, arguments)
            run = execute(order, folder, timeouts=timeouts_of(arguments))
            if run.error is not None:
                run.error.hint = None if arguments.work_dir is None else run.error.hint
                print(run.output, file=sys.stderr)
                raise run.error
        ranks = f"{order.node * order.processes} … {(order.node + 1) * order.processes - 1}"
        print(say(f"{case.name}: ranks {ranks} ended well on machine {order.node}; machine 0 has the verdict"))
    return 0


def require_evidence(arguments: argparse.Namespace) -> None:
    """Without a baseline and without shadow ops there is nothing to judge by."""
    if arguments.no_baseline and arguments.shadow == "none":
        raise UsageError(
            "there is nothing to judge by", where="--no-baseline --shadow none", hint="leave one of the two out"
        )
    if arguments.forced and arguments.shadow == "none":
        raise UsageError(
            "hard inputs are made of a shadowed step", where="--forced --shadow none", hint="leave one of the two out"
        )
    tiers = tuple(SHADOW_TIERS) if arguments.no_baseline else TIERS
    if arguments.tier and arguments.tier not in tiers:
        raise UsageError("no such precision tier", where="--tier", observed=arguments.tier, allowed=", ".join(tiers))


def require_judged(case: Case, config: Mapping[str, Any] | None, arguments: argparse.Namespace) -> None:
    """Without a baseline shadow ops alone judge what is compiled: of a backend whose graphs can be had.

    Args:
        case: what is to be run.
        config: with its options; None for a loop of the user's, which is refused with --compile and has no other
            compiler.
        arguments: every option of ``add_verify_options``.
    """
    if config is None or not arguments.no_baseline:
        return  # before torch is imported, which the rest does
    from harness.running.compiling import compile_settings
    from harness.running.order import Order
    from harness.shadow.compiled.watched_backend import can_watch

    order = Order(str(case.config), arguments.device or "", compile=arguments.compile)
    settings = compile_settings(order, config.get("compile"))
    if settings and (arguments.forced or not can_watch(settings.get("backend", "inductor"))):
        raise UsageError(
            "what this compiles is judged by its trace, which needs a baseline: shadow ops would see eager code",
            where="--no-baseline",
            observed=f"--compile {arguments.compile}" if arguments.compile else f"{case.config}: compile",
            hint="--compile none, --compile inductor without --forced, or leave --no-baseline out",
        )


def worst(statuses: list[Status]) -> Status:
    """The verdict on all cases together: the one that opens the gate least."""
    return max(statuses, key=_SEVERITY.index)


def planned_iterations(case: Case, arguments: argparse.Namespace) -> int:
    """How many iterations a run of a case has; without a baseline no more than shadow ops need."""
    alone = min(_ITERATIONS_ALONE, case.iterations) if arguments.no_baseline else case.iterations
    return int(arguments.iterations or alone)


def verify_case(
    case: Case,
    device: str,
    false_alarm_rate: float,
    gate_size: int,
    arguments: argparse.Namespace,
    *,
    board: Board | None = None,
    slot: Slot | None = None,
) -> Result:
    """Run a case as the options say, and judge it.

    Args:
        case: what to run.
        device: as the command line spells it.
        false_alarm_rate: the case's share of its gate's.
        gate_size: how many cases share that of the gate.
        arguments: every option of ``add_verify_options``.
        board: shows its progress; one of its own where None.
        slot: the part of the machine that the run has; all of it where None.
    """
    from harness.baseline_folders.baseline_places import choose_place, places_to_read
    from harness.running.cases import is_own
    from harness.running.verification import verify, verify_alone

    iterations = planned_iterations(case, arguments)
    card = slot.card if slot is not None else ""
    order = order_of(case, device, arguments)
    with (
        run_folder(arguments.work_dir, case.name) as folder,
        contextlib.nullcontext(board) if board is not None else Board(1, "cases") as shown,
        shown.running(case.name, iterations, f"card {card}" if card else "") as steps,
    ):
        watching: dict[str, Any] = {
            "folder": folder,
            "timeouts": timeouts_of(arguments),
            "on_iteration": RunSteps(steps),
            "on_check": steps.checked,
            "slot": slot,
            "wanted": follow_up_of(arguments),
        }
        if arguments.no_baseline:
            return dataclasses.replace(verify_alone(case, order, **watching), card=card)
        result = verify(
            case,
            order,
            baselines=choose_place(
                places_to_read(arguments.baseline_dir, own=is_own(case)),
                case.name,
                arguments.reference or case.reference,
            ),
            reference=arguments.reference,
            tier=arguments.tier,
            false_alarm_rate=false_alarm_rate,
            gate_size=gate_size,
            early_stop=not arguments.no_early_stop,
            settle=arguments.settle,
            same=tuple(arguments.same),
            **watching,
        )
        return dataclasses.replace(result, card=card)


def order_of(case: Case, device: str, arguments: argparse.Namespace) -> Order:
    """What the run of a case is told."""
    from harness.running.order import Order
    from harness.shadow.shadowed_iterations import parse_iterations

    iterations = planned_iterations(case, arguments)
    return Order(
        config=case.address,
        device=device,
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        options=tuple(arguments.cfg_options),
        iterations=iterations if arguments.no_baseline else arguments.iterations,
        amp=arguments.amp,
        compile=arguments.compile,
        launcher=arguments.launcher,
        processes=arguments.nproc_per_node,
        nodes=arguments.nnodes,
        node=arguments.node_rank,
        meeting=arguments.rdzv_endpoint,
        command=reproduction(),
        shadow=parse_iterations(arguments.shadow, iterations),
        shadow_tier=arguments.tier or case.tier,
        shadow_ops=tuple(arguments.shadow_ops),
        shadow_budget=arguments.shadow_budget,
        shadow_forced=arguments.forced,
    )
