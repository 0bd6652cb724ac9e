"""A whole street: what is where, and the order in which it is painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.datasets.drawing.canvas import LABEL, Camera, Canvas, Colour
from models.datasets.drawing.furniture import draw_bin, draw_lamp, draw_sign, draw_traffic_light
from models.datasets.drawing.ground import Layout, draw_ground, draw_sky
from models.datasets.drawing.lots import draw_far_end, draw_lot, lots
from models.datasets.drawing.people import draw_bicycle, draw_motorcycle, draw_person
from models.datasets.drawing.plants import draw_tree
from models.datasets.drawing.textures import add_grain
from models.datasets.drawing.vehicles import draw_bus, draw_car, draw_train, draw_truck
from models.datasets.draws import Draws

__all__ = ["draw_street"]

Placed = tuple[int, Callable[[Canvas, Draws], None]]
"""A thing's distance in cm, and how to draw it."""

_HAZES: tuple[Colour, ...] = ((202, 212, 222), (214, 212, 206), (190, 198, 208), (222, 216, 204))


def draw_street(height: int, width: int, number: int, draws: Draws) -> Canvas:
    """Draw a street.

    The rare things take turns by the scene's number, so that a handful of scenes in a row has them all.

    Args:
        height: in pixels.
        width: in pixels.
        number: of the scene in its set.
        draws: everything else is drawn from it.

    Returns:
        A finished canvas.
    """
    camera = Camera(height, width, pitch=draws.between(-9, -4), eye=draws.between(155, 175))
    canvas = Canvas(camera, draws.pick(_HAZES))
    layout = Layout.drawn(draws)
    draw_sky(canvas, draws)
    draw_far_end(canvas, draws)
    draw_ground(canvas, layout, draws)
    _draw_lots(canvas, layout, number, draws)
    if number % 4 == 2:
        _draw_track(canvas)
    things = [*_traffic(number, draws), *_parked(layout, draws), *_sidewalks(layout, number, draws)]
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw(canvas, draws)
    add_grain(canvas, draws)
    _draw_bonnet(canvas)
    _draw_border(canvas)
    return canvas


def _draw_lots(canvas: Canvas, layout: Layout, number: int, draws: Draws) -> None:
    specials = (("wall", "fence"), ("fence", "park"), ("park", "wall"))[number % 3]
    both = [
        lot
        for side, line, special in zip((-1, 1), layout.line, specials, strict=True)
        for lot in lots(side, line, special, draws)
    ]
    for lot in sorted(both, key=lambda lot: -lot.near):
        draw_lot(canvas, lot, draws)


def _draw_track(canvas: Canvas) -> None:
    """Tram rails in the oncoming lane; the data set ignores them."""
    canvas.flat([(-470, 0), (-470, 20000), (-230, 20000), (-230, 0)], (108, 106, 104), "rail track")
    for x in (-425, -285):
        canvas.flat([(x, 0), (x, 12000), (x + 10, 12000), (x + 10, 0)], (66, 64, 66), "rail track")


def _traffic(number: int, draws: Draws) -> Iterator[Placed]:
    """Who drives: something in our lane, something in the other."""
    ahead, coming = draws.between(1000, 2200), draws.between(900, 1900)
    turn = number % 4
    yield ahead, _ahead(turn, ahead)
    if turn == 2:
        yield coming, lambda canvas, draws: draw_train(canvas, -350, coming, draws)
        return
    if turn == 3:
        yield coming, lambda canvas, draws: draw_motorcycle(canvas, -300, coming, True, draws)
    else:
        yield coming, lambda canvas, draws: draw_car(canvas, -350, coming, True, draws)
    behind = coming + draws.between(900, 2500)
    yield behind, lambda canvas, draws: draw_car(canvas, -350, behind, True, draws)


