"""A Chinese page says what the English one says: the same headings, blocks, tables and links, in the same order."""

import re

import pytest
from rich.cells import cell_len

from harness.language import say, speak
from tests.docs.pages import PAGES, ROOT, blocks

PAIRS = [
    (ROOT / "README.md", ROOT / "README.zh.md"),
    *((ROOT / "docs" / page.name, page) for page in sorted((ROOT / "docs/zh").glob("*.md"))),
]

_ANSWER = re.compile(
    r"((?:PASS|FAIL|INCONCLUSIVE|ERROR) [^:]+: |  [a-z ]+? +(?:fail|info|pass|inconclusive) +|  (?=[a-z]+: ))(.*)"
)
"""A line that the terminal prints, and what of it is a sentence."""


def text_of(page):
    return page.read_text(encoding="utf-8")


def outline(page):
    """The levels of the headings, and what the lines between them are: rows, items or paragraphs."""
    plain = re.sub(r"^```.*?^```$", "```", text_of(page), flags=re.M | re.S)
    marks = {"#": None, "|": "row", "-": "item", "!": "picture", "`": "text", "<": "mark"}
    kinds = (
        re.match("#+", line)[0] if line.startswith("#") else marks.get(line[0], "text")
        for line in plain.splitlines()
        if line.strip()
    )
    return [re.sub(r"^\d$", "text", kind) for kind in kinds]


def links(page):
    """Where the page's links lead, the Chinese pages counted as those that they translate."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    folder = page.parent
    resolved = ((folder / target).resolve() if not target.startswith("http") else target for target in targets)
    english = (str(target).replace("/docs/zh/", "/docs/").replace("README.zh.md", "README.md") for target in resolved)
    return [target for target in english if not target.endswith("/README.md") or "/ci/" in target]


def inline_code(page):
    plain = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)
    return sorted(re.findall(r"`([^`\n]+)`", plain))


@pytest.fixture
def _chinese():
    speak("zh")
    yield
    speak("en")


def in_chinese(block):
    """A block as the Chinese page has it: commands and code as they are, what the terminal answers in Chinese.

    So the commands of a Chinese page need no run of their own: they are those of the English one, which is run.
    """
    if block.language != "text":
        return block.text
    return "".join(f"{_line_in_chinese(line)}\n" for line in block.text.splitlines())


def _line_in_chinese(line):
    """A sentence, the names of a table's columns, or where the report lies; values stay."""
    if found := _ANSWER.fullmatch(line):
        return f"{found[1]}{say(found[2])}"
    if line.startswith("report: "):
        return say("report") + line.removeprefix("report")
    if not line.startswith("case  "):
        return line
    cells = re.findall(r"(\S+(?: \S+)*)( *)", line)
    return "".join(say(cell) + " " * (cell_len(cell + gap) - cell_len(say(cell))) for cell, gap in cells).rstrip()


@pytest.mark.usefixtures("_chinese")
@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_chinese_page_has_the_structure_of_the_english_one(english, chinese):
    assert outline(chinese) == outline(english)
    assert [(block.language, block.title, block.text, block.why_not, block.exit_code) for block in blocks(chinese)] == [
        (block.language, block.title, in_chinese(block), block.why_not, block.exit_code) for block in blocks(english)
    ]
    assert sorted(links(chinese)) == sorted(links(english))
    assert inline_code(chinese) == inline_code(english)


def test_the_chinese_path_to_a_verdict_needs_no_english_page():
    """What README.zh.md says before the first verdict links to Chinese pages alone."""
    before = text_of(ROOT / "README.zh.md").partition("## 你的加速卡")[0]
    assert re.findall(r"\]\((docs/[^)]+\.md)\)", before) == re.findall(r"\]\((docs/zh/[^)]+\.md)\)", before) != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        assert target.startswith(("http", "#")) or (page.parent / target.partition("#")[0]).is_file(), target


def test_the_readme_is_read_in_three_minutes():
    """All that stands in the file counts, as by ``wc -w``: code, marks and links too."""
    assert len(text_of(ROOT / "README.md").split()) <= 700
