"""A verdict in one sentence that is read at a glance: what is wrong, of what, from when on."""

from __future__ import annotations

from harness.language import language
from harness.values.verdict import Status, Verdict

__all__ = ["LONGEST", "headline"]

LONGEST = 120
"""Characters: two lines of a page's head, one of a table."""

_TRANSLATED = LONGEST * 3 // 2
"""Where it is shown in Chinese: long sentences of the table are 0.64 times as wide there (median), and what was cut is
found in no table."""

_CUT = "…"

_LESS = (", where ", " (", ", from the same inputs", "; ")
"""Where a sentence that is too long may end: what follows is said on the page again."""


def headline(verdict: Verdict) -> str:
    """The sentence: the first cause with its beginning, else the reason's first clause; in English of 120 characters.

    Args:
        verdict: any; an empty reason has an empty headline.
    """
    longest = LONGEST if language() == "en" else _TRANSLATED
    causes = verdict.shadow.causes if verdict.status is Status.FAIL and verdict.shadow is not None else ()
    begun = min((each.iteration for each in verdict.violations if each.iteration is not None), default=None)
    if causes and (begun is None or causes[0].iteration <= begun):
        first = causes[0]
        more = len([cause for cause in causes if cause.iteration == first.iteration]) - 1
        others = f"; {more} more {'cause' if more == 1 else 'causes'}" if more else ""
        since = f"; from iteration {first.iteration}"
        return _shortened(first.sentence, longest - len(since) - len(others)) + since + others
    rules = {finding.rule for finding in verdict.findings}
    sentence = verdict.reason
    rule, colon, rest = sentence.partition(": ")
    if colon and rule in rules - {"comparability"}:
        sentence = rest
    return _shortened(sentence.partition("; ")[0], longest)


def _shortened(sentence: str, room: int) -> str:
    """The sentence without its last parts while it is too long; where it has none, cut at a word."""
    for end in _LESS:
        while len(sentence) > room and end in sentence:
            sentence = sentence.rpartition(end)[0]
    if len(sentence) <= room:
        return sentence
    words = sentence[: room - len(_CUT)].rpartition(" ")
    return (words[0] if len(words[0]) > room // 2 else sentence[: room - len(_CUT)]).rstrip(" ,:;") + _CUT
