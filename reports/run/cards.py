"""Cards held to each other, as data and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.language import say
from harness.rules.card_spread import CardRow, CardSpread
from harness.store.atomic import write_text
from harness.store.decoding import encode_value
from reports.run.environment import render

__all__ = ["CARDS", "CARDS_PAGE", "bits_words", "spread_words", "write_cards"]

CARDS, CARDS_PAGE = "cards.json", "cards.html"

SCHEMA = 1
"""Of ``cards.json``."""


@dataclass(frozen=True)
class _Shown:
    """What the page shows of a case."""

    spread: CardSpread
    verdicts: Mapping[str, str]
    words: str


def write_cards(
    spreads: Sequence[CardSpread],
    verdicts: Mapping[str, Mapping[str, str]],
    out: Path,
    *,
    emulated: bool,
    command: str,
) -> Path:
    """Write ``cards.json`` and the page; the page is returned.

    Args:
        spreads: one a case.
        verdicts: case → card → the verdicts of its runs.
        out: the report's folder.
        emulated: whether the cards are.
        command: what makes it again.
    """
    document = {"schema": SCHEMA, "command": command, "emulated": emulated, "cases": spreads, "verdicts": verdicts}
    write_text(out / CARDS, encode_value(document))
    odd = sorted({row.card for spread in spreads for row in spread.odd})
    page = render(
        "cards.html.j2",
        title=f"{say('Cards')}{' · EMULATED' if emulated else ''}",
        script_source="",
        emulated=emulated,
        answer=_answer(spreads, odd),
        tone="fail" if odd else "inconclusive" if any(spread.undecided for spread in spreads) else "pass",
        cases=[_Shown(spread, verdicts[spread.case], _sentence(spread_words(spread))) for spread in spreads],
        bits=bits_words,
        command=command,
    )
    write_text(out / CARDS_PAGE, page)
    return out / CARDS_PAGE


def bits_words(row: CardRow) -> str:
    """Whether a card repeats its own bits."""
    if row.repeats_itself is None:
        return "—"
    return "yes" if row.repeats_itself else f"no, first in {row.where_not}"


def spread_words(spread: CardSpread) -> str:
    """What the comparison can say, in a sentence."""
    if spread.undecided:
        return f"not compared with each other: {spread.undecided}"
    if spread.same_bits:
        return "all runs of all cards have the same bits"
    return (
        f"a round of healthy cards has one that is called with a chance of {spread.false_alarm_rate:g}, over "
        f"{len(spread.rows)} cards and {spread.looks} looks at each"
    )


def _sentence(words: str) -> str:
    """The words with a capital and a full stop, in the chosen language."""
    said = say(words)
    return f"{said[0].upper()}{said[1:]}{say('. ').rstrip()}"


def _answer(spreads: Sequence[CardSpread], odd: Sequence[str]) -> str:
    if odd:
        cards = f"Card {odd[0]} is" if len(odd) == 1 else f"Cards {', '.join(odd)} are"
        return f"{cards} not like the others"
    if any(spread.undecided for spread in spreads):
        return "The cards can't be compared with each other"
    return "The cards are alike"
