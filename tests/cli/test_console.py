"""Consoles of any encoding, readers that go away, and text that would be obeyed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.cli.console import SafeConsole, shown

ALIGN = [sys.executable, "-c", "import sys; from harness.cli import main; sys.exit(main())"]


def align(*words, encoding="utf-8", **more):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run([*ALIGN, *words], env=environment, capture_output=True, check=False, **more)


def log(path: Path) -> str:
    path.write_text("step,loss\n" + "".join(f"{i},{1 / (i + 1)}\n" for i in range(30)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "ascii"])
@pytest.mark.parametrize("words", [["--help"], ["faults"]])
def test_no_encoding_ends_a_command(encoding, words):
    done = align(*words, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding)


def test_what_an_encoding_lacks_has_a_stand_in():
    assert b"0 PASS - 1 FAIL" in align("--help", encoding="ascii").stdout
    assert "0 PASS · 1 FAIL".encode() in align("--help").stdout


def without_a_reader(*words):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*ALIGN, *words], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode


def test_a_reader_that_goes_away_changes_no_verdict(tmp_path):
    name = log(tmp_path / "a.csv")
    whole = align("compare", name, name).returncode
    assert whole == 3
    assert without_a_reader("compare", name, name) == whole


@pytest.mark.parametrize("words", [["cases"], ["faults"], ["--help"], ["verify", "--help"]])
def test_a_reader_that_goes_away_ends_no_listing_as_a_fail(words):
    assert without_a_reader(*words) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_what_can_not_be_printed_is_an_error_and_no_verdict():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*ALIGN, "cases"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_names_are_shown_and_not_obeyed(tmp_path):
    name = log(tmp_path / "a\x1b[31m[bold]b.csv")
    for words in (["compare", name, name], ["compare", name, str(tmp_path / "nothing\x1b]0;x\x07")], ["x\x1b[2J"]):
        done = align(*words)
        assert b"\x1b" not in done.stdout + done.stderr, words
    assert b"\\x1b[31m[bold]b.csv" in align("compare", name, name).stdout


@given(st.text())
def test_nothing_that_is_printed_controls_the_console(text):
    file = io.StringIO()
    console = SafeConsole(file=file, width=80, force_terminal=False, soft_wrap=True)
    table = Table(box=None)
    table.add_column(text)
    table.add_row(Text(text), text)
    console.print(table)
    console.print(Text(text) + Text(text), text)
    written = file.getvalue()
    assert shown(written) == written


def test_tabs_and_line_ends_stay_and_marks_of_direction_do_not():
    assert shown("a\tb\nc") == "a\tb\nc"
    assert shown("a\u202eb\rc\x9b") == "a\\u202eb\\rc\\x9b"
