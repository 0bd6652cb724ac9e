"""People on foot and on two wheels."""

from __future__ import annotations

from models.datasets.drawing.canvas import Canvas, Colour, shaded
from models.datasets.draws import Draws

__all__ = ["draw_bicycle", "draw_motorcycle", "draw_person"]

_CLOTHES: tuple[Colour, ...] = (
    (38, 42, 60), (120, 40, 44), (196, 190, 180), (60, 86, 120), (52, 52, 54), (168, 140, 60), (84, 110, 84),
    (148, 92, 110),
)  # fmt: skip
_SKIN: tuple[Colour, ...] = ((224, 180, 150), (196, 146, 112), (130, 92, 70), (92, 64, 50))
_HAIR: tuple[Colour, ...] = ((40, 32, 28), (104, 74, 44), (176, 150, 104), (120, 120, 120))


def draw_person(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """Someone who walks or stands, 1.55–1.90 m tall."""
    tall, stride = draws.between(155, 190), draws.between(6, 26)
    trousers, coat = draws.pick(_CLOTHES), draws.pick(_CLOTHES)
    hip = tall * 48 // 100
    for foot, light in ((-stride, 84), (stride, 100)):
        leg = [(x + foot - 9, 0), (x - 12, hip), (x + 12, hip), (x + foot + 9, 0)]
        canvas.facing(z, leg, shaded(trousers, light), "person")
        canvas.box(z, (x + foot - 10, 0), (x + foot + 14, 8), (30, 28, 28), "person")
    _upper_body(canvas, (x, hip - 6), tall, z, coat, "person", draws)


def draw_bicycle(canvas: Canvas, x: int, z: int, draws: Draws, *, ridden: bool) -> None:
    """A bicycle seen from the side, parked or with its rider."""
    frame = draws.pick(((160, 36, 40), (30, 30, 32), (44, 90, 150), (196, 196, 198), (50, 120, 80)))
    _wheels(canvas, x, z, 52, 33, "bicycle")
    fork = ((52, 33), (36, 92))
    bars = (
        ((-52, 33), (0, 33)), ((0, 33), (-22, 78)), ((-52, 33), (-22, 78)), ((0, 33), (36, 80)), ((-22, 74), (36, 80)),
        fork,
    )  # fmt: skip
    for (x0, y0), (x1, y1) in bars:
        canvas.line(z, (x + x0, y0), (x + x1, y1), 7, frame, "bicycle")
    canvas.box(z, (x - 34, 80), (x - 8, 88), (26, 26, 26), "bicycle")
    canvas.box(z, (x + 28, 92), (x + 46, 98), (40, 40, 40), "bicycle")
    if ridden:
        _rider(canvas, x - 20, 86, z, draws)


def draw_motorcycle(canvas: Canvas, x: int, z: int, draws: Draws, *, ridden: bool) -> None:
    """A motorcycle seen from the side, parked or with its rider."""
    tank = draws.pick(((170, 30, 34), (36, 38, 42), (40, 74, 140), (60, 110, 60)))
    _wheels(canvas, x, z, 72, 34, "motorcycle")
    canvas.facing(z, [(x - 50, 30), (x - 60, 62), (x + 44, 70), (x + 36, 28)], (58, 60, 64), "motorcycle")
    canvas.facing(
        z,
        [(x - 90, 66), (x - 84, 84), (x - 4, 76), (x + 10, 96), (x + 48, 92), (x + 56, 62), (x - 20, 56)],
        tank,
        "motorcycle",
    )
    canvas.facing(z, [(x - 76, 80), (x - 70, 90), (x - 4, 86), (x - 4, 76)], (26, 26, 28), "motorcycle")
    canvas.line(z, (x + 72, 34), (x + 46, 104), 9, (150, 152, 156), "motorcycle")
    canvas.disc(z, (x + 58, 86), 10, (244, 240, 216), "motorcycle")
    if ridden:
        _rider(canvas, x - 34, 84, z, draws)


def _wheels(canvas: Canvas, x: int, z: int, apart: int, radius: int, label: str) -> None:
    for hub in (x - apart, x + apart):
        canvas.disc(z, (hub, radius), radius, (26, 26, 28), label)
        canvas.disc(z, (hub, radius), radius - 7, (124, 124, 126), label)
        canvas.disc(z, (hub, radius), 6, (60, 60, 62), label)


def _rider(canvas: Canvas, x: int, seat: int, z: int, draws: Draws) -> None:
    trousers, coat = draws.pick(_CLOTHES), draws.pick(_CLOTHES)
    canvas.facing(z, [(x - 14, seat), (x - 6, seat + 16), (x + 38, seat - 6), (x + 28, seat - 20)], trousers, "rider")
    canvas.facing(
        z,
        [(x + 22, seat - 6), (x + 40, seat - 8), (x + 30, seat - 66), (x + 14, seat - 64)],
        shaded(trousers, 88),
        "rider",
    )
    canvas.line(z, (x + 12, seat + 50), (x + 62, seat + 18), 11, shaded(coat, 82), "rider")
    _upper_body(canvas, (x + 4, seat), 168, z, coat, "rider", draws)


def _upper_body(
    canvas: Canvas, hip: tuple[int, int], tall: int, z: int, coat: Colour, label: str, draws: Draws
) -> None:
    """Trunk, arms and head of someone this tall, from the hip up."""
    x, low = hip
    trunk, head = tall * 34 // 100, tall * 7 // 100
    shoulder = low + trunk
    for side, light in ((-1, 70), (1, 88)):
        arm = [(x + side * 18, shoulder), (x + side * 27, shoulder - 8), (x + side * 29, low + 2), (x + side * 20, low)]
        canvas.facing(z, arm, shaded(coat, light), label)
    canvas.facing(
        z,
        [
            (x - 19, low),
            (x - 23, shoulder - 6),
            (x - 12, shoulder + 4),
            (x + 12, shoulder + 4),
            (x + 23, shoulder - 6),
            (x + 19, low),
        ],
        coat,
        label,
    )
    canvas.disc(z, (x, shoulder + head + 8), head + 1, draws.pick(_HAIR), label)
    canvas.disc(z, (x + 2, shoulder + head + 4), head - 1, draws.pick(_SKIN), label)
