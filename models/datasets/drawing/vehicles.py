"""Everything with an engine and four wheels or more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from models.datasets.drawing.canvas import Canvas, Colour, Points, shaded
from models.datasets.draws import Draws

__all__ = ["draw_bus", "draw_car", "draw_train", "draw_truck"]

_PAINTS: Final[tuple[Colour, ...]] = (
    (34, 36, 40), (196, 198, 202), (146, 150, 156), (232, 232, 230), (142, 30, 34), (36, 62, 116), (70, 74, 80),
    (108, 96, 82), (52, 78, 66),
)  # fmt: skip
_BUSES: Final[tuple[Colour, ...]] = ((206, 196, 60), (188, 40, 44), (42, 88, 152), (210, 214, 216))
_CARGO: Final[tuple[Colour, ...]] = ((222, 222, 218), (186, 190, 196), (150, 112, 74), (64, 104, 150))
_TRAMS: Final[tuple[Colour, ...]] = ((196, 44, 40), (214, 190, 70), (70, 120, 96))

_GLASS: Final = (44, 54, 64)
_TYRE: Final = (24, 24, 26)
_HUB: Final = (120, 122, 126)
_HEADLIGHT: Final = (246, 244, 226)
_TAIL_LIGHT: Final = (202, 34, 32)
_AMBER: Final = (250, 170, 40)


def draw_car(canvas: Canvas, x: int, z: int, draws: Draws, *, oncoming: bool) -> None:
    """A car in its lane, its middle at `x`, its nearer end at `z`."""
    paint, tall, long = draws.pick(_PAINTS), draws.between(138, 152), draws.between(390, 470)
    car = _Body(canvas, "car", x, z, 90, long)
    screen, rear, middle = long // 3, long * 3 // 4, long // 2
    car.shadow()
    outline = [(0, 28), (0, 88), (20, 96), (screen, tall), (rear, tall), (long - 10, 92), (long, 84), (long, 28)]
    car.flank(outline, shaded(paint, 84))
    car.flank([(62, 97), (screen + 8, tall - 9), (rear - 8, tall - 9), (long * 6 // 7, 97)], _GLASS)
    car.panel((middle, middle + 10), (92, tall), shaded(paint, 70))
    car.wheels((80, long - 80), 32)
    car.pair(72, 12, (0, 40), _TYRE)
    car.end([(-90, 24), (-90, 90), (-72, tall), (72, tall), (90, 90), (90, 24)], paint)
    car.end([(-76, 94), (-64, tall - 9), (64, tall - 9), (76, 94)], _GLASS)
    car.pair(72, 15, (66, 84), _HEADLIGHT if oncoming else _TAIL_LIGHT)
    car.across((-28, 28), (44, 58), (226, 226, 220))
    car.across((-90, 90), (24, 36), (30, 30, 32))


def draw_bus(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A city bus that drives ahead, 3.1 m high and 11 m long."""
    paint, tall, long = draws.pick(_BUSES), 310, 1100
    bus = _Body(canvas, "bus", x, z, 125, long)
    bus.shadow()
    bus.panel((0, long), (30, tall), shaded(paint, 82))
    for start in range(40, long - 130, 150):
        bus.panel((start, start + 132), (135, 265), _GLASS)
    bus.wheels((230, long - 260), 48)
    bus.front(tall, paint, _TAIL_LIGHT)
    bus.across((-95, 95), (tall - 42, tall - 14), (30, 30, 30))
    bus.across((-60, 50), (tall - 36, tall - 20), _AMBER)


