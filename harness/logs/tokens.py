"""Names and numbers of a line: ``lm loss: 2.5``, ``Loss is 1.26.``, ``loss=2,345.6``, ``'loss': '2.1'``, ``loss 2.3``.

A name is whole: what stands before its number, back to the number before it or to a character that separates. So
``smoothed loss`` and ``Average Loss`` are names of their own and never ``loss``.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.logs.numerals import NUMBER

__all__ = ["GLOBAL_STEPS", "PHASE", "PHASE_WORD", "Token", "find_rank", "number_of", "tokens", "words"]

_THOUSANDS = rb"[-+]?[1-9]\d{0,2}(?:,\d{3}){1,6}(?:\.\d{1,20})?(?!\d|,\d)"
_WINDOWS = rb"[-+]?(?:nan\((?:ind|snan)\)|1\.#(?:QNAN|SNAN|IND|INF)\d{0,4})"  # as Microsoft's C library prints them
_NUMBER = re.compile(
    rb"(?<![\w.])(?<!\d[:/-])(?<!\d,)(" + _THOUSANDS + rb"|" + _WINDOWS + rb"|" + NUMBER + rb"(?!,\d))"
    rb"(?:[ \t]{0,12}/[ \t]{0,12}(\d{1,18}))?(?![\w#]|\.\d|[:/-]\d|\()"
)  # fmt: skip
_LONGEST_GAP = 120
_OPENING = b" \t\"'(["
_WRAPPER = re.compile(rb"(?:tensor|float32|float64|float16|bfloat16)$")
_SEPARATOR = re.compile(rb"[|,;{}\[\]\t\n\r:=\"'<>*]|  | - |\. ")
_LEVEL = re.compile(rb"^.*\b(?:INFO|WARNING|WARN|DEBUG|ERROR|CRITICAL)\b[ \])-]*")
_BEFORE_NAME = re.compile(rb"^[^A-Za-z_\x80-\xff]{1,60} ")  # such as a date
_NAME = re.compile(rb"[A-Za-z_\x80-\xff]")
PHASE = re.compile(
    rb"(?<![A-Za-z])(train|training|val|valid|validation|validating|eval|evaluation|evaluating|test|testing)(?![A-Za-z])",
    re.IGNORECASE,
)
"""A word that names a phase of a training."""
PHASE_WORD = re.compile(rb"(?<![\w./-])" + PHASE.pattern + rb"(?![\w./-]*[\w/])", re.IGNORECASE)
"""A phase that stands as a word of its own: not the ``val`` of ``val_loss``, which is that metric's alone."""
_RANK = re.compile(
    rb"\[(?:rank|default|Rank )(\d{1,6})\]|"
    rb"(?<![A-Za-z])(?:local_|global_)?rank[\"']?[ \t]{0,4}[:=]?[ \t]{0,4}(\d{1,6})(?![\d.])",
    re.IGNORECASE,
)
GLOBAL_STEPS = ("global step", "global step max steps", "trainer global step", "train global step")
"""Names of a step that counts through the whole training, and is taken before any other."""
_LINE_START = 200  # bytes, in which torchrun and its likes say whose line it is


@dataclass(frozen=True)
class Token:
    """A number of a line, with its name.

    Args:
        name: as printed; empty where the number has none.
        value: the number.
        at: where it begins in the line.
        total: what follows a slash behind it, as in ``3/100``; 0 for nothing.
        bracketed: whether an opening bracket stands right before it.
    """

    name: str
    value: float
    at: int
    total: int
    bracketed: bool


def tokens(line: bytes, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The numbers between two places of a line, in their order."""
    end = len(line) if end is None else end
    previous = start
    for match in _NUMBER.finditer(line, start, end):
        gap = line[max(previous, match.start() - _LONGEST_GAP) : match.start()]
        name, signed = _name_of(gap)
        text = match[1]
        if text[-1:] not in b"0123456789.)" and not (signed or _stands_alone(line, match.end(), end, name)):
            continue  # the word "nan" in a sentence
        previous = match.end()
        bracketed = gap.rstrip(b" ").endswith((b"[", b"("))
        yield Token(name, number_of(text), match.start(1), int(match[2] or 0), bracketed)


def number_of(text: bytes) -> float:
    """A number as it is printed, its thousands separated by commas or not."""
    if text[-1:] == b")" or b"#" in text:
        return math.copysign(math.inf, -1 if text.startswith(b"-") else 1) if b"INF" in text else math.nan
    return float(text.replace(b",", b""))


@functools.lru_cache(maxsize=4096)
def words(name: str) -> str:
    """A name's words in lower case, with single spaces between them."""
    return " ".join(re.split(r"[^a-z0-9\u0080-\uffff]+", name.lower())).strip()


def _stands_alone(line: bytes, at: int, end: int, name: str) -> bool:
    """Whether a bare ``nan`` is a value: a loss stands before it, or no word follows."""
    return name.lower().endswith("loss") or not line[at : min(at + 3, end)].lstrip(b" ")[:1].isalpha()


def _name_of(gap: bytes) -> tuple[str, bool]:
    """The name at the end of what stands before a number, and whether a sign joins the two."""
    text = gap.rstrip(_OPENING)
    if text is not gap and (wrapper := _WRAPPER.search(text)) and gap[len(text) :].startswith(b"("):
        text = text[: wrapper.start()].removesuffix(b"np.").removesuffix(b"torch.").rstrip(_OPENING)
    signed = text[-1:] in (b":", b"=")
    if signed:
        text = text.rstrip(b":= \t")
    elif text.endswith(b" is"):
        signed, text = True, text[:-3]
    text = text.rstrip(b" \t\"'*")
    text = _SEPARATOR.split(text)[-1]
    if b" " in text:
        text = _LEVEL.sub(b"", text)
    text = _BEFORE_NAME.sub(b"", text.strip(b" .#$-()/%"))
    if text.count(b"(") > text.count(b")"):  # "lr(1e-3", whose bracket was cut off above
        text += b")"
    return (text.decode("utf-8", "replace"), signed) if _NAME.match(text) else ("", signed)


def find_rank(line: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The rank that a record names, or its line before it, and where; None where there is none."""
    match = _RANK.search(line, start, end) or (_RANK.search(line, 0, min(start, _LINE_START)) if start else None)
    if match is None:
        return None
    group = 1 if match[1] is not None else 2
    return int(match[group]), match.start(group)
