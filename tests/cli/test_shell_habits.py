"""What a user of a shell takes for granted: help, guesses, defaults, exit codes, completion, cleaning."""

import argparse
import importlib
import os
import subprocess
import sys

import pytest

from harness.cli.console import SafeConsole
from harness.cli.terminal import plain_table
from harness.store.temporary import make_folder

main_module = importlib.import_module("harness.cli.main")  # the package has a function of that name
main = main_module.main


def every_parser(parser, name="align"):
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, chosen in action.choices.items():
                yield from every_parser(chosen, f"{name} {word}")


PARSERS = dict(every_parser(main_module.build_parser()))


def told(capsys, *words):
    try:
        code = main(list(words))
    except SystemExit as end:
        code = end.code
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_align_alone_shows_its_help_and_opens_no_gate(capsys):
    code, help_text = told(capsys)
    assert code == 2
    assert "align verify ann_small" in help_text


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        (("verfy",), "did you mean verify?"),
        (("baseline", "lst"), "did you mean list?"),
        (("verify", "ann_smal"), "did you mean ann_small"),
        (("verify", "--devise", "cpu"), "did you mean --device?"),
        (("verify", "--devise=cpu"), "did you mean --device?"),
        (("baseline", "list", "--baseline-dri", "x"), "did you mean --baseline-dir?"),
        (("verify", "--launcher", "pytroch"), "did you mean pytorch?"),
    ],
)
def test_what_is_misspelt_is_guessed(capsys, words, guess):
    code, said = told(capsys, *words)
    assert code == 2
    assert guess in said


def test_nothing_is_guessed_that_is_far_off(capsys):
    assert "did you mean" not in told(capsys, "zzzz")[1]


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_with_a_value_says_its_default(name):
    parser = PARSERS[name]
    formatter = parser.formatter_class(prog=name)
    for action in parser._actions:
        if action.option_strings and action.nargs != 0 and not action.required:
            assert "default" in formatter._get_help_string(action), action.option_strings


@pytest.mark.parametrize("name", PARSERS)
def test_every_help_says_the_exit_codes(name):
    said = PARSERS[name].format_help()
    assert "exit codes:" in said or "exit code is" in said


def test_the_exit_codes_of_what_judges_are_the_four_verdicts():
    for name in ("verify", "judge", "ops", "compare", "report", "gate", "accuracy"):
        assert "3 INCONCLUSIVE" in " ".join(PARSERS[f"align {name}"].format_help().split()), name


@pytest.fixture
def left(tmp_path, monkeypatch):
    """A cache, a folder of a killed run and one that is in use; the last two in the place of temporary files."""
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scenes = tmp_path / "cache/scenes-0123456789abcdef"
    scenes.mkdir(parents=True)
    (scenes / "image.png").write_bytes(bytes(1234))
    (tmp_path / "cache/notes.txt").write_text("of the user's")
    dead = tmp_path / "align-run-dead"
    dead.mkdir()
    alive, held = make_folder("align-run-", tmp_path)
    yield scenes, dead, alive
    os.close(held)


def test_clean_shows_first_and_removes_nothing(left, capsys):
    code, said = told(capsys, "clean")
    assert code == 0
    assert "1.23 kB" in said
    assert str(left[1]) in said
    assert str(left[2]) not in said
    assert all(path.is_dir() for path in left)


def test_clean_removes_what_is_nobodys_and_leaves_what_is_in_use_or_the_users(left, capsys, tmp_path):
    assert "removed 1.23 kB" in told(capsys, "clean", "--yes")[1]
    assert [path.is_dir() for path in left] == [False, False, True]
    assert (tmp_path / "cache/notes.txt").is_file()
    assert "there is nothing to remove" in told(capsys, "clean")[1]


def test_a_table_that_is_wider_than_the_terminal_is_told_line_by_line():
    table = plain_table("case", "what it is")
    table.add_row("a_name_of_twenty_six_letters", "a model")
    narrow, wide = SafeConsole(width=20), SafeConsole(width=60)
    for console in (narrow, wide):
        with console.capture() as captured:
            console.print(table)
        lines = captured.get().split("\n")
        assert any("a_name_of_twenty_six_letters" in line for line in lines) == (console is wide)
        assert ("case: " in captured.get()) == (console is narrow)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("align ver", "verify"),
        ("align verify ann_sm", "ann_small"),
        ("align verify --no-early", "--no-early-stop"),
        ("align verify --launcher p", "pytorch"),
        ("align baseline ex", "export"),
    ],
)
def test_a_shell_completes_commands_cases_options_and_choices(line, offered, tmp_path):
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run([sys.executable, "-m", "harness.cli"], env=environment, check=False)
    assert offered in answer.read_text().split()
