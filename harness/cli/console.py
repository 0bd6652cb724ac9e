"""Terminals of any encoding, pipes that end early, and text from outside that means to be more than text.

What is printed comes in part from logs, file names and configs. It stays text: an escape sequence in it is shown, not
obeyed. A console that can't show a character shows another in its place. A reader that goes away, as ``head`` does,
ends the printing and not the command, whose exit code is its verdict.
"""

from __future__ import annotations

import argparse
import codecs
import os
import re
import sys
from collections.abc import Iterable
from typing import IO, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["Parser", "SafeConsole", "close_streams", "prepare_streams", "shown"]

_STAND_INS = {
    "·": "-", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "→": "->", "▲": "!", "✓": "ok", "’": "'", "‘": "'", "“": '"', "”": '"', "σ": "sigma", "Σ": "sum", "‖": "||",
    "²": "2", "³": "3", "√": "sqrt", "⟨": "<", "⟩": ">", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
"""What stands for a character that a console can't show."""

_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and those that turn the direction of writing."""


def shown(text: str) -> str:
    r"""The text with control characters as their escapes: ``\x1b[31m`` is read, and colours nothing."""
    return _NOT_SHOWN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


class SafeConsole(Console):
    """A console that obeys nothing that is printed, and stops printing when nobody reads any more."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **settings})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something to print, with what a terminal would obey made visible."""
        for segment in super().render(renderable, options):
            unsafe = not segment.control and _NOT_SHOWN.search(segment.text)
            yield Segment(shown(segment.text), segment.style) if unsafe else segment

    def on_broken_pipe(self) -> None:
        """Go on without a reader: rich would end the program with 1, which is the exit code of FAIL."""
        _go_on_without_a_reader(self.file)


class Parser(argparse.ArgumentParser):
    """A parser whose messages show what was typed, and don't obey it."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            (file or sys.stderr).write(shown(message))


def prepare_streams() -> None:
    """Let standard output and error take every character: what a console can't show gets a stand-in."""
    codecs.register_error("align.shown", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="align.shown")


def close_streams() -> None:
    """Write what is still to be written, while it can be told that nobody reads it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            _go_on_without_a_reader(stream)
        except (OSError, ValueError):
            continue  # a full disk, or a stream that is closed: there is nothing left to say it on


def _stand_in(failure: UnicodeError) -> tuple[str, int]:
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    taken = failure.object[failure.start : failure.end]
    return "".join(_encodable(_STAND_INS.get(letter, "?"), failure.encoding) for letter in taken), failure.end


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "?"
    return text


def _go_on_without_a_reader(stream: TextIO | IO[str]) -> None:
    """What is written from now on goes nowhere, also what is written at the program's end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # not a file of the system's: a test's
        return
