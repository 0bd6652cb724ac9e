"""`align verify --each-device` and `--repeat`: the same case on every card, and again; cards held to each other."""

from __future__ import annotations

import argparse
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from harness.cli.options import count_argument, reproduction
from harness.cli.terminal import STATUS_STYLES, open_console, plain_table
from harness.language import say
from harness.running.pool import Slot, cards_of
from harness.values.errors import UsageError
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.devices.choice import DeviceChoice
    from harness.rules.card_spread import CardSpread
    from harness.values.case import Case
    from harness.values.result import Result
    from harness.values.trace import Trace

__all__ = ["Planned", "add_card_options", "on_cards", "plan_on_cards", "tell_cards"]

_Made = TypeVar("_Made")


@dataclass(frozen=True, eq=False)
class Planned:
    """One run of a command.

    Args:
        case: what is run.
        card: the one that it runs on; any where empty.
    """

    case: Case
    card: str = ""


def add_card_options(parser: argparse.ArgumentParser) -> None:
    """Options that run a case on every card, and again."""
    parser.add_argument(
        "--each-device",
        action="store_true",
        help="run each case on every card of this machine to its end, judge each run, and hold the cards to each "
        "other: one that is not like the others is named, and is a FAIL",
    )
    parser.add_argument(
        "--repeat",
        type=count_argument,
        default=1,
        metavar="N",
        help="run each case N times with the same inputs, to its end, and say whether the bits are the same (default: "
        "1)",
    )


def plan_on_cards(cases: Sequence[Case], choice: DeviceChoice, arguments: argparse.Namespace) -> list[Planned]:
    """The runs that a command makes, the first of every card before the second of any.

    Raises:
        UsageError: the device has no cards to tell apart.
        DeviceError: it doesn't say how many it has.
    """
    if not arguments.each_device:
        return [Planned(case) for case in cases for _ in range(arguments.repeat)]
    if choice.type.is_host or not choice.type.visible_variable or choice.index is not None:
        observed = str(choice)
        raise UsageError(
            "there are no cards to run each case on",
            where="--each-device",
            observed=observed,
            allowed="a device whose cards a variable shows, without an index",
            hint=f"--device {choice.name}" if choice.index is not None else "align doctor",
        )
    if arguments.nproc_per_node > 1:
        raise UsageError(
            "a case in several processes runs on several cards at once",
            where="--each-device",
            observed=f"--nproc-per-node {arguments.nproc_per_node}",
            hint="leave one of the two out",
        )
    cards = cards_of(choice)
    return [Planned(case, card) for case in cases for _ in range(arguments.repeat) for card in cards]


def on_cards(choice: DeviceChoice, work: Callable[[Planned, Slot], _Made]) -> Callable[[Planned, Slot], _Made]:
    """The work with each run on the card that is planned for it, and one at a time on a card."""
    held: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def placed(planned: Planned, slot: Slot) -> _Made:
        if not planned.card:
            return work(planned, slot)
        shown = {**slot.environment, choice.type.visible_variable: planned.card}
        with held[planned.card]:
            return work(planned, replace(slot, card=planned.card, environment=shown))

    return placed


def tell_cards(
    plan: Sequence[Planned], results: Sequence[Result], choice: DeviceChoice, arguments: argparse.Namespace
) -> Status:
    """Hold the cards to each other, write ``cards.json`` and ``cards.html`` beside the index, and print the table.

    Returns:
        FAIL where a card is not like the others, else PASS: each run's own verdict is told elsewhere.
    """
    from reports.run.cards import write_cards

    traces: dict[str, dict[str, list[Trace]]] = {}
    for planned, result in zip(plan, results, strict=True):
        ran = traces.setdefault(planned.case.name, {}).setdefault(planned.card or str(choice), [])
        if result.trace is not None and result.trace.complete:
            ran.append(result.trace)
    from harness.rules.card_spread import judge_cards

    spreads = [judge_cards(case, on_card, arguments.false_alarm_rate) for case, on_card in traces.items()]
    verdicts = {
        case: {card: _verdict_words(case, card, plan, results, choice) for card in on_card}
        for case, on_card in traces.items()
    }
    console = open_console()
    for spread in spreads:
        _print(spread, verdicts[spread.case])
    emulated = any(result.emulated for result in results)
    page = write_cards(spreads, verdicts, arguments.out, emulated=emulated, command=reproduction())
    console.print(f"{say('cards')}: {page}")
    return Status.FAIL if any(spread.odd for spread in spreads) else Status.PASS


def _verdict_words(
    case: str, card: str, plan: Sequence[Planned], results: Sequence[Result], choice: DeviceChoice
) -> str:
    """The verdicts of a card's runs, each once: ``PASS``, or ``FAIL, PASS``."""
    own = [
        result.verdict.status.value
        for planned, result in zip(plan, results, strict=True)
        if planned.case.name == case and (planned.card or str(choice)) == card
    ]
    return ", ".join(dict.fromkeys(own))


def _print(spread: CardSpread, verdicts: dict[str, str]) -> None:
    from harness.rules.bounded import percent
    from reports.run.cards import bits_words, spread_words

    console = open_console()
    table = plain_table("card", "runs", "verdict", "same bits again", "farthest off", "allowed", "like the others")
    for row in spread.rows:
        looked = bool(row.look)
        alike = "—" if spread.undecided else "no" if row.reasons else "yes"
        style = STATUS_STYLES[Status.FAIL] if row.reasons else ""
        table.add_row(
            row.card,
            str(row.runs),
            verdicts[row.card],
            say(bits_words(row)),
            f"{percent(row.deviation)}, {say(row.look)}" if looked else "—",
            percent(row.allowed) if looked else "—",
            Text(say(alike), style=style),
        )
    console.print(Text(say(f"{spread.case} on {len(spread.rows)} {'card' if len(spread.rows) == 1 else 'cards'}")))
    console.print(table)
    for row in spread.odd:
        for reason in row.reasons:
            console.print(
                Text("FAIL", style=STATUS_STYLES[Status.FAIL]) + Text(f" {say(f'card {row.card}')}: {say(reason)}")
            )
    console.print(Text(say(spread_words(spread))))
