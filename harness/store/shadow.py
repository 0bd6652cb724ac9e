"""Shadow checks on disk: one JSON line a shadowed iteration, written when it has ended."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.store.atomic import LARGEST_FILE
from harness.values.errors import RunError
from harness.values.shadow import Coverage, Part, ShadowCheck, ShadowRecord
from harness.values.unchecked import Unchecked, modules_of, reasons_of

__all__ = ["SCHEMA", "ShadowStream", "read_shadow"]

SCHEMA = 1

_FIELDS = (
    "iteration", "part", "module", "op", "tensor", "call", "dtype", "shape", "contiguous",
    "error", "projection", "scale", "along", "terms", "spread", "operand",
)  # fmt: skip
_NUMBERS = frozenset({"error", "projection", "scale", "along", "terms", "spread"})


class ShadowStream:
    """Writes a run's shadow checks to disk, iteration by iteration.

    Args:
        path: the file; it must not exist.
        tier: precision tier that the checks were made at.
    """

    def __init__(self, path: Path, tier: str) -> None:
        self._file = path.open("x", encoding="utf-8", newline="\n")
        self._write({"schema": SCHEMA, "tier": tier, "fields": _FIELDS})

    def __enter__(self) -> ShadowStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._write({"end": True})
        self._file.close()

    def append(
        self,
        iteration: int,
        checks: Iterable[ShadowCheck],
        calls: Mapping[str, int],
        checked: Mapping[str, int],
        skipped: Mapping[str, str],
        fallen_back: Iterable[str] = (),
        programs: Mapping[str, int] | None = None,
        unchecked: Iterable[Unchecked] = (),
    ) -> None:
        """Write one iteration's checks, and hand them to the operating system before returning."""
        rows = [[_plain(getattr(check, name)) for name in _FIELDS] for check in checks]
        self._write(
            {
                "iteration": iteration,
                "calls": dict(calls),
                "checked": dict(checked),
                "skipped": dict(skipped),
                "fallen_back": sorted(fallen_back),
                "programs": dict(programs or {}),
                "unchecked": [[each.call, each.op, each.module, each.why] for each in unchecked],
                "checks": rows,
            }
        )

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()


def read_shadow(paths: Sequence[Path]) -> ShadowRecord:
    """What the streams of a run's processes hold so far, together; a torn last line is left out.

    Raises:
        RunError: a file is missing, too large, or holds something else.
    """
    iterations: dict[int, None] = {}
    checks: list[ShadowCheck] = []
    calls: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    skipped: dict[str, str] = {}
    fallen_back: set[str] = set()
    programs: Counter[str] = Counter()
    unchecked: list[Unchecked] = []
    tier = ""
    for path in paths:
        header, *rest = _lines(path)
        if header.get("schema") != SCHEMA or tuple(header.get("fields", ())) != _FIELDS:
            raise RunError("the shadow checks have another schema", where=path, allowed=f"schema {SCHEMA}")
        tier = str(header.get("tier", ""))
        try:
            for line in rest:
                if "iteration" not in line:
                    continue
                iterations[int(line["iteration"])] = None
                checks += [_check(row) for row in line["checks"]]
                calls.update(line["calls"])
                checked.update(line["checked"])
                skipped.update(line["skipped"])
                fallen_back.update(line.get("fallen_back", ()))
                programs.update(line.get("programs", {}))
                unchecked += [
                    Unchecked(int(line["iteration"]), int(call), str(op), str(module), str(why))
                    for call, op, module, why in line.get("unchecked", ())
                ]
        except (KeyError, TypeError, ValueError) as failure:
            raise RunError("a line of the shadow checks lacks a value", where=path, observed=str(failure)) from None
    skipped |= reasons_of(unchecked)
    left, modules = tuple(sorted(fallen_back)), modules_of(unchecked)
    coverage = Coverage(dict(calls), dict(checked), skipped, left, dict(programs), modules)
    return ShadowRecord(tuple(iterations), tuple(checks), coverage, tier, tuple(unchecked))


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        size = path.stat().st_size
        if size > 4 * LARGEST_FILE:
            raise RunError("the shadow checks are too large", where=path, observed=f"{size} bytes")
        whole, _, _torn = path.read_text(encoding="utf-8").rpartition("\n")
        lines = [json.loads(line) for line in whole.split("\n")] if whole else []
    except (OSError, ValueError, RecursionError) as failure:
        raise RunError("the shadow checks can't be read", where=path, observed=str(failure)) from None
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise RunError("the shadow checks can't be read", where=path, observed="no header")
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return list(value) if isinstance(value, tuple) else value


def _check(row: Sequence[Any]) -> ShadowCheck:
    values = dict(zip(_FIELDS, row, strict=True))
    values["part"] = Part(values["part"])
    values["shape"] = tuple(int(side) for side in values["shape"])
    for name in _NUMBERS:
        values[name] = float(values[name])
    return ShadowCheck(**values)
