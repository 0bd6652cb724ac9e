"""A misspelt name or option, and lists, are answered before anything heavy is imported."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

main_module = importlib.import_module("harness.cli.main")  # the package has a function of that name

HEAVY = ("torch", "scipy", "matplotlib", "reports")

PROGRAM = """
import sys
from harness.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
loaded = [name for name in {heavy!r} if name in sys.modules]
print("CODE", code, "LOADED", loaded)
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "ann_smal"), 2),
        (("record", "ann_smal"), 2),
        (("verify", "ann_small", "--nonsense"), 2),
        (("verfy",), 2),
        (("--version",), 0),
        (("cases", "--names"), 0),
    ],
)
def test_what_needs_no_training_is_told_at_once(words, code):
    heavy = tuple(name for name in HEAVY if not (words[0] == "record" and name == "scipy"))  # its table needs rules
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=heavy), *words], capture_output=True, text=True, check=False
    )
    assert f"CODE {code} LOADED []" in told.stdout, told.stdout + told.stderr


def test_help_names_every_command_with_its_line():
    told = subprocess.run(
        [sys.executable, "-m", "harness.cli", "--help"], capture_output=True, text=True, check=False
    ).stdout
    for command in ("verify", "judge", "doctor", "power", "faults"):
        line = next(line for line in told.splitlines() if line.strip().startswith(f"{command} "))
        assert len(line.split()) > 2, line


def test_every_module_with_a_command_is_listed():
    folder = Path(main_module.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "def add_parser(" in path.read_text(encoding="utf-8")}
    assert set(main_module._MODULES.values()) == modules
    parser = main_module.build_parser()
    offered = next(action.choices for action in parser._actions if action.dest == "command")
    assert set(main_module._MODULES) <= set(offered)
