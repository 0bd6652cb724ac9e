"""Which iterations are shadowed."""

from __future__ import annotations

from harness.values.errors import UsageError

__all__ = ["parse_iterations", "spread_iterations"]


def spread_iterations(planned: int) -> tuple[int, ...]:
    """The first two, one a third of the way and the last: momentum and schedule begin to tell at the second.

    Args:
        planned: iterations of the run, at least 1.
    """
    return tuple(sorted({0, min(1, planned - 1), planned // 3, planned - 1}))


def parse_iterations(text: str, planned: int) -> tuple[int, ...]:
    """What ``--shadow`` asks for.

    Args:
        text: ``auto``, ``none``, or numbers of iterations with commas between them.
        planned: iterations of the run.

    Raises:
        UsageError: it is something else, or names an iteration that the run doesn't have.
    """
    if text == "none":
        return ()
    if text == "auto":
        return spread_iterations(planned)
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words) or any(int(word) >= planned for word in words):
        raise UsageError(
            "these iterations can't be shadowed",
            where="--shadow",
            observed=text,
            allowed=f"auto, none, or numbers from 0 to {planned - 1} with commas between them",
        )
    return tuple(sorted({int(word) for word in words}))
