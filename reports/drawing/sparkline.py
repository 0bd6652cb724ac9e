"""A thumbnail of the loss: the candidate on the reference."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from harness.values.trace import FloatArray
from harness.values.verdict import Verdict

__all__ = ["sparkline"]

_WIDTH, _HEIGHT, _PAD = 120.0, 32.0, 4.0


def sparkline(verdict: Verdict) -> Markup:
    """An SVG of the loss, the reference's and the first violation; empty where there is nothing to draw.

    It is decoration: the row that it stands in says everything in words.
    """
    envelope = verdict.envelopes.get("loss")
    if envelope is None:
        return Markup()
    both = np.concatenate((envelope.center, envelope.candidate))
    finite = both[np.isfinite(both)]
    if not len(finite):
        return Markup()
    low, high = float(finite.min()), float(finite.max())
    at = envelope.iterations.astype(np.float64)
    across = _scaled(at, float(at[0]), float(at[-1]))
    x = _PAD + (_WIDTH - 2 * _PAD) * across
    y_center = _down(envelope.center, low, high)
    y_candidate = _down(envelope.candidate, low, high)
    return Markup(  # noqa: S704  # numbers only
        f'<svg class="spark" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" aria-hidden="true" fill="none" '
        'stroke-linecap="round" stroke-linejoin="round">'
        f'<path d="{_path(x, y_center)}" stroke="var(--reference)" stroke-width="4"/>'
        f'<path d="{_path(x, y_candidate)}" stroke="var(--candidate)" stroke-width="1.5"/>'
        f"{_violation(verdict, at, x, y_candidate)}</svg>"
    )


def _scaled(values: FloatArray, low: float, high: float) -> FloatArray:
    """(T,) 0 … 1; halves first, so that the range itself can't overflow."""
    room = high / 2 - low / 2
    return (values / 2 - low / 2) / room if room > 0 else np.full(len(values), 0.5)


def _down(values: FloatArray, low: float, high: float) -> FloatArray:
    return _PAD + (_HEIGHT - 2 * _PAD) * (1 - _scaled(values, low, high))


def _path(x: FloatArray, y: FloatArray) -> str:
    """Path data; a value that is not finite lifts the pen, and a value between two of those is a dot."""
    seen = np.isfinite(y)
    before, after = np.append(False, seen[:-1]), np.append(seen[1:], False)
    return "".join(
        f"{'L' if before[at] else 'M'}{x[at]:.1f} {y[at]:.1f}{'' if before[at] or after[at] else 'h0'}"
        for at in np.flatnonzero(seen)
    )


def _violation(verdict: Verdict, iterations: FloatArray, x: FloatArray, y: FloatArray) -> str:
    found = (finding.iteration for finding in verdict.violations if finding.signal == "loss")
    first = next((iteration for iteration in found if iteration is not None), None)
    if first is None:
        return ""
    at = min(int(np.searchsorted(iterations, first)), len(iterations) - 1)
    down = y[at] if np.isfinite(y[at]) else _PAD
    return f'<path d="M{x[at]:.1f} {down - 4:.1f}l4 4-4 4-4-4z" fill="var(--violation)"/>'
