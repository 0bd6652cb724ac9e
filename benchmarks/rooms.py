"""How much stands in each room of the house, and how much of it is reasons, at two commits.

    python benchmarks/rooms.py [--before 826dbcc] [--after HEAD]

Prints a Markdown table. A line of code is one that isn't blank, and neither a comment nor a docstring alone. A comment
counts where it says something beside what a tool is told (``noqa``, ``type: ignore``). A note is the text behind a
constant, which says what it is and why it has its value. Configs of models are data, and left out.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import tarfile
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = ("harness", "models", "reports", "tests", "benchmarks")
SPLIT = ("harness", "reports")
TOLD_TO_TOOLS = re.compile(
    r"#\s*(noqa(:\s*[A-Z0-9, ]+)?|type: ignore(\[[a-z-, ]+\])?|pragma: .*|fmt: \w+|!.*)\s*(?=#|$)"
)


@dataclass
class Room:
    """What stands in one.

    Args:
        files: of Python.
        code: lines.
        comments: that say something.
        notes: behind constants.
    """

    files: int = 0
    code: int = 0
    comments: int = 0
    notes: int = 0

    def add(self, text: str) -> None:
        """Count a file."""
        tree = ast.parse(text)
        docstrings, notes = texts_of(tree)
        silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
        code: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                self.comments += bool(TOLD_TO_TOOLS.sub("", token.string).strip("# "))
            elif token.type not in silent:
                code.update(range(token.start[0], token.end[0] + 1))
        self.files += 1
        self.code += len(code - docstrings)
        self.notes += notes


def texts_of(tree: ast.AST) -> tuple[set[int], int]:
    """The lines of docstrings and of the notes behind constants, and how many notes there are."""
    lines: set[int] = set()
    notes = 0
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for place, inner in enumerate(body if isinstance(body, list) else []):
            if (
                isinstance(inner, ast.Expr)
                and isinstance(inner.value, ast.Constant)
                and isinstance(inner.value.value, str)
            ):
                lines.update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
                notes += place > 0
    return lines, notes


def files_at(commit: str) -> Iterator[tuple[str, str]]:
    """Every file of Python of a commit, its path and its text."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603, S607
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".py") else None
            if file is not None:
                yield member.name, file.read().decode()


def rooms_at(commit: str) -> dict[str, Room]:
    """Every room of a commit, by name."""
    rooms: dict[str, Room] = defaultdict(Room)
    for path, text in files_at(commit):
        floor, *inner = path.split("/")
        if floor not in FLOORS or path.startswith("models/configs/"):
            continue
        name = "/".join([floor, *inner[:-1][: 2 if inner[0] == "lab" else 1]]) if floor in SPLIT else floor
        rooms[name].add(text)
    return rooms


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="826dbcc", help="default: %(default)s")
    parser.add_argument("--after", default="HEAD", help="default: %(default)s")
    arguments = parser.parse_args()
    before, after = rooms_at(arguments.before), rooms_at(arguments.after)
    names = sorted({*before, *after}, key=lambda name: (FLOORS.index(name.split("/")[0]), name))
    print("| room | files | lines of code | comments | notes behind constants | reasons per 1,000 lines |")
    print("|---|---|---|---|---|---|")
    told = [(name, before.get(name, Room()), after.get(name, Room())) for name in names]
    for floor in ("harness", "models", "reports", "tests", "benchmarks"):
        told += [(f"**{floor}, all**", total(before, floor), total(after, floor))] if floor in SPLIT else []
    for name, old, new in told:
        print(f"| {name} | " + " | ".join(f"{a} → {b}" for a, b in zip(numbers(old), numbers(new), strict=True)) + " |")


def total(rooms: dict[str, Room], floor: str) -> Room:
    """All rooms of a floor as one."""
    of = [room for name, room in rooms.items() if name.split("/")[0] == floor]
    return Room(*(sum(getattr(room, field) for room in of) for field in ("files", "code", "comments", "notes")))


def numbers(room: Room) -> tuple[str, ...]:
    """A room's cells."""
    reasons = f"{1000 * (room.comments + room.notes) / room.code:.0f}" if room.code else "–"
    counts = (room.files, room.code, room.comments, room.notes)
    return (*(f"{count:,}" if count else "–" for count in counts), reasons)


if __name__ == "__main__":
    main()
