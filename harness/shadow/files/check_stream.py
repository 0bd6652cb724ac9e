"""Shadow checks on disk: one JSON line a shadowed iteration, written when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.checks import Coverage, ShadowCheck, ShadowRecord
from harness.shadow.evidence.unchecked import Unchecked, modules_of, reasons_of
from harness.store.atomic import LARGEST_FILE, read_bytes
from harness.store.decoding import complete_lines, convert_value, decode_plain, decode_value, encode_value
from harness.values.bounds import Count
from harness.values.errors import RunError

__all__ = ["FIELDS", "SCHEMA", "ShadowEnd", "ShadowHead", "ShadowLine", "ShadowStream", "read_shadow"]

SCHEMA = 1

FIELDS = (
    "iteration", "part", "module", "op", "tensor", "call", "dtype", "shape", "contiguous",
    "error", "projection", "scale", "along", "terms", "spread", "operand",
)  # fmt: skip
"""Of a check, in the order in which a line holds them: their names stand once, in the first line."""


class ShadowStream:
    """Writes a run's shadow checks to disk, iteration by iteration.

    Args:
        path: the file; it must not exist.
        tier: precision tier that the checks were made at.
    """

    def __init__(self, path: Path, tier: str) -> None:
        self._file = path.open("x", encoding="utf-8", newline="\n")
        self._write({"schema": SCHEMA, "tier": tier, "fields": FIELDS})

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
        signatures: Mapping[int, CallSignature] | None = None,
    ) -> None:
        """Write one iteration's checks, and hand them to the operating system before returning."""
        distinct: dict[str, CallSignature] = {}
        numbers: dict[str, int] = {}
        signed = []
        for call, signature in (signatures or {}).items():
            key = repr(signature)  # a mapping has no hash
            distinct.setdefault(key, signature)
            signed.append([call, numbers.setdefault(key, len(numbers))])
        rows = [[getattr(check, name) for name in FIELDS] for check in checks]
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
                "signatures": list(distinct.values()),
                "signed": signed,
            }
        )

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(encode_value(line, indent=None))
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
    signatures: dict[tuple[int, int], CallSignature] = {}
    tier = ""
    for path in paths:
        head, rows = _read(path)
        tier = head.tier
        for row in rows:
            iterations[row.iteration] = None
            checks += row.checks
            calls.update(row.calls)
            checked.update(row.checked)
            skipped.update(row.skipped)
            fallen_back.update(row.fallen_back)
            programs.update(row.programs)
            signatures |= {(row.iteration, call): row.signatures[number] for call, number in row.signed}
            unchecked += [Unchecked(row.iteration, *call) for call in row.unchecked]
    skipped |= reasons_of(unchecked)
    left, modules = tuple(sorted(fallen_back)), modules_of(unchecked)
    coverage = Coverage(dict(calls), dict(checked), skipped, left, dict(programs), modules)
    return ShadowRecord(tuple(iterations), tuple(checks), coverage, tier, tuple(unchecked), signatures)


@dataclass(frozen=True)
class ShadowHead:
    """The first line of a stream: the precision tier, and the fields of a check in the order of its numbers."""

    tier: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class ShadowLine:
    """A shadowed iteration, see ``ShadowStream.append``; of each unchecked call number, operation, module and why.

    ``signatures`` are the distinct ones, and ``signed`` says of a call's number which is its.
    """

    iteration: Count
    calls: Mapping[str, Count]
    checked: Mapping[str, Count]
    skipped: Mapping[str, str]
    checks: tuple[ShadowCheck, ...]
    fallen_back: tuple[str, ...] = ()
    programs: Mapping[str, Count] = field(default_factory=dict)
    unchecked: tuple[tuple[Count, str, str, str], ...] = ()
    signatures: tuple[CallSignature, ...] = ()
    signed: tuple[tuple[Count, Count], ...] = ()

    def __post_init__(self) -> None:
        if more := [name for name, checked in self.checked.items() if checked > self.calls.get(name, 0)]:
            raise ValueError(f"more calls of {more[0]} were checked than made")
        if any(number >= len(self.signatures) for _, number in self.signed):
            raise ValueError("a call has a signature that isn't there")


@dataclass(frozen=True)
class ShadowEnd:
    """The last line of a run that reached its end."""

    end: Literal[True]


def _read(path: Path) -> tuple[ShadowHead, list[ShadowLine]]:
    content = read_bytes(path, RunError, largest=4 * LARGEST_FILE)
    lines = complete_lines(content)
    if not lines:
        raise RunError("the shadow checks can't be read", where=path, observed="no whole line")
    head = decode_value(lines[0], ShadowHead, f"{path}:1", RunError, schema=SCHEMA)
    if head.fields != FIELDS:
        raise RunError("the shadow checks have other fields", where=path, observed=head.fields, allowed=FIELDS)
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines[1:], 2)]
    if any(row is None for row in rows[:-1]):
        raise RunError("the shadow checks go on after their end", where=path)
    return head, [row for row in rows if row is not None]


def _row(line: bytes, where: str) -> ShadowLine | None:
    """A shadowed iteration; None for the end."""
    plain = decode_plain(line, where, RunError)
    if isinstance(plain, dict) and "end" in plain:
        convert_value(plain, ShadowEnd, where, RunError)
        return None
    checks = plain.get("checks") if isinstance(plain, dict) else None
    if isinstance(checks, list):  # each is a list of numbers on disk: their names stand in the head once
        plain["checks"] = [
            dict(zip(FIELDS, check, strict=True)) if isinstance(check, list) and len(check) == len(FIELDS) else check
            for check in checks
        ]
    return convert_value(plain, ShadowLine, where, RunError)
