"""`align gate`: the cases that a policy demands, verified and held to it."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.cli.card_sharing import CardSharing
from harness.cli.ci_outputs import print_markdown, tell_github
from harness.cli.history import keep_result, open_history
from harness.cli.options import chosen_device, reproduction
from harness.cli.policy_options import add_policy_option, asked_policy, rooted
from harness.cli.progress import Board
from harness.cli.terminal import STATUS_STYLES, announce, open_console, plain_table
from harness.cli.verify import (
    add_verify_options,
    planned_iterations,
    require_evidence,
    require_judged,
    verify_case,
    worst,
)
from harness.language import say
from harness.policy.gate_decision import Decision, decide, require_baseline
from harness.policy.policy_values import CaseTerms, Policy
from harness.rules.budget import share_of
from harness.running.pool import Slot, run_side_by_side, slots_for
from harness.values.errors import AlignmentError, UsageError
from harness.values.verdict import Status, Verdict

if TYPE_CHECKING:
    from harness.values.case import Case
    from harness.values.result import Result

__all__ = ["add_parser"]

_DESCRIPTION = """\
Verifies the cases that a policy demands of a device, and says whether the gate opens.

  align gate                     by alignment.toml, or [tool.alignment] of pyproject.toml
  align gate --check             check the policy, and run nothing
  align gate ann_small           this case of it alone

Options of the command line come before the policy's defaults, a case's own before both. docs/policy.md has every key.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "gate",
        help="verify by a policy: what must pass, what is known",
        description=_DESCRIPTION,
        epilog="The exit code is 0 where each case passes, is excused by a known deviation, or isn't required; else "
        "that of the worst: 1 FAIL, 2 ERROR or wrong usage, 3 INCONCLUSIVE.",
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="of the policy's cases these alone")
    add_policy_option(parser)
    parser.add_argument("--check", action="store_true", help="check the policy, and run nothing")
    add_verify_options(parser)
    for option in parser._actions:  # so that what was typed is told from what wasn't
        if option.dest not in {"help", "cases", "policy", "check"}:
            option.help = (option.help or "").replace("%(default)s", str(option.default))
            option.default = argparse.SUPPRESS
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify by the policy, and say by the exit code whether the gate opens."""
    import reports
    from harness.running.invoking import begin_invocation

    policy = asked_policy(arguments.policy)
    if policy is None:
        raise UsageError(
            "there is no policy",
            where=Path.cwd(),
            allowed="alignment.toml or [tool.alignment] in pyproject.toml, here or in a folder above",
            hint="align gate --policy FILE",
        )
    options = _options(policy, arguments)
    choice = chosen_device(options)
    jobs = _jobs(policy, choice.name, arguments.cases, options)
    names = [job.case.name for job in jobs]
    if arguments.check:
        open_console().print(Text(say(f"{policy.path} holds; demanded on {choice.name}: {', '.join(names)}")))
        return 0
    announce(choice)
    share = share_of(options.false_alarm_rate, len(jobs), options.gate_size)
    size = max(len(jobs), options.gate_size)
    invocation = begin_invocation(reproduction(), names)
    history = open_history(options, create=True)
    report = reports.Report(options.out, names, invocation)
    ends = time.monotonic() + policy.gate_seconds if policy.gate_seconds is not None else None
    slots = slots_for(choice, options.jobs, options.nproc_per_node, by_memory=True)
    sharing = CardSharing(
        choice, [(job.case, job.options) for job in jobs], options, lambda job: (job.case, job.options)
    )
    decided: dict[int, Decision] = {}
    ended: dict[int, Result] = {}
    with Board(len(jobs), "cases", sum(planned_iterations(job.case, job.options) for job in jobs)) as board:

        def judged(job: _Job, slot: Slot) -> list[Result]:
            made = _judged(job, str(choice), share, size, policy, ends, board, slot)
            sharing.seen(job, made[-1])
            return made

        def keep(number: int, results: list[Result]) -> None:
            board.done()
            made = [dataclasses.replace(each, invocation=invocation) for each in results]
            written = report.add(made[-1], number)
            if history is not None:
                for each in made:
                    keep_result(history, each, written, options.build)
            ended[number] = made[-1]
            decided[number] = decide(jobs[number].terms, made[-1].verdict, policy.known, choice.name, _today())
            _tell(board, decided[number], len(decided), len(jobs))

        run_side_by_side(jobs, judged, slots, keep, sharing.place)
    sharing.keep()
    results = [ended[number] for number in sorted(ended)]
    decisions = [decided[number] for number in sorted(decided)]
    excused = {one.case: one.excuse for one in decisions if one.excuse}
    page = report.finish(excused)
    _write(options.out, policy, choice.name, decisions)
    if options.markdown:
        print_markdown(results, "gate", excused)
    else:
        _print(decisions, policy, str(page))
    tell_github(results, "gate", excused)
    return worst([decision.counts for decision in decisions]).exit_code


@dataclass(frozen=True, eq=False)
class _Job:
    """A case to verify, with all of its options."""

    terms: CaseTerms
    case: Case
    options: argparse.Namespace


def _options(policy: Policy, arguments: argparse.Namespace) -> argparse.Namespace:
    """Every option of a verification: the command line's, else the policy's, else the usual one."""
    parser = argparse.ArgumentParser()
    add_verify_options(parser)
    usual = vars(parser.parse_args([]))
    typed = {name: value for name, value in vars(arguments).items() if name in usual}
    return argparse.Namespace(**{**usual, **policy.defaults, **typed})


def _jobs(policy: Policy, device: str, asked: Sequence[str], options: argparse.Namespace) -> list[_Job]:
    """What is demanded on a device, all of it looked up before anything runs.

    Raises:
        UsageError: nothing is, or a case is asked for that isn't demanded, or options contradict each other.
    """
    from harness.running.cases import load_case, small_cases

    demanded = policy.cases or tuple(CaseTerms(case.name) for case in small_cases())
    jobs = []
    for terms in demanded:
        if not terms.applies_to(device):
            continue
        whole = argparse.Namespace(**{**vars(options), **terms.options})
        whole.cfg_options = [*options.cfg_options, *(terms.options.get("cfg_options") or ())]  # type: ignore[misc]
        if policy.case_seconds is not None:
            whole.timeout = min(whole.timeout, policy.case_seconds)
        require_evidence(whole)
        case, config = load_case(rooted(terms.name, policy.path.parent), whole.cfg_options)
        require_judged(case, config, whole)
        if any(known.case == case.name and known.applies_to(device) for known in policy.known):
            whole.no_early_stop = True  # else a known deviation would end the run before another one shows
        if not asked or {case.name, terms.name} & set(asked):
            jobs.append(_Job(terms, case, whole))
    known = {name for terms in demanded for name in (terms.name, Path(terms.name).stem)}
    if unknown := [name for name in asked if name not in known]:
        raise UsageError(
            "the policy doesn't demand this case",
            where=policy.path,
            observed=", ".join(unknown),
            allowed=", ".join(terms.name for terms in demanded),
        )
    if not jobs:
        devices = sorted({name for terms in demanded for name in terms.devices})
        raise UsageError(
            "the policy demands nothing on this device: the gate would open without having looked",
            where=policy.path,
            observed=device,
            allowed=", ".join(devices),
            hint=f"align gate --device {devices[0]}" if devices else None,
        )
    return jobs


def _judged(
    job: _Job, device: str, share: float, size: int, policy: Policy, ends: float | None, board: Board, slot: Slot
) -> list[Result]:
    """Every result of a case, an INCONCLUSIVE being tried again: the last one counts."""
    made: list[Result] = []
    for _ in range(1 + policy.retries):
        left = ends - time.monotonic() if ends is not None else None
        if left is not None and left <= 0:
            seconds = f"{policy.gate_seconds:g}"
            made.append(_not_run(job.case, device, f"not run: the gate's {seconds} s (limits.gate-seconds) are over"))
            break
        options = argparse.Namespace(**vars(job.options))
        options.timeout = options.timeout if left is None else min(options.timeout, left)
        try:
            _require_baseline(job, policy)
        except AlignmentError as error:
            parts = [error.what, f"where {error.where}", f"observed {error.observed}", f"allowed {error.allowed}"]
            made.append(_not_run(job.case, device, "; ".join([*parts, f"next: {error.hint}"])))
            break
        made.append(verify_case(job.case, device, share, size, options, board=board, slot=slot))
        if made[-1].verdict.status is not Status.INCONCLUSIVE:
            break
    return made


def _require_baseline(job: _Job, policy: Policy) -> None:
    """The baseline is as the policy demands; one that can't be read is left to the verification to tell."""
    from harness.baseline_folders.baseline_places import choose_place, places_to_read
    from harness.running.cases import is_own
    from harness.store.baselines import load_baseline

    if job.options.no_baseline or (policy.baselines.oldest_days is None and policy.baselines.repeats is None):
        return
    case, asked = job.case, job.options.reference or job.case.reference
    places = places_to_read(job.options.baseline_dir, own=is_own(case))
    try:
        baseline = load_baseline(choose_place(places, case.name, asked), case.name, asked)
    except AlignmentError:
        return
    word = case.address if is_own(case) else case.name
    again = baseline.record_again("the policy asks for it", case=word)
    require_baseline(baseline, policy.baselines, datetime.now(timezone.utc), again)


