"""What is read of a log at most: a packed log may unpack to anything."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """What is read of a log at most.

    Args:
        size: bytes, unpacked.
        records: of one metric, at 32 bytes of memory each.
    """

    size: int = 1 << 36
    records: int = 50_000_000


LIMITS = Limits()
"""Where nothing else is said."""
