"""Drawings as parts of a page: named and described for those who can't see them."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from markupsafe import Markup

from harness.language import say
from reports.drawing import captions, plots, theme
from reports.drawing.curves import Curve
from reports.words.legible import legible

__all__ = ["MULTIPLES_DRAWN", "Hero", "Multiple", "hero_of", "multiples_of"]

MULTIPLES_DRAWN = 8

_PICTURE = Markup(
    '<picture class="{style}"><source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
    '<img src="{light}" width="{width}" height="{height}" alt="{words}"></picture>'
)


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
        caption=say(captions.caption(curve)),
        wide=_drawing(curve, plots.LARGE, "plot wide"),
        narrow=_drawing(curve, plots.NARROW, "plot narrow"),
    )


def multiples_of(curves: tuple[Curve, ...]) -> tuple[Multiple, ...]:
    """The small drawings: eight at most, those with violations before the others."""
    first = sorted(curves, key=lambda curve: curve.violation is None)[:MULTIPLES_DRAWN]
    return tuple(
        Multiple(curve.signal, say(captions.caption(curve)), _drawing(curve, plots.SMALL, "plot"))
        for curve in curves
        if curve in first
    )


def _key(curve: Curve) -> Markup:
    """What is what in the drawing; the table of the language has its marks too."""
    lines = '<b class="candidate">The candidate</b> on <b class="reference">the reference</b>'
    if curve.deviation is None:
        told = [lines, "Nothing was judged: both are shown as they are."]
    elif curve.allowed is None:
        told = [f"{lines}; below, how far they are apart.", "Nothing says how far healthy runs would be."]
    else:
        told = [f"{lines}; below, how far they are apart, over the grey region that healthy runs stay in."]
        told += ['<b class="violation">◆ Diamonds</b> lie beyond it.'] if curve.left_at is not None else []
    return Markup(" ".join(map(say, told)))  # noqa: S704  # our own words


def _drawing(curve: Curve, size: plots.Format, style: str) -> Markup:
    """Both renders of a drawing as one picture: the reader's colour scheme chooses, paper takes the light one."""
    words = say(f"{captions.heading(curve)}. {captions.description(curve)}")
    return _PICTURE.format(
        style=style,
        dark=_source(plots.draw(curve, size, theme.DARK)),
        light=_source(plots.draw(curve, size, theme.LIGHT)),
        width=size.width,
        height=size.height,
        words=legible(words),
    )


def _source(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
