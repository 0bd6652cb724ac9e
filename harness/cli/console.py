"""Terminals of any encoding, pipes that end early, and text from outside that means to be more than text.

What is printed comes in part from logs, file names and configs. It stays text: an escape sequence in it is shown, not
obeyed. A console that can't show a character shows another in its place. A reader that goes away, as ``head`` does,
ends the printing and not the command, whose exit code is its verdict.
"""

from __future__ import annotations

import argparse
import codecs
import difflib
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.language import language, say
from harness.values.verdict import Status

__all__ = [
    "DONE_CODES",
    "VERDICT_CODES",
    "HelpFormatter",
    "Parser",
    "SafeConsole",
    "close_streams",
    "meant",
    "prepare_streams",
    "shown",
]

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
    """A console that obeys nothing that is printed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **settings})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something to print, with what a terminal would obey made visible."""
        for segment in super().render(renderable, options):
            unsafe = not segment.control and _NOT_SHOWN.search(segment.text)
            yield Segment(shown(segment.text), segment.style) if unsafe else segment


VERDICT_CODES = "exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE"
"""What a command that judges ends with."""

DONE_CODES = "exit codes: 0 done · 2 ERROR or wrong usage"
"""What any other command ends with."""


class HelpFormatter(argparse.HelpFormatter):
    """Help texts that end with their default; a description that has lines of its own keeps them."""

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """The usage, in the language that was asked for."""
        super().add_usage(usage, actions, groups, say("usage: ", "help") if prefix is None else prefix)

    def start_section(self, heading: str | None) -> None:
        """A section, in the language that was asked for."""
        super().start_section(say(heading, "help") if heading else heading)

    def _get_help_string(self, action: argparse.Action) -> str:
        words = action.help or ""
        return say(words, "help") + say(self._default(action, words), "help")

    def _default(self, action: argparse.Action, words: str) -> str:
        if not action.option_strings or action.nargs == 0 or action.required or "default" in words:
            return ""
        if action.default is argparse.SUPPRESS:
            return " (default: the policy's)"
        says_nothing = action.default in (None, "", 0) or action.default in ([], ())
        return " (default: none)" if says_nothing else " (default: %(default)s)"

    def _split_lines(self, text: str, width: int) -> list[str]:
        return super()._split_lines(text, width) if language() == "en" else _by_columns(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        said = say(text, "help")
        if "\n" in text.strip():
            return "".join(indent + line for line in said.splitlines(keepends=True))
        if language() == "en":
            return super()._fill_text(said, width, indent)
        return "\n".join(indent + line for line in _by_columns(said, width - len(indent)))


_WIDE = "\u2e80-\u9fff\uff00-\uffef“”"
_CLOSING = "，。；：、）？”"
_UNBROKEN = re.compile(f" +|（*(?:[{_WIDE}]|[^ {_WIDE}]+)[{_CLOSING}]*")
"""What a line isn't broken in: a Chinese character or a word of other letters, with the marks around it."""


def _by_columns(text: str, width: int) -> list[str]:
    """The lines of a text whose characters are one column wide or two."""
    lines = [""]
    for piece in _UNBROKEN.findall(text):
        if cell_len(lines[-1] + piece.rstrip()) > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line for line in lines if line] or [""]


class Parser(argparse.ArgumentParser):
    """A parser whose messages show what was typed, and don't obey it, and guess what was meant.

    Args:
        exit_codes: what the help ends with, where the epilog doesn't say it already.
    """

    def __init__(self, *arguments: Any, exit_codes: str = DONE_CODES, **settings: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": HelpFormatter, **settings})
        self.exit_codes = exit_codes

    def format_help(self) -> str:
        """The help, with the exit codes at its end."""
        told = super().format_help()
        english = f"{self.description}{self.epilog}"
        said = "exit codes:" in english or "exit code is" in english
        return told if said else f"{told}\n{say(self.exit_codes, 'help')}\n"

    def error(self, message: str) -> NoReturn:
        """End with the usage and what is wrong, in the language that was asked for."""
        self.print_usage(sys.stderr)
        self.exit(Status.ERROR.exit_code, f"{self.prog}: {say('error', 'help')}: {say(message, 'help')}\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The parsed words; an option that is none is told with the one that was probably meant.

        A parser with commands hands what it doesn't know to the parser of the whole line, which knows no option of the
        command's: so the guess is made here, among the options of the command that was asked for.
        """
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            asked = self._asked(vars(parsed))
            options = [option for option in asked._option_string_actions if option.startswith("--")]
            near = [guess for word in rest if word.startswith("-") for guess in meant(word.partition("=")[0], options)]
            asked.error(f"unrecognized arguments: {' '.join(rest)}{_question(near)}")
        return parsed

    def _asked(self, parsed: Mapping[str, Any]) -> Parser:
        """The parser of the command that was parsed, down to the command's own commands."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and parsed.get(action.dest) in action.choices:
                chosen: Parser = action.choices[parsed[action.dest]]
                return chosen._asked(parsed)
        return self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if action.choices is not None and value not in action.choices and (near := meant(str(value), choices)):
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r}{_question(near)} (choose from {', '.join(choices)})"
            )
        super()._check_value(action, value)

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            (file or sys.stderr).write(shown(message))


def meant(word: str, known: Sequence[str]) -> list[str]:
    """Up to three known words that a misspelt one is near to, the nearest first."""
    return difflib.get_close_matches(word, known, n=3, cutoff=0.7)


def _question(near: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _WithoutReader(io.FileIO):
    """A file that takes what is written to it also when nobody reads it any more."""

    def write(self, content: Any, /) -> int:
        """Write, or lose."""
        try:
            return super().write(content)
        except BrokenPipeError:
            _lead_nowhere(self.fileno())
            return len(memoryview(content).cast("B"))


def prepare_streams() -> None:
    """Let standard output and error take every character, and everything when their readers have gone.

    What a console can't show gets a stand-in. This is the one place where a reader that goes away is dealt with: a
    command's output is written through these two streams, whether by print, by rich or by argparse.
    """
    codecs.register_error("align.shown", _stand_in)
    sys.stdout = _patient(sys.stdout, sys.__stdout__)
    sys.stderr = _patient(sys.stderr, sys.__stderr__)
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="align.shown")


def _patient(stream: TextIO, own: TextIO | None) -> TextIO:
    """The same stream over a file that goes on without a reader; a test's stays as it is."""
    if stream is not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        stream.flush()
        file = _WithoutReader(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def close_streams() -> str:
    """Write what is still to be written.

    Returns:
        Why it could not be, as where the disk is full; empty where it could, or where nobody wants it.
    """
    refused = ""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as failure:
            refused = failure.strerror or type(failure).__name__
            _lead_nowhere(stream.fileno())  # else Python tries again at its end, and ends with 120
        except ValueError:
            continue  # closed
    return refused


def _lead_nowhere(descriptor: int) -> None:
    """What is written to a descriptor from now on is lost, whoever writes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


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
