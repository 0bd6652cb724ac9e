"""Sky, road, sidewalks and the green beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from models.datasets.drawing.canvas import Canvas, Colour, mixed, shaded
from models.datasets.drawing.textures import smooth_noise
from models.datasets.draws import Draws

__all__ = ["Layout", "draw_ground", "draw_sky"]

_FAR: Final = 30000
_EVERYWHERE: Final = slice(None)


@final
@dataclass(frozen=True)
class Layout:
    """Where a street's strips end: distances from the camera to the left and to the right, in cm, inside out.

    Args:
        kerb: where the road ends.
        walk: where the sidewalk ends.
        line: where the green ends and the buildings stand; equal to `walk` where there is no green.
    """

    kerb: tuple[int, int]
    walk: tuple[int, int]
    line: tuple[int, int]

    @classmethod
    def drawn(cls, draws: Draws) -> Layout:
        """A street between 9 and 14 metres wide, the camera in its right lane."""
        kerb = draws.between(740, 860), draws.between(400, 520)
        walk = kerb[0] + draws.between(320, 520), kerb[1] + draws.between(320, 520)
        green = [draws.between(180, 420) if draws.chance(55) else 0 for _ in range(2)]
        return cls(kerb, walk, (walk[0] + green[0], walk[1] + green[1]))


def draw_sky(canvas: Canvas, draws: Draws) -> None:
    """A gradient from blue to haze, with clouds, down to the horizon."""
    camera = canvas.camera
    cover = draws.between(40, 170)
    rows, columns = (range(part.stop) for part in camera.above)
    clouds = sum(
        smooth_noise(draws.word(), rows, columns, max(1, camera.height // size)) * weight // 8
        for size, weight in ((3, 4), (8, 3), (20, 1))
    )
    white = np.clip((clouds - 255 + cover) * 3, 0, 255)[..., None]
    down = np.arange(len(rows), dtype=np.int32)[:, None, None] * 100 // max(1, camera.horizon)
    zenith = np.array(mixed((86, 132, 196), canvas.haze, draws.between(0, 60)), dtype=np.int32)
    blue = zenith + (np.array(canvas.haze, dtype=np.int32) - zenith) * down // 100
    sky = blue + (np.array((246, 247, 250), dtype=np.int32) - blue) * white // 320
    canvas.stamp(camera.above, _EVERYWHERE, sky.astype(np.uint8), "sky")


def draw_ground(canvas: Canvas, layout: Layout, draws: Draws) -> None:
    """The ground's strips from the outside in, their texture, and the paint on the road."""
    asphalt = draws.pick(((92, 93, 97), (104, 103, 104), (80, 82, 88)))
    paving = draws.pick(((158, 150, 142), (148, 146, 144), (168, 158, 150)))
    canvas.stamp(canvas.camera.below, _EVERYWHERE, (98, 118, 62), "terrain")
    strips: list[tuple[tuple[int, int], Colour, str]] = [
        (layout.line, draws.pick(((106, 128, 64), (122, 128, 78), (92, 122, 58))), "terrain"),
        (layout.walk, paving, "sidewalk"),
        ((layout.kerb[0] + 14, layout.kerb[1] + 14), (182, 180, 174), "sidewalk"),
        (layout.kerb, asphalt, "road"),
    ]
    for (left, right), colour, label in strips:
        canvas.flat([(-left, 0), (-left, _FAR), (right, _FAR), (right, 0)], colour, label)
    _texture(canvas, layout, draws)
    _paint(canvas, layout, draws)


def _texture(canvas: Canvas, layout: Layout, draws: Draws) -> None:
    """Fade the ground with distance; lay slabs on the sidewalk, patches and stains on the rest."""
    camera = canvas.camera
    depth = np.arange(1, camera.height - camera.horizon, dtype=np.int32)[:, None]
    z = np.minimum(camera.focal * camera.eye // depth, _FAR)
    x = (np.arange(camera.width, dtype=np.int32)[None, :] - camera.centre) * z // camera.focal
    rows, columns = (range(part.start, part.stop) for part in camera.below)
    stains = smooth_noise(draws.word(), rows, columns, max(2, camera.height // 12)) // 16 - 8
    joints = ((x % 60 < 4) | (z % 60 < 4)) & ((x < -layout.kerb[0] - 14) | (x > layout.kerb[1] + 14))
    light = stains - 22 * (joints & (z < 2500))
    ground = canvas.image[camera.below].astype(np.int32) + light[..., None]
    canvas.image[camera.below] = canvas.hazed(ground, z)


def _paint(canvas: Canvas, layout: Layout, draws: Draws) -> None:
    white = draws.pick(((214, 214, 210), (198, 198, 194)))
    phase = draws.below(900)
    for start in range(phase - 600, 9000, 900):
        if start > 100:
            canvas.flat([(-192, start), (-192, start + 400), (-178, start + 400), (-178, start)], white, None)
    if draws.chance(60):
        right = layout.kerb[1] - 215
        canvas.flat([(right, 200), (right, 9000), (right + 10, 9000), (right + 10, 200)], white, None)
    if draws.chance(35):
        near = draws.between(700, 1600)
        for left in range(-layout.kerb[0] + 40, layout.kerb[1] - 50, 100):
            canvas.flat([(left, near), (left, near + 350), (left + 50, near + 350), (left + 50, near)], white, None)
    for _ in range(draws.below(3)):
        x, z = draws.between(-500, 200), draws.between(500, 2500)
        repair = shaded((70, 71, 75), draws.between(90, 115))
        canvas.flat([(x, z), (x - 20, z + 300), (x + 130, z + 320), (x + 150, z)], repair, None)
