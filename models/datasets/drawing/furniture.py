"""What stands on the sidewalk and doesn't move."""

from __future__ import annotations

from models.datasets.drawing.canvas import Canvas, Colour
from models.datasets.draws import Draws

__all__ = ["draw_bin", "draw_lamp", "draw_sign", "draw_traffic_light"]

_STEEL: tuple[Colour, ...] = ((112, 114, 116), (88, 92, 92), (132, 130, 124))


def draw_lamp(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A street lamp that reaches over the road."""
    steel, height = draws.pick(_STEEL), draws.between(520, 760)
    reach = -180 if x > 0 else 180
    canvas.box(z, (x - 9, 0), (x + 9, height), steel, "pole")
    canvas.line(z, (x, height - 6), (x + reach, height + 20), 12, steel, "pole")
    canvas.box(z, (x + reach - 35, height + 8), (x + reach + 35, height + 26), (196, 196, 188), "pole")


def draw_traffic_light(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A traffic light on its pole, showing red, amber or green."""
    canvas.box(z, (x - 8, 0), (x + 8, 345), draws.pick(_STEEL), "pole")
    canvas.box(z, (x - 24, 240), (x + 24, 350), (26, 28, 28), "traffic light")
    shown = draws.below(3)
    lamps: tuple[Colour, ...] = ((240, 44, 36), (250, 184, 40), (58, 226, 120))
    for lamp, y in enumerate((331, 296, 260)):
        canvas.disc(z, (x, y), 14, lamps[lamp] if lamp == shown else (52, 52, 50), "traffic light")


def draw_sign(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A traffic sign on its pole: prohibition, warning, direction or parking."""
    canvas.box(z, (x - 5, 0), (x + 5, 290), draws.pick(_STEEL), "pole")
    kind = draws.pick(("round", "triangle", "board", "square"))
    if kind == "round":
        canvas.disc(z, (x, 262), 36, (196, 30, 38), "traffic sign")
        canvas.disc(z, (x, 262), 25, (238, 238, 236), "traffic sign")
    elif kind == "triangle":
        canvas.facing(z, [(x - 42, 226), (x, 300), (x + 42, 226)], (196, 30, 38), "traffic sign")
        canvas.facing(z, [(x - 25, 236), (x, 280), (x + 25, 236)], (238, 238, 236), "traffic sign")
    elif kind == "board":
        canvas.box(z, (x - 80, 236), (x + 80, 300), (238, 206, 50), "traffic sign")
        canvas.box(z, (x - 66, 262), (x + 50, 272), (40, 40, 40), "traffic sign")
    else:
        canvas.box(z, (x - 32, 230), (x + 32, 296), (34, 84, 168), "traffic sign")
        canvas.box(z, (x - 8, 242), (x + 6, 284), (240, 240, 240), "traffic sign")


def draw_bin(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A litter bin or a hydrant: static, and no class of its own."""
    colour = draws.pick(((150, 96, 40), (60, 72, 60), (96, 98, 102)))
    canvas.box(z, (x - 25, 0), (x + 25, 95), colour, "static")
    canvas.box(z, (x - 27, 88), (x + 27, 98), (44, 44, 46), "static")
