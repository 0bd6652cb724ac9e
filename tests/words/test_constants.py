"""The table of constants has the values of the code: who changes one says why."""

import importlib
import re
from pathlib import Path

TABLE = Path(__file__).parents[2] / "docs" / "constants.md"
ROW = re.compile(r"^\| `(harness[\w.]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def value_of(name):
    """Of a module's constant, or of a field of it."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_each_constant_has_the_value_that_the_table_says():
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert len(rows) > 20
    assert {name: float(said) for name, said, _ in rows} == {name: float(value_of(name)) for name, _, _ in rows}
    assert not [name for name, _, why in rows if not why.strip()]
