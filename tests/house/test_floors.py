"""The house: imports point down, and the floors that must not know torch don't."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUILDS = ("harness.baseline_folders", "harness.history", "harness.policy")

FLOORS = [
    ("harness.values", "harness.isolation"),
    ("harness.rules", "harness.judge", "harness.shadow_verdict", "harness.pairs"),
    ("harness.store", "harness.logs", "harness.devices", "harness.emulation", "models"),
    (
        "harness.recording",
        "harness.baseline_folders",
        "harness.history",
        "harness.policy",
        "harness.running",
        "harness.shadow",
        "harness.training",
        "harness.power",
    ),
    ("reports",),
    ("harness.cli", "harness.pytest_plugin"),
]


def floor_of(module: str) -> int | None:
    for number, names in enumerate(FLOORS, 1):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    return None


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    found = [path for package in ("harness", "models", "reports") for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "configs" not in path.parts]


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide the floor"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def test_every_module_stands_on_a_floor():
    homeless = [module_name(path) for path in sources() if floor_of(module_name(path)) is None]
    assert homeless == ["harness"]


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_point_down(path):
    here = floor_of(module_name(path))
    for name in imports(path):
        there = floor_of(name)
        if here is not None and there is not None:
            assert there <= here, f"{module_name(path)} (floor {here}) imports {name} (floor {there})"


@pytest.mark.parametrize(
    "module",
    [
        "harness",
        "harness.judge",
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
