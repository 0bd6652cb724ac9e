"""The house: every module stands in a room, imports point down from room to room, and what must not know torch doesn't.

The rooms are those of the map in CONTRIBUTING.md. A module belongs to the longest name in ``ROOMS`` that it begins
with, so that a room within a room, or a single module, can have a place of its own in the order.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = [
    # values, and rules on them
    ("harness.language", "harness.values.bounds", "harness.values.errors"),
    ("harness.shadow.evidence",),
    ("harness.values",),
    ("harness.rules",),
    ("harness.accuracy",),
    ("harness.shadow.judging", "harness.pairs"),
    # files, devices, models
    ("harness.store",),
    ("harness.shadow.files", "harness.logs", "harness.devices", "harness.training.unseen_code"),
    # a run
    ("harness.training.seam", "harness.training.steps"),
    ("harness.recording",),
    ("models",),
    ("harness.shadow.arithmetic",),
    ("harness.shadow.reproducing", "harness.shadow.compiled"),
    ("harness.shadow.watching",),
    ("harness.shadow.by_program", "harness.shadow.forced", "harness.shadow.probing"),
    ("harness.shadow",),
    ("harness.training",),
    ("harness.baseline_folders",),
    ("harness.inference",),
    ("harness.running",),
    ("harness.evaluating", "harness.fleet"),
    ("harness.training.watching",),
    ("harness.training.hooks",),
    # what tests the gate
    ("harness.lab.emulation",),
    ("harness.lab.faults",),
    ("harness.lab.power",),
    # what is shown
    ("reports.words",),
    ("reports.results",),
    ("reports.drawing", "reports.shadow"),
    ("reports.run",),
    ("reports.study", "reports.accuracy"),
    ("reports",),
    ("harness.history", "harness.policy"),
    # the command line
    ("harness.cli",),
    ("harness.efficiency", "harness.lab.commands"),
]
"""From the bottom to the top; those of one line don't know each other."""


def room_of(module: str) -> tuple[int, str] | None:
    """The place of a module's room in the order, and its name."""
    names = [(len(name), place, name) for place, row in enumerate(ROOMS) for name in row]
    within = [(length, place, name) for length, place, name in names if f"{module}.".startswith(f"{name}.")]
    return max(within)[1:] if within else None


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    found = [path for package in ("harness", "models", "reports") for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "configs" not in path.parts]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path: Path) -> list[str]:
    """Every module that a file names; of ``from a import b`` the module b where there is one, else a."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide the room"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if is_module(name) else node.module for name in inner]
    return names


def test_every_module_stands_in_a_room():
    homeless = [module_name(path) for path in sources() if room_of(module_name(path)) is None]
    assert homeless == ["harness", "harness.lab"]


def test_no_module_lies_loose_in_the_root():
    assert [path.name for path in (ROOT / "harness").glob("*.py")] == ["__init__.py"]
    assert [path.name for path in (ROOT / "reports").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_point_down(path):
    here = room_of(module_name(path))
    if here is None:
        return
    for name in imports(path):
        there = room_of(name)
        if there is not None and there[1] != here[1]:
            assert there[0] < here[0], f"{module_name(path)} (in {here[1]}) imports {name} (in {there[1]})"


@pytest.mark.parametrize(
    "module",
    [
        "harness",
        "harness.rules.gate",
        "harness.shadow.judging.shadow_verdict",
        "harness.store.baselines",
        "harness.devices.choice",
        "harness.running.cases",
        "models",
        "reports",
    ],
)
def test_what_must_answer_quickly_does_not_import_torch(module):
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_the_map_in_contributing_names_every_room():
    """A room that nobody can find on the map is a room that nobody finds."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = text.split("```")[1]
    rooms = {path.parent.relative_to(ROOT).as_posix() for path in sources()}
    outer = {room for room in rooms if room.split("/")[0] in {"harness", "reports"} and room.count("/") == 1}
    unnamed = [room for room in sorted(outer - {"harness/lab"}) if f"{room}/" not in drawn]
    inner = {room for room in rooms if room.startswith(("harness/shadow/", "harness/lab/")) and room.count("/") == 2}
    unnamed += [room for room in sorted(inner) if f"{room.rpartition('/')[2]}/" not in drawn]
    assert unnamed == []