def _ahead(turn: int, z: int) -> Callable[[Canvas, Draws], None]:
    if turn == 0:
        return lambda canvas, draws: draw_bus(canvas, 10, z, False, draws)
    if turn == 1:
        return lambda canvas, draws: draw_truck(canvas, 10, z, False, draws)
    return lambda canvas, draws: draw_car(canvas, 10, z, False, draws)


def _parked(layout: Layout, draws: Draws) -> Iterator[Placed]:
    """Cars along both kerbs, with gaps."""
    for x, oncoming in ((layout.kerb[1] - 105, False), (-layout.kerb[0] + 105, True)):
        z = draws.between(500, 900)
        while z < 9000:
            if draws.chance(48):
                yield z, _car(x, z, oncoming)
            z += draws.between(560, 900)


def _car(x: int, z: int, oncoming: bool) -> Callable[[Canvas, Draws], None]:
    return lambda canvas, draws: draw_car(canvas, x, z, oncoming, draws)


def _sidewalks(layout: Layout, number: int, draws: Draws) -> Iterator[Placed]:
    """Lamps, lights, signs, trees, bins, people and bicycles on both sidewalks."""
    for side, kerb, walk, line in zip((-1, 1), layout.kerb, layout.walk, layout.line, strict=True):
        post = side * (kerb + 45)
        for draw, first, step, percent in (
            (draw_lamp, 900, 2200, 100),
            (draw_sign, 800, 1300, 65),
            (draw_traffic_light, 1100, 3500, 75),
            (draw_bin, 700, 1600, 40),
        ):
            z = first + draws.between(0, step)
            while z < 8000:
                if draws.chance(percent):
                    yield z, _standing(draw, post, z)
                z += step
        green = side * ((walk + line) // 2 if line > walk else walk - 60)
        for z in range(draws.between(700, 1500), 9000, 1100):
            if draws.chance(55 if line > walk else 25):
                yield z + draws.between(-200, 200), _standing(draw_tree, green, z)
        for _ in range(draws.between(2, 5)):
            x, z = side * draws.between(kerb + 90, walk - 40), draws.between(650, 3800)
            yield z, _standing(draw_person, x, z)
    yield from _two_wheels(layout, number, draws)


def _two_wheels(layout: Layout, number: int, draws: Draws) -> Iterator[Placed]:
    parked = draws.between(700, 1400)
    yield parked, lambda canvas, draws: draw_bicycle(canvas, layout.kerb[1] + 110, parked, False, draws)
    crossing, x = draws.between(700, 980), draws.between(-170, 120)
    if number % 2:
        yield crossing, lambda canvas, draws: draw_bicycle(canvas, x, crossing, True, draws)
    elif number % 4 == 2:
        yield crossing, lambda canvas, draws: draw_motorcycle(canvas, x, crossing, True, draws)


def _standing(draw: Callable[[Canvas, int, int, Draws], None], x: int, z: int) -> Callable[[Canvas, Draws], None]:
    return lambda canvas, draws: draw(canvas, x, z, draws)


def _draw_bonnet(canvas: Canvas) -> None:
    """The camera's own car at the lower edge: Cityscapes labels it, and ignores it."""
    camera = canvas.camera
    wide, high = camera.height * 17 // 20, camera.height // 5
    row = camera.height + high * 11 // 20
    for inset, colour in enumerate(((30, 32, 36), (46, 49, 55), (58, 62, 69), (70, 75, 83))):
        less = inset * camera.height // 90
        canvas.ellipse(camera.centre, row + less, wide - 2 * less, high, colour, "ego vehicle")


def _draw_border(canvas: Canvas) -> None:
    """What rectification leaves at the edges, and the ring that is out of the region of interest."""
    ring, dark = max(1, canvas.camera.height // 204), max(1, canvas.camera.width // 128)
    inside = np.zeros(canvas.labels.shape, dtype=bool)
    inside[ring:-ring, ring:-ring] = True
    canvas.labels[~inside] = LABEL["out of roi"]
    canvas.labels[:, :dark] = LABEL["rectification border"]
    canvas.image[:, :dark] = 0
