"""What is shown, in the language that was asked for.

The code writes English. A text is looked up when it is shown, so that stored results are the same in any language:
whole where it is a phrase, by its pattern where it is a sentence with numbers and names in it, else clause by clause.
Numbers, names and code pass through as they are, and what the table doesn't have stays English.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache

__all__ = ["LANGUAGES", "language", "say", "speak", "untranslated"]

LANGUAGES = ("en", "zh")

_CHOSEN: ContextVar[str] = ContextVar("language", default="en")

_PLACE = re.compile(r"\{(\w+)\}")

_NAMES = ("name", "told", "side", "signal", "what", "where", "amount", "bound", "tensor")
"""Places that hold a name or an amount, in which no rule's name can be hidden."""

_LISTS = ("terms", "names")
"""Places of a list, whose items are texts of the table too, where it has them."""

_SAID = ("said", "side", "why", "row", "rest", "question", "where", "unit", "format", "copy", "other", "told")
"""Places of what may be a text of the table too."""

_PARTS = ("tensor", "noun")
"""Places of what has a grammar of its own: which results of which calls."""

_ATTRIBUTES = ("attribute", "attributes")
"""Places of what calls have in common, one thing or several."""

_AMOUNTS = ("amount", "bound", "share", "rate", "low", "high")
"""Places of a number with its unit: where words stand there, the text is of another sentence."""

_ITERATIONS = "iterations"
"""The place of several numbers: ``0, 1 and 5``."""

_AROUND = ("{tensor} of all {count}", "{tensor} of {count} of", "{noun} whose")
"""How a sentence begins that stands around what calls have in common."""

_ATTRIBUTE = re.compile(r" and (?=(?:with|without|whose|that|behind|at every) )")
"""Between two things that calls have in common."""

_ANYTHING = ("path", "text", "rest", "question")
"""Places of what comes from outside, whatever it holds."""

_COUNTS = ("count", "error", "bad", "all", "at", "bits", "least", "most", "size", "seconds")
"""Places of a number, in which no other words can be."""

_ONE_WORD = ("word", "op")
"""Places of one word, which is a name."""

_KEPT = {_NAMES: "[^;:]", _ANYTHING: ".", _COUNTS: "[^;a-z]", _ONE_WORD: r"[^\s;:]"}
"""Place → what may stand in it; elsewhere all but the end of a clause."""

_CLAUSE = "; "

_SENTENCE_END = re.compile(r"(?<=[.?]) (?=[A-Z0-9])")

_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")
"""What is English, and not a name, a number or a path."""

_FIELD = re.compile(r"  (where|observed|allowed|hint): +(.*)")
"""A line of an error that has more than one. What is one word there is a name, and stays."""

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


def say(text: str, of: str = "") -> str:
    """A text in the chosen language; in English where the table lacks it.

    Args:
        text: as the code writes it.
        of: ``help`` for what argparse shows, which is looked for in its table first; ``fault`` for what is said of one.
    """
    return text if language() == "en" or not text else _chinese(text, of)[0]


def untranslated(text: str, of: str = "") -> list[str]:
    """The clauses of a text that the table lacks."""
    return _chinese(text, of)[1]


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
def _chinese(text: str, of: str) -> tuple[str, list[str]]:
    """A text in Chinese, and what of it the table lacks."""
    several = _SENTENCE_END.split(text)
    if (found := _whole(text, of, several=len(several) > 1)) is not None:
        return found
    if (field := _FIELD.fullmatch(text)) is not None:
        value = _chinese(field[2], of) if _WORDS.search(field[2]) else (field[2], [])
        return f"  {_chinese(field[1], of)[0]}：{value[0]}", value[1]
    for parts, mark in ((text.split("\n"), "\n"), (several, ""), (text.split(_CLAUSE), "；")):
        if len(parts) > 1:
            told = [_chinese(part, of) for part in parts]
            between = mark or ("" if not told[0][1] else " ")
            return between.join(said for said, _ in told), [clause for _, lacking in told for clause in lacking]
    if text.endswith(".") and (found := _whole(text[:-1], of)) is not None:
        return f"{found[0]}。", found[1]
    if (rule := _RULE.match(text)) and _WORDS.search(text[rule.end() :]):  # one word alone is a signal's name
        said, lacking = _chinese(text[rule.end() :], of)
        return f"{rule[0]}{said}", lacking
    return text, [text] if _WORDS.search(text) else []


def _whole(text: str, of: str, *, several: bool = False) -> tuple[str, list[str]] | None:
    """A text that a table has as it is or, where it isn't several sentences, that a sentence of one fits.

    As it is first, in all of them: a sentence of few words fits what another table has whole.
    """
    for table in _tables(of):
        if (said := table.phrases.get(text)) is not None:
            return said, []
    for table in () if several else _tables(of):
        for sentence in table.sentences:
            if (places := sentence.places_in(text)) is not None:
                return _filled(sentence.chinese, places, of)
    return None


