"""The pages that people read, and the blocks in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = (ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

SHELL = ("", "sh", "bash", "console")

_BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        page: its file.
        language: what stands behind the fence; empty for commands.
        title: the file that it is the content of.
        text: its lines.
        why_not: why its commands are not run by a test; empty where they are.
        exit_code: that its last command ends with.
    """

    page: Path
    language: str
    title: str
    text: str
    why_not: str
    exit_code: int


def blocks(page):
    """The fenced blocks of a page, in their order."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        mark = found["mark"] or ""
        language, _, rest = found["info"].partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        code = re.fullmatch(r"exit code: (\d)", mark)
        yield Block(
            page,
            language,
            title[1] if title else "",
            found["text"],
            mark.partition("not run: ")[2],
            int(code[1]) if code else 0,
        )


def command_lines(text):
    """The commands of a block: a session's are those behind its prompts."""
    lines = text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        return [line[2:] for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.startswith("#")]
