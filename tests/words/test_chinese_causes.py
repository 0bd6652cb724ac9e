"""What is said of wrong calls in Chinese: each cause, its evidence, and the call that is worst."""

import ast
import itertools
import re

import pytest

from harness.language import say, speak
from harness.shadow.evidence.cause import _NOUNS, Asked, Cause
from harness.shadow.evidence.part import Part
from tests.words.said_calls import FILLED, ROOT, _texts

NAMES = re.compile(
    r"\b[\w.]*[_.]\w*\b|float32|[A-Z]{2,}|ReLU|(?:log-)?softmax|dilation|stride|padding|query|key|value|mm|sgd|shadow:"
)
"""What stays in such a sentence: modules, operations, formats and options."""

ERRORS = (
    *("5 % too large", "5 % too small", "2.5 times as large as they should be", "wrong in 3 % of their elements"),
    *("off by 3 %", "off by 3 % to 4 %", "stored with 7 mantissa bits", "zero", "not finite, or not comparable"),
    "drawn from another distribution or stream",
)

WORST = (
    *("5 % too large (allowed 0.1 %)", "5 % too small (allowed 0.1 %)", "off by 5 % in norm (allowed 0.1 %)"),
    *("5 % of the elements differ, where none may", "stored with 7 mantissa bits (at least 10 demanded)"),
    "not comparable with the host's result, by its shape or by values that aren't finite",
    "drawn from another distribution, its mean 0.5 standard deviations off (allowed 0.1)",
    "the generator's stream can't be repeated",
)


@pytest.fixture(autouse=True)
def chinese():
    speak("zh")
    yield
    speak("en")


def english_in(text):
    """The words of a text that are still English."""
    return re.findall(r"[A-Za-z]{2,}", NAMES.sub("", say(text)))


def test_a_word_that_stays_english_is_found():
    assert english_in("off by 3 % and green") == ["off", "by", "and", "green"]


def attributes():
    """What can be said of calls, as the code has it."""
    path = ROOT / "harness/shadow/judging/diagnosis/attributes.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.JoinedStr, ast.Constant)):
            for text in _texts(node):
                if re.match(r"(?:with|without|whose|that|behind|at every) ", text) and not text.endswith((".", " ")):
                    yield text


def test_each_attribute_of_calls_is_told():
    found = sorted(set(attributes()))
    assert len(found) > 25
    assert "whose 7 7 no multiple of 7" in found  # a size's name and its verb, filled in
    sizes = ("output channels", "summed axis", "values a channel", "input pixels", "first axis", "rows")
    found = [text for text in found if "7 7 " not in text and not text.endswith("the 7")]
    found += [
        f"whose {size} {verb} {told} 8" for size in sizes for verb in ("is", "are") for told in ("no multiple of",)
    ]
    found += [f"with {amount} 8 {size}" for size in sizes for amount in ("more than", "at most")]
    found += ["whose output sizes divide the input's", "whose input sizes don't divide the output's"]
    found += ["whose last axis is more than 8", "with 8 input channels", "with dilation > 1", "without value"]
    for attribute in found:
        cause = cause_of(attribute=attribute, equals=("with dilation > 1", attribute))
        assert english_in(cause.sentence) == [], attribute
        for clause in cause.evidence.split("; "):
            assert english_in(clause) == [], (attribute, clause)


def cause_of(
    ops=("convolution_backward",),
    tensors=("weight gradient",),
    error="5 % too large",
    attribute="",
    equals=(),
    part=Part.BACKWARD,
    wrong=3,
    iterations=(0,),
    unseen=0,
):
    return Cause(
        *(ops, part, tensors, error, attribute, equals, wrong, 3, 5, ("a.b",), 0, iterations),
        asked=Asked(2, 3, 4),
        unseen=unseen,
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_each_cause_is_told(error, wrong):
    tensors = ("output",), ("weight gradient", "bias gradient"), ("output", "saved mean", "saved inverse deviation")
    kinds = [(ops, Part.FORWARD) for ops in (("mm",), ("cudnn_batch_norm", "cudnn_batch_norm_backward"), ("some_op",))]
    kinds += [((op,), Part.BACKWARD) for op in ("convolution_backward", "nll_loss2d_backward")] + [
        (("sgd",), Part.OPTIMIZER)
    ]
    for (ops, part), which, when, unseen in itertools.product(kinds, tensors, ((0,), (0, 1)), (0, 2)):
        cause = cause_of(ops, which, error, part=part, wrong=wrong, iterations=when, unseen=unseen)
        for text in (cause.sentence, cause.evidence, f"shadow: {cause.sentence} {cause.since}, from the same inputs"):
            assert english_in(text) == [], text
        assert say(f"shadow: {text}").startswith("shadow: ")


def test_the_noun_of_each_operation_is_told():
    for op in _NOUNS:
        assert english_in(cause_of((op,), ("output",), part=Part.FORWARD).sentence) == [], op


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize("where", ["a.b, ", ""])
def test_the_worst_call_is_told(worst, where):
    place = f"{where}convolution_backward, weight gradient"
    for text in (f"worst in {place}: {worst}", f"{place}: {worst} at iteration {FILLED}, from the same inputs"):
        assert english_in(f"shadow: {text}") == [], text
    assert english_in("likewise in 1 further module") == english_in("likewise in 3 further modules") == []
