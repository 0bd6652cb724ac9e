"""Colours of the drawings: the page's, light and dark.

A role is one of matplotlib's own names for the colours of a style's cycle, ``C0`` to ``C7``, so that one drawing is
rendered in either style and nothing that matplotlib writes has to be changed. The values are those of the variables in
``reports/templates/report.css``, which a test holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALLOWED", "BAND", "CANDIDATE", "DARK", "GRID", "INK", "LIGHT", "QUIET", "REFERENCE", "VIOLATION", "Style"]

INK, QUIET, GRID, REFERENCE, BAND, ALLOWED, CANDIDATE, VIOLATION = (f"C{number}" for number in range(8))

Style = Mapping[str, str]
"""Name of a variable in the style sheet → its colour, in the order of the roles."""

LIGHT: Style = MappingProxyType(
    {
        "ink": "#17191c",
        "quiet": "#5a6067",
        "grid": "#e7e9ec",
        "reference": "#7f8790",
        "band": "#eceef1",
        "allowed": "#474c52",
        "candidate": "#0b62b8",
        "violation": "#b83a00",
    }
)

DARK: Style = MappingProxyType(
    {
        "ink": "#e8eaed",
        "quiet": "#a2a9b1",
        "grid": "#272b30",
        "reference": "#717a84",
        "band": "#23272c",
        "allowed": "#b9bfc6",
        "candidate": "#6fb3ff",
        "violation": "#ff9561",
    }
)
