"""Numbers as a person reads them."""

from __future__ import annotations

import math
import re

__all__ = ["NOTHING", "duration", "multiple", "power_of_ten", "quantity", "relative", "unbroken"]

NOTHING = "–"
"""Where there is no number."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FIRM = "\u00a0"  # spaces that don't break: "3.0 × 10⁻⁷" stays together
_NARROW = "\u202f"

_BEFORE_PER_CENT = re.compile(r"(?<=\d) (?=%)")


def relative(value: float | None, *, signed: bool = False) -> str:
    """A relative deviation: 0.048 is ``4.8 %``, 3e-7 is ``3.0 × 10⁻⁷``; two significant digits."""
    if value is None:
        return NOTHING
    size = abs(value)
    sign = "−" if value < 0 else "+" if signed and size > 0 else ""
    if not math.isfinite(size):
        return _not_finite(value)
    if size == 0:
        return "0"
    if 1e-5 <= size < 100:
        return f"{sign}{_significant(100 * size, 2)}{_NARROW}%"
    return sign + _scientific(size, 2)


def quantity(value: float | None) -> str:
    """A loss or a norm, four significant digits."""
    if value is None:
        return NOTHING
    size = abs(value)
    if not math.isfinite(size):
        return _not_finite(value)
    sign = "−" if value < 0 else ""
    if size == 0:
        return "0"
    return sign + (_significant(size, 4) if 1e-3 <= size < 1e6 else _scientific(size, 4))


def multiple(observed: float | None, allowed: float | None) -> str:
    """How many times the allowed deviation was observed: ``16×``."""
    if observed is None or not allowed:
        return NOTHING
    ratio = abs(observed) / allowed
    if not math.isfinite(ratio):
        return _not_finite(ratio)
    return (_significant(ratio, 2) if 1e-3 <= ratio < 1e7 else _scientific(ratio, 2) if ratio else "0") + "×"


def duration(seconds: float) -> str:
    """Wall-clock time: ``0.4 s``, ``42 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if not math.isfinite(seconds) or seconds < 0:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}{_NARROW}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_NARROW}s"
    if whole < 3600:
        return f"{whole // 60}{_NARROW}min {whole % 60:02d}{_NARROW}s"
    return f"{whole // 3600}{_NARROW}h {whole % 3600 // 60:02d}{_NARROW}min"


def unbroken(sentence: str) -> str:
    """The sentence with each number kept on one line with its per cent sign."""
    return _BEFORE_PER_CENT.sub(_FIRM, sentence)


def power_of_ten(exponent: int) -> str:
    """``10⁻³``; ``1`` and ``10`` are written out."""
    return {0: "1", 1: "10"}.get(exponent, "10" + str(exponent).translate(_SUPERSCRIPT))


def _significant(size: float, digits: int) -> str:
    exponent = int(f"{size:.{digits - 1}e}".partition("e")[2])  # of the rounded number: 0.0999 has that of 0.10
    decimals = digits - 1 - exponent
    return f"{round(size, decimals):,.{max(0, decimals)}f}".replace(",", _NARROW)


def _scientific(size: float, digits: int) -> str:
    mantissa, _, exponent = f"{size:.{digits - 1}e}".partition("e")
    return f"{mantissa}{_FIRM}×{_FIRM}10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
