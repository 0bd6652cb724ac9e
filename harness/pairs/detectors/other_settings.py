"""Settings that both logs print, and that contradict each other."""

from __future__ import annotations

from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.values.verdict import Outcome

__all__ = ["other_settings"]


def other_settings(view: View) -> Situation | None:
    """Settings that the logs contradict each other in."""
    rows = view.contradicted
    if not rows:
        return None
    said = "; ".join(f"{row.what} {row.reference} against {row.candidate}" for row in rows)
    batch = next((row for row in rows if "batch" in row.what or row.what == "world size"), None)
    kind = "other batch or world size" if batch else f"other {rows[0].what}"
    shown = batch or rows[0]
    return Situation(
        "other settings",
        f"{kind}: {shown.what} {shown.reference} against {shown.candidate}"[:100],
        Outcome.INCONCLUSIVE,
        f"the two logs print settings that contradict each other: {said}",
        "run both sides with the same settings: a difference of the losses says nothing about the port before",
    )
