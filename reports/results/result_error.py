"""The error that reading a stored result raises."""

from __future__ import annotations

from harness.values.errors import AlignmentError

__all__ = ["ResultError"]


class ResultError(AlignmentError):
    """A result.json is missing, half-written, oversized, or contradicts itself."""
