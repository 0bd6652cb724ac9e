"""What MkDocs runs when it builds the pages: the reference, made from the code, and what lies outside of docs/."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from harness.cli.main import build_parser
from harness.policy.policy_fields import CASE, DEFAULTS, KNOWN, TABLES
from harness.values.case import Case

_DOCS = Path(__file__).parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    pages = {
        "reference/commands.md": _commands(),
        "reference/settings.md": _settings(),
        "reference/files.md": _files(),
        "reference/python.md": _python(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _commands() -> str:
    parser = build_parser()
    lines = ["# Commands", "", "```text", parser.format_help().rstrip(), "```"]
    for name, command in _subcommands(parser, "align"):
        lines += ["", f"## {name}", "", "```text", command.format_help().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _subcommands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, chosen in action.choices.items():
                yield f"{name} {word}", chosen
                yield from _subcommands(chosen, f"{name} {word}")


def _settings() -> str:
    meanings = _argument_meanings(Case.__doc__ or "")
    rows = []
    for field in fields(Case):
        if field.name in {"name", "config", "function", "own_start"}:
            continue  # what the harness finds out itself
        default = field.default if field.default is not MISSING else field.default_factory()  # type: ignore[misc]
        rows.append((f"`{field.name}`", f"`{default!r}`", meanings[field.name]))
    parts = [
        "# What a config and a policy may say",
        "## The alignment block of a config\n\nAlso the arguments of `@harness.case`, but for `start`'s place.",
        _table(("field", "default", "what it says"), rows),
        "## A policy: alignment.toml",
    ]
    tables = {**{f"[{name}]": keys for name, keys in TABLES.items()}, "[[cases]]": CASE, "[[known]]": KNOWN}
    tables["[defaults]"] = DEFAULTS
    for name, keys in tables.items():
        rows = [(f"`{key}`", _cell(field.allowed), "yes" if field.required else "") for key, field in keys.items()]
        parts += [f"### {name}", _table(("key", "allowed", "must be there"), rows)]
    return "\n\n".join(parts) + "\n"


def _argument_meanings(docstring: str) -> dict[str, str]:
    """Argument → its meaning, of a docstring in Google's style."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Args:")[2].partition("Raises:")[0].splitlines():
        head, colon, rest = line.strip().partition(": ")
        if line.startswith(" " * 8) and not line.startswith(" " * 9) and colon and head.isidentifier():
            name, found[head] = head, rest
        elif line.strip():
            found[name] += f" {line.strip()}"
    return {key: value.replace("``", "`") for key, value in found.items()}


def _files() -> str:
    parts = ["# File formats", "Fields by type; a number that isn't finite is one of the texts nan, inf, -inf."]
    for path in sorted((_DOCS / "schemas").glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        name = path.name.removesuffix(".schema.json")
        parts.append(f"## {name}\n\n{schema.get('title', '')} ([schema](../schemas/{path.name}))")
        for name, kind in sorted(schema.get("$defs", {}).items()):
            rows = [
                (f"`{field}`", _kind_words(what), _cell(what.get("description", "")))
                for field, what in kind.get("properties", {}).items()
            ]
            if rows:
                parts += [f"### {name}\n\n{kind.get('description', '')}", _table(("field", "type", "what it is"), rows)]
    return "\n\n".join(parts) + "\n"


def _kind_words(kind: dict[str, Any]) -> str:
    if "$ref" in kind:
        return str(kind["$ref"].rpartition("/")[2])
    if "anyOf" in kind:
        return " or ".join(dict.fromkeys(_kind_words(one) for one in kind["anyOf"]))
    if kind.get("type") == "array":
        return f"list of {_kind_words(kind.get('items', {}) or {})}"
    if kind.get("type") == "object" and isinstance(kind.get("additionalProperties"), dict):
        return f"name → {_kind_words(kind['additionalProperties'])}"
    named = kind.get("type", "any")
    return " or ".join(named) if isinstance(named, list) else str(named)


def _python() -> str:
    parts = ["# Python", "`import harness` is cheap: what a name needs is imported when it is first used."]
    names = (
        "harness.logs.compare.compare",
        "harness.logs.read.read_log",
        "harness.training.declaring.case",
        "harness.training.declaring.Training",
        "harness.training.watching.watch",
        "harness.training.watching.Watch",
        "harness.pairs.log.Log",
        "harness.pairs.log.Series",
    )
    parts += [f"::: {name}\n    options:\n      heading_level: 2\n      show_root_heading: true" for name in names]
    return "\n\n".join(parts) + "\n"


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [names, tuple("---" for _ in names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
