"""A Chinese page says what the English one says: the same headings, blocks, tables and links, in the same order."""

import re

import pytest
from pages import PAGES, ROOT, blocks

PAIRS = [
    (ROOT / "README.md", ROOT / "README.zh.md"),
    *((ROOT / "docs" / page.name, page) for page in sorted((ROOT / "docs/zh").glob("*.md"))),
]


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


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_chinese_page_has_the_structure_of_the_english_one(english, chinese):
    assert outline(chinese) == outline(english)
    assert [(block.language, block.title, block.text, block.why_not) for block in blocks(chinese)] == [
        (block.language, block.title, block.text, block.why_not) for block in blocks(english)
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
    prose = re.sub(r"^```.*?^```$|^<!--.*?-->$|^[|-]+$", "", text_of(ROOT / "README.md"), flags=re.M | re.S)
    assert len([word for word in prose.split() if word not in "|-#"]) <= 650
