"""Drawings as parts of a page: named and described for those who can't see them."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from markupsafe import Markup

from harness.language import say
from reports.drawing import captions, plots, theme
from reports.drawing.curves import Curve
from reports.words.legible import legible

__all__ = ["MULTIPLES_DRAWN", "Hero", "Multiple", "heroes_of", "multiples_of"]

MULTIPLES_DRAWN = 8

_PICTURE = Markup(
    '<div class="{style}" style="max-width: {widest}"><picture>'
    '<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
    '<img src="{light}" width="{width}" height="{height}" alt="{words}"></picture>{hover}</div>'
)

_HOVER = Markup('<svg class="hover" viewBox="0 0 {width} {height}" aria-hidden="true">{stripes}</svg>')

_STRIPE = Markup('<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{height}"><title>{words}</title></rect>')

_HOVERED = 200
"""Iterations that say their values under the pointer; those of a longer run would have less than some pixels each."""


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


def heroes_of(curves: tuple[Curve, ...], *, modest: bool = False) -> tuple[Hero, ...]:
    """The large drawings: one across the page, or two beside each other.

    Args:
        curves: one or two.
        modest: whether one is no larger than each of two: where it decides nothing.
    """
    size = plots.LARGE if len(curves) == 1 and not modest else plots.MIDDLE
    return tuple(
        Hero(
            heading=captions.heading(curve),
            key=_key(curve),
            caption=say(captions.caption(curve)),
            wide=_drawing(curve, size, "plot wide"),
            narrow=_drawing(curve, plots.NARROW, "plot narrow"),
        )
        for curve in curves
    )


def multiples_of(curves: tuple[Curve, ...]) -> tuple[Multiple, ...]:
    """The small drawings: eight at most, those with violations before the others."""
    first = sorted(curves, key=lambda curve: curve.violation is None)[:MULTIPLES_DRAWN]
    return tuple(
        Multiple(each.signal, say(captions.short_caption(each)), _drawing(each, plots.SMALL, "plot")) for each in first
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
        widest=f"{size.width}px" if size in {plots.LARGE, plots.MIDDLE} else "none",
        words=legible(words),
        hover=_hover(curve, size),
    )


def _hover(curve: Curve, size: plots.Format) -> Markup:
    """A stripe an iteration over the drawing, which says the values under the pointer: no script is needed for it."""
    if len(curve.iterations) > _HOVERED:
        return Markup()
    wide = (size.width - size.left - size.right) / max(curve.planned, 1)
    stripes = Markup().join(
        _STRIPE.format(x=size.left + int(at) * wide, width=wide, height=size.height, words=words)
        for at, words in zip(curve.iterations, captions.values_at(curve), strict=True)
        if int(at) < max(curve.planned, 1)
    )
    return _HOVER.format(width=size.width, height=size.height, stripes=stripes)


def _source(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
