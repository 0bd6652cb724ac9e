"""trace.csv: every iteration of the candidate, floats by ``repr``."""

from __future__ import annotations

import csv
import io

from harness.values.trace import Trace

__all__ = ["encode_trace"]


def encode_trace(trace: Trace) -> bytes:
    """One line an iteration: its number, every signal in recorded order, and the batch's digest where there is one."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    batches = {"batch": trace.batches} if trace.batches else {}
    writer.writerow(("iteration", *trace.signals, *batches))
    for row, iteration in enumerate(trace.iterations):
        values = (repr(float(series[row])) for series in trace.signals.values())
        writer.writerow((int(iteration), *values, *(batch[row] for batch in batches.values())))
    return table.getvalue().encode("utf-8", "backslashreplace")
