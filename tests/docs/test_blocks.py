"""Every command that a page shows can be run; those that are cheap are run, and the others say why not."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.example_logs import write_logs
from tests.docs.pages import PAGES, ROOT, SHELL, blocks, command_lines

main_module = importlib.import_module("harness.cli.main")  # the package has a function of that name

COMMANDS = [block for page in PAGES for block in blocks(page) if block.language in SHELL]

ALIGN = sorted(
    {
        (str(block.page.relative_to(ROOT)), found.strip())
        for page in PAGES
        for block in blocks(page)
        if block.language in SHELL
        for line in command_lines(block.text)
        for part in re.split(r"&&|;\s*(?:do|done)?", line.partition("  #")[0])
        for found in re.findall(r"(?:^|/| |=\S+ )(align [a-z].*)", part)
    }
)

RUN = [
    ROOT / page
    for page in (
        "README.md",
        "docs/accuracy.md",
        "docs/baselines.md",
        "docs/tutorial.md",
        "docs/two-logs.md",
    )
]


@pytest.mark.parametrize(("page", "line"), ALIGN)
def test_every_align_command_of_a_page_can_be_parsed(page, line):
    words = shlex.split(line)[1:]
    parser = main_module.build_parser(words)
    parser.parse_args(words)


def test_commands_are_found():
    assert len(ALIGN) > 40
    assert any("--fault" in line for _, line in ALIGN)


def test_a_block_is_run_or_says_why_not():
    """A page with a block that is to be run joins ``RUN``; any other block says above it why not."""
    unsaid = [(block.page.name, block.text) for block in COMMANDS if not block.why_not and block.page not in RUN]
    assert [said for said in unsaid if said[1] not in {block.text for page in RUN for block in blocks(page)}] == []


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_as_they_stand(page, tmp_path):
    write_logs(tmp_path)
    folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for block in blocks(page):
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        if block.language not in SHELL or block.why_not:
            continue
        program = "set -e\n" + "\n".join(command_lines(block.text))
        done = subprocess.run(
            ["bash", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == block.exit_code, f"{program}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_two_logs_of_the_pages_give_the_answer_that_they_print(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_logs(tmp_path)
    assert main_module.main(["compare", "cuda.log", "sdaa.log"]) == 1
    told = capsys.readouterr().out
    page = ROOT / "docs/two-logs.md"
    shown = next(block.text for block in blocks(page) if block.language == "text")
    assert all(line in told for line in shown.splitlines())
