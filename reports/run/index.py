"""The index: a row a case."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from markupsafe import Markup

from harness.values.terms import Against
from harness.values.verdict import Status
from reports.drawing.sparkline import sparkline
from reports.results.invocations import describe_parts, parts_of, warnings_of
from reports.results.result_record import Record
from reports.run.build_words import build_words
from reports.run.cause_groups import group_causes, summary_of
from reports.run.environment import render
from reports.run.made_line import commit_of, minute_of, short_commit
from reports.run.tiles import sharpest_of
from reports.words import wording
from reports.words.headline import headline
from reports.words.terms_words import QUESTIONS, asked_lines, weaknesses

__all__ = ["Entry", "render_index"]

_SCRIPT = Path(__file__).parents[1] / "templates" / "index.js"

_FILTER_FROM = 8  # rows: with fewer, there is nothing to search

# What needs a person comes first.
_URGENCY = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE, Status.PASS)


@dataclass(frozen=True, eq=False)
class Entry:
    """One case in the index.

    Args:
        record: what is known of it.
        link: a relative URL of its page; empty where there is none.
    """

    record: Record
    link: str


@dataclass(frozen=True)
class Count:
    """How many cases have one verdict."""

    verdict: str
    tone: str
    number: int


@dataclass(frozen=True)
class Row:
    """An entry, worded; where a number or a time orders better than its words, ``sort_`` has it."""

    case: str
    link: str
    verdict: str
    tone: str
    reason: str
    device: str
    name: str
    emulated: bool
    build: str
    machine: str
    date: str
    commit: str
    aligned: str
    demanded: str
    seen: str
    sort_seen: str
    time: str
    sort_time: str
    iterations: str
    legacy: str
    thumbnail: Markup
    weaknesses: tuple[str, ...]
    invocation: str = ""
    causes: str = ""


@dataclass(frozen=True)
class Explained:
    """A cause, and the rows that it explains.

    Args:
        number: from 1.
        sentence: the cause.
        rows: of its failures.
        evidence: of each.
    """

    number: int
    sentence: str
    rows: tuple[Row, ...]
    evidence: tuple[str, ...]

    @property
    def count(self) -> str:
        """How many failures it explains."""
        return f"{len(self.rows)} {'failure' if len(self.rows) == 1 else 'failures'}"


def render_index(entries: Sequence[Entry], pages: Mapping[str, str] | None = None) -> str:
    """The index page: one HTML document, needing no network; its script only filters, sorts and groups.

    Args:
        entries: in any order; they are shown with the most urgent verdict first.
        pages: the cases' own pages, to be part of this one: the name that an entry's link has behind its ``#`` → page.
    """
    ordered = sorted(entries, key=lambda entry: _URGENCY.index(entry.record.verdict.status))
    parts = parts_of(entry.record for entry in entries)
    builds = build_words([_build(entry.record) for entry in ordered])
    numbers = {part.invocation.id: str(n) for n, part in enumerate(parts, 1) if part.invocation and len(parts) > 1}
    rows = [_row(entry, build, numbers) for entry, build in zip(ordered, builds, strict=True)]
    groups = group_causes([entry.record.verdict for entry in ordered])
    rows = [
        replace(row, causes=" ".join(str(n) for n, group in enumerate(groups, 1) if place in group.cases))
        for place, row in enumerate(rows)
    ]
    causes = [
        Explained(number, group.sentence, tuple(rows[place] for place in group.cases), group.evidence)
        for number, group in enumerate(groups, 1)
    ]
    script = _script()
    return render(
        "index.html.j2",
        title=_title(rows),
        script=Markup(script),  # noqa: S704  # our own file
        script_source=f"; script-src 'sha256-{_digest(script)}'",
        counts=[Count(s.value, s.value.lower(), sum(row.verdict == s.value for row in rows)) for s in _URGENCY],
        rows=rows,
        emulated=sum(row.emulated for row in rows),
        searchable=len(rows) >= _FILTER_FROM,
        groupable=len(rows) > 1,
        numbered=bool(numbers),
        asked=_asked(ordered),
        causes=causes if len(rows) > 1 else [],
        explained=summary_of(groups),
        question=_question(entries),
        invocations=describe_parts(parts),
        warnings=warnings_of(parts),
        pages=[(row, pages[row.link[1:]]) for row in rows if row.link[1:] in pages] if pages else [],
    )


def _asked(entries: Sequence[Entry]) -> list[str]:
    """What was asked, each once, with the cases that it was asked of where these aren't all."""
    asked: dict[str, list[str]] = {}
    for entry in entries:
        for line in asked_lines(entry.record.terms):
            asked.setdefault(line, []).append(entry.record.verdict.case)
    if len(asked) == 1:
        return list(asked)
    return [f"{', '.join(dict.fromkeys(cases))}; {line}" for line, cases in asked.items()]


def _question(entries: Sequence[Entry]) -> str:
    """What the verdicts answer; of some without a reference each row says so."""
    alone = all(entry.record.terms.against is Against.HOST for entry in entries)
    return QUESTIONS[Against.HOST] if alone else "Do they train like the reference?"


def _title(rows: Sequence[Row]) -> str:
    passed = sum(row.verdict == Status.PASS.value for row in rows)
    emulated = " · EMULATED" if any(row.emulated for row in rows) else ""
    return f"{passed} of {len(rows)} aligned{emulated}"


def _row(entry: Entry, build: str, numbers: Mapping[str, str]) -> Row:
    record, verdict = entry.record, entry.record.verdict
    candidate, invocation = record.candidate, record.invocation
    sharpest = sharpest_of(verdict)
    return Row(
        case=verdict.case,
        link=entry.link,
        verdict=verdict.status.value,
        tone=verdict.status.value.lower(),
        reason=headline(verdict),
        device=record.device or ("not stated" if record.done else "unknown"),
        name=candidate.device.name if candidate is not None else "" if record.done else "no run said",
        emulated=record.emulated is True,
        build=build,
        machine=_machine(record),
        date=minute_of(candidate, invocation) or wording.NOTHING,
        commit=short_commit(commit_of(candidate, invocation)) or wording.NOTHING,
        aligned=verdict.aligned_tier or ("no tier" if verdict.demanded_tier else wording.NOTHING),
        demanded=verdict.demanded_tier,
        seen=wording.relative(sharpest[0]) if sharpest is not None else wording.NOTHING,
        sort_seen=repr(sharpest[0]) if sharpest is not None else "",
        time=wording.duration(record.seconds) if record.seconds else wording.NOTHING,
        sort_time=repr(record.seconds),
        iterations=f"{record.done} of {record.planned}" if record.planned is not None else str(record.done),
        legacy=verdict.legacy.verdict if verdict.legacy is not None else wording.NOTHING,
        thumbnail=sparkline(verdict),
        weaknesses=tuple(weaknesses(record.terms)),
        invocation=numbers.get(invocation.id, "") if invocation else "",
    )


def _build(record: Record) -> Mapping[str, str]:
    return record.candidate.device.build if record.candidate is not None else {}


def _machine(record: Record) -> str:
    host = record.host or (record.invocation.machine if record.invocation is not None else "")
    return ", ".join([*([host] if host else []), *([f"card {record.card}"] if record.card else [])]) or wording.NOTHING


def _script() -> str:
    """The script without what a browser wouldn't miss, as its digest has to match to the byte."""
    return re.sub(r"\s*\n\s*", "\n", _SCRIPT.read_text(encoding="utf-8")).strip()


def _digest(script: str) -> str:
    return base64.b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii")
