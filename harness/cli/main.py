"""`align`: the commands, and what becomes of their errors."""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import metadata

from harness.cli.completion import ASKED, complete
from harness.cli.console import Parser, close_streams, prepare_streams
from harness.cli.options import add_language_option
from harness.cli.policy_options import verify_defaults
from harness.cli.terminal import print_error
from harness.language import LANGUAGES, say, speak
from harness.running.isolation import prefer_own_packages
from harness.running.libraries import missing_library
from harness.values.errors import AlignmentError
from harness.values.verdict import Status

__all__ = ["COMMANDS", "main"]

COMMANDS = "alignment_harness.commands"
"""The group of entry points that add a command: ``name = "module:add_parser"``, as ``power`` and ``efficiency`` do."""

_MODULES = {
    **{name: name for name in ("verify", "record", "judge", "train", "evaluate")},
    "accuracy": "accuracy",
    "plan-accuracy": "accuracy",
    **{name: name for name in ("ops", "shrink", "compare", "report")},
    "gate": "gate_command",
    "history": "history",
    "baseline": "baseline",
    "cases": "listing",
    "doctor": "listing",
    "clean": "clean",
    "schemas": "schemas",
}
"""Command → its module in ``harness.cli``, in the order of the help."""

_DESCRIPTION = """\
Does a model ported to a new accelerator train like it does on the reference GPU?

  align verify ann_small                      train a case on the candidate, judge it against its baseline
  align record ann_small --device cuda        make a baseline of a case on a trusted device
  align ops ann_small                         the operations of a step: error, effective precision, fallback
  align shrink REPORT/CASE/reproduce/1.py     the smallest call that is still wrong
  align evaluate ann_small CHECKPOINT         the accuracy of a checkpoint on a validation set
  align compare cuda.log sdaa.log             judge two logs that exist already
  align baseline list                         what baselines there are, and what made them
  align history --history builds.db           which build broke what
  align gate                                  verify by a policy: what must pass, what is known
  align doctor                                what devices, versions and settings are here
  align clean                                 what align left on this machine, and how to remove it
"""

_EPILOG = """\
exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE. Only PASS opens a gate.
A config is a Python program: `align` runs it as you. Give it only configs that you trust."""


def build_parser(words: Sequence[str] = (), defaults: Mapping[str, object] | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, with the options of those that the words may mean.

    A command's module is imported where its options are asked for: a misspelt name is told before anything is loaded.

    Args:
        words: the command line; every command has its options where it asks for the help of all, or is empty.
        defaults: of `align verify`, a policy's.
    """
    parser = Parser(
        prog="align",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"align {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    points = {point.name: point for point in sorted(metadata.entry_points(group=COMMANDS))}
    rest = _without_language(words)
    asked = next((word for word in rest if not word.startswith("-")), "")
    of_all = not rest or {"-h", "--help"} & {rest[0]}
    if asked in _MODULES or of_all:
        wanted = _MODULES.values() if of_all else [_MODULES[asked]]
        for module in dict.fromkeys(wanted):
            importlib.import_module(f"harness.cli.{module}").add_parser(commands)
    for name, point in points.items():
        if name == asked or of_all:
            point.load()(commands)
    for name in (*_MODULES, *points):  # the others by name alone
        if name not in commands.choices:
            commands.add_parser(name)
    if asked == "verify" or of_all:
        commands.choices["verify"].set_defaults(**(defaults or {}))
    _add_language(parser)
    return parser


def _add_language(parser: argparse.ArgumentParser) -> None:
    """The option of the language, of every command that doesn't have it already."""
    if "--lang" not in parser._option_string_actions:
        add_language_option(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                _add_language(command)


def _language(words: Sequence[str]) -> str | None:
    """The language that is asked for: help and errors are told in it too, before the words are parsed."""
    given = [word.partition("=")[2] for word in words if word.startswith("--lang=")]
    given += [word for before, word in itertools.pairwise(words) if before == "--lang"]
    return given[-1] if given and given[-1] in LANGUAGES else None


def _without_language(words: Sequence[str]) -> list[str]:
    """The words but for the option of the language, which may stand before the command."""
    behind = {place + 1 for place, word in enumerate(words) if word == "--lang"}
    return [
        word
        for place, word in enumerate(words)
        if place not in behind and word != "--lang" and not word.startswith("--lang=")
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after ``align``; the process's own where None.

    Returns:
        The exit code.
    """
    prefer_own_packages()
    if ASKED in os.environ:
        complete(build_parser)
    prepare_streams()
    code = Status.ERROR.exit_code
    try:
        code = _run(arguments)
    finally:
        refused = close_streams()
    if refused and code != Status.ERROR.exit_code:
        print_error(AlignmentError("what was to be printed could not be written", observed=refused))
        close_streams()
        return Status.ERROR.exit_code
    return code


def _run(arguments: Sequence[str] | None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    words = sys.argv[1:] if arguments is None else arguments
    try:
        speak(_language(words))
        parser = build_parser(words, verify_defaults(words))
        if not _without_language(words):
            parser.print_help()
            return Status.ERROR.exit_code
        parsed = parser.parse_args(words)
        speak(getattr(parsed, "lang", None) or _language(words))
        return int(parsed.func(parsed))
    except AlignmentError as error:
        print_error(error)
        return Status.ERROR.exit_code
    except KeyboardInterrupt:
        print(say("interrupted"), file=sys.stderr)
        return 130
    except OSError as error:
        where = error.filename or "unknown"
        print_error(AlignmentError("the operating system refused", where=where, observed=error.strerror))
        return Status.ERROR.exit_code
    except Exception as error:  # noqa: BLE001  # exit code 1 would say FAIL of the user's port
        print_error(_unforeseen(error, words))
        return Status.ERROR.exit_code


def _unforeseen(error: Exception, words: Sequence[str]) -> AlignmentError:
    """What to tell of an error that nothing raised on purpose: our own fault, but where something isn't installed."""
    command = " ".join(["align", *words[:1]])
    if isinstance(error, ImportError) and (missing := missing_library(error, command)):
        return missing
    traceback.print_exception(error)
    return AlignmentError("this is a fault of align itself", hint="please report it with the lines above")


def _version() -> str:
    try:
        return metadata.version("alignment-harness")
    except metadata.PackageNotFoundError:
        return "of a folder that is not installed"
