"""A whole street: what is where, and the order in which it is painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import final

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

_leading_car = partial(draw_car, oncoming=False)
_coming_car = partial(draw_car, oncoming=True)
_parked_bicycle = partial(draw_bicycle, ridden=False)
_ridden_bicycle = partial(draw_bicycle, ridden=True)
_ridden_motorcycle = partial(draw_motorcycle, ridden=True)

_HAZES: tuple[Colour, ...] = ((202, 212, 222), (214, 212, 206), (190, 198, 208), (222, 216, 204))


@final
@dataclass(frozen=True)
class _Thing:
    """Something that stands or moves in the street: how to draw it, and where, in cm."""

    draw: Callable[[Canvas, int, int, Draws], None]
    x: int
    z: int


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
    things = [
        *_traffic(number, draws),
        *_parked(layout, draws),
        *_sidewalks(layout, draws),
        *_two_wheels(layout, number, draws),
    ]
    for number_of_thing, thing in enumerate(sorted(things, key=lambda thing: -thing.z), start=1):
        canvas.object = number_of_thing
        thing.draw(canvas, thing.x, thing.z, draws)
    canvas.object = 0
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


def _traffic(number: int, draws: Draws) -> Iterator[_Thing]:
    """Who drives: something in our lane, something in the other."""
    ahead, coming = draws.between(1000, 2200), draws.between(900, 1900)
    ours, theirs = (
        (draw_bus, _coming_car),
        (draw_truck, _coming_car),
        (_leading_car, draw_train),
        (_leading_car, _ridden_motorcycle),
    )[number % 4]
    yield _Thing(ours, 10, ahead)
    yield _Thing(theirs, -300 if theirs is _ridden_motorcycle else -350, coming)
    if theirs is not draw_train:
        yield _Thing(_coming_car, -350, coming + draws.between(900, 2500))


def _parked(layout: Layout, draws: Draws) -> Iterator[_Thing]:
    """Cars along both kerbs, with gaps."""
    for x, car in ((layout.kerb[1] - 105, _leading_car), (-layout.kerb[0] + 105, _coming_car)):
        z = draws.between(500, 900)
        while z < 9000:
            if draws.chance(48):
                yield _Thing(car, x, z)
            z += draws.between(560, 900)


def _sidewalks(layout: Layout, draws: Draws) -> Iterator[_Thing]:
    """Lamps, lights, signs, trees, bins and people on both sidewalks."""
    for side, kerb, walk, line in zip((-1, 1), layout.kerb, layout.walk, layout.line, strict=True):
        for draw, first, step, percent in (
            (draw_lamp, 900, 2200, 100),
            (draw_sign, 800, 1300, 65),
            (draw_traffic_light, 1100, 3500, 75),
            (draw_bin, 700, 1600, 40),
        ):
            for z in range(first + draws.between(0, step), 8000, step):
                if draws.chance(percent):
                    yield _Thing(draw, side * (kerb + 45), z)
        green = side * ((walk + line) // 2 if line > walk else walk - 60)
        for z in range(draws.between(700, 1500), 9000, 1100):
            if draws.chance(55 if line > walk else 25):
                yield _Thing(draw_tree, green, z + draws.between(-200, 200))
        for _ in range(draws.between(2, 5)):
            yield _Thing(draw_person, side * draws.between(kerb + 90, walk - 40), draws.between(650, 3800))


def _two_wheels(layout: Layout, number: int, draws: Draws) -> Iterator[_Thing]:
    """A bicycle on the sidewalk, and in most scenes someone who crosses the road on two wheels."""
    yield _Thing(_parked_bicycle, layout.kerb[1] + 110, draws.between(700, 1400))
    crossing, x = draws.between(700, 980), draws.between(-170, 120)
    if number % 4:
        yield _Thing(_ridden_motorcycle if number % 4 == 2 else _ridden_bicycle, x, crossing)


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
