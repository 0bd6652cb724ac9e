"""Every help text and every error text, each kind in one file that can be read at one sitting.

python tests/words/said_texts.py        # write both anew
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from harness.cli.console import HelpFormatter
from harness.cli.main import build_parser

ROOT = Path(__file__).parents[2]
HELP, ERRORS = Path(__file__).with_name("help.txt"), Path(__file__).with_name("errors.txt")


def help_texts() -> str:
    """Command by command, each argument with what is said of it and its default."""
    return "\n".join(_command(build_parser(), "align")).rstrip() + "\n"


def error_texts() -> str:
    """File by file, what each error says; ``{…}`` is what is filled in."""
    lines = []
    for path in sorted(path for package in ("harness", "models", "reports") for path in (ROOT / package).rglob("*.py")):
        found = list(dict.fromkeys(_errors(ast.parse(path.read_text(encoding="utf-8")))))
        if found:
            lines += [path.relative_to(ROOT).as_posix(), *(f"  {text}" for text in found)]
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser, name: str) -> list[str]:
    lines = [name, *(f"  {line}" for line in (parser.description or "").strip().splitlines())]
    formatter = HelpFormatter(prog=name)
    inner: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, sub in action.choices.items():
                inner += ["", *_command(sub, f"{name} {command}")]
            continue
        flags = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        lines.append(f"  {flags}: {formatter._expand_help(action) if action.help else ''}")
    return [*lines, *(f"  {line}" for line in (parser.epilog or "").strip().splitlines()), *inner]


def _errors(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        text = _text(node.args[0])
        if (name.endswith("Error") or name == "error") and text:
            hints = [_text(keyword.value) for keyword in node.keywords if keyword.arg == "hint"]
            found.append(f"{name}: {text}" + "".join(f" → {hint}" for hint in hints if hint))
    return found


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{…}" for part in node.values)
    return ""


if __name__ == "__main__":
    HELP.write_text(help_texts(), encoding="utf-8")
    ERRORS.write_text(error_texts(), encoding="utf-8")