def _filled(sentence: str, places: dict[str, str], of: str) -> tuple[str, list[str]]:
    """A sentence with its places filled; what is said in one is translated, anything else stays as it is."""
    filled, lacking = dict(places), []
    for name, text in places.items():
        if name in _LISTS:
            items = [_chinese(item, of) for item in text.split(", ")]
            filled[name] = "，".join(said for said, _ in items)
            lacking += [clause for _, more in items for clause in more]
        elif name in _SAID:
            filled[name], more = _chinese(text, of)
            lacking += more if name not in _ANYTHING else []
        elif name == _ITERATIONS:
            filled[name] = text.replace(" and ", "、").replace(", ", "、")
        elif name in _ATTRIBUTES:
            those = [_ATTRIBUTE.split(each) for each in text.split(", and those ")]
            filled[name] = "；".join("，且 ".join(_chinese(one, "parts")[0] for one in each) for each in those)
        elif name in _PARTS:
            filled[name] = _chinese(text, "parts")[0]
    return sentence.format(**filled), lacking


class _Sentence:
    """A sentence of the table. Its pattern is made where its plain parts are all in a text: few ever are."""

    def __init__(self, english: str, chinese: str) -> None:
        self.english, self.chinese = english, chinese
        self.parts = _PLACE.sub("\0", english).split("\0")

    def places_in(self, text: str) -> dict[str, str] | None:
        """What stands in the places, where the sentence fits."""
        if not (text.startswith(self.parts[0]) and text.endswith(self.parts[-1])):
            return None
        if not all(part in text for part in self.parts):
            return None
        found = _pattern(self.english).fullmatch(text)
        if found is None or any(_WORDS.search(found[name]) for name in _AMOUNTS if name in found.groupdict()):
            return None
        return found.groupdict()


class _Table:
    """Phrases, and sentences with the longest first: the plainest part of one isn't taken for another."""

    def __init__(self, phrases: dict[str, str], sentences: dict[str, str]) -> None:
        self.phrases = phrases
        # What the results are of stands around what the calls have in common.
        ordered = sorted(
            sentences.items(), key=lambda pair: (not pair[0].startswith(_AROUND), -len(_PLACE.sub("", pair[0])))
        )
        self.sentences = tuple(_Sentence(english, chinese) for english, chinese in ordered)


def _tables(of: str) -> Iterator[_Table]:
    """Where a text is looked for, in this order: faults and help are read only where they are shown."""
    if of == "parts":
        yield _parts()
    if of == "help":
        yield _help()
    if of == "fault":
        yield _faults()
    yield _shown()
    if of != "parts":
        yield _errors()


@lru_cache(maxsize=1)
def _parts() -> _Table:
    from harness.language.chinese import PARTS

    return _split(PARTS)


@lru_cache(maxsize=1)
def _shown() -> _Table:
    from harness.language.chinese import PHRASES, SENTENCES
    from harness.language.chinese_judgements import JUDGEMENT_PHRASES, JUDGEMENT_SENTENCES
    from harness.language.chinese_lines import LINE_PHRASES, LINE_SENTENCES
    from harness.language.chinese_pairs import PAIR_PHRASES, PAIR_SENTENCES
    from harness.language.chinese_studies import STUDY_PHRASES, STUDY_SENTENCES

    return _Table(
        PHRASES | JUDGEMENT_PHRASES | STUDY_PHRASES | LINE_PHRASES | PAIR_PHRASES,
        SENTENCES | JUDGEMENT_SENTENCES | STUDY_SENTENCES | LINE_SENTENCES | PAIR_SENTENCES,
    )


@lru_cache(maxsize=1)
def _faults() -> _Table:
    from harness.language.chinese_faults import FAULT_PHRASES

    return _Table(FAULT_PHRASES, {})


@lru_cache(maxsize=1)
def _errors() -> _Table:
    from harness.language.chinese_errors import ERRORS

    return _split(ERRORS)


def _split(texts: dict[str, str]) -> _Table:
    whole = {english: chinese for english, chinese in texts.items() if not _PLACE.search(english)}
    return _Table(whole, {english: chinese for english, chinese in texts.items() if english not in whole})


@lru_cache(maxsize=1)
def _help() -> _Table:
    from harness.language.chinese_help import HELP, HELP_SENTENCES

    return _Table(HELP, HELP_SENTENCES)


@lru_cache(maxsize=512)
def _pattern(english: str) -> re.Pattern[str]:
    parts, at = [], 0
    for place in _PLACE.finditer(english):
        kept = next((kept for names, kept in _KEPT.items() if place[1] in names), "[^;]")
        parts += [re.escape(english[at : place.start()]), f"(?P<{place[1]}>{kept}+?)"]
        at = place.end()
    return re.compile("".join([*parts, re.escape(english[at:])]), re.DOTALL)
