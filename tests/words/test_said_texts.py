"""What users are told: listed whole, in plain words, each word of it explained once."""

import re

import pytest

from tests.words import said_texts

NEXT = "python tests/words/said_texts.py, and read what changed"

COINED = (
    *("crew", "obituary", "patience", "whereabouts", "to be had", "hangs on", "one a line", "makes again"),
    *("own without it", "[0-9A-Z_]{3,} without it"),
)
"""Words and phrases that no reader knows, or reads twice."""


@pytest.mark.parametrize(("made", "kept"), [("help_texts", "HELP"), ("error_texts", "ERRORS")])
def test_help_and_errors_are_as_they_are_listed(made, kept):
    assert getattr(said_texts, made)() == getattr(said_texts, kept).read_text(encoding="utf-8"), NEXT


def test_no_coined_word_is_said():
    said = said_texts.help_texts() + said_texts.error_texts()
    assert [word for word in COINED if re.search(rf"\b(?:{word})\b", said)] == []


def test_every_word_of_the_glossary_is_explained_once():
    text = (said_texts.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\*", text, re.MULTILINE)
    assert len(words) == len(set(words))
    asked = {
        "case",
        "run",
        "loss trace",
        "reference",
        "candidate",
        "baseline",
        "envelope",
        "tier",
        "shadow op",
        "finding",
    }
    assert asked | {"fault", "healthy run", "false alarm"} <= set(words)
