"""Drawings as parts of a page: named and described for those who can't see them."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from reports.drawing import captions, plots
from reports.drawing.curves import Curve
from reports.words.legible import legible

__all__ = ["MULTIPLES_DRAWN", "Hero", "Multiple", "hero_of", "multiples_of"]

MULTIPLES_DRAWN = 8

_LINES = Markup('The <b class="candidate">candidate</b> on the <b class="reference">reference</b>')
_REGION = Markup("; below, how far they are apart, over the grey region that healthy runs of the reference stay in.")
_DIAMONDS = Markup(' <b class="violation">◆ Diamonds</b> lie beyond it.')
_BOUNDLESS = Markup("; below, how far they are apart. Nothing says how far healthy runs would be.")
_UNJUDGED = Markup(", where there is one. Nothing was judged: both are shown as they are.")


@dataclass(frozen=True)
class Hero:
    """The large drawing of the loss, in a wide and a narrow format."""

    heading: str
    key: Markup
    caption: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Multiple:
    """A small drawing of another signal."""

    signal: str
    caption: str
    drawing: Markup


def hero_of(curve: Curve) -> Hero:
    """The large drawing of a signal."""
    return Hero(
        heading=captions.heading(curve),
        key=_key(curve),
        caption=captions.caption(curve),
        wide=_drawing(curve, plots.LARGE, "plot wide", "hero-wide"),
        narrow=_drawing(curve, plots.NARROW, "plot narrow", "hero-narrow"),
    )


def multiples_of(curves: tuple[Curve, ...]) -> tuple[Multiple, ...]:
    """The small drawings: eight at most, those with violations before the others."""
    first = sorted(curves, key=lambda curve: curve.violation is None)[:MULTIPLES_DRAWN]
    return tuple(
        Multiple(curve.signal, captions.caption(curve), _drawing(curve, plots.SMALL, "plot", f"multiple-{number}"))
        for number, curve in enumerate(curve for curve in curves if curve in first)
    )


def _key(curve: Curve) -> Markup:
    """What is what in the drawing."""
    if curve.deviation is None:
        return _LINES + _UNJUDGED
    if curve.allowed is None:
        return _LINES + _BOUNDLESS
    return _LINES + _REGION + (_DIAMONDS if curve.left_at is not None else "")


def _drawing(curve: Curve, size: plots.Format, style: str, key: str) -> Markup:
    svg = plots.draw(curve, size, key)
    labels = f'role="img" class="{style}" aria-labelledby="{key}-title {key}-desc"'
    title = f'<title id="{key}-title">{escape(legible(captions.heading(curve)))}</title>'
    words = f'<desc id="{key}-desc">{escape(legible(captions.description(curve)))}</desc>'
    root, _, rest = svg.partition(">")
    return Markup(f"{root} {labels}>{title}{words}{rest}")  # noqa: S704  # drawn by us; the words are escaped above
