"""What is said of a run in Chinese: whole sentences as rules and shadow ops make them, and none of them mixed."""

import ast
import re
from pathlib import Path

import pytest

from harness.language import say, speak
from harness.language.speech import untranslated
from tests.words.said_calls import FILLED, ROOT, _texts

SENTENCES = Path(__file__).with_name("judgements.txt").read_text(encoding="utf-8").splitlines()
"""Each as the code writes it: the f-strings of harness/rules and harness/shadow/judging, filled in."""

NAMES = re.compile(
    r"\b[\w.]*[_./]\w[\w./]*\b|all-reduce|log-softmax|--no-early-stop|12ab|34cd|odd-sized"
    r"|\b(?:seed|lr|cpu|cuda|tf32|fp32|float64|nan|NaN|softmax|dilation|relu|convolution|decode|loss|tensors)\b"
    r"|^(?:first step|equivalence|finiteness|presence|schedule|shadow): |bernoulli_|\binf\b|^pass mean_relative_error.*"
)
"""What stays: names, numbers, and the rule in front of its message."""


@pytest.fixture(autouse=True)
def chinese():
    speak("zh")
    yield
    speak("en")


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_is_told_whole(sentence):
    told = say(sentence)
    assert re.findall(r"[A-Za-z]{2,}", NAMES.sub("", told)) == []
    numbers = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
    assert sorted(numbers.findall(told)) == sorted(numbers.findall(sentence))


def test_what_calls_have_in_common_stands_with_their_noun():
    told = say("outputs of all 2 softmax whose reduced axis is no multiple of 4 are 2 % too large")
    assert told == "全部 2 个softmax（归约轴的长度不是 4 的倍数）的输出偏大 2 %"


def test_where_words_stand_for_an_amount_a_sentence_is_another_one():
    assert say("9 % wrong") == "9 % wrong"  # no sentence has just that
    assert say("class 3: 9 % wrong") == "class 3：答错 9 %"
    assert say("the moon and the sun: cheese and bread wrong") == "the moon and the sun: cheese and bread wrong"


NO_MESSAGES = {"precision tier", "other data", "7 of the optimizer", "7, all equal"}
"""Names of a rule, of a kind and of a cause that no one is shown; and a part of a text that another line has whole."""


def messages():
    """What rules and shadow ops write: each text of two words and more, ``7`` for each value, and where it stands."""
    for path in sorted([*ROOT.glob("harness/rules/*.py"), *ROOT.glob("harness/shadow/judging/*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) for part in _inner(node)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.JoinedStr, ast.Constant)) and id(node) not in parts:
                yield from ((text, path.name) for text in _texts(node) if re.search(r"[a-z]{2,} [a-z]{2,}", text))


def _inner(node):
    """Of what is no message: docstrings, errors, and the pieces of a longer text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Raise):
        yield from ast.walk(node)
    elif isinstance(node, ast.JoinedStr):
        yield from (each for value in node.values for each in ast.walk(value))


def _is_told_alone(text):
    """A name of a few words, in the comparability table: it has a line of its own in the table of phrases."""
    return re.fullmatch(r"(?:7 )?[a-z', ]+", text) and say(text) != text and not untranslated(text)


def test_every_message_of_the_code_is_among_the_sentences():
    found = {text: place for text, place in messages() if not _is_told_alone(text)}
    assert len(found) > 80
    told = "\n".join(SENTENCES)
    lacking = {text for text in found if not re.search(re.escape(text).replace(FILLED, ".*?"), told)}
    assert {text: found[text] for text in lacking - NO_MESSAGES} == {}
    assert lacking >= NO_MESSAGES