def draw_truck(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A box truck that drives ahead, 3.4 m high and 7.6 m long."""
    paint, cargo = draws.pick(_PAINTS), draws.pick(_CARGO)
    tall, long, cab = 340, 760, 550
    truck = _Body(canvas, "truck", x, z, 122, long)
    truck.shadow()
    truck.panel((cab, long), (50, 260), shaded(paint, 82))
    truck.panel((0, cab), (85, tall), shaded(cargo, 84))
    truck.panel((0, long), (50, 85), (48, 48, 50))
    truck.wheels((110, long - 110), 48)
    truck.pair(85, 24, (0, 90), _TYRE)
    truck.across((-122, 122), (80, tall), cargo)
    truck.across((-3, 3), (95, tall - 14), shaded(cargo, 66))
    truck.across((-110, 110), (88, 96), shaded(cargo, 60))
    truck.across((-122, 122), (48, 74), (50, 50, 52))
    truck.pair(98, 20, (52, 70), _TAIL_LIGHT)


def draw_train(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A tram that comes towards the camera, 3.4 m high and 26 m long."""
    paint, tall, long = draws.pick(_TRAMS), 340, 2600
    tram = _Body(canvas, "train", x, z, 125, long)
    tram.panel((0, long), (20, tall), shaded(paint, 80))
    tram.panel((0, long), (120, 130), (232, 230, 220))
    for start in range(60, long - 200, 210):
        tram.panel((start, start + 175), (150, 280), _GLASS)
    for joint in (870, 1740):
        tram.panel((joint, joint + 40), (20, tall), (40, 40, 42))
    tram.front(tall, paint, _HEADLIGHT)
    tram.across((-70, 70), (tall - 44, tall - 16), (28, 28, 28))
    tram.across((-40, 40), (tall - 38, tall - 22), (250, 176, 50))
    canvas.line(z + 300, (x - 60, tall), (x + 10, tall + 90), 8, (60, 60, 62), "train")


@final
@dataclass(frozen=True)
class _Body:
    """Where a vehicle is, and how its two visible sides are painted.

    Outlines and spans are in cm: along the flank from the nearer end, across the end from its middle, and up.
    """

    canvas: Canvas
    label: str
    x: int
    z: int
    half: int
    long: int

    def shadow(self) -> None:
        """Darken the road underneath; it stays road."""
        left, right = self.x - self.half - 12, self.x + self.half + 12
        near, far = self.z - 25, self.z + self.long
        self.canvas.flat([(left, near), (left, far), (right, far), (right, near)], (44, 44, 48), None)

    def flank(self, outline: Points, colour: Colour) -> None:
        """Fill an outline of (along, up) on the side that faces the middle of the street."""
        inner = self.x - self.half if self.x > 0 else self.x + self.half
        self.canvas.along(inner, [(self.z + along, up) for along, up in outline], colour, self.label)

    def panel(self, span: tuple[int, int], rise: tuple[int, int], colour: Colour) -> None:
        """Fill a rectangle on the flank."""
        (start, end), (low, high) = span, rise
        self.flank([(start, low), (start, high), (end, high), (end, low)], colour)

    def wheels(self, axles: tuple[int, ...], radius: int) -> None:
        """Wheels on the flank: octagons, as its plane shows them."""
        for axle in axles:
            for size, colour in ((radius, _TYRE), (radius * 5 // 9, _HUB)):
                cut = size * 5 // 12
                quarter = [(size, cut), (cut, size)]
                half = quarter + [(-along, up) for along, up in reversed(quarter)]
                rim = half + [(along, -up) for along, up in reversed(half)]
                self.flank([(axle + along, radius + up) for along, up in rim], colour)

    def end(self, outline: Points, colour: Colour) -> None:
        """Fill an outline of (across, up) on the end that faces the camera."""
        self.canvas.facing(self.z, [(self.x + across, up) for across, up in outline], colour, self.label)

    def across(self, span: tuple[int, int], rise: tuple[int, int], colour: Colour) -> None:
        """Fill a rectangle on the end."""
        (left, right), (low, high) = span, rise
        self.canvas.box(self.z, (self.x + left, low), (self.x + right, high), colour, self.label)

    def pair(self, out: int, half: int, rise: tuple[int, int], colour: Colour) -> None:
        """Fill two rectangles on the end, `out` to the left and to the right, `half` their half width."""
        for middle in (-out, out):
            self.across((middle - half, middle + half), rise, colour)

    def front(self, tall: int, paint: Colour, lamps: Colour) -> None:
        """The end of something tall: wheels, body, a large pane, lamps and a bumper."""
        pane = tall * 45 // 100, tall * 85 // 100
        self.pair(self.half - 30, 20, (0, 50), _TYRE)
        self.across((-self.half, self.half), (28, tall), paint)
        self.across((14 - self.half, self.half - 14), pane, _GLASS)
        self.across((14 - self.half, 60 - self.half), pane, shaded(_GLASS, 130))
        self.pair(self.half - 28, 18, (64, 90), lamps)
        self.across((-self.half, self.half), (28, 48), (40, 40, 42))
