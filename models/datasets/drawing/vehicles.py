"""Everything with an engine and four wheels or more."""

from __future__ import annotations

from models.datasets.drawing.canvas import Canvas, Colour, shaded
from models.datasets.draws import Draws

__all__ = ["draw_bus", "draw_car", "draw_train", "draw_truck"]

_PAINTS: tuple[Colour, ...] = (
    (34, 36, 40), (196, 198, 202), (146, 150, 156), (232, 232, 230), (142, 30, 34), (36, 62, 116), (70, 74, 80),
    (108, 96, 82), (52, 78, 66),
)  # fmt: skip
_GLASS: Colour = (44, 54, 64)
_TYRE: Colour = (24, 24, 26)
_RED: Colour = (202, 34, 32)
_WHITE: Colour = (246, 244, 226)


def draw_car(canvas: Canvas, x: int, z: int, oncoming: bool, draws: Draws) -> None:
    """A car in its lane, its middle at `x`, its nearer end at `z`."""
    paint = draws.pick(_PAINTS)
    tall = draws.between(138, 152)
    long = draws.between(390, 470)
    half = 90
    _shadow(canvas, x, z, half, long)
    screen, rear = z + long // 3, z + long * 3 // 4
    flank = x - half if x > 0 else x + half
    body = [
        (z, 28),
        (z, 88),
        (z + 20, 96),
        (screen, tall),
        (rear, tall),
        (z + long - 10, 92),
        (z + long, 84),
        (z + long, 28),
    ]
    canvas.along(flank, body, shaded(paint, 84), "car")
    glass = [(z + 62, 97), (screen + 8, tall - 9), (rear - 8, tall - 9), (z + long * 6 // 7, 97)]
    canvas.along(flank, glass, _GLASS, "car")
    canvas.along(
        flank,
        [(z + long // 2, 92), (z + long // 2, tall), (z + long // 2 + 10, tall), (z + long // 2 + 10, 92)],
        shaded(paint, 70),
        "car",
    )
    for axle in (z + 80, z + long - 80):
        _wheel(canvas, flank, axle, 32, "car")
    for side in (-1, 1):
        canvas.box(z, (x + side * (half - 18) - 12, 0), (x + side * (half - 18) + 12, 40), _TYRE, "car")
    canvas.facing(
        z,
        [(x - half, 24), (x - half, 90), (x - half + 18, tall), (x + half - 18, tall), (x + half, 90), (x + half, 24)],
        paint,
        "car",
    )
    canvas.facing(
        z,
        [(x - half + 14, 94), (x - half + 26, tall - 9), (x + half - 26, tall - 9), (x + half - 14, 94)],
        _GLASS,
        "car",
    )
    lamp = _WHITE if oncoming else _RED
    for side in (-1, 1):
        canvas.box(z, (x + side * 72 - 15, 66), (x + side * 72 + 15, 84), lamp, "car")
    canvas.box(z, (x - 28, 44), (x + 28, 58), (226, 226, 220), "car")
    canvas.box(z, (x - half, 24), (x + half, 36), (30, 30, 32), "car")


def draw_bus(canvas: Canvas, x: int, z: int, oncoming: bool, draws: Draws) -> None:
    """A city bus, 3.1 m high and 11 m long."""
    paint: Colour = draws.pick(((206, 196, 60), (188, 40, 44), (42, 88, 152), (210, 214, 216)))
    half, tall, long = 125, 310, 1100
    _shadow(canvas, x, z, half, long)
    flank = x - half if x > 0 else x + half
    canvas.along(flank, [(z, 30), (z, tall), (z + long, tall), (z + long, 30)], shaded(paint, 82), "bus")
    for start in range(z + 40, z + long - 130, 150):
        canvas.along(flank, [(start, 135), (start, 265), (start + 132, 265), (start + 132, 135)], _GLASS, "bus")
    for axle in (z + 230, z + long - 260):
        _wheel(canvas, flank, axle, 48, "bus")
    _face(canvas, x, z, half, tall, paint, oncoming, "bus")
    canvas.box(z, (x - half + 30, tall - 42), (x + half - 30, tall - 14), (30, 30, 30), "bus")
    canvas.box(z, (x - 60, tall - 36), (x + 50, tall - 20), (250, 170, 40), "bus")


def draw_truck(canvas: Canvas, x: int, z: int, oncoming: bool, draws: Draws) -> None:
    """A box truck: cargo box behind a cab, 3.4 m high and 7.5 m long."""
    paint, cargo = draws.pick(_PAINTS), draws.pick(((222, 222, 218), (186, 190, 196), (150, 112, 74), (64, 104, 150)))
    half, tall, long, cab = 122, 340, 760, 210
    _shadow(canvas, x, z, half, long)
    flank = x - half if x > 0 else x + half
    box, cabin = ((z + cab, z + long), (z, z + cab)) if oncoming else ((z, z + long - cab), (z + long - cab, z + long))
    if not oncoming:
        canvas.along(
            flank, [(cabin[0], 50), (cabin[0], 260), (cabin[1], 260), (cabin[1], 50)], shaded(paint, 82), "truck"
        )
    canvas.along(flank, [(box[0], 85), (box[0], tall), (box[1], tall), (box[1], 85)], shaded(cargo, 84), "truck")
    canvas.along(flank, [(z, 50), (z, 85), (z + long, 85), (z + long, 50)], (48, 48, 50), "truck")
    if oncoming:
        canvas.box(z + cab, (x - half, 80), (x + half, tall), cargo, "truck")
        canvas.along(
            flank, [(cabin[0], 50), (cabin[0], 260), (cabin[1], 260), (cabin[1], 50)], shaded(paint, 82), "truck"
        )
        canvas.along(flank, [(z + 30, 150), (z + 60, 230), (z + 150, 230), (z + 150, 150)], _GLASS, "truck")
    for axle in (z + 110, z + long - 110):
        _wheel(canvas, flank, axle, 48, "truck")
    if oncoming:
        _face(canvas, x, z, half - 6, 260, paint, oncoming, "truck")
        return
    for side in (-1, 1):
        canvas.box(z, (x + side * 85 - 24, 0), (x + side * 85 + 24, 90), _TYRE, "truck")
    canvas.box(z, (x - half, 80), (x + half, tall), cargo, "truck")
    canvas.box(z, (x - 3, 95), (x + 3, tall - 14), shaded(cargo, 66), "truck")
    canvas.box(z, (x - half + 12, 88), (x + half - 12, 96), shaded(cargo, 60), "truck")
    canvas.box(z, (x - half, 48), (x + half, 74), (50, 50, 52), "truck")
    for side in (-1, 1):
        canvas.box(z, (x + side * 98 - 20, 52), (x + side * 98 + 20, 70), _RED, "truck")


def draw_train(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A tram on its track, coming towards the camera."""
    paint: Colour = draws.pick(((196, 44, 40), (214, 190, 70), (70, 120, 96)))
    half, tall, long = 125, 340, 2600
    flank = x - half if x > 0 else x + half
    canvas.along(flank, [(z, 20), (z, tall), (z + long, tall), (z + long, 20)], shaded(paint, 80), "train")
    canvas.along(flank, [(z, 120), (z, 130), (z + long, 130), (z + long, 120)], (232, 230, 220), "train")
    for start in range(z + 60, z + long - 200, 210):
        canvas.along(flank, [(start, 150), (start, 280), (start + 175, 280), (start + 175, 150)], _GLASS, "train")
    for joint in (z + 870, z + 1740):
        canvas.along(flank, [(joint, 20), (joint, tall), (joint + 40, tall), (joint + 40, 20)], (40, 40, 42), "train")
    _face(canvas, x, z, half, tall, paint, oncoming=True, label="train")
    canvas.box(z, (x - 70, tall - 44), (x + 70, tall - 16), (28, 28, 28), "train")
    canvas.box(z, (x - 40, tall - 38), (x + 40, tall - 22), (250, 176, 50), "train")
    canvas.line(z + 300, (x - 60, tall), (x + 10, tall + 90), 8, (60, 60, 62), "train")


def _face(canvas: Canvas, x: int, z: int, half: int, tall: int, paint: Colour, oncoming: bool, label: str) -> None:
    """The end of something tall: wheels, body, a large pane, lamps and a bumper."""
    for side in (-1, 1):
        canvas.box(z, (x + side * (half - 30) - 20, 0), (x + side * (half - 30) + 20, 50), _TYRE, label)
    canvas.box(z, (x - half, 28), (x + half, tall), paint, label)
    canvas.box(z, (x - half + 14, tall * 45 // 100), (x + half - 14, tall * 85 // 100), _GLASS, label)
    canvas.box(z, (x - half + 14, tall * 45 // 100), (x - half + 60, tall * 85 // 100), shaded(_GLASS, 130), label)
    for side in (-1, 1):
        canvas.box(
            z, (x + side * (half - 28) - 18, 64), (x + side * (half - 28) + 18, 90), _WHITE if oncoming else _RED, label
        )
    canvas.box(z, (x - half, 28), (x + half, 48), (40, 40, 42), label)


def _wheel(canvas: Canvas, x: int, axle: int, radius: int, label: str) -> None:
    """A wheel on the flank at `x`: an octagon, as the flank's plane shows it."""
    for size, colour in ((radius, _TYRE), (radius * 5 // 9, (120, 122, 126))):
        cut = size * 5 // 12
        rim = [
            (size, cut),
            (cut, size),
            (-cut, size),
            (-size, cut),
            (-size, -cut),
            (-cut, -size),
            (cut, -size),
            (size, -cut),
        ]
        canvas.along(x, [(axle + along, radius + up) for along, up in rim], colour, label)


def _shadow(canvas: Canvas, x: int, z: int, half: int, long: int) -> None:
    edge = half + 12
    canvas.flat(
        [(x - edge, z - 25), (x - edge, z + long), (x + edge, z + long), (x + edge, z - 25)], (44, 44, 48), None
    )
