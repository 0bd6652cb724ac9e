"""Every text that code or a template says has its Chinese, and no command prints a word past the table."""

import ast
import re

import pytest

from harness.language import say, speak
from harness.language.speech import untranslated
from tests.words.error_templates import ROOT
from tests.words.said_calls import FILLED, _texts, printed_in_english, said_in_code, said_in_templates

WORD = re.compile(r"[A-Za-z]{3,}")

NAMES = {"report.html", "torch", "cpu capability", ", align "}
"""What is printed as it is: names of files, packages and settings."""


@pytest.fixture(autouse=True)
def english_again():
    yield
    speak("en")


@pytest.mark.parametrize("said", [said_in_code, said_in_templates])
def test_every_text_that_is_said_is_in_the_table(said):
    found = said()
    assert len(found) > 100
    speak("zh")
    lacking = {text for text in found if untranslated(text) or (WORD.search(text) and say(text) == text)}
    assert {text: found[text] for text in lacking} == {}


def test_no_command_prints_a_word_without_its_translation():
    found = printed_in_english("harness/cli", "harness/lab", "harness/efficiency")
    assert set(found) == NAMES


def test_a_text_is_taken_apart_and_one_that_is_missing_is_named():
    node = ast.parse("""f"{number} {'moon' if number == 1 else 'moons'} of cheese" + end""", mode="eval").body
    assert _texts(node) == [f"7 moon of cheese{FILLED}", f"7 moons of cheese{FILLED}"]
    assert untranslated("7 moons of cheese7") == ["7 moons of cheese7"]


def noted_templates():
    """What is said of a log where reading it took a decision."""
    for path in sorted((ROOT / "harness/logs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "note":
                yield from _texts(node.args[0])


def test_every_decision_of_reading_a_log_is_in_the_table():
    texts = [text.replace("{count}", FILLED) for text in noted_templates()]
    texts = [text.removesuffix(FILLED) for text in texts if text != FILLED]  # an ending that may be empty
    assert len(texts) > 25
    lacking = [text for text in texts for side in ("candidate", "reference") if untranslated(f"{side}: {text}")]
    assert lacking == []
