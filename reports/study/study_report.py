"""What the gate sees, written: a page, its data as JSON and CSV, and Markdown for the documentation."""

from __future__ import annotations

from pathlib import Path

from harness.lab.power.outcome import PowerResult
from harness.store.atomic import write_text
from harness.values.errors import UsageError
from reports.study.study_data import encode_power, tabulate_faults, tabulate_healthy
from reports.study.study_markdown import render_markdown
from reports.study.study_page import render_power

__all__ = ["write_power"]


def write_power(result: PowerResult, out: Path) -> Path:
    """Write ``power.json``, ``faults.csv``, ``healthy.csv``, ``power.md`` and, last, ``power.html``.

    Args:
        result: of a study, or of the part of it that has been run.
        out: a folder; made where it is missing. An earlier report in it is replaced.

    Returns:
        The page.

    Raises:
        UsageError: ``out`` can't be written.
    """
    texts = {
        "power.json": encode_power(result),
        "faults.csv": tabulate_faults(result),
        "healthy.csv": tabulate_healthy(result),
        "power.md": render_markdown(result),
        "power.html": render_power(result),
    }
    try:
        for name, text in texts.items():
            write_text(out / name, text)
    except OSError as failure:
        raise UsageError("the report can't be written", where=out, observed=failure.strerror) from None
    return out / "power.html"
