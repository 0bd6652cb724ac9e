"""What is shown, in the language that was asked for.

The code writes English. A text is looked up when it is shown, so that stored results are the same in any language:
whole where it is a phrase, by its pattern where it is a sentence with numbers and names in it, else clause by clause.
Numbers, names and code pass through as they are, and what the table doesn't have stays English.
"""

from __future__ import annotations

import os
import re
import sys
from contextvars import ContextVar
from functools import lru_cache

__all__ = ["LANGUAGES", "language", "say", "speak", "untranslated"]

LANGUAGES = ("en", "zh")

_CHOSEN: ContextVar[str] = ContextVar("language", default="en")

_PLACE = re.compile(r"\{(\w+)\}")

_NAMES = ("name", "signal", "what", "where")
"""Places that hold a name, in which no rule's name can be hidden."""

_LIST = "terms"
"""The place of a list, whose items are texts of the table too."""

_CLAUSE = "; "

_RULE = re.compile(r"([a-z][a-z ]*|[a-z]+\d+): ")
"""What stands before a rule's message, and stays: its name, or a tier's."""


def speak(asked: str | None = None) -> None:
    """Choose the language of all that is shown from now on.

    Args:
        asked: by ``--lang``; without it ``$ALIGN_LANG``, else what the locale says (``LC_ALL``, ``LC_MESSAGES``,
            ``LANG``), if the console can show it.
    """
    _CHOSEN.set(asked or _of_surroundings())


def language() -> str:
    """What was chosen; English where nobody chose."""
    return _CHOSEN.get()


def say(text: str) -> str:
    """A text in the chosen language; in English where the table lacks it."""
    return text if language() == "en" or not text else _chinese(text)[0]


def untranslated(text: str) -> list[str]:
    """The clauses of a text that the table lacks."""
    return _chinese(text)[1]


def _of_surroundings() -> str:
    if (wished := os.environ.get("ALIGN_LANG")) in LANGUAGES:
        return str(wished)
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if locale.lower().startswith("zh") and _shows_chinese() else "en"


def _shows_chinese() -> bool:
    try:
        "对齐".encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


@lru_cache(maxsize=4096)
def _chinese(text: str) -> tuple[str, list[str]]:
    """A text in Chinese, and what of it the table lacks."""
    from harness.language.chinese import PHRASES

    if (said := PHRASES.get(text)) is not None:
        return said, []
    for pattern, sentence in _patterns():
        if found := pattern.fullmatch(text):
            return _filled(sentence, found.groupdict())
    clauses = text.split(_CLAUSE)
    if len(clauses) > 1:
        parts = [_chinese(clause) for clause in clauses]
        return "；".join(said for said, _ in parts), [clause for _, lacking in parts for clause in lacking]
    if (rule := _RULE.match(text)) and rule.end() < len(text):
        said, lacking = _chinese(text[rule.end() :])
        return f"{rule[0]}{said}", lacking
    return text, [text]


def _filled(sentence: str, places: dict[str, str]) -> tuple[str, list[str]]:
    """A sentence with its places filled; of a list each item is translated, anything else stays as it is."""
    if _LIST not in places:
        return sentence.format(**places), []
    items = [_chinese(item) for item in places[_LIST].split(", ")]
    lacking = [clause for _, more in items for clause in more]
    return sentence.format(**places | {_LIST: "，".join(said for said, _ in items)}), lacking


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The sentences of the table as patterns, the longest first: the plainest part of one isn't taken for another."""
    from harness.language.chinese import SENTENCES

    ordered = sorted(SENTENCES.items(), key=lambda pair: -len(_PLACE.sub("", pair[0])))
    return tuple((_pattern(english), chinese) for english, chinese in ordered)


def _pattern(english: str) -> re.Pattern[str]:
    parts, at = [], 0
    for place in _PLACE.finditer(english):
        kept = "[^;:]" if place[1] in _NAMES else "[^;]"
        parts += [re.escape(english[at : place.start()]), f"(?P<{place[1]}>{kept}+?)"]
        at = place.end()
    return re.compile("".join([*parts, re.escape(english[at:])]))
