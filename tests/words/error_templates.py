"""Each text of an error, as the code writes it: what is filled in is ``{}``."""

import ast
import importlib
import re
from pathlib import Path

from harness.values.errors import AlignmentError

ROOT = Path(__file__).parents[2]

_COMMAND = re.compile(r"(align|pip|python|ray|rm|CUDA_VISIBLE_DEVICES=0|for n in|https?:)\b|(--[\w-]+( [\w.=]+)? ?)+$")
_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")


def kinds(root=AlignmentError):
    """The names of the errors that the command line shows, and of what argparse turns into one."""
    return {root.__name__, *(name for kind in root.__subclasses__() for name in kinds(kind))}


def error_templates():
    """Template → the file that has it: of what an error says each, of its other fields those that are words."""
    for module in ("harness.history.history_database", "harness.policy.policy_file", "reports.results.result_error"):
        importlib.import_module(module)  # each has an error of its own
    names = kinds() | {"ArgumentTypeError"}
    found = {}
    for path in sorted(path for package in ("harness", "models", "reports") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in names and not (name == "error" and isinstance(node.func, ast.Name)):
                continue
            told = [text for argument in node.args[:1] for text in _texts(argument)]
            told += [
                text
                for keyword in node.keywords
                if keyword.arg in {"observed", "allowed", "hint"}
                for text in _texts(keyword.value)
                if _WORDS.search(text) and not _COMMAND.match(text)
            ]
            found |= {
                text: path.relative_to(ROOT).as_posix() for text in told if re.search(r"\w", text.replace("{}", ""))
            }
    return found


def _texts(node):
    """The texts that an expression may be, as far as it is written out."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _texts(value)]
    return []
