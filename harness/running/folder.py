"""The files that a run leaves in its folder."""

from __future__ import annotations

__all__ = ["ERROR", "ORDER", "OUTPUT", "PROVENANCE", "STREAM"]

ORDER = "order.json"
"""What was to be run: written by the watcher."""

STREAM = "trace.jsonl"
"""Its iterations, each as it happens."""

PROVENANCE = "provenance.json"
"""Where it comes from, written before its first iteration."""

ERROR = "error.json"
"""Why it could not be made, where it knows itself."""

OUTPUT = "output.log"
"""What it printed."""
