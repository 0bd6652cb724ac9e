"""The files that a run of a study leaves in its folder, beside those of any run."""

from __future__ import annotations

__all__ = ["ERRORS", "OUTCOME", "SAMPLES"]

OUTCOME = "outcome.json"
"""How it ended: written last, so that a folder with it is whole."""

SAMPLES = "samples.npz"
"""Of a twin: elements of every gradient and update."""

ERRORS = "errors.npz"
"""Of the others: how far their gradients and updates are from the twin's."""
