"""Colours of the drawings, handed over to the page's style sheet.

matplotlib can only write fixed colours. Each role is drawn in a colour of its own that means nothing, and is then
replaced by the CSS variable of that name: the drawing follows the page, light, dark or on paper.
"""

from __future__ import annotations

import re

__all__ = ["ALLOWED", "BAND", "CANDIDATE", "GRID", "INK", "QUIET", "REFERENCE", "VIOLATION", "themed"]

INK = "#000101"
QUIET = "#000102"
GRID = "#000103"
REFERENCE = "#000104"
BAND = "#000105"
ALLOWED = "#000106"
CANDIDATE = "#000107"
VIOLATION = "#000108"

_VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    GRID: "var(--grid)",
    REFERENCE: "var(--reference)",
    BAND: "var(--band)",
    ALLOWED: "var(--allowed)",
    CANDIDATE: "var(--candidate)",
    VIOLATION: "var(--violation)",
}

_COLOUR = re.compile("|".join(_VARIABLES))
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE_SHEET = re.compile(r"\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>")
_ROOT = re.compile(r'<svg [^>]*viewBox="([^"]*)"[^>]*>')
_FONT = re.compile(r" font-family: [^;\"]*;?")
_NO_ROTATION = re.compile(r' transform="rotate\(-?0 [^"]*\)"')
_LONG_DECIMAL = re.compile(r"(\d\.\d\d)\d+")
_REFERENCE = re.compile(r'(?:url\(|href=")#([^)"]+)')
_ID = re.compile(r' id="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_ROOM = re.compile(r"\n\s*")


def themed(svg: str, key: str) -> str:
    """Matplotlib's SVG made part of a page: colours as CSS variables, ids unique, nothing that it doesn't need.

    Args:
        svg: a whole SVG file as matplotlib writes it.
        key: put before every id.

    Returns:
        An ``<svg>`` element with a view box and no fixed size.
    """
    drawing = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    drawing = _STYLE_SHEET.sub("", drawing)
    drawing = _ROOT.sub(r'<svg viewBox="\1">', drawing, count=1)
    drawing = _NO_ROTATION.sub("", _FONT.sub("", drawing))
    used = set(_REFERENCE.findall(drawing))
    drawing = _ID.sub(lambda match: f' id="{key}-{match[1]}"' if match[1] in used else "", drawing)
    drawing = _REFERENCE.sub(lambda match: match[0].replace("#", f"#{key}-"), drawing)
    drawing = _COLOUR.sub(lambda match: _VARIABLES[match[0]], drawing)
    drawing = _TAG.sub(lambda match: _LONG_DECIMAL.sub(r"\1", match[0]), drawing)
    return _ROOM.sub(" ", drawing).strip()
