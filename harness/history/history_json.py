"""What a history says as JSON, with a schema number: for a dashboard of one's own."""

from __future__ import annotations

from typing import Any

from harness.history.history_answer import Answer
from harness.history.history_words import summaries
from harness.history.timeline import Build, Cell, past_stretches
from harness.store.decoding import encode_value

__all__ = ["SCHEMA", "encode_answer"]

SCHEMA = 1


def encode_answer(answer: Answer) -> str:
    """The answer as strict JSON, ended by a line feed. Builds are named by their ids."""
    return encode_value(
        {
            "schema": SCHEMA,
            "devices": summaries(answer),
            "builds": [_build(build) for builds in answer.timeline.builds.values() for build in builds],
            "cases": [
                {
                    "case": series.case,
                    "device": series.device,
                    "builds": [_cell(cell) for cell in series.cells],
                    "earlier_breakages": [
                        {"first": first.id, "last": last.id} for first, last in past_stretches(series)
                    ],
                }
                for series in answer.timeline.series
            ],
            "breakages": [
                {
                    "case": one.broken.series.case,
                    "device": one.broken.series.device,
                    "status": one.broken.status,
                    "reason": one.reason,
                    "cause": one.broken.cause,
                    "causes": [{"cause": cause, "since": build.id} for cause, build in one.broken.causes],
                    "first_bad": one.broken.first_bad.build.id,
                    "last_good": one.broken.last_good.build.id if one.broken.last_good is not None else None,
                    "untested_between": one.broken.untested,
                    "changes": [{"what": what, "before": old, "after": new} for what, old, new in one.changes],
                    "likewise": one.likewise,
                    "source": one.source,
                }
                for one in answer.breakages
            ],
            "flaky": [
                {
                    "case": one.series.case,
                    "device": one.series.device,
                    "alternations": one.alternations,
                    "builds": [{"build": build.id, "verdicts": counts} for build, counts in one.mixed],
                }
                for one in answer.flaky
            ],
            "drift": {
                "tested": answer.tested,
                "false_alarm_rate": answer.rate,
                "found": [
                    {"case": one.series.case, "device": one.series.device, "measure": one.measure}
                    | {"p": one.drift.p, "slope": one.drift.slope, "first": one.drift.first, "last": one.drift.last}
                    | {"values": one.drift.values}
                    for one in answer.drifts
                ],
            },
            "sees_less": [
                {"case": one.series.case, "device": one.series.device, "since": one.since.id, "what": one.what}
                for one in answer.blind
            ],
            "absent": [
                {"case": series.case, "device": series.device, "builds": missed} for series, missed in answer.absent
            ],
        }
    )


def _build(build: Build) -> dict[str, Any]:
    return {
        "id": build.id,
        "number": build.place + 1,
        "title": build.title,
        "device": build.device,
        "card": build.name,
        "first": build.first,
        "commit": build.commit,
        "table": build.table,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {"build": cell.build.id, "status": cell.status, "verdicts": [result.status for result in cell.results]}
