"""Each text that code or a template hands to ``say``, and each that a command prints without it."""

import ast
import itertools
import re
from pathlib import Path

from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]

FILLED = "7"
"""What stands in a text where a value is filled in."""

_MOST = 64
"""Texts that one call is taken apart into."""


def said_in_code():
    """Text → the file that says it: as the code has it, ``7`` for each value."""
    found = {}
    for path, node in _calls(("harness", "reports")):
        if isinstance(node.func, ast.Name) and node.func.id == "say" and len(node.args) == 1:
            for text in _texts(node.args[0]):
                found.setdefault(text, path)
    return found


def said_in_templates():
    """Text → the template that says it."""
    found = {}
    for path in sorted((ROOT / "reports/templates").glob("*.j2")):
        for asked in Environment(autoescape=True).parse(path.read_text(encoding="utf-8")).find_all(nodes.Filter):
            if asked.name == "say" and not asked.args:
                for text in _template_texts(asked.node):
                    found.setdefault(text, path.name)
    return found


def printed_in_english(*folders):
    """What a call to print, or to a console's, shows without ``say`` although it holds a word: text → its file."""
    found = {}
    for path, node in _calls(folders):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in {"print", "add_row", "add_column"}:
            for text in itertools.chain.from_iterable(map(_plain, node.args)):
                if re.search(r"[a-z]{3,}", text):
                    found.setdefault(text, path)
    return found


def _calls(folders):
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(ROOT).as_posix(), node


def _texts(node):
    """What an expression may be, as far as it is written out; nothing of a name."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [_texts(part) or [FILLED] for part in node.values]
        return ["".join(chosen) for chosen in itertools.islice(itertools.product(*parts), _MOST)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        pairs = itertools.product(_texts(node.left) or [FILLED], _texts(node.right) or [FILLED])
        return ["".join(pair) for pair in itertools.islice(pairs, _MOST)]
    return []


def _template_texts(node):
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, nodes.CondExpr):
        return [*_template_texts(node.expr1), *(_template_texts(node.expr2) if node.expr2 else [""])]
    if isinstance(node, nodes.Concat):
        parts = [_template_texts(part) or [FILLED] for part in node.nodes]
        return ["".join(chosen) for chosen in itertools.islice(itertools.product(*parts), _MOST)]
    return []


def _plain(node):
    """The literal parts of what is printed, but for what ``say`` is given."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in {"Text", "shown", "open_console"}:
            yield from itertools.chain.from_iterable(map(_plain, node.args))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.FormattedValue):
        yield from _plain(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield from itertools.chain.from_iterable(map(_plain, node.values))
    elif isinstance(node, ast.BinOp):
        yield from itertools.chain(_plain(node.left), _plain(node.right))
    elif isinstance(node, ast.IfExp):
        yield from itertools.chain(_plain(node.body), _plain(node.orelse))
