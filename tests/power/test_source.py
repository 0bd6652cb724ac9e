"""Which code a study's runs follow from."""

from pathlib import Path

import pytest

import harness
from harness.power import source
from harness.power.source import code_digest
from harness.running.cases import find_case

CONFIG = Path(find_case("ann_small").config)


@pytest.fixture
def edited(monkeypatch):
    """The digest as it would be if a file of the package held something else."""
    read = Path.read_bytes

    def digest_with(part, *, shadowed):
        changed = Path(harness.__file__).parent / part
        assert changed.is_file()
        monkeypatch.setattr(Path, "read_bytes", lambda path: b"other" if path == changed else read(path))
        try:
            return source.code_digest.__wrapped__(CONFIG, shadowed=shadowed)
        finally:
            monkeypatch.setattr(Path, "read_bytes", read)

    return digest_with


@pytest.mark.parametrize("part", ["recording/evaluation.py", "running/around.py", "emulation/rounding.py"])
def test_what_a_run_does_is_in_its_digest(edited, part):
    assert edited(part, shadowed=False) != code_digest(CONFIG)


def test_rules_are_not(edited):
    assert edited("rules/envelope.py", shadowed=True) == code_digest(CONFIG, shadowed=True)


def test_shadow_ops_count_where_they_watch(edited):
    assert edited("shadow/mode.py", shadowed=False) == code_digest(CONFIG)
    assert edited("shadow/mode.py", shadowed=True) != code_digest(CONFIG, shadowed=True)
    assert code_digest(CONFIG) != code_digest(CONFIG, shadowed=True)
