"""What lines the street: houses, and gardens and parks behind walls and fences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from models.datasets.drawing.canvas import Canvas, Colour, shaded
from models.datasets.drawing.plants import draw_crown
from models.datasets.draws import Draws, speckle

__all__ = ["Lot", "draw_far_end", "draw_lot", "lots"]

Grid = npt.NDArray[np.int32]

_PLASTER: Final[tuple[Colour, ...]] = (
    (196, 176, 146), (176, 120, 96), (206, 198, 182), (164, 152, 138), (150, 96, 80), (186, 186, 190), (206, 182, 122),
    (140, 148, 156), (172, 138, 116),
)  # fmt: skip
_EAVE: Final = (66, 52, 48)
_USUAL: Final = ("house", "house", "house", "house", "park", "wall", "fence")
_GLASS: Final = ((52, 62, 76), (96, 112, 128), (186, 184, 168))


@final
@dataclass(frozen=True)
class Lot:
    """A stretch of one side of the street.

    Args:
        kind: "house", "wall", "fence" or "park".
        side: −1 left, 1 right.
        line: distance of its front from the middle, in cm.
        near: where it begins, in cm ahead of the camera.
        far: where it ends.
        height: of its front, in cm; 0 for a park.
    """

    kind: str
    side: int
    line: int
    near: int
    far: int
    height: int


def lots(side: int, line: int, special: str, draws: Draws) -> Iterator[Lot]:
    """The lots of one side from near to far; the first but one or two is `special`, "wall", "fence" or "park"."""
    near, number, chosen = line * 2 // 3, 0, draws.between(0, 1)
    while near < 15000:
        kind = special if number == chosen else draws.pick(_USUAL)
        far = near + draws.between(700, 1500) + (near // 4 if kind == "house" else 0)
        height = {"house": draws.between(650, 1700), "wall": draws.between(170, 260), "fence": 150, "park": 0}[kind]
        yield Lot(kind, side, line, near, far, height)
        near, number = far, number + 1


def draw_far_end(canvas: Canvas, draws: Draws) -> None:
    """Close the street at the horizon with far houses and trees."""
    for z in (26000, 20000, 16000):
        x = -16000
        while x < 16000:
            width = draws.between(900, 2400)
            if draws.chance(55):
                colour = draws.pick(_PLASTER)
                canvas.box(z, (x, 0), (x + width, draws.between(700, 2300)), colour, "building")
            else:
                draw_crown(canvas, (x + width // 2, 500, z), (width // 2 + 300, 650), draws)
            x += width


def draw_lot(canvas: Canvas, lot: Lot, draws: Draws) -> None:
    """Draw a lot with what stands behind its front."""
    if lot.kind == "house":
        _draw_house(canvas, lot, draws)
        return
    for _ in range(draws.between(3, 6)):
        z = draws.between(lot.near, lot.far)
        x = lot.side * (lot.line + draws.between(250, 900))
        draw_crown(canvas, (x, draws.between(150, 500), z), (draws.between(200, 420), draws.between(180, 380)), draws)
    if lot.kind == "wall":
        stone: Colour = draws.pick(((168, 160, 150), (150, 104, 86), (186, 180, 170)))
        _panel(canvas, lot, "wall", _masonry(lot.height), (stone, shaded(stone, 82), shaded(stone, 112)))
    elif lot.kind == "fence":
        rail: Colour = draws.pick(((120, 92, 66), (70, 92, 78), (176, 176, 172)))
        _panel(canvas, lot, "fence", _pickets(lot.height), (rail, (74, 92, 50), shaded(rail, 80)))


def _draw_house(canvas: Canvas, lot: Lot, draws: Draws) -> None:
    plaster = draws.pick(_PLASTER)
    plaster = shaded(plaster, draws.between(85, 112))
    lit = 100 if lot.side < 0 else 84
    _draw_gable(canvas, lot, shaded(plaster, 72), draws)
    shop = draws.pick(((92, 70, 60), (70, 78, 84), (120, 110, 98), plaster))
    materials = (plaster, shaded(plaster, 116), shop, (74, 58, 54), *_GLASS)
    storeys = _Storeys(draws.between(280, 340), draws.between(220, 340), lot.height, draws.word())
    _panel(canvas, lot, "building", storeys, tuple(shaded(colour, lit) for colour in materials))


def _draw_gable(canvas: Canvas, lot: Lot, plaster: Colour, draws: Draws) -> None:
    """The end wall that faces the camera, seen where the next lot is lower."""
    left, right = sorted((lot.side * lot.line, lot.side * (lot.line + 1300)))
    canvas.box(lot.near, (left, 0), (right, lot.height), plaster, "building")
    canvas.box(lot.near, (left, lot.height - 35), (right, lot.height), _EAVE, "building")
    for y in range(380, lot.height - 190, 310):
        for inset in (260, 620, 980):
            x = lot.side * (lot.line + inset)
            if draws.chance(55):
                canvas.box(lot.near, (x - 52, y - 7), (x + 52, y + 148), shaded(plaster, 116), "building")
                canvas.box(lot.near, (x - 44, y), (x + 44, y + 140), draws.pick(_GLASS[:2]), "building")


@dataclass(frozen=True)
class _Storeys:
    """Rows of windows over a ground floor, under an eave."""

    storey: int
    bay: int
    height: int
    key: int

    def __call__(self, u: Grid, y: Grid) -> Grid:
        floor, over = y // self.storey, y % self.storey
        bay, across = u // self.bay, u % self.bay
        window = (floor > 0) & (y < self.height - 90) & _between(over, self.storey) & _between(across, self.bay)
        shop = (floor == 0) & (over > 40) & (over < self.storey - 70) & (across > 30)
        pane = 4 + (speckle(self.key, floor, bay) % np.uint32(16)).astype(np.int32)
        pane = np.where(pane < 12, 4, np.where(pane < 18, 5, 6))
        material = np.where(floor == 0, 2, np.where(over < 18, 1, 0))
        material = np.where(window | shop, pane, material)
        return np.where(y > self.height - 45, 3, material)


def _between(place: Grid, period: int) -> npt.NDArray[np.bool_]:
    return (place > period * 3 // 10) & (place < period * 7 // 10 + 20)


def _masonry(height: int) -> Callable[[Grid, Grid], Grid]:
    def material(u: Grid, y: Grid) -> Grid:
        course = y // 30
        joint = (y % 30 < 5) | ((u + course % 2 * 35) % 70 < 5)
        return np.where(y > height - 18, 2, np.where(joint, 1, 0))

    return material


def _pickets(height: int) -> Callable[[Grid, Grid], Grid]:
    def material(u: Grid, y: Grid) -> Grid:
        rail = (abs(y - height * 4 // 5) < 7) | (abs(y - height // 4) < 7)
        return np.where(u % 250 < 14, 2, np.where((u % 22 < 9) | rail, 0, 1))

    return material


def _panel(
    canvas: Canvas, lot: Lot, label: str, material: Callable[[Grid, Grid], Grid], colours: tuple[Colour, ...]
) -> None:
    """Paint the lot's front, a plane along the street, by the material at (length along it, height), both in cm."""
    camera = canvas.camera
    columns = [camera.pixel(lot.side * lot.line, 0, z)[0] for z in (lot.near, lot.far)]
    top, bottom = (camera.pixel(0, y, lot.near)[1] for y in (lot.height, 0))
    window = canvas.window(top, bottom + 1, min(columns), max(columns) + (lot.side > 0))
    if window is None:
        return
    row, column = np.ogrid[window]
    z = camera.focal * lot.line // np.maximum(1, abs(column - camera.centre)).astype(np.int32)
    y = camera.eye + (camera.horizon - row).astype(np.int32) * z // camera.focal
    u = z - lot.near
    inside = (y >= 0) & (y < lot.height)
    paint = np.array(colours, dtype=np.int32)[material(u + np.zeros_like(y), y)]
    canvas.stamp(window, inside, canvas.hazed(paint, z), label)