def _not_run(case: Case, device: str, reason: str) -> Result:
    from harness.values.result import Result

    return Result(Verdict(case.name, Status.ERROR, reason), command=reproduction(), asked_device=device)


_today: Callable[[], Any] = lambda: datetime.now(timezone.utc).date()  # noqa: E731  # stood in for by tests


def _tell(board: Board, decision: Decision, number: int, planned: int) -> None:
    """A case's verdict while others are still to come."""
    if number < planned:
        status = Text(decision.status.value, style=STATUS_STYLES[decision.status])
        board.print(status + Text(f" {decision.case} ({say(f'{number} of {planned}')})"))


def _print(decisions: Sequence[Decision], policy: Policy, page: str) -> None:
    console = open_console()
    table = plain_table("case", "verdict", "gate", "why")
    for one in decisions:
        gate = Text(say("open" if one.counts is Status.PASS else "closed"), style=STATUS_STYLES[one.counts])
        table.add_row(one.case, Text(one.status.value, style=STATUS_STYLES[one.status]), gate, say(one.words))
    console.print(table)
    for one in decisions:
        for note in one.notes:
            console.print(Text(f"{say('note: ')}{one.case}: {say(note)}", style="bold yellow"))
    closed = [one.case for one in decisions if one.counts is not Status.PASS]
    said = f"closed by {', '.join(closed)}" if closed else "open"
    console.print(Text(say(f"gate: {said} (policy {policy.path})"), style="bold"))
    console.print(Text(f"{say('report')}: {page}"))


def _write(out: Path, policy: Policy, device: str, decisions: Sequence[Decision]) -> None:
    """``gate.json``: what the gate made of each case."""
    from harness.policy.policy_schema import SCHEMA, GateContent
    from harness.store.atomic import write_text
    from harness.store.decoding import encode_value

    opens = all(one.counts is Status.PASS for one in decisions)
    content = GateContent(str(policy.path), device, opens, tuple(decisions))
    write_text(out / "gate.json", encode_value(content, schema=SCHEMA))
